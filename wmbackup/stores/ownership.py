"""Whose staging folder it is: what a restore left is undone for its own user only.

Where the file system keeps owners and modes, they tell. Where it does not, as on exFAT, NTFS or a
share, everything seems to belong to everybody, and a secret in the state folder of the user
authenticates what this program wrote.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Callable

from wmbackup.stores.tree import Tree

MAC_SIZE = 64
"""Hexadecimal digits of a MAC (HMAC-SHA-256)."""

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Owner:
    """This user, as far as a restore has to know its own files again."""

    def __init__(self, secret: Callable[[], bytes | None] | None = None) -> None:
        """Take what returns the user's secret, or None where there is none; asked when needed."""
        self._ask = secret
        self._asked = False
        self._secret: bytes | None = None

    @property
    def has_secret(self) -> bool:
        """Whether anything can be authenticated."""
        return self._key() is not None

    def begin_mac(self, name: bytes) -> hmac.HMAC | None:
        """Begin the MAC of what is written into the folder ``name``; None without a secret.

        Its own name counts alone: it is met on the way from other folders as well.
        """
        key = self._key()
        if key is None:
            return None
        name = name.rpartition(b"/")[2]
        return hmac.new(key, len(name).to_bytes(4, "big") + name, "sha256")

    def mac(self, name: bytes, data: bytes) -> str:
        """Return the MAC of what is written into the folder ``name``; empty without a secret."""
        begun = self.begin_mac(name)
        if begun is None:
            return ""
        begun.update(data)
        return begun.hexdigest()

    def wrote(self, mac: str, name: bytes, data: bytes) -> bool:
        """Whether a MAC is this user's."""
        return self.has_secret and hmac.compare_digest(mac.encode(), self.mac(name, data).encode())

    def _key(self) -> bytes | None:
        if not self._asked:
            self._asked = True
            self._secret = None if self._ask is None else self._ask()
        return self._secret


def is_private(status: os.stat_result) -> bool:
    """Whether the file system says that this user owns it and that nobody else writes to it.

    Windows says neither in a status, and its access lists are not read here.
    """
    if not hasattr(os, "geteuid"):
        return False
    return status.st_uid == os.geteuid() and not status.st_mode & _WRITABLE_BY_OTHERS


def is_private_file(tree: Tree, path: bytes) -> bool:
    """Whether a regular file is private as `is_private` says. Raises OSError."""
    status = tree.stat(path)
    return status is not None and stat.S_ISREG(status.st_mode) and is_private(status)
