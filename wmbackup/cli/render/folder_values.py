"""What is shown of folders of archives, before it is a text or JSON: see `folder_rows`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from wmbackup.archive.tag_files import BagInfo
    from wmbackup.errors import WmbackupError


class ArchiveRow(NamedTuple):
    """An archive in a folder; ``size`` is in bytes, ``kind`` is file or bag.

    ``info`` is None where its head could not be read, which ``error`` says.
    """

    path: str
    kind: str
    size: int
    state: str
    info: BagInfo | None
    principals: tuple[str, ...] = ()
    error: WmbackupError | None = None


class PruneRow(NamedTuple):
    """What a prune does with an archive; ``size`` is in bytes.

    ``action`` is keep, remove (in a dry run), removed or left; ``reasons`` are the rules that keep
    it, such as daily.
    """

    path: str
    action: str
    reasons: tuple[str, ...]
    size: int
    info: BagInfo


class SeriesRow(NamedTuple):
    """A series in a folder, by its newest archive ``path``; sizes are in bytes.

    ``total`` is the size of all ``archives``. ``age`` counts from when the newest archive was made,
    or from when its store was last found unchanged. ``info`` is None for archives of which it is
    not known whose they are.
    """

    folder: str
    path: str
    state: str
    info: BagInfo | None
    principal: str
    age: timedelta | None
    licenses: int | None
    size: int
    archives: int
    total: int


FolderRow: TypeAlias = "ArchiveRow | PruneRow | SeriesRow"
