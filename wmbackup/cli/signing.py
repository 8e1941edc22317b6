"""The signing key on the command line: which one, and what opens it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from wmbackup.cli.click_ext import Option, on_command_line
from wmbackup.cli.passphrases import PassphraseGiven, asker, refuse_writable, settled
from wmbackup.cli.session import Session, revoked_keys_paths, signing_key_path
from wmbackup.errors import ExitCode, SigningKeyUnusable, UsageError

if TYPE_CHECKING:
    from wmbackup.trust.keys import SigningKey
    from wmbackup.trust.unlock import Unlock

_PREFIX = "key-passphrase"
_TRIES = 3  # on a terminal, as ssh does
_MAX_ANSWER = 64 * 1024  # bytes


class KeyGiven(NamedTuple):
    """What the options say of the signing key: its file, and how its passphrase is found."""

    path: str | None
    passphrase: PassphraseGiven


def signing_options(
    section: str,
) -> Callable[[Callable[..., ExitCode]], Callable[..., ExitCode]]:
    """Declare the options; the function gets what they say as ``key``."""
    options = [
        Option(
            ["--signing-key"], metavar="F", section=section,
            help="sign with this OpenSSH Ed25519 key instead of your own; a public key means the"
            " private one in ssh-agent",
        ),
        Option(
            [f"--{_PREFIX}-file"], metavar="F", section=section,
            help="read the passphrase of the signing key from this file, which has one line",
        ),
        Option(
            [f"--{_PREFIX}-fd"], metavar="N", section=section, command_line_only=True,
            type=click.IntRange(min=0),
            help="read the passphrase of the signing key from this file descriptor",
        ),
        Option(
            [f"--{_PREFIX}-command"], metavar="C", section=section, from_environment=False,
            help="take the passphrase of the signing key from what this command prints, run without"
            " a shell",
        ),
    ]  # fmt: skip

    def declare(function: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
        @functools.wraps(function)
        def called(*arguments: Any, signing_key: str | None, **more: Any) -> ExitCode:  # noqa: ANN401 - those of the function
            file, descriptor, program = (
                more.pop(f"key_passphrase_{name}") for name in ("file", "fd", "command")
            )
            given = settled(PassphraseGiven(False, file, descriptor, program, _PREFIX))
            if given.command is not None and not on_command_line("key_passphrase_command"):
                refuse_writable(arguments[0], f"{_PREFIX}-command")
            return function(*arguments, key=KeyGiven(signing_key, given), **more)

        below: list[click.Parameter] = getattr(function, "__click_params__", [])
        called.__click_params__ = [*below, *reversed(options)]  # type: ignore[attr-defined] # as click keeps them
        return called

    return declare


def agent_address() -> str | None:
    """Return where ssh-agent listens, as ssh finds it; None where the user has none."""
    address = os.environ.get("SSH_AUTH_SOCK") or None
    if os.name != "nt":
        return address
    from wmbackup.trust.agent import PIPE

    # Other programs there set it to the path of a file that only they understand.
    return address if address is not None and address.startswith("\\\\.\\pipe\\") else PIPE


def signing_key(session: Session, given: KeyGiven) -> SigningKey:
    """Load the signing key; on a terminal, make one where there is none.

    Raises SigningKeyMissing, SigningKeyUnusable, UsageError, SetupUnusable, SystemFailure.
    """
    from wmbackup.trust import keys

    path = given.path
    if path == "":
        raise UsageError("--signing-key names no file", hint="name a key file")
    if path is None and not has_own() and os.path.lexists(keys.next_path(signing_key_path())):
        raise keys.rotation_unfinished(signing_key_path())
    if path is None and session.interactive and not has_own():
        created = session.create_key()
        session.output.warning(
            "signing-key-created",
            f"made a signing key, {created.key.fingerprint}, trusted as {created.principal}",
            f"keep a copy of {keys.public_path(created.key.path)}: other machines need it to"
            " trust your archives",
        )
        return created.key
    own = signing_key_path() if path is None else path
    unlock = _unlock(session, given.passphrase, own)
    key = keys.load(own, unlock) if path is not None else keys.load_own(own, unlock)
    _refuse_revoked(key, path)
    session.warn_if_exposed(key)
    if path is None and keys.is_incomplete(key.path):
        session.output.warning(
            "signing-key-incomplete",
            "the run that made the signing key was cut off: this machine may not trust it",
            "wmbackup key create",
        )
    return key


def _refuse_revoked(key: SigningKey, path: str | None) -> None:
    """Refuse a key that signs what nobody trusts. Raises SigningKeyUnusable."""
    from wmbackup.trust.trust_files import revoked_in

    revoked = revoked_in(revoked_keys_paths())
    if key.public in revoked:
        hint = "wmbackup key rotate" if path is None else "name another with --signing-key"
        raise SigningKeyUnusable(
            f"the signing key {key.path} is revoked in {revoked[key.public]}: nobody would trust"
            " what it signs",
            hint=hint,
        )


def has_own() -> bool:
    """Whether this user has a signing key, or the public half of one. Raises SigningKeyMissing."""
    path = signing_key_path()
    return os.path.lexists(path) or os.path.lexists(f"{path}.pub")


def _unlock(session: Session, given: PassphraseGiven, path: str) -> Unlock:
    """Return what may be asked for a key in this run."""
    from wmbackup.trust.unlock import Unlock

    agent = agent_address()
    prompt = f"Passphrase for the signing key {path}"
    if given.given:
        return Unlock(agent, asker(session, given, prompt), is_given=True)
    program = _askpass(session)
    if program is not None:
        return Unlock(agent, lambda: _ask_by(session, program, prompt))
    if session.interactive:
        return Unlock(agent, asker(session, given, prompt), tries=_TRIES)
    return Unlock(agent)


def _askpass(session: Session) -> str | None:
    """Return the program that asks, where ssh would use it (SSH_ASKPASS in ssh(1))."""
    program = os.environ.get("SSH_ASKPASS")
    required = os.environ.get("SSH_ASKPASS_REQUIRE", "").lower()
    if not program or session.common.no_input or required == "never":
        return None
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    instead = required == "prefer" or not session.interactive
    return program if required == "force" or (has_display and instead) else None


def _ask_by(session: Session, program: str, prompt: str) -> bytes:
    import subprocess

    try:
        with session.waiting():
            done = subprocess.run(  # noqa: S603 - it is the user's own
                [program, f"{prompt}: "],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                check=False,
            )
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SigningKeyUnusable(
            f"cannot run {program}, which SSH_ASKPASS names: {reason}",
            hint="correct SSH_ASKPASS, or add --key-passphrase-file",
        ) from error
    answer = done.stdout.partition(b"\n")[0].removesuffix(b"\r")
    if done.returncode or not answer or len(answer) > _MAX_ANSWER:
        raise SigningKeyUnusable(
            f"{program}, which SSH_ASKPASS names, gave no passphrase",
            hint="run it again, or add --key-passphrase-file",
        )
    return answer
