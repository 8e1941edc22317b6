"""Locks that keep two runs off the same store and the same destination."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shlex
import stat
import time
from collections.abc import Iterator

from wmbackup import remains
from wmbackup.descriptors import let_go
from wmbackup.errors import Busy, SystemFailure
from wmbackup.files import PRIVATE, PRIVATE_FOLDER, keeps_modes, make_folders, try_lock
from wmbackup.status import Control

_POLL = 0.1  # seconds between two tries for a lock
_NAMES = 100  # names for a folder that are tried
_REMOVAL = 2.0  # seconds that the removal of a file can take at most


class Locks:
    """Keeps two runs off the same store and the same destination.

    ``folder`` holds the locks, ``wait`` is how long to wait for one, in seconds. The operating
    system drops a lock with its process.
    """

    def __init__(self, folder: str, wait: float = 0.0) -> None:
        """Keep where and how long; nothing is locked yet."""
        self._folder = folder
        self._wait = wait

    @contextlib.contextmanager
    def hold(self, what: str, subject: str, control: Control) -> Iterator[None]:
        """Hold the lock on a subject, such as the absolute path of a store.

        ``what`` names it in messages. Raises Busy, Cancelled, SystemFailure.
        """
        # Where case does not matter in names, it does not tell two paths apart.
        name = hashlib.sha256(os.fsencode(os.path.normcase(subject))).hexdigest()[:32] + ".lock"
        path = os.path.join(self._folder, name)
        try:
            make_folders(self._folder)
            _refuse_foreign(self._folder)
            descriptor = self._acquire(path, f"{what} {subject}", control)
        except OSError as error:
            raise SystemFailure.of(error, "lock", path) from error
        try:
            yield
        finally:
            _drop(descriptor, path)

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
                raise Busy(
                    f"another run of wmbackup holds the {subject}",
                    hint="wait for it to end, or add --lock-wait SECONDS",
                )
            control.check()
            time.sleep(_POLL)


def shared_folder() -> str:
    """Return a private folder among the temporary files, the same for all runs of this user.

    A name that somebody else has taken is passed over, so that nobody can hold this user's runs
    up by taking it. Raises SystemFailure where all names are taken.
    """
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else 0
    base = os.path.join(tempfile.gettempdir(), f"wmbackup-{user}")
    for name in (base, *(f"{base}-{number}" for number in range(2, _NAMES))):
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, PRIVATE_FOLDER)
            _refuse_foreign(name)
        except PermissionError:
            continue
        except OSError as error:
            raise SystemFailure.of(error, "make a folder for locks", name) from error
        return name
    raise SystemFailure(
        f"others have taken {base} and {_NAMES - 2} names like it",
        hint="set XDG_STATE_HOME to a folder of this user",
    )


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
    if status.st_uid != os.geteuid() and keeps_modes(folder):
        raise PermissionError(errno.EPERM, f"it belongs to user {status.st_uid}", folder)
    if status.st_mode & stat.S_IWOTH and keeps_modes(folder):
        how = f"others can write to it; chmod o-w {shlex.quote(folder)}"
        raise PermissionError(errno.EPERM, how, folder)


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
