"""Damage a small archive in every way, and look what verify says and what restore writes.

    python tests/faults/damage.py            every bit, every length, and many insertions and swaps
    python tests/faults/damage.py --every 50 a fiftieth of it

Every damaged archive has to be refused with the class of error that its place asks for, a restore
has to write nothing, and a salvage nothing but files of the original. See README.md here.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import combinations, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from forks import forked

from wmbackup.archive import sshsig
from wmbackup.engine import backup, open_archive, restore, verify
from wmbackup.errors import ExitCode, WmbackupError
from wmbackup.stores.folder import FolderStore
from wmbackup.trust import Policy, Signer
from wmbackup.trust.keys import SigningKey

FILES = {
    "a.lic": b"first",
    "empty": b"",
    "large": bytes(range(256)) * 5,
    "sub/b.lic": b"second",
    "a space at the end ": b"an item",
}
_MAGIC = len("wmbackup-1/bagit.txt")
_BLOCK = 512
_INSERTED = (0x00, 0x20, 0x41, 0xFF)


class Damaged(NamedTuple):
    """An archive that is not what was sealed. ``first`` is where it differs first."""

    kind: str
    what: str
    first: int
    data: bytes


def flips(archive: bytes) -> Iterator[Damaged]:
    """Flip each bit."""
    for at, byte in enumerate(archive):
        for bit in range(8):
            changed = archive[:at] + bytes([byte ^ 1 << bit]) + archive[at + 1 :]
            yield Damaged("flip", f"bit {bit} of byte {at}", at, changed)


def truncations(archive: bytes) -> Iterator[Damaged]:
    """Leave the first bytes, of each number."""
    for length in range(len(archive)):
        yield Damaged("truncation", f"{length} bytes are left", length, archive[:length])


def insertions(archive: bytes) -> Iterator[Damaged]:
    """Put one more byte to each place, and one more block between blocks."""
    for at in range(len(archive) + 1):
        for byte in _INSERTED:
            changed = archive[:at] + bytes([byte]) + archive[at:]
            yield Damaged(
                "insertion", f"{byte} before byte {at}", _differ(archive, changed), changed
            )
    for at in range(0, len(archive) + 1, _BLOCK):
        for block in (bytes(_BLOCK), archive[at : at + _BLOCK], archive[:_BLOCK]):
            changed = archive[:at] + block + archive[at:]
            if block:
                first = _differ(archive, changed)
                yield Damaged("insertion", f"a block before byte {at}", first, changed)


def removals(archive: bytes) -> Iterator[Damaged]:
    """Take each byte out, and each block."""
    for size in (1, _BLOCK):
        for at in range(0, len(archive) - size, size):
            changed = archive[:at] + archive[at + size :]
            first = _differ(archive, changed)
            yield Damaged("removal", f"{size} bytes from {at}", first, changed)


def swaps(archive: bytes) -> Iterator[Damaged]:
    """Exchange each two bytes beside each other, each two blocks, and each two members."""
    places = [(at, at + 1) for at in range(len(archive))]
    blocks = [(at, at + _BLOCK) for at in range(0, len(archive), _BLOCK)]
    for first, second in [*pairwise(places), *combinations(blocks, 2)]:
        yield from _swapped(archive, first, second)
    for first, second in combinations(_members(archive), 2):
        yield from _swapped(archive, first, second)


def _swapped(archive: bytes, one: tuple[int, int], other: tuple[int, int]) -> Iterator[Damaged]:
    parts = (archive[slice(*other)], archive[one[1] : other[0]], archive[slice(*one)])
    changed = archive[: one[0]] + b"".join(parts) + archive[other[1] :]
    if changed != archive:
        yield Damaged("swap", f"{one} and {other}", _differ(archive, changed), changed)


def _members(archive: bytes) -> list[tuple[int, int]]:
    """Return where each member begins and ends, by arithmetic alone."""
    found = []
    at = 0
    while archive[at]:
        size = int(archive[at + 124 : at + 135], 8)
        end = at + _BLOCK + -(-size // _BLOCK) * _BLOCK
        found.append((at, end))
        at = end
    return found


def _differ(archive: bytes, changed: bytes) -> int:
    """Return how many bytes both begin with."""
    least, most = 0, min(len(archive), len(changed))
    while least < most:
        middle = (least + most + 1) // 2
        if archive[:middle] == changed[:middle]:
            least = middle
        else:
            most = middle - 1
    return least


KINDS = {
    "flip": flips,
    "truncation": truncations,
    "insertion": insertions,
    "removal": removals,
    "swap": swaps,
}


def expected(damaged: Damaged) -> set[ExitCode]:
    """Return what verify may end with.

    What does not begin as an archive of this version is none; everything else is damaged.
    """
    return {ExitCode.NOT_FOUND} if damaged.first < _MAGIC else {ExitCode.DAMAGED}


class Bench:
    """An archive, who is trusted, and a folder to restore into."""

    def __init__(self, work: Path) -> None:
        """Make the archive."""
        maker = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
        key = SigningKey("key", sshsig.public_of(maker), exposed=False, private=maker)
        self.policy = Policy((Signer("wmbackup@host", key.public),))
        store = work / "store"
        for path, data in FILES.items():
            (store / path).parent.mkdir(parents=True, exist_ok=True)
            (store / path).write_bytes(data)
        output = work / "a.wmbackup.tar"
        backup(FolderStore(str(store)), str(output), key, host="host")
        self.archive = output.read_bytes()
        self.parent = work / f"parent-{os.getpid()}"

    def problems(self, damaged: Damaged, *, salvage: bool) -> tuple[str, list[str]]:
        """Try a damaged archive; return its class and what is wrong."""
        found = []
        code = self._verify(damaged.data)
        if code not in expected(damaged):
            found.append(f"verify ends with {int(code)}")
        written = self._restore(damaged.data, salvage=False)
        if written:
            found.append(f"a restore writes {sorted(written)}")
        if salvage:
            foreign = {
                path: data
                for path, data in self._restore(damaged.data, salvage=True).items()
                if FILES.get(path) != data and not self._is_renamed(path, data)
            }
            if foreign:
                found.append(f"a salvage writes what was not in it: {foreign}")
        return code.name, found

    def _is_renamed(self, path: str, data: bytes) -> bool:
        # A file whose row is lost comes under the name of its member.
        return path.startswith("item-") and data in FILES.values()

    def _verify(self, data: bytes) -> ExitCode:
        try:
            with open_archive(io.BytesIO(data)) as source:
                verify(source, self.policy)
        except WmbackupError as error:
            return error.exit_code
        return ExitCode.OK

    def _restore(self, data: bytes, *, salvage: bool) -> dict[str, bytes]:
        """Return everything that a restore leaves, whatever it ends with."""
        self.parent.mkdir()
        try:
            target = FolderStore(str(self.parent / "target"))
            try:
                with open_archive(io.BytesIO(data)) as source:
                    restore(source, target, self.policy, salvage=salvage)
            except WmbackupError:
                pass
            return {
                str(path.relative_to(self.parent)).removeprefix("target/"): path.read_bytes()
                for path in self.parent.rglob("*")
                if path.is_file()
            }
        finally:
            shutil.rmtree(self.parent)


def _part(kind: str, options: argparse.Namespace, work: Path, part: int) -> dict[str, Any]:
    bench = Bench(work / f"bench-{part}")
    if (
        bench._verify(bench.archive) is not ExitCode.OK
        or bench._restore(bench.archive, salvage=False) != FILES
    ):
        return {"outcomes": {}, "problems": ["the archive itself is not right"]}
    outcomes: Counter[str] = Counter()
    problems = []
    step = options.every * options.jobs
    begin = options.seed % options.every * options.jobs + part
    for number, damaged in enumerate(islice(KINDS[kind](bench.archive), begin, None, step)):
        salvage = number % options.salvage_every == 0
        outcome, wrong = bench.problems(damaged, salvage=salvage)
        outcomes[outcome] += 1
        problems += [f"{damaged.kind}: {damaged.what}: {text}" for text in wrong]
    return {"outcomes": dict(outcomes), "problems": problems, "size": len(bench.archive)}


def main() -> int:
    """Do it; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kind", action="append", choices=[*KINDS])
    parser.add_argument("--every", type=int, default=1, help="only every n-th damage")
    parser.add_argument("--salvage-every", type=int, default=10, help="salvage every n-th of these")
    parser.add_argument("--seed", type=int, default=0, help="with which of them to begin")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    results = []
    for kind in options.kind or KINDS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="damage-", dir=memory) as work:
            parts = forked(partial(_part, kind, options, Path(work)), options.jobs)
        outcomes: Counter[str] = Counter()
        problems = []
        for found in parts:
            outcomes.update(found["outcomes"])
            problems += found["problems"]
        result = {
            "kind": kind,
            "tried": sum(outcomes.values()),
            "outcomes": dict(outcomes),
            "problems": problems,
            "seconds": round(time.monotonic() - began, 1),
        }
        results.append(result)
        if not options.json:
            print(f"{kind}: {result['tried']:,} tried, {result['outcomes']}, {result['seconds']} s")  # noqa: T201 - a script
            for text in problems[:20]:
                print(f"    {text}")  # noqa: T201
    if options.json:
        sys.stdout.write(json.dumps(results, indent=1) + "\n")
    return 1 if any(result["problems"] for result in results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
