"""The order in which people sort names: ``2`` before ``10``, without regard to case and accents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import chain

from wmbackup.engine import Row

_DIGITS = re.compile(r"([0-9]+)")

Key = tuple[tuple[str | tuple[int, str], ...], ...]


def natural(text: str) -> tuple[str | tuple[int, str], ...]:
    """Return what puts texts in order: words and numbers in turn."""
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(part for part in parts if not unicodedata.combining(part))
    return tuple(chain.from_iterable(_parts(text.casefold())))


def _parts(text: str) -> Iterator[tuple[str | tuple[int, str], ...]]:
    # Words are at even places and numbers at odd ones, so that like meets like.
    for at, part in enumerate(_DIGITS.split(text)):
        number = part.lstrip("0")
        yield ((len(number), number),) if at % 2 else (part,)


def by_path(row: Row) -> tuple[Key, tuple[str | tuple[int, str], ...], bytes]:
    """Return what puts rows in order by folder and name; those without a file come first."""
    path = row.path or b""
    *folders, name = path.decode("utf-8", "surrogateescape").split("/")
    return tuple(map(natural, folders)), natural(name), path
