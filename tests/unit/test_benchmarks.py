"""The benchmarks: what they say of wrong options, and what they leave behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="they measure Unix processes")

_RUN = Path(__file__).parents[1] / "benchmarks/run.py"


@pytest.mark.parametrize("sizes", ["ten", "0", "", "1000,"])
def test_sizes_that_are_none(tmp_path: Path, sizes: str) -> None:
    command = [sys.executable, str(_RUN), "--cache", str(tmp_path / "cache"), "--sizes", sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is no number from 1 on" in done.stderr
    assert not (tmp_path / "cache").exists()


def test_an_interrupted_run_leaves_only_stores(tmp_path: Path) -> None:
    command = [sys.executable, str(_RUN), "--cache", str(tmp_path), "--sizes", "10"]
    process = subprocess.Popen(
        [*command, "--no-peers", "--rounds", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("| create"):
            assert process.poll() is None
        assert (tmp_path / "made").is_dir()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    assert process.returncode == 130
    assert stderr == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "store-10"]
