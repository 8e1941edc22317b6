"""The line of a series, whatever the clocks, the names and the order of the folder were."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.archives import info
from wmbackup.engine._folder import Found, Head, Kind
from wmbackup.engine._line import Line, Member, lines_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = st.integers(0, 4000)


def archive(
    name: str, days_ago: float, chain: str | None, sequence: int | None, previous: str | None
) -> Member:
    """Return an archive of one series; its signed hash is that of its name."""
    label = info(
        created=NOW - timedelta(days=days_ago), chain=chain, sequence=sequence, previous=previous
    )
    signed = hashlib.sha256(name.encode()).hexdigest()
    head = Head(label, ("p",), "p", b"", signed)
    return Member(Found(name, Kind.FILE, 1, head), head)


def chained(days: list[int], letter: str = "a", previous: str | None = None) -> list[Member]:
    """Return a chain whose archives were signed so many days ago, in the order of their numbers."""
    made: list[Member] = []
    for number, ago in enumerate(days, 1):
        one = archive(f"{letter}{number}", ago, letter * 32, number, previous)
        previous = one.head.signed
        made.append(one)
    return made


def line_of(members: list[Member], *, complete: bool = False) -> Line:
    (line,) = lines_of([one.found for one in members], NOW, complete=complete)
    return line


def reasons(line: Line) -> set[str | None]:
    return {one.reason for one in line.problems}


@given(st.lists(DAYS, min_size=1, max_size=8), st.data())
def test_numbers_go_before_clocks(days: list[int], data: st.DataObject) -> None:
    made = chained(days)
    line = line_of(data.draw(st.permutations(made)), complete=True)
    assert list(line.members) == made
    assert reasons(line) == set()
    assert line.gaps == 0


@given(st.lists(DAYS, min_size=1, max_size=5), st.lists(DAYS, min_size=1, max_size=5), st.data())
def test_a_chain_comes_after_the_one_that_it_names(
    first: list[int], second: list[int], data: st.DataObject
) -> None:
    before = chained(first, "b")
    after = chained(second, "a", before[-1].head.signed)
    line = line_of(data.draw(st.permutations([*before, *after])), complete=True)
    assert list(line.members) == [*before, *after]
    assert reasons(line) == set()


@given(st.lists(DAYS, min_size=3, max_size=8), st.data())
def test_a_gap_is_counted_and_no_contradiction(days: list[int], data: st.DataObject) -> None:
    made = chained(days)
    gone = data.draw(st.sampled_from(made[:-1]))
    rest = [one for one in made if one is not gone]
    line = line_of(rest)
    assert (line.gaps, reasons(line)) == (1, set())
    assert reasons(line_of(rest, complete=True)) == {"incomplete"}


@given(st.lists(DAYS, min_size=2, max_size=8), st.data())
def test_an_archive_of_another_past_is_a_contradiction(
    days: list[int], data: st.DataObject
) -> None:
    made = chained(days)
    at = data.draw(st.integers(1, len(made) - 1))
    number = made[at].number
    forged = archive("forged", 1, "a" * 32, number, hashlib.sha256(b"another").hexdigest())
    replaced = [*made[:at], forged, *made[at + 1 :]]
    assert "contradicts" in reasons(line_of(replaced))
    assert "forked" in reasons(line_of([*made, forged]))


@given(st.lists(DAYS, min_size=1, max_size=5), st.integers(11, 10**6))
def test_one_from_the_future_is_never_the_newest(days: list[int], minutes: int) -> None:
    made = chained(days)
    ahead = archive("ahead", -minutes / 1440, "a" * 32, len(made) + 1, made[-1].head.signed)
    line = line_of([*made, ahead])
    assert reasons(line) == {"future"}
    assert line.newest == made[-1]


def test_chains_that_name_each_other_are_in_some_order() -> None:
    one = archive("b1", 1, "b" * 32, 1, hashlib.sha256(b"a1").hexdigest())
    other = archive("a1", 2, "a" * 32, 1, hashlib.sha256(b"b1").hexdigest())
    assert {member.found.path for member in line_of([one, other]).members} == {"a1", "b1"}


def test_archives_without_a_chain_are_in_the_order_of_their_times() -> None:
    made = [archive(name, days, None, None, None) for name, days in (("z", 3), ("a", 2), ("m", 1))]
    line = line_of(made[::-1], complete=True)
    assert list(line.members) == made
    assert reasons(line) == set()
