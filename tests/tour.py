"""Set wmbackup up in a fresh environment and show its main job on the sample store.

Everything happens below ``build/``: the environment, the keys, the archive. Run it with any
Python 3.11 or later; it needs the network to install the packages that wmbackup needs.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.environment import BUILD, ROOT, Environment, say

# What it shows, the command, and its exit code.
STEPS: tuple[tuple[str, str, int], ...] = (
    ("make a signing key", "key create", 0),
    (
        "back up the sample store; one license forbids it, hence exit code 3",
        "backup --store sample -o licenses.wmbackup.tar",
        3,
    ),
    (
        "verify every byte of the archive, and its signer",
        "verify licenses.wmbackup.tar",
        0,
    ),
    ("show what is in it", "list licenses.wmbackup.tar", 0),
    (
        "restore it into a new folder",
        "restore licenses.wmbackup.tar --to restored --yes",
        0,
    ),
)


def main() -> None:
    """Set up, then run each step and show it."""
    say("setting up build/venv …")
    environment = Environment("venv")
    environment.install()
    program = environment.program("wmbackup")
    folder = BUILD / "tour"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    home = {"HOME": str(folder), "USERPROFILE": str(folder), "LOCALAPPDATA": str(folder)}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    for title, arguments, expected in STEPS:
        say(f"\n# {title}\n$ wmbackup {arguments}")
        command = [str(program), *shlex.split(arguments)]
        code = subprocess.run(command, cwd=folder, env=inherited | home, check=False).returncode
        say(f"(exit code {code})")
        if code != expected:
            raise SystemExit(code or 1)
    restored = sorted(path for path in (folder / "restored").rglob("*") if path.is_file())
    say("\n# the restored files")
    for path in restored:
        say(f"{path.relative_to(folder).as_posix()}  {path.stat().st_size} bytes")
    say(f"\nThe archive is {(folder / 'licenses.wmbackup.tar').relative_to(ROOT)};")
    say(f"the program is {program.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
