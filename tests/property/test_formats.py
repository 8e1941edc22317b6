"""No input makes a parser hang, raise, blow up, or yield what a row of an archive refuses."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable, Iterable
from xml.parsers.expat import ExpatError

import make
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from wmbackup.archive.row_codec import MAX_LINE, license_row, parse_license_row
from wmbackup.formats import forbids_backup, recognize, recognize_file, xml
from wmbackup.formats.media import Title, read_title
from wmbackup.formats.text import clean, date, identifier
from wmbackup.license import License

FILES = [
    *make.everything().values(),
    make.asf(make.content_encryption(), make.extended_encryption(make.wrmheader("2.0.0.0"))),
    make.compound({"A": make.v7().encode(), "B": make.v7().encode("utf-16-be")}, sector=4096),
    make.v7(data='<ONACTION type="Play"><CONDITION>x</CONDITION></ONACTION>').encode("utf-16"),
]
NAMES = st.sampled_from([b"a.lic", b"drmv2.lic", b"drmv2lic.bak", b"mspr.hds", b"x.sec", b""])


def check(name: bytes, data: bytes) -> None:
    found = recognize(name, data)
    assert recognize_file(name, io.BytesIO(data), len(data)) == found
    title = read_title(io.BytesIO(data))
    check_licenses(found)
    check_title(title)


def check_licenses(found: Iterable[License]) -> None:
    for license_ in found:
        line = license_row(license_, b"data/" + b"n" * 250)
        read, _member = parse_license_row(line)  # refuses surrogates and what is not canonical
        assert read == license_
        assert len(line) <= MAX_LINE
        assert forbids_backup(license_) in (False, True)
        check_texts([*license_.attributes.values(), *license_.attributes, *license_.rights])
        check_texts([license_.kid, license_.lid, license_.issued, license_.expires])


def check_title(title: Title | None) -> None:
    if title is not None:
        check_texts([*title.kids, title.title, title.artist, title.distributor])
        check_texts([title.acquisition_url])


def check_texts(texts: Iterable[str | None]) -> None:
    for text in texts:
        if text is not None:
            text.encode("utf-8")
            assert not any(
                (ord(character) < 32 and character not in "\t\r\n") or 127 <= ord(character) < 160
                for character in text
            )


@given(NAMES, st.binary(max_size=4096))
@example(b"", b"")
def test_any_bytes(name: bytes, data: bytes) -> None:
    check(name, data)


@given(NAMES, st.sampled_from(FILES), st.data())
def test_truncations(name: bytes, file: bytes, data: st.DataObject) -> None:
    check(name, file[: data.draw(st.integers(0, len(file)))])


@settings(max_examples=300)
@given(NAMES, st.sampled_from(FILES), st.data())
def test_flipped_bits(name: bytes, file: bytes, data: st.DataObject) -> None:
    flips = data.draw(
        st.lists(st.tuples(st.integers(0, len(file) - 1), st.integers(0, 7)), max_size=8)
    )
    changed = bytearray(file)
    for place, bit in flips:
        changed[place] ^= 1 << bit
    check(name, bytes(changed))


@settings(max_examples=300)
@given(NAMES, st.sampled_from(FILES), st.binary(max_size=64), st.data())
def test_spliced_bytes(name: bytes, file: bytes, new: bytes, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(file)))
    end = data.draw(st.integers(begin, min(len(file), begin + 64)))
    check(name, file[:begin] + new + file[end:])


@given(
    st.lists(
        st.sampled_from(
            [
                *("<LICENSE", '<LICENSE version="2.0.0.0">', "</LICENSE>", "<LICENSERESPONSE>"),
                *("<KID>", "</KID>", "<META>", "</META>", "<!--", "-->", "<![CDATA[", "]]>"),
                *("&a;", "&", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "<ONACTION type='Play'>", "/>"),
                *("<LICENSORINFO>", "</LICENSORINFO>", "\ud800", "\x00", "\x1b", "#20040506Z#"),
                *("<WRMHEADER version='4.0.0.0'>", "</WRMHEADER>", "text", " ", "\ufffe"),
            ]
        ),
        max_size=40,
    ),
    st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]),
)
def test_pieces_of_xml(pieces: list[str], encoding: str) -> None:
    data = "".join(pieces).encode(encoding, "surrogatepass")
    check(b"a.lic", data)
    check(b"drmv2lic.bak", data)


@settings(max_examples=500)
@given(
    st.lists(
        st.sampled_from(
            [
                *("<k>", "</k>", "<k/>", "<k a='>'>", "</k >", "<k a='1'/>", "<j>", "</j>", "<kk>"),
                *("</kk>", "<b>", "</b>", "1", "<!--", "-->", "<![CDATA[", "]]>", "<?k", "?>", "&"),
            ]
        ),
        max_size=12,
    )
)
def test_emptying_opaque_elements_changes_nothing(pieces: list[str]) -> None:
    text = f"<a>{''.join(pieces)}</a>"
    opaque = frozenset({"k", "j"})
    try:
        expected = xml._parse(text, opaque)
    except ExpatError:
        return
    assert xml.elements(text, opaque) == expected


@given(st.text(st.characters(), max_size=2000), st.sampled_from(["utf-8", "utf-16-le"]))
def test_any_text_where_a_title_stands(text: str, encoding: str) -> None:
    xml = make.v7("@", lid="@", meta={"Title": "@", "Author": f"<![CDATA[{text}]]>"})
    check(b"a", xml.replace("@", text).encode(encoding, "surrogatepass"))


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=100))
def test_any_text_in_a_media_file(kid: str, url: str, title: str) -> None:
    assume("\0" not in kid)
    data = make.asf(make.content_description(title, url), make.content_encryption(kid, url))
    found = read_title(io.BytesIO(data))
    check_title(found)
    assert found is None or found.kids == (identifier(kid),)


@given(st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=60)), max_size=5), st.binary())
def test_playready_records(records: list[tuple[int, bytes]], tail: bytes) -> None:
    data = make.playready(*records)
    check(b"x", data)
    check(b"x", data + tail)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1)), max_size=12))
def test_compound_files_with_any_tables(words: list[tuple[int, int]]) -> None:
    data = bytearray(make.compound({"A": make.v7().encode(), "B": bytes(5000), "C": bytes(99)}))
    for index, value in words:  # header, FAT and directory are the first 1,536 bytes
        near = value % 40 if value % 3 else value
        struct.pack_into("<I", data, 24 + 4 * index, near)
    check(b"drmv2.lic", bytes(data))


def bomb(levels: int) -> str:
    entities = "".join(
        f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, levels)
    )
    return f'<!DOCTYPE LICENSE [<!ENTITY e0 "ha">{entities}]>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_entity_bombs(encoding: str) -> None:
    body = make.v7(meta={"Title": "&e30;"})
    check(b"a", (bomb(31) + body).encode(encoding))
    check(b"a", body.replace("<DATA>", bomb(31) + "<DATA>").encode(encoding))
    check(b"a", (bomb(31) + make.wrmheader(more="<Title>&e30;</Title>")).encode(encoding))
    assert recognize(b"a", (bomb(31) + make.wrmheader()).encode(encoding)) == ()


def calls(work: Callable[[], object]) -> int:
    """Count the calls of a piece of work: how fast the machine is does not matter."""
    count = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("odd", ["<a/>" * 4000, "&" * 200_000])
def test_the_work_for_a_file_full_of_oddities_grows_with_its_size(odd: str) -> None:
    def work(times: int) -> Callable[[], object]:
        data = make.v7(data=odd).encode() * times

        def recognized() -> None:
            assert len(recognize_file(b"drmv2.lic", io.BytesIO(data), len(data))) == times

        return recognized

    work(1)()  # what is loaded once
    assert calls(work(8)) < 2.3 * calls(work(4))


@pytest.mark.parametrize("depth", [31, 33, 1000, 100_000])
def test_deep_nesting(depth: int) -> None:
    check(b"a", make.v7(data="<a>" * depth + "</a>" * depth).encode())
    check(b"a", make.wrmheader(more="<a>" * depth + "</a>" * depth).encode())
    check(b"a", (make.response() * 2).encode() * (depth // 100))
    check(b"a", b"<LICENSE " * depth)


@given(st.text(st.characters(), max_size=3000))
def test_clean_text_is_clean(text: str) -> None:
    check_texts([clean(text), date(text), identifier(text)])
    assert len(clean(text)) <= 1024
