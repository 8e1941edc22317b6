"""The fast part of what README.md here describes: each call of the file system fails once."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SCENARIOS = (
    "backup",
    "backup-over",
    "restore-new",
    "restore-into",
    "undo",
    "undo-half",
    "key-create",
    "key-trust",
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD and fork of Linux")


def ask(script: str, *arguments: str) -> Any:
    """Run a script here; return what it reports. It measures nothing, so coverage is left out."""
    surroundings = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    command = (sys.executable, str(HERE / script), *arguments, "--json")
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_failing_call_leaves_the_old_state_or_the_new_one(scenario: str) -> None:
    (result,) = ask("everything.py", "--fast", "--scenario", scenario)["results"]
    assert result["injected"] == result["calls"] > 50
    assert any(name.endswith("old") for name in result["outcomes"])
    assert any(name.endswith("new") for name in result["outcomes"])
    assert not result["problems"]


def test_damaged_archives_are_refused_by_their_class_and_nothing_of_them_is_written() -> None:
    results = ask("damage.py", "--every", "300")
    assert {result["kind"] for result in results if result["tried"]} == {
        "flip",
        "truncation",
        "insertion",
        "removal",
        "swap",
    }
    assert not [problem for result in results for problem in result["problems"]]


def test_one_fault_at_each_call_is_another_one_with_each_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(HERE)
    from everything import Options, choose
    from preload import Call
    from running import FAULTS

    calls = [Call(1, "read", "a"), Call(2, "rename", "a"), Call(3, "fsync", "a")]
    names = [fault.name for fault in FAULTS]
    options = Options(
        [], [], names, seed=0, share=1.0, once=False, fast=False, json=False, jobs=1, call=0
    )
    everything = [(call, fault.name) for call, fault in choose(options, calls)]
    assert everything == [(call, f.name) for call in calls for f in FAULTS if f.fits(call)]
    found = set()
    for seed in range(len(FAULTS)):
        once = dataclasses.replace(options, once=True, seed=seed)
        chosen = [(call, fault.name) for call, fault in choose(once, calls)]
        assert [call for call, _ in chosen] == calls
        found.update(chosen)
    assert found == set(everything)


_PARSED = """
import sys
sys.path.append(sys.argv[1])
from parsers import PARSERS
for name in ("private-key", "journal", "salvaged-rows"):
    PARSERS[name].read(next(iter(PARSERS[name].seeds())))
"""


def test_parsers_that_need_files_leave_nothing_among_the_temporary_files(tmp_path: Path) -> None:
    surroundings = os.environ | {"TMPDIR": str(tmp_path)}
    command = (sys.executable, "-c", _PARSED, str(HERE))
    subprocess.run(command, env=surroundings, check=True)
    assert not list(tmp_path.iterdir())


_ENDED = """
import os, signal, sys, time
sys.path.append(sys.argv[1])
from forks import forked
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
def wait(_number):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(600)
forked(wait, 2)
"""


def test_what_is_ended_leaves_no_process_behind() -> None:
    command = (sys.executable, "-c", _ENDED, str(HERE))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        children = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
        assert process.stdout.read() == b""
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
