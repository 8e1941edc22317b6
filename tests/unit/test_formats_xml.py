from __future__ import annotations

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
        f"<a>{'<b/>' * 4096}</a>",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(NotWellFormed):
        elements(text)


def test_what_stands_just_within_the_bounds() -> None:
    assert len(elements("<a>" * 32 + "</a>" * 32)) == 32
    assert len(elements(f"<a>{'<b/>' * 4095}</a>")) == 4096
    assert elements("<a>" + "x" * (MAX_XML - 7) + "</a>")


def test_a_header_with_a_declaration_is_nothing() -> None:
    text = "<!DOCTYPE a [<!ENTITY b 'b'>]>" + make.wrmheader(more="<Title>&b;</Title>")
    assert recognize(b"a", text.encode()) == ()
