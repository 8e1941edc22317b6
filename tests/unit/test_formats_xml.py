from __future__ import annotations

import time

import make
import pytest

from wmbackup.formats import recognize
from wmbackup.formats.xml import MAX_XML, NotWellFormed, elements


def test_elements_in_the_order_of_their_end_tags() -> None:
    assert elements('<a x="1">lost<p:b>t&lt;</p:b><c/>lost</a>') == [
        (("a", "b"), {}, "t<"),
        (("a", "c"), {}, ""),
        (("a",), {"x": "1"}, ""),
    ]


def test_opaque_elements_are_left_out_with_all_inside() -> None:
    found = elements("<a><k><k>1</k><b>2</b></k><b>3</b></a>", frozenset({"k"}))
    assert found == [(("a", "b"), {}, "3"), (("a",), {}, "")]


@pytest.mark.parametrize(
    "inside",
    [
        "<k>1</k><b>2</b>",
        "<k a='1'>1</k ><b>2</b><k>3</k>",
        '<k a="1>"/><b>2</b><k>3</k>',
        '<k a="1" /><b>2</b><k>3</k>',
        "<k/><b>2</b><k><k/></k>",
        "<kk><b>2</b></kk>",
        "<k><k>1</k></k><b>2</b><k>3</k>",
        "<!-- <k> --><b>2</b><k>3</k>",
        "<!-- <k> --><b>2</b><!-- </k> -->",
        "<![CDATA[<k>]]><b>2</b><![CDATA[</k>]]>",
        "<k><!-- </k> --><b>1</b></k><b>2</b>",
        "<k><![CDATA[<k>]]><b>1</b></k><b>2</b>",
        "<?k <k>?><b>2</b><k>3</k>",
        "<p:k><b>1</b></p:k><b>2</b><k>3</k>",
    ],
)
def test_what_stands_beside_an_opaque_element_is_read(inside: str) -> None:
    found = elements(f"<a>{inside}</a>", frozenset({"k"}))
    assert [text for path, _attributes, text in found if path[-1] == "b"] == ["2"]


@pytest.mark.parametrize("inside", ["<k>", "<k><b>2</b>", "</k>", "<k></k></k>", "<k a=1></k>"])
def test_an_opaque_element_is_no_place_for_a_fault(inside: str) -> None:
    with pytest.raises(NotWellFormed):
        elements(f"<a>{inside}</a>", frozenset({"k"}))


@pytest.mark.parametrize("tags", ["<k>", "<k><j>", "<k ", "<k" + " " * 99, '<k a="b"', "<k></k>"])
def test_opaque_elements_without_end_take_no_square_of_time(tags: str) -> None:

    def took(size: int) -> float:
        text = "<a>" + tags * (size // len(tags) - 1)
        best = []
        for _ in range(3):
            begin = time.process_time()
            with pytest.raises(NotWellFormed):
                elements(text, frozenset({"k", "j"}))
            best.append(time.process_time() - begin)
        return min(best)

    # Eight times as much takes 8 times as long, and 64 times where it is a square.
    assert took(MAX_XML) < 40 * max(took(MAX_XML // 8), 0.002)


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE a><a/>",
        '<!DOCTYPE a SYSTEM "https://example.com/a.dtd"><a/>',
        '<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>',
        "<a>&#0;</a>",
        "<a>",
        "",
        "<a/>" + " " * MAX_XML,
        "<a>" * 33 + "</a>" * 33,
        f"<a>{'<b/>' * 1024}</a>",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(NotWellFormed):
        elements(text)


def test_what_stands_just_within_the_bounds() -> None:
    assert len(elements("<a>" * 32 + "</a>" * 32)) == 32
    assert len(elements(f"<a>{'<b/>' * 1023}</a>")) == 1024
    assert elements("<a>" + "x" * (MAX_XML - 7) + "</a>")


def test_a_header_with_a_declaration_is_nothing() -> None:
    text = "<!DOCTYPE a [<!ENTITY b 'b'>]>" + make.wrmheader(more="<Title>&b;</Title>")
    assert recognize(b"a", text.encode()) == ()
