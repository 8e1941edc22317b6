"""Feed every parser with what a fuzzer makes up, with a limit of time and memory for each input.

    python tests/faults/fuzz.py --runs 100000               every parser
    python tests/faults/fuzz.py --parser bag-info --runs 1000000 --seed 7

See README.md here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import begin

SECONDS = 1.0
"""What one input may take, of the processor's time."""

MEMORY = 100 * 1024 * 1024
"""How much one input may need, in bytes."""

_CORPUS = begin.ROOT / "build" / "faults" / "corpus"
_CORPUS_SIZE = 256 * 1024  # bytes that are kept of each parser
_PAGE = resource.getpagesize()


def main() -> int:
    """Do it; return the exit code."""
    begin.in_environment("atheris", group="fuzz")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--parser", action="append", metavar="NAME", help="only this one (repeats)")
    parser.add_argument("--runs", type=int, default=20_000, help="inputs for each parser")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--list", action="store_true", help="list the parsers")
    parser.add_argument("--one", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        return _fuzz(options.one, options.corpus, options.runs, options.seed)
    from parsers import PARSERS

    if options.list:
        print("\n".join(PARSERS))  # noqa: T201 - a script
        return 0
    results = []
    for name in options.parser or PARSERS:
        result = _start(name, options)
        results.append(result)
        if not options.json:
            print(f"{name}: {result['executions']:,} executions, {result['seconds']} s", flush=True)  # noqa: T201
            if result["failure"]:
                print(f"    {result['failure']}")  # noqa: T201
    if options.json:
        sys.stdout.write(json.dumps(results, indent=1) + "\n")
    return 1 if any(result["failure"] for result in results) else 0


def _start(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Fuzz one parser in a process of its own, which the fuzzer ends."""
    from parsers import PARSERS

    began = time.monotonic()
    corpus = _CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(PARSERS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        arguments = ("--one", name, "--runs", options.runs, "--seed", options.seed)
        done = subprocess.run(
            [sys.executable, __file__, *map(str, arguments), "--corpus", corpus],
            cwd=work,
            env=os.environ | {"HOME": work, "TMPDIR": work},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        failure = ""
        if done.returncode or executed is None:
            failure = f"exit {done.returncode}: {_why(done.stdout + done.stderr)}"
            for crash in (file for file in Path(work).iterdir() if file.is_file()):
                kept = begin.ROOT / "build" / "faults" / f"{name}-{crash.name}"
                shutil.copy(crash, kept)
                failure += f"; input: {kept}: {crash.read_bytes()[:200]!r}"
    _prune(corpus)
    return {
        "parser": name,
        "executions": int(executed[1]) if executed else 0,
        "corpus_bytes": sum(file.stat().st_size for file in corpus.iterdir()),
        "failure": failure,
        "seconds": round(time.monotonic() - began, 1),
    }


def _why(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b|.*ERROR: ", line)]
    return " | ".join(errors[:3] or lines[-3:])


def _prune(corpus: Path) -> None:
    """Keep the smallest inputs, up to a size."""
    total = 0
    for file in sorted(corpus.iterdir(), key=lambda file: file.stat().st_size):
        total += file.stat().st_size
        if total > _CORPUS_SIZE and not file.name.startswith("seed-"):
            file.unlink()


class TooMuch(Exception):
    """An input took more time or memory than it may."""


def _fuzz(name: str, corpus: str, runs: int, seed: int) -> int:
    import atheris

    with atheris.instrument_imports(include=["wmbackup"]):
        from parsers import PARSERS
    parser = PARSERS[name]

    def one(data: bytes) -> None:
        time_before = time.process_time()
        memory_before, peak_before = _memory(), _peak()
        with contextlib.suppress(*parser.refuses):
            parser.read(data)
        took = time.process_time() - time_before
        peak = _peak()
        if took > SECONDS:
            raise TooMuch(f"{took:.1f} s for {len(data)} bytes")
        if peak > peak_before and peak - memory_before > MEMORY:
            raise TooMuch(f"{(peak - memory_before) // 1024**2} MiB for {len(data)} bytes")

    parser.read(
        next(iter(parser.seeds()))
    )  # what is refused from the start teaches a fuzzer little
    arguments = [
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={parser.longest}",
        "-timeout=30",  # a limit of the fuzzer's own, for what never ends
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], corpus, *arguments], one)
    atheris.Fuzz()
    return 0


def _memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * _PAGE


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    raise SystemExit(main())
