"""What the objects of the JSON Lines hold, field by field (see `jsonl`)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wmbackup import engine, hresult
from wmbackup.archive.tag_files import BagInfo, format_time
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.output import (
    Checked,
    FolderListed,
    Listed,
    Message,
    Pruned,
    Result,
    Revoked,
    Surveyed,
    Verified,
)
from wmbackup.cli.render.sanitize import all_utc, utc
from wmbackup.errors import ExitCode, WmbackupError
from wmbackup.item import Item, Skipped
from wmbackup.license import License
from wmbackup.status import StatusEvent

if TYPE_CHECKING:
    from wmbackup.archive.columns import Columns
    from wmbackup.engine import (
        BackupPlan,
        BackupSummary,
        Differences,
        RestorePlan,
        RestoreSummary,
    )

SCHEMA = 1


def unicode_text(text: str | None) -> str | None:
    """Return text that is valid Unicode: undecodable bytes become escapes."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def path_fields(path: bytes | None) -> dict[str, str | None]:
    """Return the two fields of a true path, of which one is null."""
    if path is None:
        return {"path": None, "path_base64": None}
    try:
        return {"path": path.decode("utf-8"), "path_base64": None}
    except UnicodeDecodeError:
        return {"path": None, "path_base64": b64encode(path).decode()}


def status_fields(event: StatusEvent) -> dict[str, Any]:
    """Return the fields of a status."""
    return {
        "status": event.status.documented_name,
        "code": int(event.status),
        "hresult": hresult.find(event.hresult).name,
        "hresult_value": event.hresult,
        "value": event.value if event.value is None else unicode_text(str(event.value)),
    }


def error_fields(error: WmbackupError) -> dict[str, Any]:
    """Return the fields of an error."""
    return {
        "code": error.code,
        "message": unicode_text(error.message),
        "hint": unicode_text(next_steps.of_error(error)),
        "hresult": None if error.hresult is None else hresult.find(error.hresult).name,
        "hresult_value": error.hresult,
        "exit_code": int(error.exit_code),
    }


def item_fields(item: Item, sha256: bytes | None) -> dict[str, Any]:
    """Return the fields of a file of an inventory."""
    return {
        **path_fields(item.path),
        "size": item.size,
        "mtime": utc(item.mtime_ns),
        "attributes": list(item.attributes),
        "member": item.member.decode("ascii") or None,
        "sha256": None if sha256 is None else sha256.hex(),
    }


def item_lines(batch: Columns) -> list[str]:
    """Return the lines of many files, in which nothing has to be escaped (see `item_fields`)."""
    before = f'{{"schema":{SCHEMA},"type":"item","path":"'
    lines = b"".join(batch.lines).decode("ascii").splitlines()
    times, attributes = all_utc(batch.numbers), batch.attributes
    files = zip(batch.paths, batch.numbers, times, attributes, lines, strict=True)
    return [
        f'{before}{path}","path_base64":null,"size":{size},"mtime":"{time}",'
        f'"attributes":[{names}],"member":"{line[66:]}","sha256":"{line[:64]}"}}'
        for path, (size, _, _), time, names, line in files
    ]


def license_fields(license_: License, path: bytes | None) -> dict[str, Any]:
    """Return the fields of a license; ``path`` is that of the file that it is in."""
    return {
        "kind": license_.kind,
        "kid": unicode_text(license_.kid),
        "lid": unicode_text(license_.lid),
        "issued": unicode_text(license_.issued),
        "begins": unicode_text(license_.begins),
        "expires": unicode_text(license_.expires),
        "rights": dict(license_.rights),
        "attributes": dict(license_.attributes),
        "backup_allowed": license_.backup_allowed,
        "withheld": license_.withheld,
        **path_fields(path),
    }


def _skipped(skipped: Iterable[Skipped]) -> list[dict[str, Any]]:
    return [{**path_fields(one.path), "reason": one.reason} for one in skipped]


def _paths(paths: Iterable[bytes]) -> list[dict[str, Any]]:
    return [path_fields(path) for path in paths]


def info_fields(info: BagInfo, principals: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of an archive: what its label says, and who signed it."""
    return {
        "archive_id": info.archive_id,
        "created": format_time(info.created),
        "host": unicode_text(info.host),
        "store_kind": info.store_kind,
        "store": unicode_text(info.store),
        "signer": info.signer,
        "principals": list(principals),
        "files": info.files,
        "octets": info.octets,
        "withheld": info.withheld,
        "skipped": info.skipped,
        "agent": unicode_text(info.agent),
        "machine": unicode_text(info.machine),
        "recipients": None if info.recipients is None else unicode_text(info.recipients),
        "chain": info.chain,
        "sequence": info.sequence,
        "previous": info.previous,
    }


def plan_fields(plan: RestorePlan) -> dict[str, Any]:
    """Return the fields of the plan of a restore."""
    return {
        "archive": info_fields(plan.info, plan.principals),
        "target": unicode_text(plan.target),
        "new": plan.new,
        "same": plan.same,
        "size": plan.size,
        "conflicts": _paths(plan.conflicts),
        "blocked": _paths(plan.blocked),
        "unfit": _skipped(plan.unfit),
        "not_selected": plan.left_out,
        "nameless": plan.nameless,
        "licenses_lost": plan.licenses_lost,
        "lost": [{**path_fields(one.path), "title": unicode_text(one.title)} for one in plan.lost],
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


def result_fields(result: Result, seconds: float = 0.0) -> dict[str, Any] | None:
    """Return the result of a run that took so many seconds; None where there is none."""
    fields: dict[str, Any] | None
    match result:
        case None:
            fields = None
        case Message():
            fields = {"message": unicode_text(result.text)}
        case Revoked():
            fields = _revoked(result)
        case Listed() | FolderListed() | Surveyed() | Pruned():
            fields = _listed(result)
        case Checked():
            states = [row.state.value for row in result.rows]
            fields = {state: states.count(state) for state in ("ok", "warning", "failed")}
        case list():
            fields = {"archives": [_verified(one) for one in result]}
        case engine.RestoreSummary():
            fields = _restore_summary(result) | {"seconds": round(seconds, 3)}
        case engine.BackupSummary():
            fields = _backup_summary(result) | {"seconds": round(seconds, 3)}
        case engine.BackupPlan():
            fields = _backup_plan(result)
    return fields


def bytes_of(result: Result) -> int:
    """Return the bytes that a run was about: of files, or of the archives that it lists."""
    match result:
        case engine.BackupSummary():
            return result.info.octets
        case engine.BackupPlan() | Listed():
            return result.octets
        case engine.RestoreSummary() | FolderListed() | Surveyed() | Pruned():
            return result.size
        case list():
            return sum(one.summary.info.octets for one in result if one.summary is not None)
    return 0


def summary_fields(
    command: str | None,
    code: ExitCode,
    error: WmbackupError | None,
    result: Result,
    seconds: float,
) -> dict[str, Any]:
    """Return the fields of the summary of a run that took so many seconds."""
    return {
        "command": command,
        "exit_code": int(code),
        "exit": code.name.lower().replace("_", "-"),
        "error": None if error is None else error.code,
        "seconds": round(seconds, 3),
        "bytes": bytes_of(result),
        "result": result_fields(result, seconds),
    }


def _backup_plan(plan: BackupPlan) -> dict[str, Any]:
    return {
        "path": unicode_text(plan.path),
        "store_kind": plan.store_kind,
        "files": plan.files,
        "octets": plan.octets,
        "licenses": plan.licenses,
        "skipped": _skipped(plan.skipped),
        "withheld": [license_fields(one, one.path) for one in plan.withheld],
    }


def _revoked(done: Revoked) -> dict[str, Any]:
    affected = done.affected
    return {
        "message": unicode_text(done.text),
        "affected": None
        if affected is None
        else [{"name": unicode_text(one.name), "role": one.role} for one in affected],
        "unread": [unicode_text(name) for name in done.unread],
    }


def _restore_summary(done: RestoreSummary) -> dict[str, Any]:
    return {
        "plan": plan_fields(done.plan),
        "restored": done.restored,
        "replaced": done.replaced,
        "size": done.size,
        "skipped": _skipped(done.skipped),
        "applied": done.applied,
    }


def _listed(listed: Listed | FolderListed | Surveyed | Pruned) -> dict[str, Any]:
    if isinstance(listed, Surveyed):
        return listed._asdict()
    if isinstance(listed, Pruned):
        return {**listed._asdict(), "folder": unicode_text(listed.folder)}
    if isinstance(listed, FolderListed):
        name, archives, size = listed
        return {"name": unicode_text(name), "archives": archives, "size": size}
    return {
        "name": unicode_text(listed.name),
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
        "path": unicode_text(done.path),
        "size": done.size,
        "archive": info_fields(done.info),
        "licenses": done.licenses,
        "skipped": _skipped(done.skipped),
        "withheld": [license_fields(one, one.path) for one in done.withheld],
        "read_back": done.read_back,
    }


def _verified(one: Verified) -> dict[str, Any]:
    good = one.summary
    return {
        "name": unicode_text(one.name),
        "ok": good is not None and not one.differences,
        "quick": good is not None and good.quick,
        "archive": None if good is None else info_fields(good.info, good.principals),
        "error": None if one.error is None else error_fields(one.error),
        "differences": _differences(one.differences),
        "restore_tested": one.restore_tested,
        "seconds": round(one.seconds, 3),
    }
