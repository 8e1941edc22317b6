"""Files that appear whole or not at all."""

from __future__ import annotations

import atexit
import contextlib
import os
import stat
import sys

from wmbackup.errors import NotFound, OutputExists, SystemFailure, Unconfirmed, UsageError
from wmbackup.storage import remains
from wmbackup.storage.files import (
    has_no_links,
    is_folder,
    reachable,
    resolved,
    sync_everything,
    sync_folder,
)
from wmbackup.storage.private_files import create_private


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
        self.name, self.file = create_private(self._folder)
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
            # Otherwise reading back would only show that memory works.
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
        if not has_no_links(error):
            raise
        # No hard links here: the lock on the destination has to do.
        if os.path.lexists(path):
            raise exists(path) from None
        os.rename(name, path)
        return False
    return True


def exists(path: str) -> OutputExists:
    """Return the error for an output that is there already."""
    return OutputExists(f"{path} exists", path=path)


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
        raise NotFound(f"there is no folder {folder}", reason="no-folder", path=folder)
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return path
    except OSError as error:
        raise SystemFailure.of(error, "write", path) from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path} is a folder", reason="output-is-folder", path=path)
    if not stat.S_ISREG(mode):
        raise UsageError(
            f"{path} is a device or another special file",
            reason="output-is-device",
            path=path,
        )
    return path
