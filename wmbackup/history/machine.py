"""Which machine this is, so that a ledger that was copied from another one is noticed."""

from __future__ import annotations

import hashlib
import platform
import sys

_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid")
_MOST = 256  # bytes of such a file that count

if sys.platform == "win32":
    import winreg

    def _identifier() -> bytes:
        try:
            with winreg.OpenKey(
                winreg.HKEY_LOCAL_MACHINE,
                r"SOFTWARE\Microsoft\Cryptography",
                0,
                winreg.KEY_READ | winreg.KEY_WOW64_64KEY,
            ) as key:
                return str(winreg.QueryValueEx(key, "MachineGuid")[0]).encode()
        except OSError:
            return b""

else:

    def _identifier() -> bytes:
        for path in _FILES:
            try:
                with open(path, "rb") as file:
                    found = file.read(_MOST).strip()
            except OSError:
                continue
            if found:
                return found
        return b""


def fingerprint() -> str:
    """Return 32 hexadecimal digits that are the same in every run on this machine.

    They are a hash of the machine's own ID, where the system has one, and its name: the ID itself
    is to be kept to the machine (machine-id(5)).
    """
    name = platform.node().encode("utf-8", "surrogateescape")
    return hashlib.sha256(b"wmbackup ledger\0" + _identifier() + b"\0" + name).hexdigest()[:32]
