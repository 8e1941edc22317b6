"""Where an archive goes, and what it is called: decided once, with one clock."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import NamedTuple

from wmbackup.engine._machine import host_name
from wmbackup.errors import OutputInsideStore
from wmbackup.storage.files import is_inside
from wmbackup.storage.publish import exists, output_path
from wmbackup.stores.base import Store

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_SUFFIX = ".wmbackup.tar"
_AGE = ".age"
_ID_DIGITS = 8  # of the ID, in the name


class Destination(NamedTuple):
    """An archive that will be made: its absolute path, by which host, and when (UTC).

    ``path`` is None for an archive that goes to a stream or nowhere. With ``replace`` it takes the
    place of what is there. ``archive_id`` has 32 hexadecimal digits, which are random.
    """

    path: str | None
    host: str
    moment: datetime
    replace: bool = False
    archive_id: str = ""

    @property
    def folder(self) -> str | None:
        """The folder that it will be in."""
        return None if self.path is None else os.path.dirname(self.path)


class Refuse(NamedTuple):
    """What ends a backup before anything is written: a skipped file, a withheld license."""

    skipped: bool = False
    withheld: bool = False


def choose_destination(
    store: Store,
    output: str | None,
    host: str | None = None,
    *,
    replace: bool = False,
    encrypted: bool = False,
) -> Destination:
    """Decide where the archive of a store goes.

    ``output`` is a file, or a folder in which it gets its usual name; None is for an archive that
    goes to a stream or nowhere. Raises OutputExists, OutputInsideStore, NotFound, UsageError.
    """
    host = host or host_name()
    moment = datetime.now(UTC).replace(microsecond=0)
    archive_id = os.urandom(16).hex()
    if output is None:
        return Destination(None, host, moment, replace, archive_id)
    name = archive_name(store, host, moment, archive_id, encrypted=encrypted)
    path = output_path(output, name)
    if store.root is not None and is_inside(path, store.root):
        raise OutputInsideStore(
            f"the output {path} lies in the store that is read",
            path=path,
        )
    if os.path.lexists(path) and not replace:
        raise exists(path)
    return Destination(path, host, moment, replace, archive_id)


def archive_name(
    store: Store, host: str, moment: datetime, archive_id: str, *, encrypted: bool = False
) -> str:
    """Return the usual name of an archive: ``HOST-STORE-20261122T030000Z-0a1b2c3d.wmbackup.tar``.

    The digits are the first of its ID, so that no two runs or machines choose one name. That of an
    ``encrypted`` archive has ``.age`` behind it.
    """
    end = f"{_SUFFIX}{_AGE if encrypted else ''}"
    return f"{name_prefix(store, host)}{moment:%Y%m%dT%H%M%SZ}-{archive_id[:_ID_DIGITS]}{end}"


def name_prefix(store: Store, host: str) -> str:
    """Return what the usual names of a store's archives begin with: ``HOST-STORE-``."""
    label = store.kind if store.root is None else os.path.basename(store.root) or store.kind
    parts = [_UNFIT.sub("_", part).strip("_")[:64] or "unknown" for part in (host, label)]
    return f"{parts[0]}-{parts[1]}-"
