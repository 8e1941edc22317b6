"""The order of reading an archive is a matter of types: wrong orders do not type-check."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_RIGHT = """
from io import BytesIO
from wmbackup.archive.reader import SealedArchive
from wmbackup.trust import Policy

def right(sealed: SealedArchive, policy: Policy) -> None:
    trusted = sealed.authenticate(policy)
    inventory = trusted.read_head(BytesIO)
    inventory.check(lambda: None)
    for chunk in inventory.verify_payload():
        print(chunk.members)
    salvage = trusted.salvage(BytesIO)
    print(salvage.files(lambda: None))

"""
_WRONG = [
    "sealed.authenticate()",
    "sealed.authenticate(None)",
    "sealed.info",
    "sealed.read_head(BytesIO)",
    "sealed.verify_payload()",
    "sealed.salvage(BytesIO)",
    "sealed.claims().read_head(BytesIO)",
    "trusted.verify_payload()",
    "trusted.rows()",
    "trusted.extract(bytearray())",
    "inventory.authenticate(policy)",
]


def test_wrong_orders_do_not_type_check(tmp_path: Path) -> None:
    lines = [
        "def wrong(sealed: SealedArchive, policy: Policy) -> None:",
        "    trusted = sealed.authenticate(policy)",
        "    inventory = trusted.read_head(BytesIO)",
        *(f"    {line}" for line in _WRONG),
    ]
    file = tmp_path / "orders.py"
    file.write_text(_RIGHT + "\n".join(lines) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    found = {int(line) for line in re.findall(r"orders\.py:(\d+): error", done.stdout)}
    text = file.read_text().splitlines()
    assert [text[line - 1].strip() for line in sorted(found)] == _WRONG
