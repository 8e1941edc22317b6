"""Try bundle.py under Wine: build the folder, and go through a small day with it.

    python3 tests/windows/try_bundle.py

Sets the rig up where it is not yet (see rig.sh). The embeddable package of python.org is in no
package registry; one of the same layout is made of the rig's 32-bit Python. Nothing is left.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PYTHON = CACHE / "wmbackup-windows-rig" / "py32"
RIG = (HERE / "rig.sh", "--python", "32")
# Runs on the rig's own Windows Python, which starts the folder's as a user would.
DAY = r"""
import os, subprocess, sys
folder, double = sys.argv[1:]
home = os.path.join(os.path.dirname(folder), "home")
environment = {
    "WMBACKUP_DOUBLE_SCRIPT": double,
    "WIN_PD_OVERRIDE_LOCAL_APPDATA": home,
    **{name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "COMSPEC", "PATH")},
}
archive = os.path.join(os.path.dirname(folder), "a b.tar")
for line in (
    ["--version"],
    ["key", "create"],
    ["check", "--no-notice", "-o", archive],
    ["backup", "--no-notice", "-o", archive],
    ["verify", archive],
    ["restore", archive, "--no-notice", "--to", "windows", "--yes"],
):
    done = subprocess.run(
        [os.path.join(folder, "wmbackup.cmd"), *line],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
    )
    print(">", *line, "->", done.returncode)
    print((done.stdout + done.stderr).decode("utf-8").replace("\r\n", "\n"), end="")
    if done.returncode:
        sys.exit(1)
"""


def embeddable(package: Path) -> None:
    """Make a package of python.org's layout: everything in one folder, the library in a zip."""
    library = package.with_name("library.zip")
    with zipfile.ZipFile(library, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((PYTHON / "Lib").rglob("*.py")):
            name = path.relative_to(PYTHON / "Lib")
            if name.parts[0] != "site-packages":
                archive.write(path, name)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (*PYTHON.glob("*.exe"), *PYTHON.glob("*.dll"), *(PYTHON / "DLLs").iterdir()):
            archive.write(path, path.name)
        archive.write(library, "python311.zip")
        archive.writestr("python311._pth", "python311.zip\n.\n")


def windows(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="wmbackup-bundle ") as temporary:
        folder = Path(temporary)
        subprocess.run([*RIG, "-c", "pass"], check=True, stdin=subprocess.DEVNULL)
        embeddable(folder / "embed.zip")
        bundle = folder / "wmbackup ä"
        subprocess.run(
            [sys.executable, HERE / "bundle.py", folder / "embed.zip", bundle], check=True
        )
        (folder / "double.txt").write_text("")
        (folder / "day.py").write_text(DAY)
        arguments = [windows(folder / "day.py"), windows(bundle), windows(folder / "double.txt")]
        return subprocess.run([*RIG, *arguments], check=False, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(main())
