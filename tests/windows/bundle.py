"""Build a folder that runs wmbackup on a Windows where nothing may be installed.

    python3 tests/windows/bundle.py python-3.11.9-embed-win32.zip wmbackup-windows

The first argument is CPython's embeddable package for 32-bit Windows, the second the folder to
make. wmbackup is built from this checkout unless --wheel names one; what it needs comes from the
package index as wheels for 32-bit Windows. ``wmbackup.cmd`` in the folder is the program.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = "win32"
# The newest cryptography with wheels for 32-bit Windows is 48: later ones have none, and a
# resolver that is told nothing might look for one to compile.
CONSTRAINTS = ("cryptography>=42,<49",)
# pip reads the markers of this system, so what only Windows needs is named.
ONLY_WINDOWS = ("colorama",)  # click
# Part of python.org's package. The Universal C Runtime is not: it is a part of Windows.
RUNTIME = "vcruntime140.dll"
LAUNCHER = '@"%~dp0python\\python.exe" -X utf8 -m wmbackup %*\r\n'
README = """\
wmbackup for 32-bit Windows, with a Python of its own. Nothing needs to be installed.

    wmbackup.cmd check          what works on this machine
    wmbackup.cmd key create     make a signing key, once
    wmbackup.cmd backup -o D:\\backups\\

Keys and locks are kept in the user's profile, not here.

Windows 10 and 11 have all that this Python needs. Windows 8.1 needs the Universal C Runtime,
ucrtbase.dll in the system folder, which Windows Update brings (KB2999226). The other part of the
C runtime, vcruntime140.dll, is in the folder python.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "python", type=Path, help="the embeddable package, python-3.*-embed-win32.zip"
    )
    parser.add_argument("folder", type=Path, help="the folder to make")
    parser.add_argument(
        "--wheel", type=Path, help="this wheel of wmbackup, instead of the checkout"
    )
    given = parser.parse_args()
    if given.folder.exists():
        parser.error(f"{given.folder} exists")
    with tempfile.TemporaryDirectory(prefix="wmbackup-bundle-") as temporary:
        made = Path(temporary, "bundle")
        version = unpack(given.python, made / "python")
        wheel = given.wheel or build(Path(temporary, "wheel"))
        install(wheel, made / "python" / "site-packages", version)
        (made / "wmbackup.cmd").write_text(LAUNCHER, newline="")
        (made / "README.txt").write_text(README.replace("\n", "\r\n"), newline="")
        shutil.move(made, given.folder)
    what = ", ".join(packages(given.folder))
    sys.stdout.write(f"made {given.folder}: Python {version}, {what}\n")
    return 0


def unpack(package: Path, folder: Path) -> str:
    """Unpack the embeddable package and let it find what is installed; return its version."""
    try:
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        sys.exit(f"{package} cannot be unpacked: {error}")
    settings = next(iter(folder.glob("python*._pth")), folder)
    match = re.fullmatch(r"python(\d)(\d+)\._pth", settings.name)
    program = folder / "python.exe"
    if match is None or not program.is_file() or machine(program) != 0x14C:
        sys.exit(f"{package} is no embeddable Python for 32-bit Windows")
    if not (folder / RUNTIME).is_file():
        sys.exit(f"{package} lacks {RUNTIME}, which a bare Windows lacks too")
    # This file alone says where modules are: neither the registry nor the environment is asked.
    settings.write_text(f"{settings.stem}.zip\n.\nsite-packages\n", encoding="utf-8")
    return f"{match[1]}.{match[2]}"


def machine(program: Path) -> int:
    """Return for which machine a program is: IMAGE_FILE_MACHINE_I386 is 0x14C."""
    data = program.read_bytes()
    header = int.from_bytes(data[0x3C:0x40], "little")
    return int.from_bytes(data[header + 4 : header + 6], "little")


def build(folder: Path) -> Path:
    """Build the wheel of this checkout."""
    pip("wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    [wheel] = folder.glob("wmbackup-*.whl")
    return wheel


def install(wheel: Path, folder: Path, version: str) -> None:
    """Install wmbackup and what it needs, for the other platform."""
    pip(
        *("install", "--target", folder, "--platform", PLATFORM, "--python-version", version),
        *("--implementation", "cp", "--only-binary=:all:", "--no-compile"),
        *(wheel, *CONSTRAINTS, *ONLY_WINDOWS),
    )


def pip(*arguments: str | Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            *map(str, arguments),
        ],
        check=True,
    )


def packages(folder: Path) -> list[str]:
    """Return what was installed, with versions."""
    found = (folder / "python" / "site-packages").glob("*.dist-info")
    return sorted(one.name.removesuffix(".dist-info").replace("-", " ") for one in found)


if __name__ == "__main__":
    sys.exit(main())
