"""Whole processes, measured: how long, how much memory, and in turn."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Job:
    """A command of one tool; what prepares each of its runs takes no part in its time.

    ``last`` is a part of its standard output: from there on its time is told apart.
    """

    tool: str
    command: Callable[[], Sequence[str]]
    prepare: Callable[[], object] = tuple
    last: bytes | None = None
    stdin: str | None = None


@dataclass(slots=True)
class Measured:
    """What the runs of one tool took: seconds, seconds of the last part, peak memory in KiB.

    ``ratio`` is how much of the time of this tool wmbackup took, pair by pair, and of the start,
    how much of the time of `import click` this command took.
    """

    operation: str
    store: str
    files: int
    tool: str
    seconds: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    peak: int = 0
    ratio: float = 1.0

    @property
    def median(self) -> float:
        """Return the median of the time without the last part."""
        return median(self.without_last)

    @property
    def without_last(self) -> list[float]:
        """Return each time without its last part."""
        if not self.last:
            return self.seconds
        return [whole - last for whole, last in zip(self.seconds, self.last, strict=True)]

    def over(self, other: Measured) -> float:
        """Return the median of the ratios of both, pair by pair."""
        pairs = zip(self.without_last, other.without_last, strict=True)
        return median(mine / theirs for mine, theirs in pairs)


def always(command: Sequence[str]) -> Callable[[], Sequence[str]]:
    """Return what gives the same command for each run."""
    return lambda: command


class Failed(Exception):
    """A command did not do what it was measured for."""


def run(
    command: Sequence[str], environment: Mapping[str, str], job: Job
) -> tuple[float, float, int]:
    """Run a process; return its seconds, those of its last part, and its peak memory in KiB.

    The peak is no less than that of this process, which it is forked from. Of a process with others
    of its own it is that of the largest.
    """
    # A pipe for standard error would fill up: nobody reads it before the end.
    with open(job.stdin or os.devnull, "rb") as stdin, tempfile.TemporaryFile() as stderr:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=stdin,
            stdout=subprocess.DEVNULL if job.last is None else subprocess.PIPE,
            stderr=stderr,
        )
        last = 0.0
        try:
            if process.stdout is not None and job.last is not None:
                for line in process.stdout:
                    if job.last in line:
                        last = time.perf_counter()
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # Ctrl-C: it must not write on while what it made is removed
            process.kill()
            process.wait()
            raise
        end = time.perf_counter()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.stdout is not None:
            process.stdout.close()
        if process.returncode:
            stderr.seek(0)
            said = stderr.read().decode()
            raise Failed(f"{' '.join(command)} ended with {process.returncode}: {said}")
    return end - begin, end - last if last else 0.0, usage.ru_maxrss


def in_turn(
    jobs: Sequence[Job],
    environment: Mapping[str, str],
    rounds: int,
    into: Callable[[str], Measured],
) -> list[Measured]:
    """Run the jobs A B A B, after one round that warms up and is not counted."""
    found = {job.tool: into(job.tool) for job in jobs}
    for number in range(rounds + 1):
        for job in jobs:
            job.prepare()
            seconds, last, peak = run(job.command(), environment, job)
            measured = found[job.tool]
            measured.peak = max(measured.peak, peak)
            if number or not rounds:
                measured.seconds.append(seconds)
                if job.last is not None:
                    measured.last.append(last)
    return list(found.values())
