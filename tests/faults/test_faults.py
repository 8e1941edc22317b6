"""The fast part of what README.md here describes: each call of the file system fails once."""

from __future__ import annotations

import json
import os
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
