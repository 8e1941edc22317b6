"""Rendering for programs: JSON Lines on standard output, by the schema beside this file.

Every object has all its fields, always; times are UTC with ``Z``; paths that are not UTF-8 stand
in ``path_base64``. Exactly one ``summary`` comes, last, whatever happens.
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wmbackup import engine, hresult
from wmbackup.archive.bag import BagInfo, format_time
from wmbackup.cli.hygiene import all_utc, utc
from wmbackup.cli.output import (
    DEPRECATION,
    DEPRECATION_URL,
    Checked,
    CheckRow,
    Explanation,
    KeyRow,
    Listed,
    Message,
    Result,
    Verified,
)
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode, WmbackupError
from wmbackup.item import Item, Skipped
from wmbackup.license import License
from wmbackup.status import (
    Event,
    PhaseEvent,
    SkipEvent,
    StatusEvent,
    WarningEvent,
    WithheldEvent,
)

if TYPE_CHECKING:
    from wmbackup.engine import (
        BackupPlan,
        BackupSummary,
        Differences,
        Inventory,
        Plain,
        RestorePlan,
        RestoreSummary,
        Row,
    )

SCHEMA = 1


class JsonLines:
    """JSON Lines on standard output; standard error stays silent."""

    def __init__(self, session: Session) -> None:
        """Render for this session."""
        self._session = session
        self._result: Result = None
        self._error: WmbackupError | None = None
        self._writing = threading.Lock()

    def _write(self, kind: str, fields: dict[str, Any]) -> None:
        line = json.dumps({"schema": SCHEMA, "type": kind, **fields}, separators=(",", ":"))
        with self._writing:
            self._session.stdout.write(line)

    def notice(self) -> None:
        """See `Output.notice`."""
        self._write(
            "notice", {"code": "deprecated", "message": DEPRECATION, "url": DEPRECATION_URL}
        )

    def event(self, event: Event) -> None:
        """See `Output.event`. Single items are not told: they can be a million."""
        if isinstance(event, StatusEvent):
            self._write("status", _status(event))
            self._flush()
        elif isinstance(event, PhaseEvent):
            fields = {"phase": event.phase.value, "items": event.items, "size": event.size}
            self._write("phase", fields)
            self._flush()
        elif isinstance(event, SkipEvent):
            self._warning("skipped", event.reason, None, event.path)
        elif isinstance(event, WithheldEvent):
            self._write("license", _license(event.license, event.license.path))
        elif isinstance(event, WarningEvent):
            self._warning(event.code, event.message, event.hint, None)

    def error(self, error: WmbackupError) -> None:
        """See `Output.error`."""
        self._error = error
        self._write("error", _error(error))

    def warning(self, code: str, message: str, hint: str | None = None) -> None:
        """See `Output.warning`."""
        self._warning(code, message, hint, None)

    def _warning(self, code: str, message: str, hint: str | None, path: bytes | None) -> None:
        self._write(
            "warning", {"code": code, "message": _text(message), "hint": _text(hint), **_path(path)}
        )

    def plan(self, plan: RestorePlan) -> None:
        """See `Output.plan`."""
        self._write("plan", _restore_plan(plan))

    def rows(self, inventory: Inventory | None, rows: Iterable[Row], *, long: bool) -> None:
        """See `Output.rows`."""
        last: Item | None = None
        for row in rows:
            if row.item is not None and row.item is not last:
                self._write("item", _item(row.item, row.sha256))
                last = row.item
            if row.license is not None:
                self._write("license", _license(row.license, row.path))

    takes_portions = True

    def portions(self, portions: Iterable[Plain | list[Row]]) -> None:
        """See `Output.portions`."""
        for portion in portions:
            if isinstance(portion, list):
                self.rows(None, portion, long=False)
                continue
            with self._writing:
                self._session.stdout.write("\n".join(_items(portion)))

    def at_risk(self, rows: Iterable[Row]) -> None:
        """See `Output.at_risk`."""
        for row in rows:
            if row.license is not None:
                self._write("license", _license(row.license, row.path))

    def differences(self, differences: Differences) -> None:
        """See `Output.differences`: the summary has them."""

    def check(self, row: CheckRow) -> None:
        """See `Output.check`."""
        self._write(
            "check",
            {
                "name": row.name,
                "state": row.state.value,
                "message": _text(row.message),
                "remedy": _text(row.remedy),
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
                    "principal": _text(row.principal),
                    "fingerprint": row.fingerprint,
                    "public_key": row.public_key,
                    "valid_after": row.valid_after,
                    "valid_before": row.valid_before,
                    "file": _text(row.path),
                },
            )

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
        self._result = result

    def finish(self, code: ExitCode) -> None:
        """See `Output.finish`."""
        self._write(
            "summary",
            {
                "command": self._session.command,
                "exit_code": int(code),
                "exit": code.name.lower().replace("_", "-"),
                "error": None if self._error is None else self._error.code,
                "result": _result(self._result),
            },
        )
        self._flush()

    def _flush(self) -> None:
        with self._writing:
            self._session.stdout.flush()


def _text(text: str | None) -> str | None:
    """Return text that is valid Unicode: undecodable bytes become escapes."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def _path(path: bytes | None) -> dict[str, str | None]:
    if path is None:
        return {"path": None, "path_base64": None}
    try:
        return {"path": path.decode("utf-8"), "path_base64": None}
    except UnicodeDecodeError:
        return {"path": None, "path_base64": b64encode(path).decode()}


def _status(event: StatusEvent) -> dict[str, Any]:
    return {
        "status": event.status.documented_name,
        "code": int(event.status),
        "hresult": hresult.find(event.hresult).name,
        "hresult_value": event.hresult,
        "value": event.value if event.value is None else _text(str(event.value)),
    }


def _error(error: WmbackupError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": _text(error.message),
        "hint": _text(error.hint),
        "hresult": None if error.hresult is None else hresult.find(error.hresult).name,
        "hresult_value": error.hresult,
        "exit_code": int(error.exit_code),
    }


def _item(item: Item, sha256: bytes | None) -> dict[str, Any]:
    return {
        **_path(item.path),
        "size": item.size,
        "mtime": utc(item.mtime_ns),
        "attributes": list(item.attributes),
        "member": item.member.decode("ascii") or None,
        "sha256": None if sha256 is None else sha256.hex(),
    }


def _items(portion: Plain) -> list[str]:
    """Return the lines of `_item` for many files, in which nothing has to be escaped."""
    before = f'{{"schema":{SCHEMA},"type":"item","path":"'
    files = zip(portion.paths, portion.rows, all_utc(portion.rows), portion.lines, strict=True)
    return [
        f'{before}{path}","path_base64":null,"size":{row[0]},"mtime":"{time}",'
        f'"attributes":[{row[3]}],"member":"{line[66:]}","sha256":"{line[:64]}"}}'
        for path, row, time, line in files
    ]


def _license(license_: License, path: bytes | None) -> dict[str, Any]:
    return {
        "kind": license_.kind,
        "kid": _text(license_.kid),
        "lid": _text(license_.lid),
        "issued": _text(license_.issued),
        "begins": _text(license_.begins),
        "expires": _text(license_.expires),
        "rights": dict(license_.rights),
        "attributes": dict(license_.attributes),
        "backup_allowed": license_.backup_allowed,
        "withheld": license_.withheld,
        **_path(path),
    }


def _skipped(skipped: Iterable[Skipped]) -> list[dict[str, Any]]:
    return [{**_path(one.path), "reason": one.reason} for one in skipped]


def _paths(paths: Iterable[bytes]) -> list[dict[str, Any]]:
    return [_path(path) for path in paths]


def _info(info: BagInfo, principals: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "archive_id": info.archive_id,
        "created": format_time(info.created),
        "host": _text(info.host),
        "store_kind": info.store_kind,
        "store": _text(info.store),
        "signer": info.signer,
        "principals": list(principals),
        "files": info.files,
        "octets": info.octets,
        "withheld": info.withheld,
        "skipped": info.skipped,
        "agent": _text(info.agent),
        "machine": _text(info.machine),
    }


def _restore_plan(plan: RestorePlan) -> dict[str, Any]:
    return {
        "archive": _info(plan.info, plan.principals),
        "target": _text(plan.target),
        "new": plan.new,
        "same": plan.same,
        "size": plan.size,
        "conflicts": _paths(plan.conflicts),
        "blocked": _paths(plan.blocked),
        "unfit": _skipped(plan.unfit),
        "not_selected": plan.left_out,
        "nameless": plan.nameless,
        "licenses_lost": plan.licenses_lost,
        "lost": [{**_path(one.path), "title": _text(one.title)} for one in plan.lost],
    }


def _differences(differences: Differences | None) -> dict[str, Any] | None:
    if differences is None:
        return None
    return {
        "added": _paths(differences.added),
        "gone": _paths(differences.gone),
        "changed": _paths(differences.changed),
        "expired": _paths(sorted(differences.expired)),
    }


def _result(result: Result) -> dict[str, Any] | None:
    fields: dict[str, Any] | None
    match result:
        case None:
            fields = None
        case Message():
            fields = {"message": _text(result.text)}
        case Listed():
            fields = _listed(result)
        case Checked():
            states = [row.state.value for row in result.rows]
            fields = {state: states.count(state) for state in ("ok", "warning", "failed")}
        case tuple():
            fields = {"archives": [_verified(one) for one in result]}
        case engine.RestoreSummary():
            fields = _restore_summary(result)
        case engine.BackupSummary():
            fields = _backup_summary(result)
        case engine.BackupPlan():
            fields = _backup_plan(result)
    return fields


def _backup_plan(plan: BackupPlan) -> dict[str, Any]:
    return {
        "path": _text(plan.path),
        "store_kind": plan.store_kind,
        "files": plan.files,
        "octets": plan.octets,
        "licenses": plan.licenses,
        "skipped": _skipped(plan.skipped),
        "withheld": [_license(one, one.path) for one in plan.withheld],
    }


def _restore_summary(done: RestoreSummary) -> dict[str, Any]:
    return {
        "plan": _restore_plan(done.plan),
        "restored": done.restored,
        "replaced": done.replaced,
        "size": done.size,
        "skipped": _skipped(done.skipped),
        "applied": done.applied,
    }


def _listed(listed: Listed) -> dict[str, Any]:
    return {
        "name": _text(listed.name),
        "store_kind": listed.store_kind,
        "files": listed.files,
        "licenses": listed.licenses,
        "octets": listed.octets,
        "skipped": listed.skipped,
        "withheld": listed.withheld,
        "differences": _differences(listed.differences),
    }


def _backup_summary(done: BackupSummary) -> dict[str, Any]:
    return {
        "path": _text(done.path),
        "size": done.size,
        "archive": _info(done.info),
        "licenses": done.licenses,
        "skipped": _skipped(done.skipped),
        "withheld": [_license(one, one.path) for one in done.withheld],
        "read_back": done.read_back,
    }


def _verified(one: Verified) -> dict[str, Any]:
    good = one.summary
    return {
        "name": _text(one.name),
        "ok": good is not None,
        "quick": good is not None and good.quick,
        "archive": None if good is None else _info(good.info, good.principals),
        "error": None if one.error is None else _error(one.error),
        "differences": _differences(one.differences),
        "restore_tested": one.restore_tested,
    }
