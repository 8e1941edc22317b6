"""Write every vector; with --check, only say which files are not what would be written."""

from __future__ import annotations

import argparse
import os
import sys

import cases_age
import cases_container
import cases_good
import cases_info
import cases_names
import cases_order
import cases_rows
import cases_trust
from vector import Vector

HERE = os.path.dirname(os.path.abspath(__file__))
ENVELOPES = "envelopes"


MODULES = (
    *(cases_good, cases_container, cases_trust),
    *(cases_info, cases_rows, cases_names, cases_order),
)


def every() -> dict[str, Vector]:
    """All vectors, by name. Raises ValueError where two have one name, or one archive and reader.

    Two of the same bytes would be one that is counted twice.
    """
    found: dict[str, Vector] = {}
    seen: dict[bytes, str] = {}
    for vector in (vector for module in MODULES for vector in module.vectors()):
        data = vector.encode()
        meaning = data[data.index(b"\nexpect:") :]
        if vector.name in found or meaning in seen:
            raise ValueError(f"{vector.name} is there twice, or is {seen.get(meaning)}")
        found[vector.name] = vector
        seen[meaning] = vector.name
    return found


def kept() -> dict[str, bytes]:
    """What the files should be, by name."""
    return {f"{v.name}.vec": v.encode() for v in every().values() if not v.variant}


def kept_envelopes() -> dict[str, bytes]:
    """What the files of the envelope should be, by name."""
    every_one = cases_age.envelopes().values()
    return {f"{ENVELOPES}/{one.name}.vec": one.encode() for one in every_one if not one.variant}


def present(folder: str = "") -> dict[str, bytes]:
    """The files that are there, by name."""
    files: dict[str, bytes] = {}
    here = os.path.join(HERE, folder)
    for name in os.listdir(here) if os.path.isdir(here) else ():
        if name.endswith(".vec"):
            path = f"{folder}/{name}" if folder else name
            with open(os.path.join(HERE, path), "rb") as file:
                files[path] = file.read()
    return files


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    wanted = kept() | kept_envelopes()
    there = present() | present(ENVELOPES)
    problems = 0
    for name in sorted(wanted.keys() | there.keys()):
        if wanted.get(name) == there.get(name):
            continue
        problems += 1
        if check:
            state = (
                "missing" if name not in there else "surplus" if name not in wanted else "differs"
            )
            sys.stdout.write(f"{name}: {state}\n")
        elif name in wanted:
            with open(os.path.join(HERE, name), "wb") as file:
                file.write(wanted[name])
        else:
            os.unlink(os.path.join(HERE, name))
    return 1 if check and problems else 0


if __name__ == "__main__":
    sys.exit(main())
