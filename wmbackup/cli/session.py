"""One run of the command line: its common options, its places, its renderer."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TextIO

from wmbackup.cli.record import Record
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.stdout import StandardOutput
from wmbackup.errors import (
    ExitCode,
    SetupUnusable,
    SigningKeyMissing,
    SystemFailure,
    TimedOut,
    UsageError,
    WmbackupError,
)

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from wmbackup.cli.config import Config
    from wmbackup.cli.render.output import Output
    from wmbackup.status import Control, Phase
    from wmbackup.storage.locks import Locks
    from wmbackup.trust import Policy
    from wmbackup.trust.keys import Created, SigningKey
    from wmbackup.workers.process import Workers


class Common(NamedTuple):
    """The options that every command has."""

    profile: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    debug: bool = False
    color: str = "auto"
    progress: bool | None = None
    no_notice: bool = False
    no_input: bool = False
    lock_wait: float = 0.0
    strict: bool = False


class Before(Protocol):
    """What happens between the parser and a command."""

    def refuse_repeated(self, order: Iterable[click.Parameter], /) -> None:
        """Refuse an option that was given twice. Raises UsageError."""

    def configure(self, session: Session, ctx: click.Context, /) -> None:
        """Put the configuration in force. Raises WmbackupError."""

    def prepare(self, session: Session, ctx: click.Context, /) -> dict[str, Any]:
        """Look at what was given; return the parameters of the command. Raises WmbackupError."""


class Ending(Protocol):
    """Who is told how a run ends."""

    def end(self, code: ExitCode, /) -> ExitCode:
        """Tell of the end; return the exit code that this leaves."""


class Session:
    """What a command gets: see the attributes and methods."""

    def __init__(
        self,
        common: Common | None = None,
        make_output: Callable[[Session], Output] | None = None,
    ) -> None:
        """Begin with what decides how a usage error is told, and with what makes the renderer."""
        self._make_output = make_output
        self.before: Before | None = None
        self.common = common or Common()
        self.command: str | None = None
        self.arguments: tuple[str, ...] = ()  # the words of the command line
        self.params: Mapping[str, Any] = {}  # what the command made of them
        self.stdout = StandardOutput()
        self.data_on_stdout = False
        self.accepts_restricted = False
        self.accepts_skipped = False
        self.running = False
        self.record = Record()
        self.monitor: Ending | None = None
        self._begun = time.monotonic()
        self.steps: tuple[Phase, ...] = ()  # the phases that the command goes through
        self.given: dict[str, tuple[int, Any]] = {}
        self.configs: tuple[Config, ...] = ()
        self.config_error: WmbackupError | None = None  # where a command works without it
        self._output: Output | None = None

    def settle(self) -> None:
        """Put the common options that were given in force.

        --quiet and --verbose overrule each other: the nearer one counts, of two that are as near
        the last.
        """
        both = [name for name in self.given if name in {"quiet", "verbose"} and self.given[name][1]]
        if len(both) > 1:
            del self.given[min(both, key=lambda name: self.given[name][0])]  # the first such one
        self.common = Common(**{name: value for name, (_, value) in self.given.items()})

    @property
    def output(self) -> Output:
        """The renderer, made when it is first needed: its libraries are not free."""
        if self._output is None:
            assert self._make_output is not None  # noqa: S101 - a session that says something has it
            self._output = self._make_output(self)
        return self._output

    @property
    def elapsed(self) -> float:
        """How long the run has taken, in seconds, without the time that answers took."""
        return time.monotonic() - self._begun

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for somebody, in time that is not the program's."""
        since = time.monotonic()
        try:
            yield
        finally:
            self._begun += time.monotonic() - since

    @property
    def profile(self) -> str | None:
        """The profile that was asked for, also before the common options are in force."""
        profile: str | None = self.given.get("profile", (0, None))[1]
        return profile

    def control(self, timeout: float | None = None) -> Control:
        """Return how an operation on this thread is followed; signals stop it by raising.

        After ``timeout`` seconds it is stopped as well, by TimedOut.
        """
        from wmbackup.status import Control

        until = None if timeout is None else self.elapsed + timeout

        def is_over() -> bool:
            if until is not None and self.elapsed > until:
                raise TimedOut(f"the operation did not end within {timeout:g} s")
            return False

        return Control(self.output.event, is_over, items=self.output.follows_items)

    def inventory_control(self) -> Control:
        """Return how an inventory is followed: its rows name the restricted licenses already."""
        from wmbackup.status import Control, Event, WithheldEvent

        def notify(event: Event) -> None:
            if not isinstance(event, WithheldEvent):
                self.output.event(event)

        return Control(notify, items=self.output.follows_items)

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to be asked."""
        if self.common.no_input or self.common.json:
            return False
        return is_terminal(sys.stdin) and not _nobody_answers()

    def trust_locks(self) -> Locks:
        """Return the locks for trust files: a run holds one for a moment, so that others wait."""
        from wmbackup.trust.trust_files import LOCK_WAIT

        return self.locks(LOCK_WAIT)

    def locks(self, least: float = 0.0) -> Locks:
        """Return the locks of this user, which are waited for ``least`` seconds or longer."""
        from wmbackup.storage.locks import Locks, belongs_to_another, shared_folders

        wait = max(self.common.lock_wait, least)
        state = state_folder()
        folder = None if state is None or not _can_hold(state) else os.path.join(state, "locks")
        try:
            is_usable = folder is not None and not belongs_to_another(folder)
        except OSError:
            is_usable = True  # the lock itself says why not
        if folder is None or not is_usable:
            # A service often has no home, one that is not there, or that of the user who began it;
            # its runs see each other here.
            return Locks(shared_folders, wait)
        return Locks(folder, wait)

    def workers(self) -> Workers:
        """Allow worker processes: a user expects both processors to work."""
        from wmbackup.workers.process import Workers

        return Workers()

    def create_key(self) -> Created:
        """Make the signing key of this user and trust it. Raises as `keys.create_trusted`."""
        from wmbackup.trust import keys

        revoked = revoked_keys_paths()
        self.warn_of_writers(allowed_signers_path(), *revoked)
        path = signing_key_path()
        try:
            created = keys.create_trusted(
                *(path, allowed_signers_path(), host_name(), revoked),
                self.trust_locks(),
            )
        except (SystemFailure, SetupUnusable) as error:
            if os.path.lexists(path):
                complete = "complete the signing key with: wmbackup key create"
                error.hint = next_steps.then(error, complete)
            raise
        self.warn_if_exposed(created.key)
        return created

    def warn_if_exposed(self, key: SigningKey) -> None:
        """Warn of a signing key that other users can read."""
        if key.exposed:
            self.output.warning(
                "signing-key-exposed",
                f"other users can read the signing key {key.path}",
                next_steps.hide(key.path),
            )

    def policy(self, allowed_signers: str | None) -> Policy:
        """Read whom to trust: the user's file and the machine's, or the one that is named.

        Keys that either revokes are never trusted. Raises TrustFileInvalid, SetupUnusable,
        SystemFailure, UsageError.
        """
        from wmbackup.trust.trust_files import read_policy

        revoked = revoked_keys_paths()
        files = allowed_signers_paths() if allowed_signers is None else (allowed_signers,)
        self.warn_of_writers(*files, *revoked)
        return read_policy(files, revoked, must_exist=allowed_signers is not None)

    def warn_of_writers(self, *paths: str | None) -> None:
        """Warn of trust files that a group can write. Raises SetupUnusable for everybody's."""
        from wmbackup.trust.small_files import check_writers

        exposed = [check_writers(path) for path in paths if path is not None]
        for _, found in sorted({one.path: one for one in exposed if one is not None}.items()):
            self.output.warning(
                "trust-file-exposed",
                f"other users can write {found.path}, and say whom to trust",
                next_steps.of_exposed(found),
            )

    def strictly(self, code: ExitCode) -> ExitCode:
        """Turn "partial" into "failed" where ``--strict`` asks for it."""
        return ExitCode.FAILED if self.common.strict and code is ExitCode.PARTIAL else code


_FROM_WORST = (
    *(ExitCode.INTERRUPTED, ExitCode.TERMINATED, ExitCode.DAMAGED, ExitCode.UNTRUSTED),
    *(ExitCode.UNDECRYPTABLE, ExitCode.STALE, ExitCode.REFUSED, ExitCode.BUSY),
    *(ExitCode.NOT_FOUND, ExitCode.USAGE, ExitCode.FAILED, ExitCode.DIFFERS, ExitCode.PARTIAL),
    ExitCode.OK,
)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the worst of several exit codes, in the order of the manual."""
    return min(codes, key=_FROM_WORST.index, default=ExitCode.OK)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; the null device of Windows, which says so, is none."""
    try:
        if stream is None or not stream.isatty():
            return False
    except (AttributeError, ValueError):  # closed
        return False
    from wmbackup.cli.console import is_console

    return is_console(stream)


def _nobody_answers() -> bool:
    from wmbackup.cli.console import is_unattended

    return is_unattended()


def _can_hold(folder: str) -> bool:
    """Whether a folder can be made, or written to where it is there."""
    while not os.path.isdir(folder):
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent
    return os.access(folder, os.W_OK)


def host_name() -> str:
    """Return the name of this machine."""
    import platform

    return platform.node() or "unknown"


def config_folder() -> str | None:
    """Return the folder of keys and trust; None where there is no home at all."""
    import platformdirs

    return _absolute(platformdirs.user_config_path)


def site_config_folder() -> str | None:
    """Return the folder of the configuration that all users share."""
    import platformdirs

    return _absolute(platformdirs.site_config_path)


def state_folder() -> str | None:
    """Return the folder of locks and memory; None where there is no home at all."""
    import platformdirs

    return _absolute(platformdirs.user_state_path)


def _absolute(find: Callable[[str, Literal[False]], Path]) -> str | None:
    # Without a home platformdirs raises, or in older releases is left with a tilde.
    try:
        path = find("wmbackup", False)
    except RuntimeError:
        return None
    return str(path) if path.is_absolute() else None


def signing_key_path() -> str:
    """Return where the signing key lives. Raises SigningKeyMissing without a home."""
    folder = config_folder()
    if folder is None:
        raise SigningKeyMissing(
            "there is no home folder that could hold a signing key",
            hint="name one with --signing-key, or set HOME",
        )
    return os.path.join(folder, "signing_key")


def allowed_signers_path() -> str:
    """Return where trusted keys are listed. Raises UsageError without a home."""
    folder = config_folder()
    if folder is None:
        raise UsageError(
            "there is no home folder that could hold the trusted keys",
            hint="name a file with --allowed-signers, or set HOME",
        )
    return os.path.join(folder, "allowed_signers")


def allowed_signers_paths() -> tuple[str, ...]:
    """Return the files of trusted keys: this user's, and that of all users of the machine.

    Raises UsageError where there is no home, and no file of the machine.
    """
    own, machine = (_trust_file(folder, "allowed_signers") for folder in _config_folders())
    if own is None and machine is not None and os.path.lexists(machine):
        return (machine,)
    return allowed_signers_path(), *(() if machine is None else (machine,))


def revoked_keys_paths() -> tuple[str, ...]:
    """Return the files of revoked keys: this user's, and that of all users of the machine."""
    files = (_trust_file(folder, "revoked_keys") for folder in _config_folders())
    return tuple(file for file in files if file is not None)


def own_revoked_keys_path() -> str:
    """Return where this user lists revoked keys. Raises UsageError without a home."""
    return os.path.join(os.path.dirname(allowed_signers_path()), "revoked_keys")


def _config_folders() -> tuple[str | None, str | None]:
    return config_folder(), site_config_folder()


def _trust_file(folder: str | None, name: str) -> str | None:
    return None if folder is None else os.path.join(folder, name)
