"""What the ledger holds, and its text: one JSON object, every field checked when it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

VERSION = 1
MOST_ENTRIES = 16_384
"""Archives of a series that are remembered one by one: those of 40 years, one a day."""

_HEX = {"archive_id": 32, "chain": 32, "signed": 64, "file": 64}
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_MOST_NUMBER = 2**53 - 1


class Place(NamedTuple):
    """What a series is of: a store of a host, and the folder that its archives go to.

    ``destination`` is an absolute path, and None for archives that go to a stream.
    """

    host: str
    store_kind: str
    store: str
    destination: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """An archive that the ledger remembers.

    ``signed`` is the SHA-256 of its tag manifest and ``file`` that of the file as it was read back,
    None where it is not known; both are hexadecimal. ``size`` is in bytes, ``created`` UTC as in
    bag-info.txt, ``signer`` the fingerprint of its maker. ``licenses`` is None where nobody
    counted, ``principal`` who is trusted for it, and None of what this machine made.
    """

    archive_id: str
    created: str
    signer: str
    signed: str
    size: int
    files: int
    withheld: int
    skipped: int
    chain: str | None = None
    sequence: int | None = None
    previous: str | None = None
    file: str | None = None
    licenses: int | None = None
    path: str | None = None
    principal: str | None = None

    @property
    def order(self) -> tuple[str, int]:
        """What sorts archives of different chains: the signed time, then the number."""
        return self.created, self.sequence or 0


@dataclass(slots=True)
class Series:
    """What is remembered of one series.

    ``sequence`` is the last number that was given out in ``chain``: one that a crash cost is not
    given again. ``pending`` is an archive that was about to be published. ``checked`` is when the
    store was last found unchanged, which it was ``checks`` times since the newest archive. ``seen``
    are the names of files at the destination that nothing here decrypts and that this machine has
    not made, as far as it remembers.
    """

    place: Place
    signer: str
    chain: str | None = None
    sequence: int = 0
    made: Entry | None = None
    pending: Entry | None = None
    accepted: Entry | None = None
    checked: str | None = None
    checks: int = 0
    archives: list[Entry] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def remember(self, entry: Entry) -> None:
        """Keep an archive that this machine made, to recognize its file later."""
        self.archives = [one for one in self.archives if one.archive_id != entry.archive_id]
        self.archives = [*self.archives, entry][-MOST_ENTRIES:]

    def forget_made(self) -> None:
        """Forget what another machine made, and keep what was accepted from it."""
        self.chain, self.sequence, self.made, self.pending = None, 0, None, None
        self.checked, self.checks, self.archives, self.seen = None, 0, [], []


@dataclass(slots=True)
class Memory:
    """All series that are remembered, and on which machine they were."""

    machine: str
    series: list[Series] = field(default_factory=list)

    def find(self, place: Place, signers: Collection[str]) -> Series | None:
        """Return the series of a place by one of these signers (fingerprints)."""
        found = [one for one in self.series if one.place == place and one.signer in signers]
        return max(found, key=lambda one: one.made.order if one.made else ("", 0), default=None)

    def obtain(self, place: Place, signers: Collection[str], signer: str) -> Series:
        """Return the series of a place, begun where there is none; ``signer`` signs it from now."""
        found = self.find(place, signers)
        if found is None:
            found = Series(place, signer)
            self.series.append(found)
        found.signer = signer
        return found


def replace_file(memory: Memory, signed: str, file: str, size: int) -> None:
    """Remember the new file of an archive that was countersigned; ``size`` is in bytes."""

    def renewed(entry: Entry | None) -> Entry | None:
        if entry is None or entry.signed != signed:
            return entry
        return replace(entry, file=file, size=size)

    for one in memory.series:
        one.made, one.pending = renewed(one.made), renewed(one.pending)
        one.accepted = renewed(one.accepted)
        one.archives = [renewed(entry) or entry for entry in one.archives]


def encode(memory: Memory) -> bytes:
    """Return the text of a memory. Undecodable bytes in names stay as surrogates, escaped."""
    series = [{**asdict(one), "place": one.place._asdict()} for one in memory.series]
    text = json.dumps({"version": VERSION, "machine": memory.machine, "series": series}, indent=1)
    return text.encode("ascii") + b"\n"


def parse(text: bytes) -> Memory:
    """Read a text that `encode` wrote. Raises ValueError for any other."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("the ledger is nested too deeply") from None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise ValueError("the ledger is of another version")
    _check_keys(found, {"version", "machine", "series"})
    series = found["series"]
    if not isinstance(series, list):
        raise ValueError("the ledger has no list of series")  # noqa: TRY004 - as `_text`
    return Memory(_text(found["machine"]), [_series(one) for one in series])


def _series(found: object) -> Series:
    values = _check_keys(found, {one.name for one in fields(Series)})
    place = _check_keys(values["place"], set(Place._fields))
    archives, seen = values["archives"], values["seen"]
    if not isinstance(archives, list) or not isinstance(seen, list):
        raise ValueError("the ledger has no list of archives")  # noqa: TRY004 - as `_text`
    return Series(
        place=Place(
            _text(place["host"]),
            _text(place["store_kind"]),
            _text(place["store"]),
            _optional_text(place["destination"]),
        ),
        signer=_text(values["signer"]),
        chain=None if values["chain"] is None else _hex("chain", values["chain"]),
        sequence=_number(values["sequence"]),
        made=_optional_entry(values["made"]),
        pending=_optional_entry(values["pending"]),
        accepted=_optional_entry(values["accepted"]),
        checked=None if values["checked"] is None else _time(values["checked"]),
        checks=_number(values["checks"]),
        archives=[_entry(one) for one in archives],
        seen=[_text(one) for one in seen],
    )


def _optional_entry(found: object) -> Entry | None:
    return None if found is None else _entry(found)


def _entry(found: object) -> Entry:
    values = _check_keys(found, {one.name for one in fields(Entry)})
    for name in ("archive_id", "signed"):
        _hex(name, values[name])
    for name in ("chain", "previous", "file"):
        if values[name] is not None:
            _hex("signed" if name == "previous" else name, values[name])
    for name in ("size", "files", "withheld", "skipped"):
        _number(values[name])
    for name in ("sequence", "licenses"):
        if values[name] is not None:
            _number(values[name])
    _time(values["created"])
    _text(values["signer"])
    _optional_text(values["path"])
    _optional_text(values["principal"])
    return Entry(**values)


def _check_keys(found: object, names: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(found, dict) or set(found) != set(names):
        raise ValueError("the ledger has other fields than it should")
    return found


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise ValueError("the ledger has something else where a text belongs")  # noqa: TRY004 - one class for all that is wrong with a text
    return found


def _optional_text(found: object) -> str | None:
    return None if found is None else _text(found)


def _number(found: object) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= _MOST_NUMBER:
        raise ValueError("the ledger has something else where a number belongs")
    return found


def _hex(name: str, found: object) -> str:
    text = _text(found)
    if not re.fullmatch(f"[0-9a-f]{{{_HEX[name]}}}", text):
        raise ValueError("the ledger has something else where hexadecimal digits belong")
    return text


def _time(found: object) -> str:
    text = _text(found)
    if not _TIME.match(text):
        raise ValueError("the ledger has something else where a time belongs")
    return text
