"""The progress bar: phase, status, counts, bytes, rate and remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from wmbackup.cli.hygiene import size
from wmbackup.status import ItemEvent, PhaseEvent, StatusEvent

_REFRESH = 8  # times a second
_TELLING = 0.01  # of a phase, before which the time it takes is anybody's guess
_NARROW, _MIDDLE = 50, 70  # columns below which parts are left out


class Counter:
    """What has been done of a phase. Written by the operation's thread, read by the screen's."""

    def __init__(self) -> None:
        """Begin with nothing."""
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
            self.index = self.done = 0
            self.since = time.monotonic()

    @property
    def fraction(self) -> float | None:
        """Return how much is done, from 0 to 1; None where that is not known."""
        if self.size:
            return min(1.0, self.done / self.size)
        if self.items:
            return min(1.0, self.index / self.items)
        return None

    def counts(self) -> str:
        """Return ``5,400 of 12,000 files``."""
        if self.items is None:
            return f"{self.index:,} files" if self.index else ""
        return f"{min(self.index, self.items):,} of {self.items:,} files"

    def rate(self) -> str:
        """Return ``10.2 MiB/s``."""
        elapsed = time.monotonic() - self.since
        return f"{size(int(self.done / elapsed))}/s" if elapsed > 0 else ""

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
        parts = (self.phase, percent, self.counts(), size(self.done), self.rate())
        return ", ".join(part for part in (*parts, self.remaining(), self.status) if part)


class Bar:
    """The bar on a terminal; it vanishes when it is left."""

    def __init__(self, counter: Counter, *, color: bool) -> None:
        """Draw what the counter says."""
        self._counter = counter
        self._console = Console(stderr=True, no_color=not color, highlight=False, markup=False)
        self._live = self._new()

    def _new(self) -> Live:
        # One that is started again would take away as many lines as it last had drawn, which
        # are by then those that were written above it.
        return Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=_REFRESH,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        """Show it."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take it away."""
        self._live.stop()

    def above(self, write: Callable[[], None]) -> None:
        """Write something above the bar."""
        self._live.stop()
        write()
        self._live = self._new()
        self._live.start()

    def _render(self) -> RenderableType:
        counter, width = self._counter, self._console.width
        first = Text(counter.phase, style="bold", no_wrap=True, overflow="ellipsis")
        if counter.status:
            first.append(f"  {counter.status}", style="dim")
        counts = counter.counts()
        if counts and width >= _NARROW:
            first.truncate(max(1, width - len(counts) - 2), overflow="ellipsis", pad=True)
            first.append("  " + counts)
        return Group(first, self._second(width))

    def _second(self, width: int) -> RenderableType:
        counter = self._counter
        fraction = counter.fraction
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(ratio=1)
        bar = ProgressBar(total=1.0 if fraction is not None else None, completed=fraction or 0.0)
        cells: list[RenderableType] = [bar]
        texts = ["" if fraction is None else f"{fraction:4.0%}", size(counter.done)]
        if width >= _MIDDLE:
            texts.append(counter.rate())
        if width >= _NARROW:
            texts.append(counter.remaining())
        for text in texts:
            grid.add_column(justify="right", no_wrap=True)
            cells.append(Text(text))
        grid.add_row(*cells)
        return grid
