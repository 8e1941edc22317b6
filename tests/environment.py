"""A fresh virtual environment with this checkout installed from its wheel, as a user gets it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"


def say(text: str) -> None:
    """Tell what comes, before it comes."""
    print(text, flush=True)  # noqa: T201 - a script for people


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a program; what fails ends the script with its exit code."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, check=False)
    if done.returncode:
        say(f"failed with {done.returncode}: {' '.join(str(part) for part in command)}")
        raise SystemExit(done.returncode)


class Environment:
    """A virtual environment below ``build/``, made anew."""

    def __init__(self, name: str) -> None:
        """Make it."""
        if sys.version_info < (3, 11):  # noqa: UP036 - a script meets any Python
            say(f"Python 3.11 or later is needed, and this is {sys.version.split()[0]}")
            raise SystemExit(1)
        self.folder = BUILD / name
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            venv.create(self.folder, with_pip=True, clear=True)
        except subprocess.CalledProcessError:  # Debian keeps ensurepip in a package of its own
            say("this Python cannot make environments; on Debian: apt-get install python3-venv")
            raise SystemExit(1) from None
        # Dependency groups need pip 25.1.
        self.pip("--upgrade", "pip>=25.1")

    def program(self, name: str) -> Path:
        """Return the path of one of its programs."""
        if os.name == "nt":
            return self.folder / "Scripts" / f"{name}.exe"
        return self.folder / "bin" / name

    def pip(self, *arguments: str | Path) -> None:
        """Install something."""
        python = self.program("python")
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)

    def install(self) -> None:
        """Build source distribution and wheel, and install the wheel."""
        dist = BUILD / "dist"
        shutil.rmtree(dist, ignore_errors=True)
        self.pip("build")
        run(self.program("python"), "-m", "build", "--outdir", dist, ROOT)
        (wheel,) = dist.glob("*.whl")
        self.pip(wheel)
