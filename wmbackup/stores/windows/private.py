"""The private folder through which licenses pass on their way from and to the interface."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from wmbackup.errors import SystemFailure
from wmbackup.storage.files import PRIVATE_FOLDER
from wmbackup.stores.leftovers import undo_leftovers
from wmbackup.stores.staging import Staging
from wmbackup.stores.tree import decode, open_tree


@contextlib.contextmanager
def private_folder(base: str, restrict: Callable[[str], object]) -> Iterator[str]:
    """Make a folder below ``base`` that this user alone may use, and yield a path for one in it.

    The path is not there yet. The folder is removed when this is left; one of a run that ended
    before it could is removed first, which a lock tells from one in use. ``restrict`` shuts the
    folder where the system does that by more than a mode. Raises SystemFailure.
    """
    with contextlib.ExitStack() as stack:
        try:
            os.makedirs(base, PRIVATE_FOLDER, exist_ok=True)
            tree = open_tree(base)
            stack.callback(tree.close)
            undo_leftovers(tree)
            staging = Staging(tree)
            stack.callback(_remove, staging)
            folder = os.path.join(os.path.abspath(base), decode(staging.name))
            restrict(folder)
        except OSError as error:
            raise SystemFailure.of(error, "make a private folder in", base) from error
        yield os.path.join(folder, "licenses")


def _remove(staging: Staging) -> None:
    failure = staging.close()
    if failure is not None:
        raise SystemFailure.of(failure, "remove the private folder", decode(staging.name))


def sizes(folder: str) -> dict[str, int]:
    """Return the sizes of the files in a folder that somebody else is writing; {} without one."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        # Not DirEntry.stat: what Windows keeps in the folder is old while the file is open.
        return {entry.name: os.stat(entry.path).st_size for entry in entries}
    return {}
