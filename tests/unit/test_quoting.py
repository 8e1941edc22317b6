"""Text of others amid our own words."""

from __future__ import annotations

import pytest

from wmbackup.quoting import elided, quoted


@pytest.mark.parametrize("text", ["vm", "wmbackup@host-2", "C:\\x", "/a/b.c", "[::1]"[1:4], "a+b"])
def test_a_plain_word_stays_as_it_is(text: str) -> None:
    assert quoted(text) == (text if text[0] != ":" else f'"{text}"')


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("vm by wmbackup@boss", '"vm by wmbackup@boss"'),
        ('vm" by "boss', '"vm\\" by \\"boss"'),
        ("a\\ b", '"a\\\\ b"'),
        ("", '""'),
        ("ok, restored", '"ok, restored"'),
        ("caf\u00e9", '"caf\u00e9"'),
        (" vm", '" vm"'),
        ("-f", '"-f"'),
        ("vm)", '"vm)"'),
    ],
)
def test_all_else_is_in_quotes_that_cannot_be_closed_from_inside(text: str, shown: str) -> None:
    assert quoted(text) == shown


@pytest.mark.parametrize("length", [119, 120, 121, 500, 65536])
def test_long_text_is_bounded_and_keeps_its_ends(length: int) -> None:
    text = "a" + "x" * (length - 2) + "z"
    short = elided(text)
    assert len(short) == min(length, 120)
    assert (short[0], short[-1]) == ("a", "z")
    assert ("\u2026" in short) is (length > 120)
    assert len(quoted(text + " ")) <= 122
