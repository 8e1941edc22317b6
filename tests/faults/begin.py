"""Where these scripts run: with wmbackup installed, and never from the checkout."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_INSTALLED = ROOT / "build" / "test" / "bin" / "python"


def in_environment(*modules: str, group: str | None = None) -> None:
    """Begin again in the environment of the tests, which is set up where there is none.

    ``modules`` have to be there as well, and are in a dependency group of pyproject.toml.
    """
    if importlib.util.find_spec("wmbackup") is None:
        if not _INSTALLED.exists():
            subprocess.run([sys.executable, ROOT / "tests" / "run.py", "--version"], check=True)
        os.execv(_INSTALLED, [str(_INSTALLED), *sys.argv])  # noqa: S606 - a Python, not a shell
    if any(importlib.util.find_spec(module) is None for module in modules):
        groups = f"{ROOT / 'pyproject.toml'}:{group}"
        install = (sys.executable, "-m", "pip", "install", "--quiet", "--group", groups)
        subprocess.run(install, check=True)
        importlib.invalidate_caches()


def add_tests() -> None:
    """Let the tests' own modules be found, behind everything that is installed."""
    sys.path += [str(ROOT), str(ROOT / "tests" / "fixtures"), str(ROOT / "tests" / "vectors")]
