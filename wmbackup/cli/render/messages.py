"""The sentences of the summaries, and the cells of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wmbackup import engine
from wmbackup.archive.tag_files import BagInfo
from wmbackup.cli.render.differing import difference_counts
from wmbackup.cli.render.output import (
    Checked,
    FolderListed,
    KeyRow,
    Listed,
    Message,
    Pruned,
    Result,
    Revoked,
    State,
    Surveyed,
    Verified,
)
from wmbackup.cli.render.row_texts import DRM
from wmbackup.cli.render.sanitize import (
    count,
    shown,
    size,
    time_shown,
    visible,
)
from wmbackup.license import License
from wmbackup.quoting import elided, quoted

if TYPE_CHECKING:
    from wmbackup.engine import (
        BackupPlan,
        BackupSummary,
        RestorePlan,
        RestoreSummary,
    )


_LONGEST_PATH = 400  # characters of a path that a plan shows
_NAMED = 3  # withheld licenses that a summary names
_SHOWN = 10  # conflicts that a plan names


def summary_lines(result: Result, seconds: float = 0.0, *, local: bool = False) -> list[str]:
    """Return what is reported at the end of a run that took so many seconds.

    Times are ``local`` for a terminal, and in UTC elsewhere.
    """
    took = f"in {duration(seconds)}"
    match result:
        case None:
            lines = []
        case Listed() | FolderListed() | Surveyed() | Pruned():
            lines = [_listed(result, took)]
        case Checked():
            lines = [_checked(result)]
        case Message() | Revoked():
            lines = [visible(result.text)]
        case list():
            lines = [_verified(one, local=local) for one in result if one.summary is not None]
        case engine.RestoreSummary():
            lines = [_restore(result, took)]
        case engine.BackupSummary():
            lines = [_backup(result, took)]
        case engine.BackupPlan():
            lines = [_backup_plan(result, took)]
    return lines


def _pruned(done: Pruned, took: str) -> str:
    does = "would remove" if done.dry_run else "removed"
    left = f", left {done.left:,} alone" if done.left else ""
    return (
        f"{does} {count(done.removed, 'archive')} ({size(done.size)}) from {visible(done.folder)},"
        f" kept {done.kept:,}{left}, {took}"
    )


def duration(seconds: float) -> str:
    """Return ``0.4 s``, ``3 min 5 s``, ``1 h 2 min``."""
    if seconds < 59.95:  # noqa: PLR2004 - 60.0 s would be a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours:,} h {left} min" if hours else f"{minutes} min {rest} s"


def _backup(done: BackupSummary, took: str) -> str:
    where = "standard output" if done.path is None else visible(done.path)
    checked = "read back and verified" if done.read_back else "not read back"
    return (
        f"backed up {_amount(done.info, done.licenses)}"
        f" from the {_place(done.info)} to {where},"
        f" {checked}, {took}{_left_behind(len(done.withheld), len(done.skipped), done.withheld)}"
    )


def _backup_plan(plan: BackupPlan, took: str) -> str:
    where = "" if plan.path is None else f" to {visible(plan.path)}"
    files = f"{count(plan.files, 'file')} ({count(plan.licenses, 'license')}, {size(plan.octets)})"
    left = _left_behind(len(plan.withheld), len(plan.skipped), plan.withheld)
    kind = plan.store_kind
    return f"would back up {files} from the {kind} store{where}, {took}{left}; nothing was written"


def _place(info: BagInfo) -> str:
    """Return which store was read; a DRM folder may have been found below the path given."""
    where = f" {_word(info.store)}" if info.store_kind == DRM else ""
    return f"{info.store_kind} store{where}"


def _amount(info: BagInfo, licenses: int) -> str:
    return f"{count(info.files, 'file')} ({count(licenses, 'license')}, {size(info.octets)})"


def _left_behind(withheld: int, skipped: int, named: Sequence[License] = ()) -> str:
    said = ""
    if withheld:
        said = f"; {count(withheld, 'license')} withheld"
    if named:
        # Others may stay behind with those that are restricted.
        first = sorted(named, key=lambda known: known.backup_allowed is not False)[:_NAMED]
        more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
        said += f": {', '.join(map(_name, first))}{more}"
    if skipped:
        said += f"{'; ' if named or not said else ', '}{count(skipped, 'file')} skipped"
    return said


def _name(known: License) -> str:
    """Return the title of a license with its key ID, as far as it has them."""
    title, kid = (_word(text) for text in (known.attributes.get("Title"), known.kid))
    if title and kid:
        return f"{title} (key ID {kid})"
    return title or (f"key ID {kid}" if kid else "a nameless one")


def _word(text: str | None) -> str:
    """Return a text of an archive as it stands amid our words; empty where there is none."""
    return quoted(visible(text)) if text else ""


def _words(texts: Sequence[str]) -> str:
    return ", ".join(map(_word, texts))


def _restore(done: RestoreSummary, took: str) -> str:
    target = visible(done.plan.target)
    extra = f", {done.replaced:,} of them replaced" if done.replaced else ""
    same = f"; {count(done.plan.same, 'file')} stood there already" if done.plan.same else ""
    skipped = f"; {count(len(done.skipped), 'file')} skipped" if done.skipped else ""
    amount = f"{count(done.restored, 'file')} ({size(done.size)})"
    if done.plan.lost:
        skipped += f"; {count(len(done.plan.lost), 'file')} lost"
    if not done.applied:
        left = f"{same}{skipped}; nothing was changed"
        return f"would restore {amount} to {target}{extra}, {took}{left}"
    return f"restored {amount} to {target}{extra}, {took}{same}{skipped}"


def _verified(one: Verified, *, local: bool) -> str:
    if one.summary is None:
        return ""
    info = one.summary.info
    what = "head, length and signature are good" if one.summary.quick else "ok"
    if one.differences:
        what = what if one.summary.quick else "verified"
        counts = difference_counts(one.differences)
        what += f", but it differs from {_word(one.against)} ({counts})"
    elif one.differences is not None:
        what += f", nothing differs from {_word(one.against)}"
    tested = ", restored on trial" if one.restore_tested else ""
    return (
        f"{visible(one.name)}: {what}{tested}, in {duration(one.seconds)}:"
        f" {count(info.files, 'file')}, {size(info.octets)},"
        f" made {time_shown(info.created, local=local)} by {_words(one.summary.principals)}"
        f" on {_word(info.host)}{_left_behind(info.withheld, info.skipped)}"
    )


def _listed(done: Listed | FolderListed | Surveyed | Pruned, took: str) -> str:
    if isinstance(done, Surveyed):
        archives = f"{count(done.archives, 'archive')}, {size(done.size)}"
        return f"{done.series:,} series, {archives}, {took}"
    if isinstance(done, FolderListed):
        return f"{visible(done.name)}: {count(done.archives, 'archive')}, {size(done.size)}, {took}"
    if isinstance(done, Pruned):
        return _pruned(done, took)
    amount = f"{count(done.files, 'file')}, {count(done.licenses, 'license')}, {size(done.octets)}"
    kind = f" ({done.store_kind} store)" if done.live and done.name != done.store_kind else ""
    if done.differences is not None:
        return f"{visible(done.name)}{kind}: {difference_counts(done.differences)}"
    left = _left_behind(done.withheld, done.skipped)
    return f"{visible(done.name)}{kind}: {amount}, {took}{left}"


def _checked(done: Checked) -> str:
    failed = sum(row.state is State.FAILED for row in done.rows)
    warned = sum(row.state is State.WARNING for row in done.rows)
    warnings = f"{count(warned, 'warning')}" if warned else ""
    if failed:
        return "not ready: " + ", ".join(filter(None, (count(failed, "problem"), warnings)))
    return f"ready, with {warnings}" if warned else "ready"


def plan_lines(
    plan: RestorePlan, *, everything: bool, local: bool = False
) -> list[tuple[str, str]]:
    """Return the plan of a restore as labels and texts, one line each.

    ``everything`` names more than the first few conflicts. Times are ``local`` for a terminal.
    """
    info = plan.info
    signers, created = _words(plan.principals), time_shown(info.created, local=local)
    conflicts = count(len(plan.conflicts) + len(plan.blocked), "conflict")
    files = f"{count(plan.new, 'new file')}, {plan.same:,} there already, {conflicts}"
    lines = [
        ("archive: ", f"made {created} on {_word(info.host)} by {signers}"),
        ("from:    ", f"{_word(info.store_kind)} store {_word(info.store)}"),
        ("to:      ", visible(plan.target)),
        ("plan:    ", f"{files}, {size(plan.size)} to write"),
    ]
    trouble = [("  conflict: ", elided(shown(path), _LONGEST_PATH)) for path in plan.conflicts]
    trouble += [("  in the way: ", elided(shown(path), _LONGEST_PATH)) for path in plan.blocked]
    if len(trouble) > _SHOWN and not everything:
        trouble[_SHOWN:] = [("  ", f"and {len(trouble) - _SHOWN:,} more; -v shows all of them")]
    lines += trouble
    for lost in plan.lost:
        title = "" if lost.title is None else f" ({_word(lost.title)})"
        lines.append(("  lost: ", f"{elided(shown(lost.path), _LONGEST_PATH)}{title}"))
    if plan.lost:
        left = f"{info.files - len(plan.lost):,} of {count(info.files, 'file')}"
        lines.append(("  ", f"{left} are left; whoever cut or damaged the archive chose which"))
    if plan.nameless:
        files = count(plan.nameless, "file")
        lines.append(("  ", f"{files} lost name and time, and will have those of the archive"))
    if plan.licenses_lost:
        lines.append(
            ("  ", "the list of licenses is lost, with the titles in it and what was withheld")
        )
    if plan.left_out:
        lines.append(("  not selected: ", count(plan.left_out, "file")))
    return lines


def key_line(row: KeyRow, *, below: bool) -> str:
    """Return a key of this user for programs: a signing key as another machine trusts it.

    ``below`` a signing key an identity's recipient is a comment, which ``key trust`` passes over.
    """
    if row.role == "signing":
        return f"{row.public_key} {row.principal}"
    return f"# recipient: {row.public_key}" if below else row.public_key


def affected_lines(done: Revoked) -> Sequence[str]:
    """Return a line for each archive of a folder that a revoked key has signed."""
    roles = {
        "maker": "made by this key, not trusted any more",
        "cosigner": "countersigned by this key, which counts no more",
    }
    lines = [f"{visible(one.name)}: {roles[one.role]}" for one in done.affected or ()]
    lines += [f"{visible(name)}: not known, it cannot be read here" for name in done.unread]
    return lines
