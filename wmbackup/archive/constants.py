"""Names and bounds of the format that several modules need (wmbackup-archive(5))."""

from __future__ import annotations

BAG = b"wmbackup-1/"
"""The folder that everything in an archive is in."""

DATA = b"data/"
"""The folder of the payload, in the bag."""

ITEM = DATA + b"item-"
"""What the names of items begin with, in the bag."""

MAX_OWN = 100 - len(BAG) - len(DATA)
"""The longest path that a file can keep as its name, in bytes."""

MAX_FILES = 9_999_999
MAX_TABLE = 2 * 1024**3
"""The largest table of the head, in bytes."""

HASH = 64
"""Where the hash in a line of the manifest ends."""

NAME = HASH + 2
"""Where the name in a line of the manifest begins, after two spaces."""
