"""Locks that keep two runs off the same store and the same destination."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator

from wmbackup.errors import Busy, SystemFailure
from wmbackup.status import Control
from wmbackup.storage import remains
from wmbackup.storage.descriptors import let_go
from wmbackup.storage.files import PRIVATE, PRIVATE_FOLDER, make_folders, try_lock
from wmbackup.storage.private_files import keeps_modes

_POLL = 0.1  # seconds between two tries for a lock
_REMOVAL = 2.0  # seconds that the removal of a file can take at most


class Locks:
    """Keeps two runs off the same store and the same destination.

    ``folder`` holds the locks, or returns all folders that may hold them (see `shared_folders`);
    ``wait`` is how long to wait for one, in seconds. The operating system drops a lock with its
    process.
    """

    def __init__(self, folder: str | Callable[[], list[str]], wait: float = 0.0) -> None:
        """Keep where and how long; nothing is locked yet."""
        self._folders = folder if callable(folder) else lambda: [folder]
        self._wait = wait

    @contextlib.contextmanager
    def hold(self, what: str, subject: str, control: Control) -> Iterator[None]:
        """Hold the lock on a subject, such as the absolute path of a store.

        ``what`` names it in messages. Raises Busy, Cancelled, SystemFailure.
        """
        # Where case does not matter in names, it does not tell two paths apart.
        name = hashlib.sha256(os.fsencode(os.path.normcase(subject))).hexdigest()[:32] + ".lock"
        path = name
        with contextlib.ExitStack() as held:
            try:
                folders: list[str] = []
                # Another run may have made one more folder before it saw this run's.
                while folders != (now := self._folders()):
                    held.close()
                    folders = now
                    for folder in folders:
                        path = os.path.join(folder, name)
                        make_folders(folder)
                        _refuse_foreign(folder)
                        descriptor = self._acquire(path, f"{what} {subject}", control)
                        held.callback(_drop, descriptor, path)
            except OSError as error:
                raise SystemFailure.of(error, "lock", path) from error
            yield

    def _acquire(self, path: str, subject: str, control: Control) -> int:
        until = time.monotonic() + self._wait
        while True:
            descriptor = _open_lock(path)
            try:
                if try_lock(descriptor) and _is_still(descriptor, path):
                    return descriptor
            except BaseException:
                let_go(descriptor)
                raise
            let_go(descriptor)
            if time.monotonic() >= until:
                raise Busy(f"another run of wmbackup holds the {subject}")
            control.check()
            time.sleep(_POLL)


def shared_folders() -> list[str]:
    """Return the private folders of this user among the temporary files, one as a rule.

    Whoever is first makes one. Others can take its name, and give it up again, as they like: then
    one is made whose name nobody knows beforehand, and two runs may each have made one. So a lock
    is taken in all of them. Raises OSError.
    """
    import tempfile

    temporary = tempfile.gettempdir()
    base = f"wmbackup-{os.getuid() if hasattr(os, 'getuid') else 0}"
    found = _own_folders(temporary, base)
    if not found:
        first = os.path.join(temporary, base)
        try:
            os.mkdir(first, PRIVATE_FOLDER)
        except FileExistsError:
            if not keeps_modes(temporary):  # nobody can say whose it is
                return [os.path.join(first, "locks")]
            tempfile.mkdtemp(prefix=f"{base}-", dir=temporary)
        found = _own_folders(temporary, base) or [first]
    return [os.path.join(folder, "locks") for folder in found]


def _own_folders(temporary: str, base: str) -> list[str]:
    """Return the folders of this name, and of names that begin so, that are this user's alone."""
    names = (name for name in sorted(os.listdir(temporary)) if f"{name}-".startswith(f"{base}-"))
    return [path for name in names if _is_private(path := os.path.join(temporary, name))]


def _is_private(folder: str) -> bool:
    try:
        status = os.lstat(folder)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        return False
    if sys.platform == "win32":
        return True
    else:  # noqa: RET505 - for mypy, which knows systems by such branches
        return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _open_lock(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    until = time.monotonic() + _REMOVAL
    while True:
        try:
            return os.open(path, flags, PRIVATE)
        except PermissionError:
            # Windows lets nobody open a file while its last holder removes it.
            if os.name != "nt" or time.monotonic() >= until:
                raise
        time.sleep(_POLL / 10)


def belongs_to_another(folder: str) -> bool:
    """Whether a folder that is there is another user's. Raises OSError."""
    if not hasattr(os, "geteuid"):
        return False
    try:
        status = os.lstat(folder)
    except FileNotFoundError:
        return False
    return status.st_uid != os.geteuid() and keeps_modes(folder)


def _refuse_foreign(folder: str) -> None:
    """Raise PermissionError for a folder in which others can put or remove what they like.

    A group that can write is let be, as the private groups of users are; what decides trust is
    checked where it is read.
    """
    if not hasattr(os, "geteuid"):
        return
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise PermissionError(errno.EPERM, "it is not a folder", folder)
    if belongs_to_another(folder):
        raise PermissionError(errno.EPERM, f"it belongs to user {status.st_uid}", folder)
    if status.st_mode & stat.S_IWOTH and keeps_modes(folder):
        raise SystemFailure(
            f"cannot use the folder {folder} for locks: others can write to it",
            reason="locks-open",
            path=folder,
        )


def _is_still(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _drop(descriptor: int, path: str) -> None:
    # Unlinked while it is still locked: whoever waits for it looks whether it is still there.
    # Windows unlinks no open file; there the name goes last, unless another run has it open.
    if os.name == "nt":
        let_go(descriptor)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        if os.name != "nt":
            remains.note(path, error)
    if os.name != "nt":
        let_go(descriptor)
