"""STORE on the command line: which store a word or a path means."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, cast

from wmbackup.cli.render.hints import again, did_you_mean, instead, without_values
from wmbackup.cli.session import Session, is_terminal, state_folder
from wmbackup.cli.signals import wait_readable
from wmbackup.errors import StoreUnavailable, UsageError
from wmbackup.stores.base import Store

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from wmbackup.status import Control
    from wmbackup.stores.exclusion import Exclusion
    from wmbackup.stores.ownership import Owner

KINDS = "windows, sample, folder:PATH, drm:PATH, bak:PATH, or a path"
WORDS = ("sample", "windows")
"""The words that mean a store; everything else is a path."""

_SECRET_SIZE = 32  # bytes

PREFIXES = ("folder:", "drm:", "bak:")
"""What says before a path of which kind the store there is."""


def parse_store(
    text: str | None,
    *,
    option: str = "--store",
    all_files: bool = False,
    exclusion: Exclusion | None = None,
    target: bool = False,
    control: Control | None = None,
) -> Store:
    """Return the store that is meant; a path need not exist.

    The kind of a path is found by what is in the folder, unless a prefix forces it; the path of a
    Windows disk means the one DRM folder on it. A ``target`` is a plain folder, whatever is in it.
    ``control`` follows the search of a disk. Raises UsageError where none is given or several are
    meant, StoreUnavailable for one that this system does not have.
    """
    if text is None and option == "--store":
        text = default_store()
    if text is None:
        example = again(option, "sample" if option == "--store" else "restored")
        hint = f"it takes {_kinds(option)}; for example: {example}"
        raise UsageError(f"{option} is missing", hint=hint)
    named = _named(text, exclusion)
    if named is not None:
        return named
    from wmbackup.cli.disks import choose
    from wmbackup.status import Control
    from wmbackup.stores.folder import FolderStore
    from wmbackup.stores.layouts import DRM, FOLDER, LAYOUTS

    prefix = next((prefix for prefix in PREFIXES if text.startswith(prefix)), "")
    if not prefix and not os.path.lexists(text):
        _refuse_mistyped(text, target=target)
    path = text.removeprefix(prefix)
    if not path:
        raise UsageError(f"{option} names no folder", hint=f"it takes {_kinds(option)}")
    if target and prefix not in {"", "folder:"}:
        raise UsageError(
            f"{option} {prefix} is no target: a restore writes into a plain folder",
            hint=f"did you mean: {instead(text, f'folder:{path}', option)}",
        )
    if target:
        return FolderStore(path, FOLDER, owner=owner())
    layout = next((one for one in LAYOUTS if f"{one.kind}:" == prefix), None)
    if prefix in {"", "drm:"}:
        found = choose(path, option, control or Control(), is_forced=bool(prefix))
        if found != path:
            path, layout = found, DRM
    return FolderStore(path, layout, all_files=all_files, exclusion=exclusion, owner=owner())


def _named(text: str, exclusion: Exclusion | None) -> Store | None:
    """Return the store that a word or a registered scheme means; None for a path."""
    if text == "sample":
        from wmbackup.stores.sample import SampleStore

        return SampleStore(exclusion)
    if text == "windows":
        from wmbackup.cli.part import runner
        from wmbackup.stores.windows.store import WindowsStore

        if exclusion:
            raise UsageError(
                "the Windows Media interface backs up all licenses or none",
                hint=f"to back up all of them: {without_values(['--exclude'])}",
            )
        state = state_folder()
        private = None if state is None else os.path.join(state, "private")
        return WindowsStore(private, runner=runner())
    if text.startswith(PREFIXES):
        return None
    from wmbackup.stores.registered import open_registered

    found = open_registered(text)
    if found is not None and exclusion:
        raise UsageError(
            "--exclude is for folders and the sample store",
            hint=f"to back up all of it: {without_values(['--exclude'])}",
        )
    return found


def _kinds(option: str) -> str:
    """Return what an option takes, with the stores of other packages."""
    own = "windows, folder:PATH" if option == "--to" else KINDS.removesuffix(", or a path")
    return f"{own}{''.join(f', {scheme}:...' for scheme in _other_schemes())}, or a path"


def _other_schemes() -> list[str]:
    from wmbackup.stores.registered import schemes

    return [scheme for scheme in schemes() if f"{scheme}:" not in PREFIXES]


def is_registered(scheme: str) -> bool:
    """Whether another package has registered stores with this word before a colon."""
    return scheme in _other_schemes()


def owner() -> Owner:
    """Return this user, by the secret in the state folder, which is made when it is needed."""
    from wmbackup.stores.ownership import Owner

    return Owner(_secret)


def _secret() -> bytes | None:
    """Return what only this user knows; None where there is no state folder to keep it in.

    Raises SystemFailure where it is there and the machine does not read it.
    """
    from wmbackup.errors import SystemFailure, WmbackupError
    from wmbackup.storage.files import make_folders, read_small_file
    from wmbackup.storage.private_files import remove_leftovers
    from wmbackup.storage.trouble import is_of_file
    from wmbackup.trust.small_files import write

    state = state_folder()
    if state is None:
        return None
    path = os.path.join(state, "restore_secret")
    for _ in range(2):  # another run may make it at the same time
        try:
            found = read_small_file(path, _SECRET_SIZE)
        except OSError as error:
            if not is_of_file(error):
                raise SystemFailure.of(error, "read", path) from error
            continue
        if found is not None:
            remove_leftovers(state)  # a run that was killed may have left it under a second name
            return found.data if len(found.data) == _SECRET_SIZE else None
        try:
            make_folders(state)
            write(path, os.urandom(_SECRET_SIZE), replace=False)
        except (OSError, WmbackupError):
            continue
    return None


def _refuse_mistyped(text: str, *, target: bool) -> None:
    """Refuse a path where nothing is and that is nearly a word or a kind of store.

    Raises UsageError, and StoreUnavailable for what may be meant as a path all the same.
    """
    import difflib

    head, colon, rest = text.partition(":")
    kind = f"{head.lower()}:"
    if len(head) == 1 or "/" in head or "\\" in head:  # a drive, or certainly a path
        return
    if colon:
        known = [*PREFIXES, *(f"{scheme}:" for scheme in _other_schemes())]
        for close in difflib.get_close_matches(kind, known, n=1, cutoff=0.7):
            meant = "folder:" if target and close in PREFIXES else close
            hint = f"a path of that name is ./{text}; {did_you_mean(text, [meant + rest])}"
            raise UsageError(f"there is no kind of store {head}:", hint=hint)
    elif not target:
        words = [f"{kind}PATH"] if kind in PREFIXES else []
        words += difflib.get_close_matches(head.lower(), WORDS, n=1, cutoff=0.7)
        for meant in words:
            message = f"there is no folder {os.path.abspath(text)}"
            raise StoreUnavailable(message, hint=did_you_mean(text, [meant]))


def default_store() -> str | None:
    """Return the store that is meant where none is named: on Windows its own."""
    return "windows" if os.name == "nt" else None


def is_store(text: str) -> bool:
    """Whether a word means a store, and not an archive."""
    if text in WORDS or text.startswith(PREFIXES) or os.path.isdir(text):
        return True
    scheme, colon, _ = text.partition(":")
    return bool(colon) and scheme in _other_schemes()


# A thread that hangs in Python's own streams when the program ends has Python abort: these are
# streams of their own on the same descriptors.


def standard_input() -> BinaryIO:
    """Return standard input as bytes. Raises UsageError where there is none."""
    if sys.stdin is None:
        raise UsageError("standard input is closed", hint="name a file, or feed one in")
    try:
        descriptor = sys.stdin.fileno()
    except OSError:
        return sys.stdin.buffer  # one that another program put there
    own = _own_copy(descriptor)
    file = _Waited(descriptor if own is None else own, "rb", closefd=own is not None)
    return io.BufferedReader(file)


if sys.platform == "win32":

    def _own_copy(_descriptor: int) -> int | None:
        return None

else:
    import fcntl

    def _own_copy(descriptor: int) -> int | None:
        """Return a descriptor of the same file that a worker can be given too, if there is one.

        Those of the standard streams are others in a worker.
        """
        try:
            return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
        except OSError:  # none are left
            return None


def archive_on_standard_input(session: Session) -> BinaryIO:
    """Return standard input, and report that it waits where that is a keyboard.

    Raises UsageError where there is none.
    """
    stream = standard_input()
    if is_terminal(sys.stdin):
        session.output.warning(
            "waiting",
            "waiting for an archive on standard input, which is the keyboard",
            f"end this with Ctrl-C, and feed a file in: wmbackup {session.command} - < FILE",
        )
    return stream


def standard_output() -> BinaryIO:
    """Return standard output as bytes. Raises UsageError where there is none."""
    if sys.stdout is None:
        raise UsageError("standard output is closed", hint="name a file, or open it")
    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        return sys.stdout.buffer
    # What a buffer still holds when the disk is full would be written, and complained of, by
    # Python itself when it ends.
    return cast("BinaryIO", _Whole(descriptor, "wb", closefd=False))


class _Waited(io.FileIO):
    """A file whose reads a signal ends, whenever it comes."""

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        wait_readable(self.fileno())
        return super().readinto(buffer) or 0


class _Whole(io.FileIO):
    """A file without a buffer that takes all that it is given."""

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        while view:
            written = super().write(view)
            if written is None:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            view = view[written:]
        return size
