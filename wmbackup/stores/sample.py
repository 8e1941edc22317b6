"""The ``sample`` store: a small set of licenses, so that everything can be tried anywhere.

All of them are synthetic and say so. They were written from public documents about the formats,
name shops and songs that do not exist, and open nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import ClassVar
from uuid import UUID

from wmbackup.errors import StoreReadOnly
from wmbackup.item import Skipped
from wmbackup.license import License, RightValue
from wmbackup.quoting import quoted
from wmbackup.status import Control, LeftOutEvent
from wmbackup.stores.base import Content, Import, ItemUnavailable, ItemWithheld
from wmbackup.stores.exclusion import EXCLUDED, Exclusion

NOTE = "Synthetic license made for wmbackup. It opens nothing."
_SECOND = 1_000_000_000
_MODIFIED = 1_161_993_600 * _SECOND  # 2006-10-28T00:00:00Z
_AURORA = ("Aurora Sound Shop (synthetic)", "https://aurora.example/license")
_HARBOUR = ("Harbour Street Records (synthetic)", "https://harbour.example/license.asp")
_LENDING = ("Lending Library of Films (synthetic)", "https://lending.example/drm")


@dataclass(frozen=True, slots=True)
class _Song:
    """What one synthetic license says."""

    path: str
    title: str
    author: str
    shop: tuple[str, str]
    issued: str
    rights: dict[str, RightValue] = field(default_factory=dict)
    begins: str | None = None
    expires: str | None = None
    encoding: str = "utf-8"

    @property
    def kid(self) -> str:
        return b64encode(_uuid(f"key of {self.path}").bytes_le).decode()

    @property
    def lid(self) -> str:
        return "{" + str(_uuid(f"license {self.path}")).upper() + "}"

    def license(self) -> License:
        """Return what can be known of it."""
        dates = {"BeginDate": self.begins, "ExpirationDate": self.expires}
        rights = self.rights | {name: date for name, date in dates.items() if date is not None}
        attributes = {
            "Title": self.title,
            "Author": self.author,
            "ContentDistributor": self.shop[0],
            "LicenseAcquisitionURL": self.shop[1],
            "Description": NOTE,
        }
        return License(
            kind="wmdrm-v7",
            kid=self.kid,
            lid=self.lid,
            issued=self.issued,
            begins=self.begins,
            expires=self.expires,
            rights=rights,
            attributes={name: value for name, value in attributes.items() if value},
            withheld=self.rights.get("AllowBackupRestore") is False,
            path=self.path.encode(),
        )

    def encode(self) -> bytes:
        """Return the file: a version 7 license in XML."""
        body = "".join(
            f"<{name}>{_escape(value)}</{name}>"
            for name, value in sorted(self.license().attributes.items())
        )
        conditions = "".join(
            f'<RIGHT name="{name}">{_right(value)}</RIGHT>'
            for name, value in sorted(self.license().rights.items())
        )
        text = (
            f'<LICENSE version="2.0.0.0"><LICENSORINFO><DATA><LID>{self.lid}</LID>'
            f"<KID>{self.kid}</KID><ISSUEDATE>{_compact(self.issued)}</ISSUEDATE>"
            f"<META>{body}</META><RIGHTS>{conditions}</RIGHTS>"
            f"</DATA></LICENSORINFO></LICENSE>\r\n"
        )
        return text.encode(self.encoding)


def _uuid(text: str) -> UUID:
    # A digest instead of chance: the sample is the same everywhere and every time.
    return UUID(bytes=sha256(b"wmbackup sample: " + text.encode()).digest()[:16], version=4)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _compact(date: str) -> str:
    """Return a date as licenses write it: ``20041024 09:30:00Z``."""
    return f"{date[:10].replace('-', '')} {date[11:]}"


def _right(value: RightValue) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"#{_compact(value)}#" if isinstance(value, str) else str(value)


_FREE: dict[str, RightValue] = {"AllowPlay": True, "AllowBackupRestore": True}
_BURN: dict[str, RightValue] = {**_FREE, "AllowCopy": True, "AllowPlaylistBurn": True}

_SONGS = (
    _Song(
        "aurora/01 First Light.lic", "First Light", "The Meridians", _AURORA,
        "2005-03-14T09:26:53Z", _BURN,
    ),
    _Song(
        "aurora/02 Second Wind.lic", "Second Wind", "The Meridians", _AURORA,
        "2005-03-14T09:26:54Z", _BURN,
    ),
    _Song(
        "aurora/03 Third Rail.lic", "Third Rail", "The Meridians", _AURORA,
        "2005-03-14T09:26:55Z", {**_FREE, "PlayCount": 10},
    ),
    _Song(
        "aurora/Café Größenwahn.lic", "Café Größenwahn", "Åse & Øystein", _AURORA,
        "2006-01-02T15:04:05Z", _FREE, encoding="utf-16",
    ),
    _Song(
        "harbour/low-tide.lic", "Low Tide", "Ines Vidal Trio", _HARBOUR,
        "2006-07-01T20:15:01Z", {**_FREE, "AllowBackupRestore": False},
    ),
    _Song(
        "harbour/preview.lic", "Evening Ferry (preview)", "Ines Vidal Trio", _HARBOUR,
        "2006-07-01T20:16:00Z", {**_FREE, "PlayCount": 1}, expires="2006-08-01T00:00:00Z",
    ),
    _Song(
        "lending/the-cartographer.lic", "The Cartographer", "Studio Nord", _LENDING,
        "2007-11-05T08:00:00Z", _FREE, "2007-11-05T08:00:00Z", "2007-11-19T08:00:00Z",
    ),
    _Song(
        "lending/winter-garden.lic", "Winter Garden", "Studio Nord", _LENDING,
        "2007-12-01T00:00:00Z", _FREE, "2007-12-01T00:00:00Z", "2037-12-31T23:59:59Z",
    ),
    _Song(
        "subscription/{no-name}.lic", "Track 7", "", _AURORA,
        "2008-02-29T12:00:00Z", {"AllowPlay": True, "AllowCollaborativePlay": False},
    ),
)  # fmt: skip


def _version_1() -> tuple[bytes, License]:
    """Return a version 1 license, with the note where a shop has its certificates."""
    kid = b64encode(_uuid("version 1").bytes_le)
    secret = b"".join(sha256(b"key %d" % n).digest() for n in range(3))[:80]
    rights, security = b"\x01\0\0\0", 150
    data = kid + b"\0" + secret + rights + security.to_bytes(4, "little") + b"\xff" * 4
    text = b64encode(NOTE.encode().center(320) + data)
    known = License(
        kind="wmdrm-v1",
        kid=kid.decode(),
        expires="f" * 8,
        rights={"AllowBackupRestore": True, "Rights": rights.hex(), "AppSec": security},
        path=b"harbour/blue-hour.lic",
    )
    lines = [text[at : at + 76] + b"\r\n" for at in range(0, len(text), 76)]
    return b"".join(lines), known


def _response() -> bytes:
    # On the wire a version 7 license is encrypted to the machine: opaque to everybody else.
    secret = b64encode(b"".join(sha256(b"noise %d" % n).digest() for n in range(12))).decode()
    license_ = f'<LICENSE version="2.0.0.0">{secret}</LICENSE>'
    return f"<LICENSERESPONSE>{license_}</LICENSERESPONSE>\r\n".encode()


def _playready() -> bytes:
    xml = (
        '<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader"'
        ' version="4.0.0.0"><DATA><PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID>'
        f"</PROTECTINFO><KID>{b64encode(_uuid('PlayReady').bytes_le).decode()}</KID>"
        "<LA_URL>https://lending.example/playready</LA_URL></DATA></WRMHEADER>"
    ).encode("utf-16-le")
    record = (1).to_bytes(2, "little") + len(xml).to_bytes(2, "little") + xml
    return (len(record) + 6).to_bytes(4, "little") + (1).to_bytes(2, "little") + record


def _files() -> dict[bytes, tuple[bytes, License | None]]:
    files: dict[bytes, tuple[bytes, License | None]] = {
        song.path.encode(): (song.encode(), song.license()) for song in _SONGS
    }
    response = License("wmdrm-response", path=b"incoming/response.xml")
    header = License(
        "playready-header",
        kid=b64encode(_uuid("PlayReady").bytes_le).decode(),
        attributes={"LicenseAcquisitionURL": "https://lending.example/playready"},
        path=b"playready/winter-garden.prh",
    )
    old, known = _version_1()
    files[b"harbour/blue-hour.lic"] = (old, known)
    files[b"incoming/response.xml"] = (_response(), response)
    files[b"playready/winter-garden.prh"] = (_playready(), header)
    files[b"READ ME.txt"] = (f"{NOTE}\r\n".encode(), None)
    return files


class SampleStore:
    """Some dozen synthetic licenses; one of them may not be backed up. It takes nothing in."""

    kind: ClassVar[str] = "sample"
    location: ClassVar[str] = "built in"
    root: ClassVar[str | None] = None
    gives_statuses: ClassVar[bool] = False

    def __init__(self, exclusion: Exclusion | None = None) -> None:
        """Leave out the files that an exclusion matches."""
        self._exclusion = exclusion or Exclusion(())

    def licenses(self, control: Control) -> Iterator[License]:
        """Enumerate them."""
        for _, license_ in _files().values():
            control.check()
            if license_ is not None:
                yield license_

    @contextmanager
    def export(self, control: Control) -> Iterator[SampleExport]:
        """List them."""
        control.check()
        export = SampleExport()
        paths = []
        for path in export.paths:
            pattern = self._exclusion.pattern_for_file(path)
            if pattern is None:
                paths.append(path)
            else:
                control.notify(LeftOutEvent(path, f"{EXCLUDED}{quoted(pattern)}"))
        export.paths = tuple(paths)
        yield export

    def import_(self, control: Control, *, replace: bool) -> AbstractContextManager[Import]:
        """Raise StoreReadOnly."""
        raise StoreReadOnly("the sample store is built in and takes nothing in")


class SampleExport:
    """The files of the sample."""

    skipped: Sequence[Skipped] = ()
    licenses: Sequence[License] = ()
    machine: str | None = None

    def __init__(self) -> None:
        """Make the files."""
        self._files = _files()
        self.paths: Sequence[bytes] = tuple(self._files)

    def read(self, path: bytes) -> Content:
        """Return one file. Raises ItemWithheld, ItemUnavailable."""
        if path not in self._files:
            raise ItemUnavailable("there is no such file")
        data, license_ = self._files[path]
        licenses = () if license_ is None else (license_,)
        if license_ is not None and license_.withheld:
            raise ItemWithheld((replace(license_, path=None),))
        return Content(len(data), _MODIFIED, (), data, licenses)
