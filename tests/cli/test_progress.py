from __future__ import annotations

import io
import re
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest

from wmbackup.cli.render import screen
from wmbackup.cli.render.messages import duration
from wmbackup.cli.render.progress import Bar, Counter
from wmbackup.cli.render.terminal import Terminal
from wmbackup.cli.session import Common, Session
from wmbackup.engine import Listing, Row
from wmbackup.item import Item
from wmbackup.status import ItemEvent, Phase, PhaseEvent, SkipEvent, Status, StatusEvent

COLORS = re.compile(r"\x1b\[([0-9;]+)m")
STEPS = (Phase.PLANNING, Phase.READING, Phase.SEALING, Phase.READING_BACK)


class FakeTerminal(io.StringIO):
    """A stream that is a terminal, and counts what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self.writes += 1
        return super().write(text)


def terminal(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    """Put both streams on one terminal of 80 columns; not in a fixture, which pytest would undo."""
    stream = FakeTerminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    return stream


@pytest.fixture
def threadless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grant no thread."""

    def refuse(_self: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_a_search_counts_folders_of_which_nothing_is_read() -> None:
    counter = Counter(STEPS)
    counter.see(PhaseEvent(Phase.SEARCHING))
    counter.see(ItemEvent(b"", 1300, 0))
    assert counter.line() == "searching, 1,300 folders"


def test_the_remaining_time_is_told_once_there_is_something_to_tell_it_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr("wmbackup.cli.render.progress.time.monotonic", lambda: now[0])
    counter = Counter()
    counter.see(PhaseEvent(Phase.READING, items=1000))
    now[0] += 4.0
    counter.see(ItemEvent(b"a", 1, 100_000_000))  # one large file says nothing of the others
    assert counter.remaining() == ""
    counter.see(ItemEvent(b"b", 10, 10))
    assert counter.remaining() == "6:36 left"
    counter.see(ItemEvent(b"c", 1000, 10))
    assert counter.remaining() == ""


def counted(*events: ItemEvent | PhaseEvent | StatusEvent) -> Counter:
    counter = Counter(STEPS)
    for event in events:
        counter.see(event)
    return counter


def test_what_is_counted_is_what_is_done() -> None:
    """Sealing writes bytes: no file is done while it lasts, and none is counted."""
    counter = counted(PhaseEvent(Phase.READING, items=1), ItemEvent(b"a", 1, 10))
    assert counter.title() == "step 2 of 4: reading"
    assert counter.title(is_short=True) == "2/4 reading"
    assert (counter.counts(), counter.amount()) == ("1 of 1 file", "10 B")
    counter.see(PhaseEvent(Phase.SEALING, size=4096))
    assert (counter.counts(), counter.fraction) == ("", None)
    counter.see(ItemEvent(b"", 0, 1024))
    assert (counter.counts(), counter.amount()) == ("", "1.0 KiB of 4.0 KiB")
    assert counter.fraction == 0.25


def test_steps_are_told_where_they_are_known() -> None:
    counter = Counter()
    counter.see(PhaseEvent(Phase.READING))
    assert counter.title() == counter.title(is_short=True) == "reading"
    assert counted(PhaseEvent(Phase.VERIFYING)).title() == "verifying"


def drawn(tty: FakeTerminal, counter: Counter) -> list[str]:
    bar = Bar(counter, color=True)
    bar.draw()
    text = tty.getvalue()
    bar.close()
    return text.split("\n")


def test_the_bar_of_one_file_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = terminal(monkeypatch)
    many = (PhaseEvent(Phase.READING, items=5), ItemEvent(b"a", 1, 10))
    one = (PhaseEvent(Phase.READING, items=1), ItemEvent(b"a", 1, 10))
    assert len(drawn(tty, counted(*many))) == 2
    tty.seek(0)
    tty.truncate()
    assert len(drawn(tty, counted(*one))) == 1


def test_the_bar_has_no_color_of_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = terminal(monkeypatch)
    counter = counted(PhaseEvent(Phase.SEALING, size=4), ItemEvent(b"", 0, 2))
    colors = set(COLORS.findall("\n".join(drawn(tty, counter))))
    assert "36" in colors
    assert not [color for color in colors if "31" in color.split(";") or "38;2" in color]


def test_the_last_status_stays_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = terminal(monkeypatch)
    output = Terminal(Session(Common(color="never")))
    output.event(StatusEvent(Status.BACKUPRESTORE_BEGIN))
    output.event(PhaseEvent(Phase.READING, items=4))
    output.result(None)  # the bar goes
    tty.seek(0)
    tty.truncate()
    output.event(PhaseEvent(Phase.SEALING, size=4))
    assert "WMT_BACKUPRESTORE_BEGIN" in tty.getvalue()
    output.finish(0)  # type: ignore[arg-type] # it only decides on what is not there


ROWS = 400


def rows() -> Iterator[Row]:
    for number in range(ROWS):
        yield Row(Item(b"f%d" % number, 1, 0), None)


def written(tty: FakeTerminal, *, progress: bool, skips: bool) -> int:
    """Return how often the terminal was written to for a run with many rows."""
    output = Terminal(Session(Common(color="never", progress=progress)))
    before = tty.writes
    output.event(PhaseEvent(Phase.READING, items=ROWS))
    inventory = Listing(None, (), iter(()), "folder")

    def events() -> Iterator[Row]:
        for number, row in enumerate(rows(), 1):
            output.event(ItemEvent(b"", number, 1))
            if skips:
                output.event(SkipEvent(b"f", "a symbolic link, which is never followed"))
            else:
                yield row

    output.rows(inventory, events(), long=False)
    output.result(None)
    return tty.writes - before


@pytest.mark.usefixtures("threadless")
@pytest.mark.parametrize("skips", [False, True])
def test_a_row_costs_no_drawing_of_the_bar(monkeypatch: pytest.MonkeyPatch, *, skips: bool) -> None:
    """What is drawn and taken away depends on time, not on how many rows there are."""
    tty = terminal(monkeypatch)
    monkeypatch.setattr("wmbackup.cli.render.progress.time.monotonic", lambda: 1000.0)
    with_bar = written(tty, progress=True, skips=skips)
    without = written(tty, progress=False, skips=skips)
    assert without >= ROWS
    assert with_bar < without + 20
    clock = iter(range(10**9))
    monkeypatch.setattr("wmbackup.cli.render.progress.time.monotonic", lambda: float(next(clock)))
    assert written(tty, progress=True, skips=skips) > without + 20  # as time goes by


@pytest.mark.usefixtures("threadless")
def test_a_bar_without_a_thread_is_drawn_when_there_is_something_to_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tty = terminal(monkeypatch)
    now = [1000.0]
    monkeypatch.setattr("wmbackup.cli.render.progress.time.monotonic", lambda: now[0])
    output = Terminal(Session(Common(color="never")))
    output.event(PhaseEvent(Phase.READING, items=4))
    for index in range(1, 5):
        now[0] += 1
        output.event(ItemEvent(b"a", index, 1))
        assert f"{index} of 4 files" in tty.getvalue()
    output.result(None)


def test_a_bar_with_a_thread_moves_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = terminal(monkeypatch)
    counter = counted(PhaseEvent(Phase.READING, items=4))
    bar = Bar(counter, color=False)
    counter.see(ItemEvent(b"a", 3, 1))
    until = time.monotonic() + 60
    while "3 of 4 files" not in tty.getvalue() and time.monotonic() < until:
        time.sleep(0.01)
    bar.close()
    length = len(tty.getvalue())
    bar.draw()  # comes too late
    assert len(tty.getvalue()) == length
    assert "3 of 4 files" in tty.getvalue()


@pytest.mark.parametrize(("told", "expected"), [("1", 20), ("99999999", 500), ("0", 80), ("x", 80)])
def test_the_width_has_bounds(monkeypatch: pytest.MonkeyPatch, told: str, expected: int) -> None:
    monkeypatch.setenv("COLUMNS", told)
    assert screen.width(io.StringIO()) == expected


def test_a_terminal_too_narrow_gets_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "19")
    assert drawn(tty, counted(PhaseEvent(Phase.READING, items=4))) == [""]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.0, "0.0 s"), (0.449, "0.4 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s")),
        *((185.2, "3 min 5 s"), (3599.7, "1 h 0 min"), (3720.0, "1 h 2 min")),
    ],
)
def test_a_duration_is_told_in_the_units_that_fit(seconds: float, text: str) -> None:
    assert duration(seconds) == text
