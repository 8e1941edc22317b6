"""Measure wmbackup beside the tools that do the same: whole processes, in turn.

    python tests/benchmarks/run.py --cache FOLDER [--sizes 1000,10000] [--quick]

Run it with the Python that wmbackup is installed for. Peers that are installed take part: tar with
minisign, restic, borg, tar with age. Stores are made in the cache once and stay there; a million
files take 6 GB, and 40 more while they are measured. Close everything else: medians of ratios
forgive a busy machine, and no more. What was made beside the stores is removed at the end, also
after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import plot
import tools
import trees
from floors import floors
from measure import Failed, Job, Measured, always, in_turn
from tools import ALL, BASE, CREATE, LIST, OPERATIONS, OURS, VERIFY, Place, ours

_ALL_PEERS_TO = 100_000  # files; beyond, each run of the slower ones takes minutes
_GROWTH = (CREATE, VERIFY, LIST, tools.ONE, ALL)
_READ_BACK = "create, read back"
_PACKAGES = (
    "import click, hashlib, json, platformdirs;"
    "from cryptography.hazmat.primitives.asymmetric import ed25519"
)
_APART = {
    tools.ONE: "bringing it to the disk",
    ALL: "bringing it to the disk",
    _READ_BACK: "reading it back from the disk",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    cache: str
    sizes: tuple[int, ...]
    rounds: int
    large: int
    mebibytes: int
    json: str | None
    plot: str | None
    peers: bool
    before: str | None


def options(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", required=True, help="a folder on the disk to measure on")
    parser.add_argument(
        "--sizes", type=_sizes, default="1000,10000,100000,1000000", help="numbers of files"
    )
    parser.add_argument(
        "--rounds", type=_number, default=5, help="runs that count, after a warm-up"
    )
    parser.add_argument("--large", type=_number, default=4096, help="MiB of the one large file")
    parser.add_argument("--no-peers", action="store_true", help="tar with minisign alone")
    parser.add_argument("--json", help="write all that was measured to this file")
    parser.add_argument("--plot", help="draw the growth into this file (SVG)")
    parser.add_argument("--quick", action="store_true", help="only see whether all of it runs")
    parser.add_argument("--before", help="another wmbackup program, measured beside this one")
    given = parser.parse_args(arguments)
    sizes, rounds, large, mebibytes = given.sizes, given.rounds, given.large, 200
    if given.quick:
        sizes, rounds, large, mebibytes = (100, 1000), 1, 64, 5
    return Options(
        os.path.abspath(given.cache),
        sizes,
        rounds,
        large * 1024**2,
        mebibytes,
        given.json,
        given.plot,
        not given.no_peers,
        given.before,
    )


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(map(_number, text.split(","))))


def main() -> None:
    """Measure and report."""
    given = options()
    if not os.path.exists(ours()[0]):
        sys.exit(f"error: there is no {ours()[0]}: use build/test/bin/python, see tests/run.py")
    os.makedirs(given.cache, exist_ok=True)
    tools.BEFORE_PROGRAM[:] = [given.before] if given.before else []
    place = Place(given.cache)
    try:
        measure_all(place, given)
    except (Failed, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        place.clean()


def measure_all(place: Place, given: Options) -> None:
    say(machine())
    if tools.missing():
        say(f"Not installed, and left out: {', '.join(tools.missing())}.")
    say("Ratios are pair by pair: how much of the time of a tool wmbackup took. MiB is the peak.")
    say("The columns without MiB are those of a run on one processor alone.")
    found = start_up(place, given.rounds)
    for size in given.sizes:
        found += compare(trees.small(given.cache, size), place, given)
    found += compare(trees.large(given.cache, given.mebibytes), place, given)
    memory = memory_of_large(place, given)
    size = max((size for size in given.sizes if size <= _ALL_PEERS_TO), default=given.sizes[0])
    parts = floors(trees.small(given.cache, size), given.cache)
    say(f"\n## Floors: one process, {size:,} files, microseconds a file\n")
    for name, cost in parts.items():
        say(f"* {name}: {cost:.1f}")
    if given.json is not None:
        content = {
            "machine": machine(),
            "measured": [asdict(one) | {"median": one.median} for one in found],
            "large": memory,
            "floors": parts,
        }
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
    if given.plot is not None:
        with open(given.plot, "w", encoding="utf-8") as file:
            file.write(growth(found))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def machine() -> str:
    """Return what it was measured on, without a name."""
    return (
        f"{os.cpu_count()} CPUs ({platform.machine()}), {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}"
    )


def start_up(place: Place, rounds: int) -> list[Measured]:
    """Compare how long it takes to begin."""
    python = sys.executable
    commands = {
        "import click": (python, "-c", "import click"),
        "import all that a restore needs": (python, "-c", _PACKAGES),
        "wmbackup --version": ours("--version"),
        "wmbackup list --store sample": ours("list", "--store", "sample", "--quiet"),
    }
    jobs = [Job(name, always(command)) for name, command in commands.items()]
    found = in_turn(
        jobs, place.environment, 2 * rounds + 1, lambda tool: Measured("start", "", 0, tool)
    )
    say("\n## Start\n\n| | ms | times import click |\n|---|---|---|")
    for one in found:
        one.ratio = one.over(found[0])
        say(f"| {one.tool} | {one.median * 1e3:.0f} | {one.ratio:.2f} |")
    return found


def compare(tree: trees.Tree, place: Place, given: Options) -> list[Measured]:
    """Measure the five operations, and what only we do."""
    names = tools.installed()
    if not given.peers or tree.files > _ALL_PEERS_TO:
        names = [name for name in names if name in {OURS, BASE, tools.BEFORE}]
    rounds = given.rounds if tree.files <= _ALL_PEERS_TO else 1
    single = [name for name in names if name in {OURS, BASE, tools.BEFORE}]
    say(f"\n## {tree.label}; {free_processors():.1f} processors free\n")
    columns = [f"{name}, ms | MiB | ratio" for name in names]
    columns += [f"{name}, ms | ratio" for name in single]
    say("| | " + " | ".join(columns) + " |")
    say("|---|" + "---|---|---|" * len(names) + "---|---|" * len(single))
    found: list[Measured] = []

    def measured(label: str, jobs: Sequence[Job]) -> list[Measured]:
        done = in_turn(
            jobs,
            place.environment,
            rounds,
            lambda tool: Measured(label, tree.label, tree.files, tool),
        )
        for one in done:
            one.ratio = done[0].over(one)
        found.extend(done)
        return done

    def report(label: str, done: Sequence[Measured], alone: Sequence[str] = ()) -> None:
        say(row(label, done, names, alone))
        if done[0].last:
            say(f"| … {_APART[label]}, apart | {median(done[0].last) * 1e3:,.0f} |")

    for operation in OPERATIONS:
        done = measured(operation, tools.jobs(operation, tree, place, names))
        with one_processor():
            alone = measured(
                f"{operation}, one processor", tools.jobs(operation, tree, place, single)
            )
        cells = [f"{one.median * 1e3:,.0f} | {one.ratio:.2f}" for one in alone]
        report(operation, done, cells)
    archive = place.file("ours.tar")
    again = ("backup", "--json", "--no-notice", "-f", "--store", tree.path, "-o", archive)
    reading_back = Job(OURS, always(ours(*again)), last=b'"phase":"reading back"')
    report(_READ_BACK, measured(_READ_BACK, [reading_back]))
    base = [name for name in names if name == BASE]
    as_json = Job(OURS, always(ours("list", "--json", archive)))
    report("list --json", measured("list --json", [as_json, *tools.jobs(LIST, tree, place, base)]))
    piped = tools.shell('cat "$1" | exec "$2" verify --quiet -', archive, ours()[0])
    label = "verify from a pipe"
    jobs = [Job(OURS, always(piped)), *tools.jobs(VERIFY, tree, place, base)]
    report(label, measured(label, jobs))
    place.clear()
    return found


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Let what is started meanwhile have one processor alone, where the system can say so."""
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_processors() -> float:
    """Return how many processors have nothing to do, as seen in a second."""
    if sys.platform != "linux":
        return float(os.cpu_count() or 1)
    ticks = os.sysconf("SC_CLK_TCK")
    before = _idle()
    time.sleep(1)
    return (_idle() - before) / ticks


def _idle() -> int:
    with open("/proc/stat", encoding="ascii") as file:
        _, _, _, _, idle, waiting, *_ = file.readline().split()
    return int(idle) + int(waiting)


def row(
    label: str, done: Sequence[Measured], names: Sequence[str], alone: Sequence[str] = ()
) -> str:
    """Return a row of the table: median, peak memory, and the ratio of ours pair by pair."""
    cells = dict.fromkeys(names, " | | ")
    for one in done:
        cells[one.tool] = f"{one.median * 1e3:,.0f} | {one.peak / 1024:.0f} | {one.ratio:.2f}"
    return f"| {label} | {' | '.join([*cells.values(), *alone])} |"


def memory_of_large(place: Place, given: Options) -> dict[str, list[int]]:
    """Return the peaks in KiB of one small and of one large file."""
    peaks: dict[str, list[int]] = {}
    say(
        f"\n## Peak memory of one file of 1 and of {given.large // 1024**2:,} MiB\n\n|||\n|---|---|"
    )
    for size in (1024**2, given.large):
        tree = trees.one_file(given.cache, size)
        archive = place.file("ours.tar")
        commands = {
            CREATE: ours("backup", "--quiet", "-f", "--store", tree.path, "-o", archive),
            VERIFY: ours("verify", "--quiet", archive),
            "verify from a pipe": tools.shell(
                'cat "$1" | exec "$2" verify --quiet -', archive, ours()[0]
            ),
            ALL: ours("restore", archive, "--yes", "--quiet", "--to", place.fresh()),
        }
        for label, command in commands.items():
            done = in_turn(
                [Job(OURS, always(command))],
                place.environment,
                0,
                lambda tool: Measured("", "", 1, tool),
            )
            peaks.setdefault(label, []).append(done[0].peak)
    for label, both in peaks.items():
        say(f"| {label} | {', '.join(f'{peak / 1024:.0f} MiB' for peak in both)} |")
    return peaks


def growth(found: Sequence[Measured]) -> str:
    """Draw time and memory over the number of files."""
    mine = [one for one in found if one.tool == OURS and "MiB" not in one.store]
    time = {
        name: [(one.files, one.median / one.files * 1e6) for one in mine if one.operation == name]
        for name in _GROWTH
    }
    memory = {
        name: [(one.files, one.peak / 1024) for one in mine if one.operation == name]
        for name in _GROWTH
    }
    return plot.svg([("microseconds a file", time), ("peak memory, MiB", memory)])


if __name__ == "__main__":
    main()
