"""Measure what recognizing costs: microseconds a license, and a file that is nothing.

    python tests/benchmarks/formats.py [--cache FOLDER]     needs tests/fixtures on PYTHONPATH

The budget is 60 µs a license on top of copying it, and a microsecond or two for a file in which
nothing can be recognized. With a folder for stores the first is measured for whole backups as well:
of 100,000 licenses, one a file, in turn with as many files of the same sizes that are none. Ends
with 1 where one of them is exceeded.
"""

from __future__ import annotations

import argparse
import os
import sys
import timeit
from collections.abc import Callable
from functools import partial
from statistics import median

import make
from measure import Job, Measured, always, in_turn
from tools import Place, ours

from wmbackup.formats import recognize

LICENSES = 100_000
NOTHING = 3.0  # µs; two and some slack for a slow machine
LICENSE = 60.0


def cost(call: Callable[[], object], number: int, licenses: int = 1) -> float:
    return min(timeit.repeat(call, number=number, repeat=3)) / number / licenses * 1e6


def whole(cache: str) -> float:
    """Return microseconds a license that a backup takes for it, beyond those of copying."""
    os.makedirs(cache, exist_ok=True)
    place = Place(cache)
    jobs = []
    # What does not begin as a license is none; it has the same bytes otherwise.
    for name, first in (("licenses", b"<"), ("nothing", b"!")):
        store = os.path.join(cache, f"store-of-{name}")
        for number in range(LICENSES if not os.path.isdir(store) else 0):
            folder = os.path.join(store, f"{number // 500:03d}")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"{number:06d}.lic"), "wb") as file:
                file.write(first + make.v7(str(number)).encode()[1:])
        archive = place.file(f"{name}.tar")
        command = ours(
            *("backup", "--quiet", "--accept-restricted", "--no-read-back", "-f"),
            *("--store", f"folder:{store}", "-o", archive),
        )
        jobs.append(Job(name, always(command)))
    try:
        done = in_turn(jobs, place.environment, 5, lambda tool: Measured("", "", LICENSES, tool))
    finally:
        place.clean()
    pairs = zip(done[0].seconds, done[1].seconds, strict=True)
    return median(one - other for one, other in pairs) / LICENSES * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", help="a folder for the stores of whole backups")
    cache = parser.parse_args().cache
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
    if cache is not None:
        measured["one license a file, whole backups"] = whole(os.path.abspath(cache))
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
