"""Rendering for programs: JSON Lines on standard output, by the schema beside this file.

Every object has all its fields, always; times are UTC with ``Z``; paths that are not UTF-8 stand
in ``path_base64``. Exactly one ``summary`` comes, last, whatever happens.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from wmbackup.cli.render import json_fields, next_steps
from wmbackup.cli.render.hints import of_warning
from wmbackup.cli.render.output import (
    DEPRECATION,
    DEPRECATION_URL,
    CheckRow,
    Explanation,
    KeyRow,
    Result,
)
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode, WmbackupError
from wmbackup.item import Item
from wmbackup.status import (
    Event,
    LeftOutEvent,
    PhaseEvent,
    SkipEvent,
    StatusEvent,
    WarningEvent,
    WithheldEvent,
)

if TYPE_CHECKING:
    from wmbackup.archive.columns import Columns
    from wmbackup.cli.render.folder_values import FolderRow
    from wmbackup.engine import (
        Differences,
        Listing,
        RestorePlan,
        Row,
    )


class JsonLines:
    """JSON Lines on standard output; standard error stays silent."""

    def __init__(self, session: Session) -> None:
        """Render for this session."""
        self._session = session
        self._writing = threading.Lock()

    def _write(self, kind: str, fields: dict[str, Any]) -> None:
        line = json.dumps(
            {"schema": json_fields.SCHEMA, "type": kind, **fields}, separators=(",", ":")
        )
        with self._writing:
            self._session.stdout.write(line)

    def notice(self) -> None:
        """See `Output.notice`."""
        self._write(
            "notice", {"code": "deprecated", "message": DEPRECATION, "url": DEPRECATION_URL}
        )

    follows_items = False

    def event(self, event: Event) -> None:
        """See `Output.event`. Single items are not told: they can be a million."""
        self._session.record.event(event)
        if isinstance(event, StatusEvent):
            self._write("status", json_fields.status_fields(event))
            self._flush()
        elif isinstance(event, PhaseEvent):
            fields = {"phase": event.phase.value, "items": event.items, "size": event.size}
            self._write("phase", fields)
            self._flush()
        elif isinstance(event, SkipEvent):
            self._warning("skipped", event.reason, None, event.path)
        elif isinstance(event, LeftOutEvent):
            self._warning("left-out", event.reason, None, event.path)
        elif isinstance(event, WithheldEvent):
            self._write("license", json_fields.license_fields(event.license, event.license.path))
        elif isinstance(event, WarningEvent):
            step = of_warning(event, self._session.arguments)
            self._warning(event.code, event.message, step, None)

    def error(self, error: WmbackupError) -> None:
        """See `Output.error`."""
        self._session.record.error(error, next_steps.of_error(error))
        self._write("error", json_fields.error_fields(error))

    def warning(self, code: str, message: str, hint: str | None = None) -> None:
        """See `Output.warning`."""
        self._session.record.warning(code, message, hint)
        self._warning(code, message, hint, None)

    def _warning(self, code: str, message: str, hint: str | None, path: bytes | None) -> None:
        self._write(
            "warning",
            {
                "code": code,
                "message": json_fields.unicode_text(message),
                "hint": json_fields.unicode_text(hint),
                **json_fields.path_fields(path),
            },
        )

    def plan(self, plan: RestorePlan) -> None:
        """See `Output.plan`."""
        self._write("plan", json_fields.plan_fields(plan))

    def rows(
        self,
        inventory: Listing | None,
        rows: Iterable[Row],
        *,
        long: bool,
        columns: Sequence[str] = (),
    ) -> None:
        """See `Output.rows`: it has all that is known."""
        last: Item | None = None
        for row in rows:
            if row.item is not None and row.item is not last:
                self._write("item", json_fields.item_fields(row.item, row.sha256))
                last = row.item
            if row.license is not None:
                self._write("license", json_fields.license_fields(row.license, row.path))

    takes_batches = True

    def batches(self, batches: Iterable[Columns | list[Row]]) -> None:
        """See `Output.batches`."""
        for batch in batches:
            if isinstance(batch, list):
                self.rows(None, batch, long=False)
                continue
            with self._writing:
                self._session.stdout.write("\n".join(json_fields.item_lines(batch)))

    def at_risk(self, rows: Iterable[Row]) -> None:
        """See `Output.at_risk`."""
        for row in rows:
            if row.license is not None:
                self._write("license", json_fields.license_fields(row.license, row.path))

    def differences(self, differences: Differences, first: str, second: str) -> None:
        """See `Output.differences`: the summary has them."""

    def check(self, row: CheckRow) -> None:
        """See `Output.check`."""
        self._write(
            "check",
            {
                "name": row.name,
                "state": row.state.value,
                "message": json_fields.unicode_text(row.message),
                "remedy": json_fields.unicode_text(row.remedy),
                "exit_code": int(row.exit_code),
            },
        )

    def keys(self, rows: Iterable[KeyRow]) -> None:
        """See `Output.keys`."""
        for row in rows:
            self._write(
                "key",
                {
                    "role": row.role,
                    "principal": json_fields.unicode_text(row.principal),
                    "fingerprint": row.fingerprint,
                    "public_key": row.public_key,
                    "valid_after": row.valid_after,
                    "valid_before": row.valid_before,
                    "file": json_fields.unicode_text(row.path),
                    "state": row.state,
                    "revoked_in": json_fields.unicode_text(row.revoked_in),
                },
            )

    def folder(self, rows: Sequence[FolderRow]) -> None:
        """See `Output.folder`."""
        from wmbackup.cli.render.folder_rows import fields_of

        for row in rows:
            kind, fields = fields_of(row)
            self._write(kind, fields)

    def explain(self, explanation: Explanation) -> None:
        """See `Output.explain`."""
        code = explanation.exit_code
        self._write(
            "explanation",
            {
                "kind": explanation.kind,
                "name": explanation.name,
                "value": explanation.value,
                "category": explanation.category,
                "sentence": explanation.sentence,
                "next_step": explanation.next_step,
                "exit_code": None if code is None else int(code),
            },
        )

    def ask(self, question: str) -> bool:
        """See `Output.ask`."""
        return False

    def result(self, result: Result) -> None:
        """See `Output.result`."""
        self._session.record.result = result

    def finish(self, code: ExitCode) -> None:
        """See `Output.finish`."""
        session, record = self._session, self._session.record
        fields = json_fields.summary_fields(
            session.command, code, record.last_error, record.result, session.elapsed
        )
        self._write("summary", fields)
        self._flush()

    def _flush(self) -> None:
        with self._writing:
            self._session.stdout.flush()
