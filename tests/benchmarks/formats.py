"""Measure what recognizing costs: microseconds a license, and a file that is nothing.

    python tests/benchmarks/formats.py      needs tests/fixtures on PYTHONPATH

The budget is 60 µs a license on top of copying it, and a microsecond or two for a file in which
nothing can be recognized. Ends with 1 where one of them is exceeded.
"""

from __future__ import annotations

import os
import sys
import timeit
from collections.abc import Callable
from functools import partial

import make

from wmbackup.formats import recognize

LICENSES = 100_000
NOTHING = 3.0  # µs; two and some slack for a slow machine
LICENSE = 60.0


def cost(call: Callable[[], object], number: int, licenses: int = 1) -> float:
    return min(timeit.repeat(call, number=number, repeat=3)) / number / licenses * 1e6


def main() -> int:
    many = {f"L{index}": make.v7(str(index)) for index in range(1000)}
    narrow = {name: text.encode() for name, text in many.items()}
    wide = {name: text.encode("utf-16-le") for name, text in many.items()}
    files = list(narrow.values())
    measured = {
        "one license a file": cost(
            lambda: [recognize(b"a.lic", data) for data in files], LICENSES // 1000 // 3, 1000
        ),
        "many licenses a file": cost(lambda: recognize(b"a", b"".join(files)), 3, 1000),
        "compound, UTF-8": _compound(narrow),
        "compound, UTF-16": _compound(wide),
        "version 1": cost(partial(recognize, b"a", make.v1()), 10_000),
    }
    late = [name for name, time in measured.items() if time > LICENSE]
    nothing = {
        "random bytes": os.urandom(4096),
        "zeros": bytes(4096),
        "text": b"Plain words of a file. " * 200,
    }
    for name, data in nothing.items():
        measured[name] = cost(partial(recognize, b"a.dat", data), 20_000)
        if measured[name] > NOTHING:
            late.append(name)
    for name, time in measured.items():
        sys.stdout.write(f"{time:8.2f} µs  {name}{'  LATE' if name in late else ''}\n")
    return bool(late)


def _compound(streams: dict[str, bytes]) -> float:
    data = make.compound(streams)
    return cost(lambda: recognize(b"drmv2.lic", data), 3, len(streams))


if __name__ == "__main__":
    sys.exit(main())
