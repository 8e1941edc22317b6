"""Retention on the command line: the options of `prune` and `backup`, and what they do."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from wmbackup.cli.ages import Age
from wmbackup.cli.click_ext import Option
from wmbackup.cli.folders import read_folder
from wmbackup.cli.known import Known
from wmbackup.cli.ledgers import history_of
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.folder_values import PruneRow
from wmbackup.cli.render.hints import again
from wmbackup.cli.render.hints import complete as complete_error
from wmbackup.cli.render.output import Pruned
from wmbackup.cli.render.sanitize import count
from wmbackup.cli.session import Session, host_name, worst
from wmbackup.errors import ExitCode, NotFound, WmbackupError
from wmbackup.history.retention import RetentionPolicy, Span

if TYPE_CHECKING:
    from wmbackup.archive.reader import TrustPolicy
    from wmbackup.engine import BackupSummary
    from wmbackup.engine._envelope import Identities
    from wmbackup.engine._line import Member
    from wmbackup.engine._prune import Plan
    from wmbackup.trust.keys import SigningKey

_PERIODS = ("last", "daily", "weekly", "monthly", "yearly")


class KeepGiven(NamedTuple):
    """What the options say: which archives stay, and whether a shrunk one is no reason to stop."""

    policy: RetentionPolicy
    allow_shrink: bool


def keep_options(
    section: str,
) -> Callable[[Callable[..., ExitCode]], Callable[..., ExitCode]]:
    """Declare the options; the function gets what they say as ``keep``."""
    counted = {
        "last": "the newest N",
        "daily": "the newest of each of the last N days that have one",
        "weekly": "the newest of each of the last N weeks that have one",
        "monthly": "the newest of each of the last N months that have one",
        "yearly": "the newest of each of the last N years that have one",
    }
    options = [
        Option(
            [f"--keep-{name}"], metavar="N", section=section, type=click.IntRange(min=0), default=0,
            help=f"of the archives of this machine, keep {what}",
        )
        for name, what in counted.items()
    ]  # fmt: skip
    options += [
        Option(
            ["--keep-within"], metavar="30d", section=section, type=Age(),
            help="keep those that are younger than this, counted from the newest",
        ),
        Option(
            ["--allow-shrink"], is_flag=True, section=section,
            help="remove although the newest has fewer than half of the licenses or files",
        ),
    ]  # fmt: skip

    def declare(function: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
        @functools.wraps(function)
        def called(*arguments: Any, allow_shrink: bool, **more: Any) -> ExitCode:  # noqa: ANN401 - those of the function
            counts = {name: more.pop(f"keep_{name}") for name in _PERIODS}
            within = more.pop("keep_within") or Span()
            given = KeepGiven(RetentionPolicy(**counts, within=within), allow_shrink)
            return function(*arguments, keep=given, **more)

        below: list[click.Parameter] = getattr(function, "__click_params__", [])
        called.__click_params__ = [*below, *reversed(options)]  # type: ignore[attr-defined] # as click keeps them
        return called

    return declare


class Pruning:
    """One prune of one folder."""

    def __init__(
        self,
        session: Session,
        keys: tuple[bytes, ...],
        policy: TrustPolicy,
        opens: Identities,
        keep: KeepGiven,
        *,
        dry_run: bool,
    ) -> None:
        """Take this machine's keys, whom to trust, and what the options say."""
        self._session = session
        self._keys = keys
        self._policy = policy
        self._opens = opens
        self._keep = keep
        self._dry_run = dry_run
        self._known = Known(session)
        self._codes: list[ExitCode] = []
        self._rows: list[PruneRow] = []

    def run(
        self, folder: str, only: tuple[str, str] | None = None
    ) -> tuple[Pruned, list[PruneRow], ExitCode]:
        """Prune a folder, or in it ``only`` the archives of a kind and a store.

        Raises NotFound, UsageError, SystemFailure, Cancelled.
        """
        from wmbackup.archive.sshsig import fingerprint
        from wmbackup.engine._prune import Ours, plans_of

        contents = read_folder(self._session, folder, self._policy, self._opens)
        ours = Ours(
            *(self._keys, host_name(), self._known.memory, {*map(fingerprint, self._keys)}),
            self._session.control(),
        )
        plans = plans_of(contents.found, ours, self._keep.policy, datetime.now(UTC))
        if only is not None:
            here = os.path.normpath(folder)
            plans = [
                one
                for one in plans
                if (one.line.owner.store_kind, one.line.owner.store) == only
                and os.path.normpath(one.folder) == here
            ]
        elif not plans:
            raise NotFound(
                f"there is no archive of this machine in {folder}",
                reason="none-of-ours",
                path=folder,
            )
        for plan in plans:
            self._one(plan)
        removed = [row for row in self._rows if row.action in {"remove", "removed"}]
        done = Pruned(
            folder=folder,
            kept=sum(row.action == "keep" for row in self._rows),
            removed=len(removed),
            size=sum(row.size for row in removed),
            left=len(contents.found) - sum(row.action != "left" for row in self._rows),
            dry_run=self._dry_run,
        )
        return done, self._rows, worst(self._codes)

    def _one(self, plan: Plan) -> None:
        going = plan.going
        stopped = bool(going) and not self._may_remove(plan)
        gone: set[str] = set()
        if going and not stopped and not self._dry_run:
            gone = self._remove(going)
        for fate in plan.fates:
            if fate.reasons:
                self._row(fate.member, "keep", fate.reasons)
            elif stopped:
                self._row(fate.member, "left", ())
            elif self._dry_run:
                self._row(fate.member, "remove", ())
            else:
                path = fate.member.found.path
                self._row(fate.member, "removed" if path in gone else "left", ())
        for one in plan.ahead:
            self._row(one, "left", ("future",))

    def _row(self, member: Member, action: str, reasons: tuple[str, ...]) -> None:
        found, info = member.found, member.head.info
        self._rows.append(PruneRow(found.path, action, reasons, found.size, info))

    def _may_remove(self, plan: Plan) -> bool:
        """Whether nothing speaks against a prune; what does is reported."""
        from wmbackup.engine._prune import shrunk

        rolled_back = self._known.rolled_back(plan.line)
        problems = [one for one in plan.line.problems if one.reason != "future"]
        problems += [] if rolled_back is None else [rolled_back]
        for problem in problems:
            self._error(problem)
        if problems or not self._is_good(plan.newest):
            return False
        found = None if self._keep.allow_shrink else shrunk(plan, self._licenses)
        if found is not None:
            self._session.output.warning(
                "shrunk",
                f"nothing is removed: {found.newest.found.path} has {count(found.few, found.what)},"
                f" and {found.largest.found.path} has {found.many:,}",
                f"see what has changed; to remove them all the same: {again('--allow-shrink')}",
            )
            self._codes.append(ExitCode.PARTIAL)
        return found is None

    def _is_good(self, newest: Member) -> bool:
        from wmbackup.engine import verify
        from wmbackup.engine._folder import opened

        if not newest.head.maker:  # recognized by the hash of its file, which was just read
            return True
        try:
            with opened(newest.found.path, newest.found.kind, self._opens) as archive:
                verify(
                    archive, self._policy, self._session.control(),
                    workers=self._session.workers(),
                )  # fmt: skip
        except WmbackupError as error:
            self._error(error)
            return False
        return True

    def _licenses(self, member: Member) -> int | None:
        from wmbackup.engine._folder import count_licenses

        for series in self._known.memory.series:
            for entry in series.archives:
                if entry.signed == member.head.signed and entry.licenses is not None:
                    return entry.licenses
        return count_licenses(member.found, self._policy, self._opens)

    def _remove(self, going: list[Member]) -> set[str]:
        from wmbackup.engine._prune import forget, remove

        gone, failure = remove(going, self._is_same, self._session.control())
        if failure is not None:
            self._error(failure)
        self._known.change(lambda memory: forget(memory, gone))
        return {one.found.path for one in gone}

    def _is_same(self, member: Member) -> bool:
        """Whether a file is still the archive that was looked at."""
        from wmbackup.engine._folder import file_size, head_of

        found = member.found
        if not member.head.maker:
            return file_size(found.path) == found.size
        now = head_of(found.path, found.kind, self._policy, self._opens)
        return now is not None and now.head is not None and now.head.signed == member.head.signed

    def _error(self, error: WmbackupError) -> None:
        complete_error(error, self._session.arguments, self._session.params)
        self._session.output.error(error)
        self._codes.append(error.exit_code)


def prune_after(
    session: Session, done: BackupSummary, key: SigningKey, keep: KeepGiven
) -> ExitCode:
    """Prune the folder of a new archive; what was removed is shown. Errors are reported."""
    from wmbackup.engine._envelope import nobody
    from wmbackup.engine._link import OwnOrTrusted

    if done.path is None:
        return ExitCode.OK
    if done.skipped:
        session.output.warning(
            "not-pruned",
            "nothing is removed: the new archive lacks files that were skipped",
            next_steps.step_of_warning("not-pruned"),
        )
        return ExitCode.PARTIAL
    history = history_of(session, key)
    policy = OwnOrTrusted(history.own, history.policy)
    pruning = Pruning(session, history.own, policy, nobody, keep, dry_run=False)
    only = (done.info.store_kind, done.info.store)
    try:
        _, rows, code = pruning.run(os.path.dirname(done.path), only)
    except WmbackupError as error:
        session.output.error(error)
        return error.exit_code
    removed = [row for row in rows if row.action == "removed"]
    if removed and not session.common.quiet and not session.data_on_stdout:
        session.output.folder(removed)
    return code
