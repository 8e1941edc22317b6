"""Descriptors that were only read from: nothing is lost where closing one fails.

The system gives a descriptor back also where it reports an error for it, so that closing it once
more would close somebody else's.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO


def let_go(descriptor: int) -> None:
    """Close a descriptor through which nothing was written."""
    with contextlib.suppress(OSError):
        os.close(descriptor)


@contextlib.contextmanager
def reading(descriptor: int) -> Iterator[BinaryIO]:
    """Give a file to read from, which is closed at the end."""
    file = os.fdopen(descriptor, "rb")
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):
            file.close()
