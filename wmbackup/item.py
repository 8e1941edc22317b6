"""What is carried: a file of a store."""

from __future__ import annotations

from typing import NamedTuple

MAX_SIZE = 8 * 1024**3 - 1
"""The largest file that an archive takes, in bytes: eleven octal digits of a ustar header."""

ATTRIBUTES = ("archive", "hidden", "readonly", "system")
"""The Windows file attributes that travel with a file, in the order of an archive's rows."""


class Item(NamedTuple):
    """A file that is carried, without its bytes.

    ``path`` is the true path inside the store: slash-separated, relative, in the bytes of the
    file system (UTF-8 as a rule; on Windows always, lone surrogates as WTF-8). ``size`` is in
    bytes, ``mtime_ns`` in nanoseconds since 1970-01-01T00:00:00Z. ``attributes`` is a subset of
    ATTRIBUTES in that order. ``member`` is its name in an archive below the bag, such as
    ``b"data/a.lic"``, and empty as long as it is in none. It is a plain tuple, for there can be
    a million.
    """

    path: bytes
    size: int
    mtime_ns: int
    attributes: tuple[str, ...] = ()
    member: bytes = b""

    @property
    def keeps_name(self) -> bool:
        """Whether an archive has it under its own name, which every file system takes."""
        return self.member == b"data/" + self.path


class Skipped(NamedTuple):
    """A file that was seen and is not carried, and the reason in words."""

    path: bytes
    reason: str
