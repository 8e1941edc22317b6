"""Rendering for people.

The rules of the terminal:

1. Standard output carries what was asked for and nothing else. Progress, notices, warnings,
   errors and questions go to standard error. Where standard output carries data, so does the
   summary line.
2. No progress bar, not one byte of it, unless standard error is a terminal; with ``--progress``
   a plain line now and then instead.
3. Colors are for terminals; ``NO_COLOR``, ``TERM=dumb`` and ``--color`` are heard.
4. Names come from stores and archives, and may be hostile: what is shown of them has gone
   through `wmbackup.cli.render.sanitize`, and nothing is parsed as markup.
5. ``--quiet`` leaves errors, warnings, and what was asked for.
6. An error reads ``wmbackup: error: …``, and the next step follows as ``hint: …``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from wmbackup.cli.console import takes_colors
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.differing import difference_legend, difference_lines
from wmbackup.cli.render.events import about, restricted, step_of
from wmbackup.cli.render.hints import hint_lines, of_warning
from wmbackup.cli.render.messages import affected_lines, key_line, plan_lines, summary_lines
from wmbackup.cli.render.output import (
    DEPRECATION,
    DEPRECATION_URL,
    CheckRow,
    Explanation,
    FolderListed,
    KeyRow,
    Listed,
    Result,
    Revoked,
    State,
    Surveyed,
)
from wmbackup.cli.render.row_texts import (
    AT_RISK_HINT,
    date,
    long_lines,
    plain_header,
    plain_lines,
    plain_row,
    risk_cells,
)
from wmbackup.cli.render.sanitize import is_plain_terminal, shown, visible
from wmbackup.cli.render.screen import width
from wmbackup.cli.render.table import Table, plain_columns
from wmbackup.cli.render.wrapping import wrapped, write_line
from wmbackup.cli.session import Session, is_terminal
from wmbackup.errors import ExitCode, WmbackupError
from wmbackup.quoting import elided
from wmbackup.status import (
    Event,
    ItemEvent,
    LeftOutEvent,
    PhaseEvent,
    SkipEvent,
    Status,
    StatusEvent,
    WarningEvent,
    WithheldEvent,
)

if TYPE_CHECKING:
    from wmbackup.archive.columns import Columns
    from wmbackup.cli.render.folder_values import FolderRow
    from wmbackup.cli.render.progress import Bar, Counter
    from wmbackup.engine import Differences, Listing, RestorePlan, Row

_LONGEST = 4000  # characters of a message
_NARROW = 60  # columns below which what `check` found stands below its name
_LOG_EVERY = 5.0  # seconds between two lines of progress in a log
_STYLES = {"error": "31;1", "warning": "33;1", "hint": "36", "ok": "32", "bold": "1", "dim": "2"}
_STATES = {State.OK: "ok", State.WARNING: "warning", State.FAILED: "error"}


class Terminal:
    """Text on standard output and standard error."""

    def __init__(self, session: Session) -> None:
        """Render for this session."""
        self._session = session
        self._common = session.common
        self._colored = {stream: self._wants_color(stream) for stream in (sys.stdout, sys.stderr)}
        self._on_terminal = is_terminal(sys.stdout)
        self._counter: Counter | None = None
        self._bar: Bar | None = None
        self._logged = time.monotonic()
        self._moving = self._common.progress is not False and not self._common.quiet
        self._on_screen = self._moving and is_terminal(sys.stderr)
        self._in_log = self._common.progress is True and not self._on_screen
        self._following = self._on_screen or self._in_log

    def _wants_color(self, stream: TextIO) -> bool:
        if self._common.color != "auto":
            return self._common.color == "always"
        return is_terminal(stream) and not is_plain_terminal() and takes_colors(stream)

    def _style(self, text: str, style: str, stream: TextIO) -> str:
        if not text or not self._colored[stream]:
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def _out(self, line: str) -> None:
        if self._bar is not None and self._on_terminal:
            self._bar.above(lambda: self._session.stdout.write(line))
        else:
            self._session.stdout.write(line)

    def _err(self, line: str) -> None:
        if self._bar is not None:
            self._bar.above(lambda: write_line(sys.stderr, line))
        else:
            write_line(sys.stderr, line)

    def _report(self, word: str, message: str, hint: str | None) -> None:
        label = self._style(f"{word}:", "error" if word == "error" else "warning", sys.stderr)
        text = wrapped(f"wmbackup: {word}: ", elided(visible(message), _LONGEST), sys.stderr)
        text = text.replace(f"{word}:", label, 1)
        if hint is not None:
            told = hint_lines(elided(visible(hint), _LONGEST), wrapped)
            text += "\n" + told.replace("hint:", self._style("hint:", "hint", sys.stderr), 1)
        self._err(text)

    def notice(self) -> None:
        """See `Output.notice`."""
        self._err(wrapped("wmbackup: notice: ", f"{DEPRECATION}: {DEPRECATION_URL}", sys.stderr))

    @property
    def follows_items(self) -> bool:
        """See `Output.follows_items`."""
        return self._following or self._common.verbose > 1

    def event(self, event: Event) -> None:
        """See `Output.event`."""
        self._session.record.event(event)
        if isinstance(event, (ItemEvent, PhaseEvent, StatusEvent)):
            if self._following:
                self._follow(event)
            self._tell(event)
        elif isinstance(event, SkipEvent):
            if not (self._common.quiet and self._session.accepts_skipped):
                self._report("skipped", about(event), None)
        elif isinstance(event, LeftOutEvent):
            if self._common.verbose:
                self._report("left out", about(event), None)
        elif isinstance(event, WithheldEvent):
            if not (self._common.quiet and self._session.accepts_restricted):
                self._report("restricted", restricted(event), None)
        elif isinstance(event, WarningEvent):
            step = of_warning(event, self._session.arguments)
            self._report("warning", event.message, step)

    def _tell(self, event: ItemEvent | PhaseEvent | StatusEvent) -> None:
        verbose = self._common.verbose
        if isinstance(event, ItemEvent):
            if verbose > 1 and event.path:
                self._err(shown(event.path))
        elif verbose or (isinstance(event, StatusEvent) and event.status is Status.ERROR_WITHURL):
            self._err(wrapped("", f"wmbackup: {step_of(event)}", sys.stderr))

    def _follow(self, event: ItemEvent | PhaseEvent | StatusEvent) -> None:
        counter = self._counter
        if counter is None:
            from wmbackup.cli.render.progress import Counter

            self._counter = counter = Counter(self._session.steps)
        counter.see(event)
        if self._on_screen:
            self._draw(counter, at_once=isinstance(event, PhaseEvent))
        elif time.monotonic() - self._logged >= _LOG_EVERY:
            self._logged = time.monotonic()
            write_line(sys.stderr, f"wmbackup: {counter.line()}")

    def _draw(self, counter: Counter, *, at_once: bool) -> None:
        if self._bar is None:
            from wmbackup.cli.render.progress import Bar

            self._bar = Bar(counter, color=self._colored[sys.stderr])
        if at_once:
            self._bar.draw()
        else:
            self._bar.tick()

    def _stand_still(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def error(self, error: WmbackupError) -> None:
        """See `Output.error`."""
        self._stand_still()
        hint = next_steps.of_error(error)
        self._session.record.error(error, hint)
        self._report("error", error.message, hint)

    def warning(self, code: str, message: str, hint: str | None = None) -> None:
        """See `Output.warning`."""
        self._session.record.warning(code, message, hint)
        self._report("warning", message, hint)

    def plan(self, plan: RestorePlan) -> None:
        """See `Output.plan`."""
        if not self._common.quiet:
            local = is_terminal(sys.stderr)
            for label, text in plan_lines(plan, everything=bool(self._common.verbose), local=local):
                self._err(wrapped(label, text, sys.stderr))

    def rows(
        self, inventory: Listing, rows: Iterable[Row], *, long: bool, columns: Sequence[str] = ()
    ) -> None:
        """See `Output.rows`."""
        local = self._on_terminal
        if long:
            for row in rows:
                self._out("\n".join(long_lines(row, local=local)))
        elif local:
            self._table(rows, columns)
        else:
            if columns and self._common.verbose:
                self._out("\t".join(columns))
            elif not columns:
                self._plain_header()
            made = plain_columns(columns) if columns else plain_row
            self._session.stdout.write_all(map(made, rows))

    @property
    def takes_batches(self) -> bool:
        """See `Output.takes_batches`: a table on the screen is made row by row."""
        return not self._on_terminal

    def batches(self, batches: Iterable[Columns | list[Row]]) -> None:
        """See `Output.batches`."""
        self._plain_header()
        for batch in batches:
            self._out("\n".join(plain_lines(batch)))

    def _plain_header(self) -> None:
        if self._common.verbose:
            self._out(plain_header())

    def _table(self, rows: Iterable[Row], columns: Sequence[str]) -> None:
        table = Table(width(sys.stdout), columns)
        is_begun = False
        for row in rows:
            if not is_begun:
                self._out(self._style(table.header, "bold", sys.stdout))
                is_begun = True
            line, style = table.line(row)
            self._out(line if style is None else self._style(line, style, sys.stdout))
        if table.legend is not None and not self._common.quiet:
            self._err(wrapped("", table.legend, sys.stderr))

    def at_risk(self, rows: Iterable[Row]) -> None:
        """See `Output.at_risk`."""
        local = self._on_terminal
        last = None
        for row in rows:
            cells = risk_cells(row, local=local)
            shop, address, title, kid, why = cells
            is_new, last = (shop, address) != last, (shop, address)
            if not local:
                self._out("\t".join(cells))
                continue
            if is_new:
                self._out(self._style(shop or "(no shop is named)", "bold", sys.stdout))
                if address:
                    self._out(f"  {address}")
            known_by = f"key ID {kid}"
            why += f" ({known_by})" if kid and title != known_by else ""
            self._out(wrapped("  - ", f"{title}: {why}", sys.stdout))
        if last is not None and not self._common.quiet:
            label = self._style("hint:", "hint", sys.stderr)
            told = wrapped("hint: ", AT_RISK_HINT, sys.stderr)
            self._err(told.replace("hint:", label, 1))

    def differences(self, differences: Differences, first: str, second: str) -> None:
        """See `Output.differences`."""
        self._stand_still()
        if differences and not self._common.quiet:
            self._err(wrapped("", difference_legend(first, second), sys.stderr))
        for line in difference_lines(differences):
            self._out(line)

    def check(self, row: CheckRow) -> None:
        """See `Output.check`."""
        state = self._style(row.state.value, _STATES[row.state], sys.stdout)
        label, before = f"{row.state.value:<8}{row.name + ':':<14} ", " " * 23
        if self._on_terminal and width(sys.stdout) < _NARROW:
            self._out(f"{state}{label[len(row.state.value) :].rstrip()}")
            label, before = "  ", "  "
        told = wrapped(label, visible(row.message), sys.stdout)
        self._out(told.replace(row.state.value, state, 1) if label.strip() else told)
        if row.remedy is not None:
            told = wrapped(f"{before}hint: ", visible(row.remedy), sys.stdout)
            self._out(told.replace("hint:", self._style("hint:", "hint", sys.stdout), 1))

    def keys(self, rows: Iterable[KeyRow]) -> None:
        """See `Output.keys`."""
        signing = False
        for row in rows:
            cells = (
                *(row.role, row.principal, row.fingerprint, row.valid_after, row.valid_before),
                *(row.public_key, row.path, row.state, row.revoked_in),
            )
            if row.role in {"signing", "identity"} and not self._on_terminal:
                self._out(key_line(row, below=signing))
                signing = signing or row.role == "signing"
                continue
            if not self._on_terminal:
                self._out("\t".join(visible(cell or "") for cell in cells))
                continue
            self._out(f"{self._style(visible(row.principal or row.role), 'bold', sys.stdout)}")
            dates = [date(cell, long=True) for cell in (row.valid_after, row.valid_before)]
            facts = (*cells[:3], *dates, *cells[5:])
            names = (
                *("role", "", "fingerprint", "valid after", "valid before", "public key", "file"),
                *("state", "revoked in"),
            )
            for name, cell in zip(names, facts, strict=True):
                if name and cell:
                    self._out(f"  {name + ':':<14}{visible(cell)}")

    def folder(self, rows: Sequence[FolderRow]) -> None:
        """See `Output.folder`."""
        from wmbackup.cli.render.folder_rows import table_of

        self._stand_still()
        for line in table_of(rows, local=self._on_terminal, header=self._common.verbose > 0):
            self._out(line)

    def explain(self, explanation: Explanation) -> None:
        """See `Output.explain`."""
        number = ""
        if explanation.value is not None:
            number = f" ({_number(explanation)})"
        self._out(wrapped("", f"{explanation.name}{number}: {explanation.sentence}", sys.stdout))
        if explanation.next_step is not None:
            self._out(wrapped("next step: ", explanation.next_step, sys.stdout))
        code = explanation.exit_code
        if code is not None and explanation.kind != "exit-code":
            self._out(wrapped("exit code: ", f"{code.value}, {code.meaning}", sys.stdout))

    def ask(self, question: str) -> bool:
        """See `Output.ask`."""
        self._stand_still()
        sys.stderr.write(wrapped("", f"{visible(question)} [y/N]", sys.stderr) + " ")
        sys.stderr.flush()
        with self._session.waiting():
            return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def result(self, result: Result) -> None:
        """See `Output.result`."""
        self._stand_still()
        self._session.record.result = result

    def finish(self, code: ExitCode) -> None:
        """See `Output.finish`."""
        self._stand_still()
        result = self._session.record.result
        if isinstance(result, Revoked):
            for line in affected_lines(result):
                self._out(line)
        if not self._common.quiet:
            to_stderr = self._session.data_on_stdout or isinstance(
                result, (Listed, FolderListed, Surveyed)
            )
            if to_stderr:  # in a log that takes both, the data comes first
                self._session.stdout.flush()
            local = is_terminal(sys.stderr if to_stderr else sys.stdout)
            for line in summary_lines(result, self._session.elapsed, local=local):
                if to_stderr:
                    self._err(wrapped("", line, sys.stderr))
                elif self._session.stdout.is_there:
                    self._out(wrapped("", line, sys.stdout))
        self._session.stdout.flush()


def _number(explanation: Explanation) -> str:
    value = explanation.value or 0
    if explanation.kind != "hresult":
        return str(value)
    signed = value - 2**32 if value >= 2**31 else value
    return f"0x{value:08X}, {signed}"
