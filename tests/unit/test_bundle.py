"""What the bundle for Windows says of a package that is none."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

BUNDLE = Path(__file__).parents[1] / "windows" / "bundle.py"


def bundle(package: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BUNDLE, package, folder], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("what", ["missing", "no zip", "truncated", "empty", "another zip"])
def test_a_package_that_is_none_gets_a_sentence(tmp_path: Path, what: str) -> None:
    package = tmp_path / "python.zip"
    if what == "no zip":
        package.write_bytes(b"not a zip file")
    elif what != "missing":
        with zipfile.ZipFile(package, "w") as archive:
            if what != "empty":
                archive.writestr("python311._pth", "." * 1000)
    if what == "truncated":
        package.write_bytes(package.read_bytes()[:-30])
    done = bundle(package, tmp_path / "made")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(package) in done.stderr
    assert not (tmp_path / "made").exists()


def test_a_package_without_the_runtime_that_windows_lacks_gets_a_sentence(tmp_path: Path) -> None:
    package = tmp_path / "python.zip"
    program = bytearray(0x50)
    program[0x3C], program[0x44:0x46] = 0x40, b"\x4c\x01"  # where the header is; i386
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("python311._pth", "python311.zip\n")
        archive.writestr("python.exe", bytes(program))
    done = bundle(package, tmp_path / "made")
    assert done.returncode == 1
    assert done.stderr == f"{package} lacks vcruntime140.dll, which a bare Windows lacks too\n"
    assert not (tmp_path / "made").exists()
