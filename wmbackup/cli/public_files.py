"""Small files that other programs read: replaced as a whole, with a mode that lets them."""

from __future__ import annotations

import os
import sys

from wmbackup.storage.files import resolved
from wmbackup.storage.private_files import remove_leftovers
from wmbackup.storage.publish import Draft

_MODE = 0o644


def write(path: str, data: bytes, what: str) -> None:
    """Replace a file by one that every user can read, whatever the umask is.

    ``what`` names it in messages. Raises OSError, Unconfirmed.
    """
    path = resolved(path)
    remove_leftovers(os.path.dirname(path))
    draft = Draft(path, what)
    try:
        draft.file.write(data)
        if sys.platform != "win32":
            os.fchmod(draft.file.fileno(), _MODE)
        draft.sync()
        draft.publish(replace=True)
    finally:
        draft.close()
