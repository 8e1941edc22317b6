"""What the property tests draw: paths, files, licenses, rows, values, changed texts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import strategies as st

from tests.archives import File
from wmbackup.archive.row_codec import FileRow
from wmbackup.archive.tag_files import MAX_NUMBER, BagInfo
from wmbackup.item import ATTRIBUTES, MAX_SIZE
from wmbackup.license import License

# Few words in both cases, so that twins, folders of others' names and devices are drawn often.
_WORDS = st.sampled_from(
    [b"a", b"A", b"b", b"aB", b"Ab", b"a-b", b"a b", b"con", b"item-1", b"a.", b"\xff", b"c?"]
)
_RARE = st.binary(min_size=1, max_size=6).filter(
    lambda word: b"/" not in word and b"\0" not in word and word not in {b".", b".."}
)
paths = st.lists(_WORDS | _WORDS | _WORDS | _RARE, min_size=1, max_size=4).map(b"/".join)
path_sets = st.sets(paths, min_size=1, max_size=12)

attributes = st.sets(st.sampled_from(ATTRIBUTES)).map(
    lambda chosen: tuple(name for name in ATTRIBUTES if name in chosen)
)
numbers = st.integers(-MAX_NUMBER, MAX_NUMBER)
times = st.integers(-(2**62), 2**62) | st.integers(-(10**10), 10**10)
texts = st.text(max_size=20)
maybe = st.none() | texts
kinds = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)


def licenses(*, withheld: bool = False) -> st.SearchStrategy[License]:
    """Draw licenses without a path."""
    return st.builds(
        License,
        kind=kinds,
        kid=maybe,
        lid=maybe,
        issued=maybe,
        begins=maybe,
        expires=maybe,
        rights=st.dictionaries(texts, st.booleans() | numbers | texts, max_size=3),
        attributes=st.dictionaries(texts, texts, max_size=3),
        withheld=st.booleans() if withheld else st.just(value=False),
        path=st.none(),
    )


file_rows = st.builds(FileRow, st.integers(0, MAX_SIZE), times, st.none() | paths, attributes)


@st.composite
def files(draw: st.DrawFn) -> list[File]:
    """Draw some files of one store."""
    sizes = st.sampled_from([0, 1, 511, 512, 513]) | st.integers(0, 3000)
    found = []
    for path in sorted(draw(path_sets)):
        seed = draw(st.integers(0, 255))
        data = bytes((seed + at) % 256 for at in range(draw(sizes)))
        known = tuple(draw(st.lists(licenses(), max_size=2)))
        found.append(File(path, data, draw(times), draw(attributes), known))
    return found


# Texts, undecodable bytes as os.fsdecode gives them, and much of what is escaped.
values = st.one_of(
    st.text(min_size=1, max_size=20),
    st.binary(min_size=1, max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.text("% \n\x7f\x85\u202e\udc80:aA", min_size=1, max_size=8),
)
hex_ids = st.text("0123456789abcdef", min_size=32, max_size=32)
counts = st.integers(0, MAX_NUMBER)
labels = st.from_regex(r"X-[A-Za-z0-9-]{1,20}", fullmatch=True)
_plain_infos = st.builds(
    BagInfo,
    archive_id=hex_ids,
    created=st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0)),
    host=values,
    store_kind=kinds,
    store=values,
    signer=st.text("aZ0+/", min_size=43, max_size=43).map("SHA256:".__add__),
    withheld=counts,
    skipped=counts,
    octets=counts,
    files=counts,
    agent=values,
    machine=st.none() | values,
    recipients=st.none() | values,
    other=st.dictionaries(labels, values, max_size=3).map(
        lambda found: tuple(sorted(found.items()))
    ),
)
_previous = st.none() | hex_ids.map(lambda half: half + half)
_links = st.none() | st.tuples(hex_ids, st.integers(1, MAX_NUMBER), _previous)
infos = st.builds(
    lambda info, link: (
        info if link is None else replace(info, chain=link[0], sequence=link[1], previous=link[2])
    ),
    _plain_infos,
    _links,
)
_FROM, _TO = datetime(1971, 1, 1), datetime(2037, 12, 31)  # noqa: DTZ001 - hypothesis adds the zone
moments = st.datetimes(_FROM, _TO, timezones=st.just(UTC))


@st.composite
def mutated(draw: st.DrawFn, text: bytes) -> bytes:
    """Draw a text that differs in a place or two: bytes changed, added, removed, doubled."""
    found = bytearray(text)
    pieces = [b"\n", b" ", b",", b'"', b"0", b"%41", b"\\u0041", b"a:", b"-", b"\0"]
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(found)))
        end = draw(st.integers(at, min(len(found), at + draw(st.sampled_from([1, 1, 3, 80])))))
        doubled = st.just(bytes(found[at:end]) * 2)
        found[at:end] = draw(st.binary(max_size=3) | st.sampled_from(pieces) | doubled)
    return bytes(found)
