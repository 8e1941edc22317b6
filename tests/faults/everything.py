"""Have every call of the file system fail in turn, in every scenario, on every file system.

    python tests/faults/everything.py                        everything, for hours
    python tests/faults/everything.py --once --seed 3        every call once, with a fault in turn
    python tests/faults/everything.py --fast                 the same in memory, for minutes
    python tests/faults/everything.py --scenario undo --file-system btrfs --json

See README.md here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import begin
import file_systems
import preload
from forks import forked


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    scenarios: list[str]
    file_systems: list[str]
    faults: list[str]
    seed: int
    share: float
    once: bool
    fast: bool
    json: bool
    jobs: int
    call: int


def main() -> int:
    """Do it; return the exit code."""
    begin.in_environment()
    preload.begin_again_preloaded()
    options = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is mounted is unmounted then
    results: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    for name in options.file_systems:
        with _folder("faults-", _memory()) as work:
            try:
                with file_systems.mounted(name, work) as folder:
                    results += [
                        _scenario(options, name, scenario, folder) for scenario in options.scenarios
                    ]
            except file_systems.Refused as error:
                refused.append({"file_system": name, "tried": error.tried, "answer": error.answer})
                _say(options, f"{name}: NOT TRIED: {error.tried}: {error.answer}")
    if options.json:
        sys.stdout.write(json.dumps({"results": results, "refused": refused}, indent=1) + "\n")
    failed = sum(len(result["problems"]) for result in results)
    total = sum(result["injected"] for result in results)
    _say(options, f"{total:,} faults, {failed:,} problems, {len(refused)} file systems refused")
    return 1 if failed or (refused and not options.fast) else 0


def _parse() -> Options:
    from running import FAULTS
    from scenarios import SCENARIOS

    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenario", action="append", choices=names)
    parser.add_argument("--file-system", action="append", choices=[*file_systems.NAMES])
    parser.add_argument("--fault", action="append", choices=[fault.name for fault in FAULTS])
    parser.add_argument("--call", type=int, default=0, help="only the call with this number")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of faults")
    parser.add_argument("--share", type=float, default=1.0, help="of all faults, from 0 to 1")
    parser.add_argument("--once", action="store_true", help="each call once; the seed turns faults")
    parser.add_argument(
        "--fast", action="store_true", help="the same, in memory and looked at less"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    everywhere = ["memory"] if given.fast else [*file_systems.NAMES]
    return Options(
        scenarios=given.scenario or names,
        file_systems=given.file_system or everywhere,
        faults=given.fault or [fault.name for fault in FAULTS],
        seed=given.seed,
        share=given.share,
        once=given.once or given.fast,
        fast=given.fast,
        json=given.json,
        jobs=given.jobs,
        call=given.call,
    )


@contextlib.contextmanager
def _folder(prefix: str, parent: Path | str | None) -> Iterator[Path]:
    """Make a folder that goes away again, but not at the end of a forked child."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _say(options: Options, text: str) -> None:
    print(text, file=sys.stderr if options.json else sys.stdout, flush=True)


def _scenario(options: Options, file_system: str, name: str, folder: Path) -> dict[str, Any]:
    """Try a scenario in several processes; return what they found together."""
    began = time.monotonic()
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    problems: list[dict[str, Any]] = []
    counted = 0
    for part in forked(partial(_part, options, name, folder), options.jobs):
        counted = part["counted"]
        problems += [one for one in part["found"] if one["problems"]]
        outcomes.update(one["outcome"] for one in part["found"])
        faults.update(one["fault"] for one in part["found"])
    result = {
        "scenario": name,
        "file_system": file_system,
        "calls": counted,
        "injected": sum(outcomes.values()),
        "by_fault": dict(sorted(faults.items())),
        "outcomes": dict(sorted(outcomes.items())),
        "problems": problems,
        "seconds": round(time.monotonic() - began, 1),
    }
    _say(
        options,
        f"{file_system}: {name}: {counted} calls, {result['injected']} faults, "
        f"{len(problems)} problems, {result['seconds']} s: {result['outcomes']}",
    )
    for one in problems:
        _say(options, f"    {describe(one)}")
    return result


def describe(problem: dict[str, Any]) -> str:
    """Say in one line what went wrong where."""
    where = f"call {problem['call']} ({problem['name']} {problem['path']}): {problem['fault']}"
    return f"{where}: {problem['outcome']}: {'; '.join(problem['problems'])} | {problem['stderr']}"


def _part(options: Options, name: str, folder: Path, part: int) -> dict[str, Any]:
    """Try every n-th fault of a scenario."""
    with _folder("case-", folder) as case:
        return _try(options, name, case.resolve(), part)


def _try(options: Options, name: str, case: Path, part: int) -> dict[str, Any]:
    from running import run, warm_up
    from scenarios import SCENARIOS, judge, look, try_again

    (scenario_type,) = (one for one in SCENARIOS if one.name == name)
    scenario = scenario_type(case)
    scenario.reset()
    warm_up(scenario.arguments)
    before = scenario.reset()
    plain = run(scenario.arguments, str(case))
    state = scenario.state(before, look(case))
    if plain.code != 0 or state.name != "new" or state.leftovers:
        raise AssertionError(f"undisturbed it ends with {plain.code}: {state}: {plain.stderr}")
    found = []
    for index, (call, fault) in enumerate(choose(options, plain.calls)):
        if index % options.jobs != part:
            continue
        before = scenario.reset()
        done = run(scenario.arguments, str(case), fault, call.number)
        hit = done.calls[0] if done.calls else call
        verdict = judge(scenario, fault, hit, done, before, look(case))
        if not done.calls:
            verdict.outcome = f"not reached: {verdict.outcome}"
        if fault.kills or fault.lasting or scenario.resumes or not options.fast:
            verdict.problems.extend(try_again(scenario, before))
        found.append(
            {
                "call": call.number,
                "name": hit.name,
                "path": hit.path,
                "fault": fault.name,
                "outcome": verdict.outcome,
                "problems": [text.replace(str(case), "") for text in verdict.problems],
                "stderr": done.stderr.strip().replace(str(case), "")[-600:],
            }
        )
    return {"counted": len(plain.calls), "found": found}


def choose(options: Options, calls: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Pair calls with faults: all of them, or for each call the next fault in turn that fits."""
    from running import FAULTS

    faults = [fault for fault in FAULTS if fault.name in options.faults]
    chance = random.Random(options.seed)  # noqa: S311 - a choice of tests
    turn = options.seed
    for call in calls:
        if options.call not in (0, call.number):
            continue
        fitting = [fault for fault in faults if fault.fits(call)]
        if options.once and fitting and chance.random() < options.share:
            turn += 1
            yield call, next(f for f in faults[turn % len(faults) :] + faults if f in fitting)
        elif not options.once:
            yield from ((call, fault) for fault in fitting if chance.random() < options.share)


if __name__ == "__main__":
    raise SystemExit(main())
