"""Files that appear whole or not at all, and private temporary files.

What is begun is dropped by the operating system with the process, or found and removed by the
next run: a private file under way is locked by its writer, so an unlocked one is a leftover.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable
from typing import IO, BinaryIO, NamedTuple

from wmbackup import remains
from wmbackup.descriptors import let_go, reading
from wmbackup.errors import NotFound, OutputExists, SystemFailure, Unconfirmed, UsageError
from wmbackup.limits import remedy

PRIVATE = 0o600
PRIVATE_FOLDER = 0o700
_PART = ".wmbackup-"
_PART_END = ".part"
_SPOOL_IN_MEMORY = 1024 * 1024
_LONG = 240  # characters beyond which Windows may want another form of a path

NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
"""What file systems without hard links answer to one."""

if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this process if nobody else has; return whether it did."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this process if nobody else has; return whether it did.

        Raises OSError where the file system has no locks: waiting would be for ever.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def spool_in(folder: str) -> Callable[[], IO[bytes]]:
    """Return a maker of private temporary files: in memory while small, then in the folder.

    They have no name, or vanish when they are closed.
    """

    def spool() -> IO[bytes]:
        import tempfile

        return tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY, dir=folder)

    return spool


def temporary_folder() -> str:
    """Return where large temporary files go when nothing else says it: TMPDIR or /var/tmp."""
    chosen = os.environ.get("TMPDIR")
    if chosen and os.access(chosen, os.W_OK | os.X_OK):
        # What tempfile does to try it out leaves a file where a signal comes between.
        return os.path.abspath(chosen)
    if chosen is not None or os.name == "nt" or not os.access("/var/tmp", os.W_OK):  # noqa: S108 - a place for large private files
        import tempfile

        return tempfile.gettempdir()
    return "/var/tmp"  # noqa: S108 - its files have no name


def spool_failure(error: OSError) -> SystemFailure:
    """Return the error for private temporary files that cannot be written."""
    failure = SystemFailure.of(error, "write temporary files in", temporary_folder())
    failure.hint = remedy(error.errno) or "free some space there, or set TMPDIR to another folder"
    return failure


class Draft:
    """A private file beside its destination, which becomes the destination by `publish`."""

    def __init__(self, path: str, what: str = "the file") -> None:
        """Open it, readable and writable, for the destination ``path``. Raises OSError.

        ``what`` names it in messages.
        """
        self.path = path
        self._what = what
        self._folder = os.path.dirname(path) or os.curdir
        # `name` is what it is called until then.
        self.name, self.file = _create_part(self._folder)
        self.published = False
        _DRAFTS[self.name] = os.getpid()

    def sync_ahead(self) -> None:
        """Let the disk begin with what was written, so that `sync` has less to wait for."""
        if sys.platform == "linux":
            os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Bring what was written to the disk, and let it be read from there. Raises OSError."""
        self.file.flush()
        os.fsync(self.file.fileno())
        if sys.platform == "linux":
            # Otherwise reading back would only prove that memory works.
            os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self.file.seek(0)

    def publish(self, *, replace: bool) -> None:
        """Give it its name, at once.

        Raises OutputExists where one is there, OSError, and Unconfirmed where it has its name and
        what has to follow failed.
        """
        if os.name == "nt":
            self.file.close()
        if replace:
            os.replace(self.name, self.path)
            keeps_name = False
        else:
            keeps_name = _rename_new(self.name, self.path)
        self.published = True
        if keeps_name:
            with contextlib.suppress(OSError):  # `close` tries again
                self._remove_name()
        else:
            _DRAFTS.pop(self.name, None)
        try:
            self._sync_names()
        except OSError as error:
            raise self.unconfirmed(error) from error

    def _sync_names(self) -> None:
        try:
            sync_folder(self._folder)
        except PermissionError:  # a folder that may be written to and not be opened
            sync_everything(self.file.fileno())

    def unconfirmed(self, error: OSError) -> Unconfirmed:
        """Return the error for what failed after it was published."""
        return Unconfirmed.at(error, self._what, self.path)

    def _remove_name(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name)
        _DRAFTS.pop(self.name, None)

    def close(self) -> None:
        """Close it; it is removed where it was not published.

        Raises OSError; where it was published, Unconfirmed, or SystemFailure where it has kept its
        first name as well.
        """
        try:
            self.file.close()  # which writes what is left in memory, and that may fail
        except OSError as error:
            if self.published:
                raise self.unconfirmed(error) from error
            raise
        finally:
            self._remove_leftover()

    def _remove_leftover(self) -> None:
        if self.name not in _DRAFTS:
            return
        try:
            self._remove_name()
        except OSError as error:
            _DRAFTS.pop(self.name, None)
            if self.published:
                doing = f"remove the temporary file of {self.path}, which is complete:"
                raise SystemFailure.of(error, doing, self.name) from error
            remains.note(self.name, error)


_DRAFTS: dict[str, int] = {}
"""Those under way, and the process that each belongs to: a fork knows its parent's as well."""


def _remove_drafts() -> None:
    """Remove what a thread still writes at the end of the program, be it in a disk that hangs."""
    for name, process in tuple(_DRAFTS.items()):
        if process == os.getpid():
            with contextlib.suppress(OSError):
                os.unlink(name)


atexit.register(_remove_drafts)


def _create_part(folder: str) -> tuple[str, BinaryIO]:
    while True:
        name = os.path.join(folder, f"{_PART}{os.urandom(8).hex()}{_PART_END}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), PRIVATE)
        try:
            # Another run that removes leftovers may have met it before it was locked.
            if os.name == "nt" or (try_lock(descriptor) and os.fstat(descriptor).st_nlink):
                return name, os.fdopen(descriptor, "w+b")
        except OSError:
            _discard(descriptor, name)
            raise
        _discard(descriptor, name)


def _discard(file: int | BinaryIO, name: str) -> None:
    with contextlib.suppress(OSError):
        os.close(file) if isinstance(file, int) else file.close()
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass
    except OSError as error:
        remains.note(name, error)


def _rename_new(name: str, path: str) -> bool:
    """Give a file its name, which nothing may have; return whether it keeps its first one."""
    try:
        if os.name == "nt":
            os.rename(name, path)  # which refuses an existing one there
            return False
        os.link(name, path)
    except FileExistsError:
        raise exists(path) from None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        # No hard links here: the lock on the destination has to do.
        if os.path.lexists(path):
            raise exists(path) from None
        os.rename(name, path)
        return False
    return True


def exists(path: str) -> OutputExists:
    """Return the error for an output that is there already."""
    return OutputExists(f"{path} exists", hint="choose another output, or add --force")


class SmallFile(NamedTuple):
    """The bytes of a small file, and its mode."""

    data: bytes
    mode: int


def read_small_file(path: str, limit: int) -> SmallFile | None:
    """Return at most ``limit`` bytes of a regular file, and one more where it is larger.

    None where there is none. A link to nothing, a pipe or a device is an error and not an empty
    file, and opening one does not wait for a writer. Raises OSError.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NOCTTY", 0))
    except FileNotFoundError:
        if os.path.lexists(path):
            raise OSError(errno.ENOENT, "it is a link to nothing", path) from None
        return None
    with reading(descriptor) as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode) and not os.path.samefile(path, os.devnull):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        return SmallFile(file.read(limit + 1), mode)


def is_folder(path: str) -> bool:
    """Whether a folder is there, links followed. Raises OSError where the machine does not tell.

    What is wrong with the path itself says that no folder can be there.
    """
    if os.name == "nt":
        return os.path.isdir(path)
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
            return False
        raise


def keeps_modes(folder: str) -> bool:
    """Whether the file system of a folder keeps owners and modes, as those of Windows do not.

    A file is made to find out: what a file system without modes reports of it is the same for
    every file. Where none can be made, the folder is taken at its word. Raises OSError.
    """
    if not hasattr(os, "geteuid"):
        return False
    remove_leftovers(folder)  # a run that was killed here left its file
    try:
        name, file = _create_part(folder)
    except PermissionError:
        return True
    try:
        status = os.fstat(file.fileno())
        return status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == PRIVATE
    finally:
        _discard(file, name)


def make_folders(path: str) -> None:
    """Make a private folder with its parents, and bring their names to the disk. Raises OSError."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        parent = os.path.dirname(path) or os.curdir
        if parent == path:
            break
        path = parent
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, PRIVATE_FOLDER)
        sync_folder(os.path.dirname(folder) or os.curdir)


def sync_folder(folder: str) -> None:
    """Bring the names of a folder to the disk, where the system has that. Raises OSError."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.EBADF}:  # some network file systems
            raise
    finally:
        let_go(descriptor)


def sync_everything(descriptor: int) -> None:
    """Bring all of the file system that holds the open file to the disk. Raises OSError.

    One call instead of one for each of many thousand files.
    """
    if sys.platform == "linux":
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    elif hasattr(os, "sync"):
        os.sync()


def remove_leftovers(folder: str) -> None:
    """Remove private files of runs that ended before they could."""
    try:
        names = [name for name in os.listdir(folder) if _is_part(name)]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            _remove_leftover(os.path.join(folder, name))


def _is_part(name: str) -> bool:
    return name.startswith(_PART) and name.endswith(_PART_END)


def _remove_leftover(path: str) -> None:
    if os.name == "nt":
        os.unlink(path)  # which fails while its writer has it open
        return
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, os.O_RDWR | flags)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and try_lock(descriptor):
            os.unlink(path)
    finally:
        let_go(descriptor)


def output_path(output: str, name: str) -> str:
    """Return the file that an output means: itself, or ``name`` in it where it is a folder.

    Links are resolved. Raises NotFound where the folder is missing, UsageError for a device,
    SystemFailure where nobody may look.
    """
    output = reachable(output)
    try:
        means_folder = output.endswith((os.sep, os.altsep or os.sep)) or is_folder(output)
        path = reachable(resolved(os.path.join(output, name) if means_folder else output))
        folder = os.path.dirname(path)
        has_folder = is_folder(folder)
    except FileNotFoundError:
        raise  # the current folder is gone, which only the command line can say
    except OSError as error:
        raise SystemFailure.of(error, "write", output) from error
    if not has_folder:
        raise NotFound(f"there is no folder {folder}", hint="create it first, or choose another")
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return path
    except OSError as error:
        raise SystemFailure.of(error, "write", path) from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path} is a folder", hint="name another file as the output")
    if not stat.S_ISREG(mode):
        raise UsageError(
            f"{path} is a device or another special file",
            hint="write to a file, or to standard output with -o -",
        )
    return path


def extended(path: str) -> str:
    """Return a full path as Windows takes it that is long or ends in a dot; elsewhere itself."""
    if os.name != "nt" or path.startswith("\\\\?\\"):
        return path
    return "\\\\?\\UNC\\" + path[2:] if path.startswith("\\\\") else "\\\\?\\" + path


def reachable(path: str) -> str:
    """Return a path that the system's functions take, however long it is."""
    if os.name != "nt" or len(path) < _LONG:
        return path
    return extended(os.path.abspath(path))


def resolved(path: str) -> str:
    """Return the absolute path without links, as far as this system can tell."""
    try:
        return os.path.realpath(path)
    except OSError:  # disks whose drivers do not say, on Windows
        return os.path.abspath(path)


def is_inside(path: str, folder: str) -> bool:
    """Whether a path, which need not exist, lies in a folder, whatever links lead there."""
    at = resolved(path)
    while True:
        with contextlib.suppress(OSError):
            if os.path.samefile(at, folder):
                return True
        parent = os.path.dirname(at)
        if parent == at:
            return False
        at = parent
