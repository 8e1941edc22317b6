"""The rows of files.jsonl and licenses.jsonl: JSON in one canonical form only."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from wmbackup.errors import ArchiveDamaged, UnsupportedArchive
from wmbackup.item import ATTRIBUTES, MAX_SIZE
from wmbackup.license import License

MAX_LINE = 64 * 1024
_MAX_NUMBER = 2**53 - 1
_MAX_DEPTH = 4
SECOND = 1_000_000_000
_FILE_KEYS = ("size", "mtime", "mtime_ns", "path", "path_base64", "attributes")
_LICENSE_KEYS: tuple[str, ...] = (
    *("kind", "kid", "lid", "issued", "begins", "expires"),
    *("rights", "attributes", "withheld", "file"),
)
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")

# Nearly every row is of this form, and a match means that it is canonical: parsing a row as
# JSON and writing it again costs eight times as much.
_PLAIN = re.compile(
    rb'\{"size":(0|[1-9][0-9]{0,9}),"mtime":(0|-?[1-9][0-9]{0,14}),'
    rb'"mtime_ns":(0|[1-9][0-9]{0,8}),"attributes":\[([a-z",]*)\]\}\n\Z'
)


def _attribute_lists() -> dict[bytes, tuple[str, ...]]:
    lists = {}
    for mask in range(2 ** len(ATTRIBUTES)):
        names = tuple(name for bit, name in enumerate(ATTRIBUTES) if mask & 1 << bit)
        lists[",".join(f'"{name}"' for name in names).encode()] = names
    return lists


ATTRIBUTE_LISTS = _attribute_lists()
"""The attributes in each list of them that a row can have, as it stands between its brackets."""
_ENCODED_LISTS = {names: encoded for encoded, names in ATTRIBUTE_LISTS.items()}


class FileRow(NamedTuple):
    """One row of files.jsonl; ``path`` is None where the member's own name is the true path."""

    size: int
    mtime_ns: int
    path: bytes | None
    attributes: tuple[str, ...]


def dumps(value: object) -> bytes:
    """Return JSON in the canonical form, on one line, without its line feed."""
    return _ENCODER.encode(value).encode()


def file_row(row: FileRow) -> bytes:
    """Return the line of files.jsonl. Raises ValueError where there is none."""
    seconds, rest = divmod(row.mtime_ns, SECOND)
    if abs(seconds) > _MAX_NUMBER:
        raise ValueError("its time is further away than an archive can say")
    where = b"" if row.path is None else _encode_path(row.path)
    attributes = _ENCODED_LISTS.get(row.attributes)
    if attributes is None:
        raise ValueError("its attributes are none that an archive knows")
    line = b'{"size":%d,"mtime":%d,"mtime_ns":%d,%s"attributes":[%s]}\n' % (
        row.size,
        seconds,
        rest,
        where,
        attributes,
    )
    if len(line) > MAX_LINE:
        raise ValueError("its name is too long")
    return line


def _encode_path(path: bytes) -> bytes:
    try:
        return b'"path":%s,' % dumps(path.decode("utf-8"))
    except UnicodeDecodeError:
        return b'"path_base64":"%s",' % base64.b64encode(path)


def sizes_in(rows: bytes) -> list[int]:
    """Return the sizes in lines that `file_row` has made."""
    return [int(row[len(b'{"size":') : row.index(b",")]) for row in rows.splitlines()]


def parse_file_row(line: bytes) -> FileRow:
    """Read a line of files.jsonl. Raises ArchiveDamaged or UnsupportedArchive."""
    plain = _PLAIN.match(line)
    if plain is not None:
        size, seconds, rest, attributes = plain.groups()
        names = ATTRIBUTE_LISTS.get(attributes)
        if names is not None and int(size) <= MAX_SIZE:
            return FileRow(int(size), int(seconds) * SECOND + int(rest), None, names)
    return _parse_rare_file_row(line)


def _parse_rare_file_row(line: bytes) -> FileRow:
    row = _parse(line, _FILE_KEYS)
    size = _integer(row, "size", 0, MAX_SIZE)
    seconds = _integer(row, "mtime", -_MAX_NUMBER, _MAX_NUMBER)
    rest = _integer(row, "mtime_ns", 0, SECOND - 1)
    attributes = row.get("attributes")
    if not isinstance(attributes, list) or dumps(attributes)[1:-1] not in ATTRIBUTE_LISTS:
        raise ArchiveDamaged("a row of files.jsonl has attributes that do not exist")
    return FileRow(size, seconds * SECOND + rest, _path(row), tuple(attributes))


def _path(row: Mapping[str, Any]) -> bytes | None:
    path, encoded = row.get("path"), row.get("path_base64")
    if "path" in row and "path_base64" in row:
        raise ArchiveDamaged("a row of files.jsonl has two paths")
    if isinstance(path, str):
        return path.encode()
    if (
        "path" in row
        or not isinstance(encoded, str | None)
        or ("path_base64" in row and encoded is None)
    ):
        raise ArchiveDamaged("a row of files.jsonl has a path that is no text")
    if encoded is None:
        return None
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ArchiveDamaged("a row of files.jsonl has a path that is not base64") from None
    if base64.b64encode(raw) != encoded.encode() or _is_utf8(raw):
        raise ArchiveDamaged("a row of files.jsonl hides a path in base64 without need")
    return raw


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def license_row(license_: License, file: bytes | None) -> bytes:
    """Return the line of licenses.jsonl; ``file`` is the member below the bag, or None.

    What would make the line too long is left out, attributes first. Raises ValueError for a
    license that no reader would take.
    """
    numbers = [value for value in license_.rights.values() if isinstance(value, int)]
    if (
        not _KIND.match(license_.kind)
        or (license_.withheld and file is not None)
        or any(abs(number) > _MAX_NUMBER for number in numbers)
    ):
        raise ValueError("licenses.jsonl cannot say this of a license")
    values: dict[str, object] = {
        "kind": license_.kind,
        "kid": license_.kid,
        "lid": license_.lid,
        "issued": license_.issued,
        "begins": license_.begins,
        "expires": license_.expires,
        "rights": dict(sorted(license_.rights.items())) or None,
        "attributes": dict(sorted(license_.attributes.items())) or None,
        "withheld": license_.withheld,
        "file": None if file is None else file.decode(),
    }
    for lost in ("attributes", "rights", "kid", "lid", "issued", "begins", "expires"):
        line = dumps(values) + b"\n"
        if len(line) <= MAX_LINE:
            return line
        values[lost] = None
    return dumps(values) + b"\n"


def parse_license_row(line: bytes) -> tuple[License, bytes | None]:
    """Read a line of licenses.jsonl; return the license and the member that it is in.

    The license's ``path`` is left open: only the whole archive knows the true path.
    Raises ArchiveDamaged or UnsupportedArchive.
    """
    row = _parse(line, _LICENSE_KEYS)
    if not all(key in row for key in _LICENSE_KEYS):
        raise ArchiveDamaged("a row of licenses.jsonl lacks a key")
    texts = {key: row[key] for key in ("kid", "lid", "issued", "begins", "expires", "file")}
    if not all(value is None or isinstance(value, str) for value in texts.values()):
        raise ArchiveDamaged("a row of licenses.jsonl has a value of another type")
    kind, withheld, file = row["kind"], row["withheld"], texts.pop("file")
    if not isinstance(kind, str) or not _KIND.match(kind) or not isinstance(withheld, bool):
        raise ArchiveDamaged("a row of licenses.jsonl has a value of another type")
    if withheld and file is not None:
        raise ArchiveDamaged("licenses.jsonl has a withheld license that is carried")
    found = License(
        kind=kind,
        rights=_values(row["rights"], (bool, int, str)),
        attributes=_values(row["attributes"], (str,)),
        withheld=withheld,
        **texts,
    )
    return found, None if file is None else file.encode()


def _values(value: object, types: tuple[type, ...]) -> dict[str, Any]:
    if value is None:
        return {}
    if (
        not isinstance(value, dict)
        or not value
        or not all(isinstance(inner, types) for inner in value.values())
    ):
        raise ArchiveDamaged("a row of licenses.jsonl has a value of another type")
    return value


def _integer(row: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ArchiveDamaged(f"a row of files.jsonl has a {key} that is not valid")
    return value


def _parse(line: bytes, keys: tuple[str, ...]) -> dict[str, Any]:
    if len(line) > MAX_LINE or not line.endswith(b"\n"):
        raise ArchiveDamaged("a row is too long or has no end")
    try:
        row = _DECODER.decode(line[:-1].decode("utf-8"))
        canonical = dumps(row)
        depth = _depth(row)
    except (ValueError, RecursionError):
        raise ArchiveDamaged("a row is not canonical JSON") from None
    if not isinstance(row, dict) or canonical != line[:-1] or depth > _MAX_DEPTH:
        raise ArchiveDamaged("a row is not in the canonical form")
    unknown = sorted(set(row).difference(keys))
    known = [key for key in keys if key in row]
    if list(row) != [*known, *unknown] or not all(map(_is_sorted, row.values())):
        raise ArchiveDamaged("the keys of a row are out of order")
    for key in unknown:
        if key.startswith("!"):
            raise UnsupportedArchive(
                "the archive needs a kind of row that this program does not know"
            )
    return row


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a key twice")
    return row


def _no_number(_text: str) -> object:
    raise ValueError("a number that is no integer")


# Made once: what json.loads and json.dumps make for each call is half of what a row costs.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_no_number, parse_constant=_no_number
)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(inner) for inner in value), default=0)
    if isinstance(value, int) and abs(value) > _MAX_NUMBER:
        raise ArchiveDamaged("a row has a number that is too large")
    return 0


def _is_sorted(value: object) -> bool:
    if isinstance(value, dict):
        return list(value) == sorted(value) and all(map(_is_sorted, value.values()))
    if isinstance(value, list):
        return all(map(_is_sorted, value))
    return True
