"""What restores left that were cut off: found, told from what others left, and undone."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from typing import NamedTuple

from wmbackup.errors import Unconfirmed
from wmbackup.status import Control, WarningEvent
from wmbackup.storage import remains
from wmbackup.storage.descriptors import let_go, reading
from wmbackup.storage.files import PRIVATE, try_lock
from wmbackup.storage.trouble import NOT_WRITABLE, is_of_file
from wmbackup.stores.file_reader import reason as reason_of
from wmbackup.stores.journal import Journal
from wmbackup.stores.ownership import MAC_SIZE, Owner, is_private
from wmbackup.stores.staging import (
    LOCK,
    MARK,
    NOBODY,
    STAGING,
    Staging,
    has_journal,
    remove_locked,
)
from wmbackup.stores.tree import Tree, open_tree

_NOT_MADE_HERE = "has the journal of a restore that was not made here, and was not undone"
_NO_FOLDER = "is not a folder that a restore made, and was let be"
_NO_FILE = {errno.ELOOP, errno.EMLINK, errno.ENXIO}
"""What the system answers where a link, a pipe or a device has the name of a file."""

_PROBE = b".wmbackup-owners-"
"""What the names of files begin with that are made to see whose they seem to be."""

_HELD = "is of a restore that another run is carrying out, and was not undone"


class Found(NamedTuple):
    """A staging folder, or what has the name of one, as somebody finds it who undoes nothing."""

    is_half_restored: bool
    """A restore of this user through it has begun to change files, and the next one undoes that."""
    may_have_changed: bool
    """A restore of somebody else may have begun to change files."""
    warning: WarningEvent


def look_at(tree: Tree, name: bytes, where: str, owner: Owner = NOBODY) -> Found:
    """Look at a staging folder, by its path below the root, in ``where``. Raises OSError.

    What others left, or planted, changes nothing here; it is named, with what to do.
    """
    reason = _why_not_ours(tree, name, owner)
    journal = reason != _NO_FOLDER and _may_have_journal(tree, name)
    if reason is None and journal:
        if Journal.read(tree, name, owner) is not None:
            return Found(True, False, _foreign(where, name, "is half restored", journal=True))
        reason = _NOT_MADE_HERE
    if reason is None:
        reason = "is of a restore that is under way, or was cut off before it changed anything"
    return Found(False, journal, _foreign(where, name, reason, journal=journal))


def _may_have_journal(tree: Tree, name: bytes) -> bool:
    try:
        return has_journal(tree, name)
    except OSError as error:
        if not is_of_file(error):
            raise
        return True  # a folder of another user, who alone may look


def _foreign(where: str, name: bytes, reason: str, *, journal: bool) -> WarningEvent:
    path = os.path.join(where, os.fsdecode(name.rpartition(b"/")[2]))
    which = "no-folder" if reason == _NO_FOLDER else "journal" if journal else None
    return WarningEvent("foreign-restore", f"{path} {reason}", reason=which, subject=path)


@contextlib.contextmanager
def private_folder(
    folder: str, owner: Owner = NOBODY, control: Control | None = None
) -> Iterator[str]:
    """Make a folder that goes away, at the latest when the next one is made.

    Raises OSError. Where what it was made for failed, the control is told that it stays.
    """
    with contextlib.closing(open_tree(folder)) as tree:
        undo_leftovers(tree, owner=owner)
        staging = Staging(tree, owner)
        try:
            yield os.path.join(folder, os.fsdecode(staging.name))
        except BaseException:
            failure = staging.close()
            if failure is not None and control is not None:
                control.notify(still_there(folder, staging.name, failure))
            raise
        failure = staging.close()
        if failure is not None:
            raise failure


def still_there(
    where: str, name: bytes, failure: OSError, *, whose: str = "this restore"
) -> WarningEvent:
    """Return the warning for a staging folder that could not be removed."""
    path = os.path.join(where, os.fsdecode(name))
    return WarningEvent(
        "left-behind",
        f"the folder {path} of {whose} could not be removed: {reason_of(failure)}",
        subject=path,
    )


def still_needed(where: str, name: bytes) -> WarningEvent:
    """Return the warning for a staging folder with what a restore that failed has replaced."""
    path = os.path.join(where, os.fsdecode(name))
    return WarningEvent(
        "not-undone",
        f"this restore may have changed files and could not put them back; {path} keeps what that"
        " takes",
        subject=path,
    )


def undo_leftovers(
    tree: Tree, control: Control | None = None, *, owner: Owner = NOBODY, where: str | None = None
) -> None:
    """Undo what runs left that ended before they could, and say so. Raises OSError.

    What is not this user's is let be and named, with the folder ``where`` it is; None is silent.
    """
    control = control or Control()
    for name, _ in list(tree.entries(b"")):
        if name.startswith(_PROBE):
            _remove_probe(tree, name)
        if not name.startswith(STAGING):
            continue
        reason = _why_not_ours(tree, name, owner)
        if reason is None:
            reason = _undo_leftover(tree, name, control, owner, where)
        elif _is_removed_empty(tree, name):
            reason = None
        if reason is not None and where is not None:
            journal = reason != _NO_FOLDER and _may_have_journal(tree, name)
            control.notify(_foreign(where, name, reason, journal=journal))


def _is_removed_empty(tree: Tree, name: bytes) -> bool:
    """Remove a folder whose run ended before it could mark it; return whether it is gone.

    It has an empty lock that nobody holds and at most what was written of a mark, or nothing at
    all.
    """
    with contextlib.suppress(OSError):
        if any(found not in {LOCK[1:], MARK[1:]} for found, _ in tree.entries(name)):
            return False
        mark = tree.stat(name + MARK)
        if mark is not None and not (stat.S_ISREG(mark.st_mode) and mark.st_size <= MAC_SIZE):
            return False
        lock = _lock_of_the_dead(tree, name)
        if lock is not None:
            size = os.fstat(lock).st_size
            let_go(lock)
            if size:
                return False
            if mark is not None:
                tree.unlink(name + MARK)
            tree.unlink(name + LOCK)
            tree.remove_folder(name)
        return tree.stat(name) is None
    return False


def _undo_leftover(
    tree: Tree, name: bytes, control: Control, owner: Owner, where: str | None
) -> str | None:
    """Undo a dead run of this user and remove what it left; return why it was not undone."""
    try:
        lock = _lock_of_the_dead(tree, name)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        return f"has a lock that cannot be taken, and was not undone: {reason_of(error)}"
    if lock is None:
        return _HELD if _may_have_journal(tree, name) else None
    try:
        reason = _undo(tree, name, control, owner)
    except BaseException:
        let_go(lock)
        raise
    if reason is not None:
        let_go(lock)
        return reason
    failure = remove_locked(tree, name, lock)
    if failure is not None and where is not None:
        control.notify(still_there(where, name, failure, whose="an earlier restore"))
    return None


def _undo(tree: Tree, name: bytes, control: Control, owner: Owner) -> str | None:
    """Undo a dead run; return why not, where what it kept is still needed."""
    if not has_journal(tree, name):
        return None
    journal = Journal.read(tree, name, owner)
    if journal is None:
        return _NOT_MADE_HERE
    try:
        journal.undo()
    except OSError as error:
        if journal.is_undone:
            raise Unconfirmed.at(
                error, "what was there before the last restore", tree.where
            ) from error
        raise
    control.notify(
        WarningEvent(
            "rolled-back",
            "an earlier restore into this folder was cut off; what it had changed was put back:"
            f" {journal.count} files",
        )
    )
    return None


def _why_not_ours(tree: Tree, name: bytes, owner: Owner) -> str | None:
    """Return why a staging folder is not this user's; None where it is."""
    status = tree.stat(name)
    if status is None:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return _NO_FOLDER
    if is_private(status) or (os.name == "nt" and not owner.has_secret):
        return None
    if _has_our_mark(tree, name, owner) and not _keeps_owners(tree):
        return None
    return f"was left by a restore of {_whose(status)}, and was not undone"


def _has_our_mark(tree: Tree, name: bytes, owner: Owner) -> bool:
    try:
        with reading(tree.open(name + MARK)) as file:
            mark = file.read(MAC_SIZE + 1)
    except OSError as error:
        if not is_of_file(error):
            raise  # it may be ours, and trouble of the machine says nothing about that
        return False
    return owner.wrote(mark.decode("ascii", "replace"), name, MARK)


def _keeps_owners(tree: Tree) -> bool:
    """Whether a file that is made here belongs to this user alone, as far as the system says.

    There a mark counts for nothing: somebody may have copied one from where everybody reads it.
    """
    name = _PROBE + os.urandom(8).hex().encode()
    try:
        descriptor = tree.create(name, PRIVATE)
    except OSError as error:
        if not (is_of_file(error) or error.errno in NOT_WRITABLE):
            raise
        return False
    try:
        return is_private(os.fstat(descriptor))
    finally:
        let_go(descriptor)
        try:
            tree.unlink(name)
        except FileNotFoundError:
            pass  # another run took it for a leftover
        except OSError as error:
            remains.note(os.path.join(tree.where, os.fsdecode(name)), error)


def _remove_probe(tree: Tree, name: bytes) -> None:
    """Remove such a file of a run that was killed; it is empty."""
    with contextlib.suppress(OSError):
        status = tree.stat(name)
        if status is not None and stat.S_ISREG(status.st_mode) and not status.st_size:
            tree.unlink(name)


def _whose(status: os.stat_result) -> str:
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return f"another user ({_user_name(status.st_uid)})"
    return "another user or another machine"


def _user_name(number: int) -> str:
    name = str(number)
    if sys.platform != "win32":
        import pwd

        with contextlib.suppress(KeyError):
            name = pwd.getpwuid(number).pw_name
    return name


def _lock_of_the_dead(tree: Tree, name: bytes) -> int | None:
    """Return the lock of a staging folder whose run has ended, and hold it; None otherwise.

    Raises OSError: where the system does not tell, nobody knows that the run has not ended.
    """
    try:
        lock = tree.open(name + LOCK)
    except FileNotFoundError:
        # Not locked yet, or half removed. An empty one is made anew by whoever needs it.
        with contextlib.suppress(OSError):
            tree.remove_folder(name)
            return None
        try:
            lock = tree.create(name + LOCK, PRIVATE)
        except (FileNotFoundError, FileExistsError):
            return None  # another run that removes it was faster
    try:
        if try_lock(lock) and (os.name == "nt" or os.fstat(lock).st_nlink):
            return lock
    except BaseException:
        let_go(lock)
        raise
    let_go(lock)
    return None
