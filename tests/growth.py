"""How work grows with what it is given: counted, and not timed.

Calls of functions are counted, those of the system among them, for n and for 2n.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from types import FrameType

FACTOR = 2.3
"""What twice as much may take. What is quadratic takes 4, and what is done once makes it less."""


def calls(work: Callable[[], object]) -> int:
    """Return how many functions the work calls."""
    found = count()

    def see(_frame: FrameType, event: str, _argument: object) -> None:
        if event in {"call", "c_call"}:
            next(found)

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(before)
    return next(found)


def grows_in_proportion(work: Callable[[int], Callable[[], object]], size: int) -> None:
    """Compare the work for a size with that for twice the size; what prepares it is not counted."""
    work(1)()  # what is loaded once
    once, twice = calls(work(size)), calls(work(2 * size))
    assert twice < FACTOR * once, f"{once:,} calls for {size}, {twice:,} for twice as many"
