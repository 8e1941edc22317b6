"""The progress bar: step, phase, status, counts, bytes of all bytes, rate and remaining time."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from wmbackup import limits
from wmbackup.cli.render.sanitize import count, size
from wmbackup.cli.render.screen import NARROWEST, columns, width
from wmbackup.status import ItemEvent, Phase, PhaseEvent, StatusEvent

_EVERY = 0.125  # seconds between two drawings
_LINES = 2
_TELLING = 0.01  # of a phase, before which the time it takes is anybody's guess
_NARROW, _MIDDLE, _WIDE = 50, 70, 100  # columns below which parts are left out
_COLOR = "cyan"


class Counter:
    """What has been done of a phase. Written by the operation's thread, read by the screen's."""

    def __init__(self, steps: Sequence[Phase] = ()) -> None:
        """Begin with nothing; ``steps`` are the phases to come, where that is known."""
        self._steps = list(steps)
        self._step = 0  # from 1, where it is known
        self.phase = "starting"
        self.status = ""
        self.index = 0
        self.items: int | None = None
        self.done = 0
        self.size: int | None = None
        self.since = time.monotonic()

    def see(self, event: ItemEvent | PhaseEvent | StatusEvent) -> None:
        """Count an event."""
        if isinstance(event, ItemEvent):
            self.index = event.index
            self.done += event.size
        elif isinstance(event, StatusEvent):
            self.status = event.status.documented_name
        else:
            self.phase, self.items, self.size = event.phase.value, event.items, event.size
            is_step = len(self._steps) > 1 and event.phase in self._steps
            self._step = self._steps.index(event.phase) + 1 if is_step else 0
            self.index = self.done = 0
            self.since = time.monotonic()

    def title(self, *, is_short: bool = False) -> str:
        """Return ``step 2 of 4: reading``, or in short ``2/4 reading``."""
        if not self._step:
            return self.phase
        steps = len(self._steps)
        here = f"{self._step}/{steps}" if is_short else f"step {self._step} of {steps}:"
        return f"{here} {self.phase}"

    @property
    def fraction(self) -> float | None:
        """Return how much is done, from 0 to 1; None where that is not known."""
        if self.size and self.done:
            return min(1.0, self.done / self.size)
        if self.items and self.index:
            return min(1.0, self.index / self.items)
        return None

    def counts(self) -> str:
        """Return ``5,400 of 12,000 files``; nothing where no files are counted."""
        if not self.index:
            return ""
        if self.items is None:
            return count(self.index, "folder" if self._is_search else "file")
        return f"{min(self.index, self.items):,} of {count(self.items, 'file')}"

    def amount(self) -> str:
        """Return ``1.2 GiB of 5.4 GiB``, or ``1.2 GiB`` where the total is not known."""
        if self._is_search:
            return ""  # of which nothing is read
        if not self.size:
            return size(self.done)
        return f"{size(min(self.done, self.size))} of {size(self.size)}"

    def rate(self) -> str:
        """Return ``10.2 MiB/s``."""
        elapsed = time.monotonic() - self.since
        is_known = elapsed > 0 and not self._is_search
        return f"{size(int(self.done / elapsed))}/s" if is_known else ""

    @property
    def _is_search(self) -> bool:
        return self.phase == Phase.SEARCHING.value

    def remaining(self) -> str:
        """Return ``0:12 left``, where it can be told."""
        fraction, elapsed = self.fraction, time.monotonic() - self.since
        if fraction is None or not _TELLING <= fraction < 1:
            return ""
        minutes, seconds = divmod(round(elapsed * (1 - fraction) / fraction), 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
        return f"{clock} left"

    def line(self) -> str:
        """Return all of it in one plain line, for a log."""
        fraction = self.fraction
        percent = "" if fraction is None else f"{fraction:.0%}"
        parts = (self.title(), percent, self.counts(), self.amount(), self.rate())
        return ", ".join(part for part in (*parts, self.remaining(), self.status) if part)


class Bar:
    """The bar on a terminal.

    It is drawn now and then, on a thread of its own or, where the system grants none, when there is
    something to count. What is written between two drawings takes it away first, once: a
    thousand lines cost no more than without it.
    """

    def __init__(self, counter: Counter, *, color: bool) -> None:
        """Draw what the counter says, from now on."""
        self._counter = counter
        self._console = Console(stderr=True, no_color=not color, highlight=False, markup=False)
        self._live: Live | None = None
        self._drawn = float("-inf")
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        if limits.has_room_for_threads():
            thread = threading.Thread(target=self._go_on, daemon=True)
            with contextlib.suppress(RuntimeError):
                limits.start_deaf(thread)
                self._thread = thread

    def _go_on(self) -> None:
        while not self._closed.wait(_EVERY):
            self.draw()

    def tick(self) -> None:
        """Draw it where that is due and nobody else does."""
        if self._thread is None and time.monotonic() - self._drawn >= _EVERY:
            self.draw()

    def draw(self) -> None:
        """Draw it."""
        with self._lock:
            if self._closed.is_set() or columns(sys.stderr) < NARROWEST:
                return
            self._console.size = (width(sys.stderr), _LINES + 1)
            if self._live is None:
                # One that is started again would take away as many lines as it last had drawn,
                # which are by then those that were written above it.
                self._live = Live(
                    console=self._console,
                    get_renderable=self._render,
                    auto_refresh=False,
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                self._live.start()
            self._live.refresh()
            self._drawn = time.monotonic()

    def close(self) -> None:
        """Take it away for good."""
        self._closed.set()
        self._hide()
        if self._thread is not None:
            self._thread.join(1)  # it only has to wake up

    def _hide(self) -> None:
        with self._lock:
            live, self._live = self._live, None
            if live is not None:
                live.stop()

    def above(self, write: Callable[[], None]) -> None:
        """Write something where the bar is; it is drawn below when it is due."""
        with self._lock:
            self._hide()
            write()

    def _render(self) -> RenderableType:
        counter, width = self._counter, self._console.width
        title = counter.title(is_short=width < _NARROW)
        first = Text(title, style="bold", no_wrap=True, overflow="ellipsis")
        is_single = counter.items == 1
        if counter.status and not (is_single and width < _WIDE):
            first.append(f"  {counter.status}", style="dim")
        if is_single:
            return self._grid(width, first)  # all that there is to say of one file fits
        counts = counter.counts()
        if counts and width >= _NARROW:
            first.truncate(max(1, width - len(counts) - 2), overflow="ellipsis", pad=True)
            first.append("  " + counts)
        return Group(first, self._grid(width))

    def _grid(self, width: int, *before: Text) -> RenderableType:
        counter = self._counter
        fraction = counter.fraction
        grid = Table.grid(padding=(0, 1), expand=True)
        for _ in before:
            grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        bar = ProgressBar(
            total=1.0 if fraction is not None else None,
            completed=fraction or 0.0,
            complete_style=_COLOR,
            finished_style=_COLOR,
            pulse_style=_COLOR,
        )
        cells: list[RenderableType] = [*before, bar]
        texts = ["" if fraction is None else f"{fraction:4.0%}", counter.amount()]
        if width >= _MIDDLE:
            texts.append(counter.rate())
        if width >= _NARROW:
            texts.append(counter.remaining())
        for text in texts:
            grid.add_column(justify="right", no_wrap=True)
            cells.append(Text(text))
        grid.add_row(*cells)
        return grid
