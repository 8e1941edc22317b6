"""From an archive into a store: everything is verified before anything is changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from wmbackup.archive.inventory import Row
from wmbackup.archive.reader import SealedArchive, TrustedArchive, TrustPolicy
from wmbackup.archive.tag_files import BagInfo
from wmbackup.engine._chains import Chains
from wmbackup.engine._inventory import Selection
from wmbackup.engine._machine import host_name, lock_subject
from wmbackup.engine._progress import Progress
from wmbackup.engine._restorable import Contents, Lost, open_contents
from wmbackup.errors import (
    ArchiveDamaged,
    Declined,
    NotFound,
    RestoreConflict,
    UsageError,
    WmbackupError,
)
from wmbackup.item import Skipped
from wmbackup.quoting import quoted
from wmbackup.status import Control, Phase, PhaseEvent, SkipEvent, WarningEvent
from wmbackup.storage.files import extended, is_inside, resolved
from wmbackup.storage.locks import Locks
from wmbackup.stores.base import Import, ItemUnavailable, Standing, Store
from wmbackup.stores.layouts import BAK, DRM, WRITTEN

if TYPE_CHECKING:
    from wmbackup.workers.process import Workers

_SHOWN = 5  # conflicts that a message names


class OnConflict(Enum):
    """What happens to a file that stands in the target with other bytes."""

    FAIL = "fail"
    SKIP = "skip"
    REPLACE = "replace"


class RestorePlan(NamedTuple):
    """What a restore is about to do. ``size`` is the bytes of the new and replaced files.

    ``same`` stand in the target already, ``conflicts`` with other bytes, ``blocked`` cannot be
    replaced at all, ``unfit`` cannot be held by the target. After a salvage ``lost`` cannot be
    verified, and ``nameless`` files have lost their true path and their time; ``licenses_lost``
    says that the archive's list of licenses is.
    """

    info: BagInfo
    principals: tuple[str, ...]
    target: str
    new: int
    same: int
    size: int
    conflicts: tuple[bytes, ...]
    blocked: tuple[bytes, ...]
    unfit: tuple[Skipped, ...]
    left_out: int
    lost: tuple[Lost, ...] = ()
    nameless: int = 0
    licenses_lost: bool = False


class RestoreSummary(NamedTuple):
    """What was restored: numbers of files, and bytes.

    ``applied`` is False after a dry run, which has verified all of it and changed nothing.
    """

    plan: RestorePlan
    restored: int
    replaced: int
    size: int
    skipped: tuple[Skipped, ...]
    applied: bool


def always(_plan: RestorePlan) -> bool:
    """Agree to every plan."""
    return True


def any_archive(_archive: TrustedArchive) -> None:
    """Admit every archive that was verified."""


def restore(  # noqa: PLR0913 - each is a choice of the caller
    archive: SealedArchive,
    store: Store,
    policy: TrustPolicy,
    control: Control | None = None,
    *,
    selection: Selection | None = None,
    on_conflict: OnConflict = OnConflict.FAIL,
    announce: Callable[[RestorePlan], object] = always,
    confirm: Callable[[RestorePlan], bool] = always,
    admit: Callable[[TrustedArchive], object] = any_archive,
    dry_run: bool = False,
    salvage: bool = False,
    locks: Locks | None = None,
    workers: Workers | None = None,
) -> RestoreSummary:
    """Restore an archive, or a selection of it, into a store, all or nothing.

    ``announce`` gets the plan; ``confirm`` is asked when it can be carried out, before anything
    is changed; ``admit`` then gets what was verified, and raises where it is not to be restored.
    A selection from a seekable archive reads its head and the selected files alone;
    everything else reads it whole. ``salvage`` restores what a damaged archive still has, verified;
    the plan names what is lost. ``workers`` allows a worker process that stages a part of many
    files, where that pays.

    Raises SignerUntrusted and its kin, ArchiveDamaged, RestoreConflict, Declined, NotFound,
    StoreReadOnly, Busy, Cancelled, SystemFailure.
    """
    control = control or Control()
    selection = selection or Selection()
    replace = on_conflict is OnConflict.REPLACE
    # One of many files costs no more than finding it. A pipe is read whole, and so judged whole.
    few = bool(selection.beginnings) and archive.length is not None
    if store.gives_statuses and selection:
        raise UsageError(
            "the Windows Media interface restores all licenses of a backup or none",
            reason="selection-for-interface",
        )
    with (
        _lock(locks, store, control),
        store.import_(control, replace=replace) as import_,
        open_contents(
            archive, policy, control, salvage=salvage, few=few, workers=workers
        ) as contents,
    ):
        if store.gives_statuses:
            _refuse_what_no_interface_wrote(contents)
        _warn_of_other_machine(contents.info, control)
        name = None if archive.path is None else archive.name
        run = _Run(contents, import_, control, on_conflict, name, _path_in(archive, store))
        plan = run.plan(selection, store.location, is_told=salvage)
        announce(plan)
        run.refuse_conflicts(plan)
        if dry_run:
            run.verify(plan, selective=bool(selection))
            admit(contents.trusted)
        else:
            if not confirm(plan):
                raise Declined("nothing was restored: the plan was declined")
            run.carry_out(plan, admit, selective=bool(selection))
        return run.summary(plan, applied=not dry_run)


def _refuse_what_no_interface_wrote(contents: Contents) -> None:
    """Raise UsageError for an archive that the Windows Media interface cannot take."""
    info = contents.info
    if info.store_kind not in {WRITTEN.kind, BAK.kind}:
        raise UsageError(
            f"the Windows Media interface takes only what it wrote itself, and this archive is of"
            f" a {quoted(info.store_kind)} store",
            reason="not-of-interface",
        )
    if contents.lost or contents.nameless:
        raise UsageError(
            "the Windows Media interface restores all of a backup or nothing, and of this one"
            " something is lost",
            reason="damaged-for-interface",
        )


def _warn_of_other_machine(info: BagInfo, control: Control) -> None:
    host = host_name()
    if info.store_kind == DRM.kind and info.host != host:
        control.notify(
            WarningEvent(
                "other-machine",
                f"this is a raw copy of the DRM folder of {quoted(info.host)}, and its licenses"
                " are bound to that machine",
            )
        )


@contextlib.contextmanager
def _lock(locks: Locks | None, store: Store, control: Control) -> Iterator[None]:
    subject = lock_subject(store)
    if locks is None or subject is None:
        yield
        return
    with locks.hold("store", subject, control):
        yield


def _path_in(archive: SealedArchive, store: Store) -> bytes | None:
    """Return the path of the archive itself inside the target, where it is there."""
    if archive.path is None or store.root is None or not os.path.isdir(store.root):
        return None
    if not is_inside(archive.path, store.root):
        return None
    relative = os.path.relpath(extended(archive.path), extended(resolved(store.root)))
    return os.fsencode(relative.replace(os.sep, "/"))


class _Run:
    """One restore on its way."""

    def __init__(
        self,
        contents: Contents,
        import_: Import,
        control: Control,
        on_conflict: OnConflict,
        name: str | None,
        own_path: bytes | None,
    ) -> None:
        self._contents = contents
        self._import = import_
        self._control = control
        self._on_conflict = on_conflict
        self._archive = name
        self._own_path = own_path
        self._wanted = bytearray(contents.info.files)
        self._new = self._same = self._size = 0
        self._conflicts: list[bytes] = []
        self._blocked: list[bytes] = []
        self._unfit: list[Skipped] = []

    def plan(self, selection: Selection, target: str, *, is_told: bool) -> RestorePlan:
        """Compare what is asked for with what stands in the target.

        ``is_told`` says that the phase has begun already, as it does where a salvage looks for
        what is left.

        Raises NotFound, and ArchiveDamaged where what was asked for is lost.
        """
        files = self._contents.info.files
        if not is_told:
            self._control.notify(PhaseEvent(Phase.PLANNING, items=files))
        if selection.is_open:
            every = self._contents.rows(Selection())
            selection = selection.resolved(row.path for _, row in every if row.path is not None)
        chosen = -1
        everything = not selection
        chains = Chains() if selection.kids or selection.titles else None
        for index, row in self._contents.rows(selection):
            if index != chosen and (everything or selection.matches(row)):
                chosen = index
                self._control.check()
                self._judge(index, row)
            if chains is not None:
                chains.see(index, row.license, is_chosen=index == chosen)
        count = self._new + self._same + len(self._conflicts) + len(self._blocked)
        count += len(self._unfit)
        if not count:
            raise self._nothing(selection)
        if chains is not None:
            for warning in chains.warnings(self._contents, self._is_in_target):
                self._control.notify(warning)
        return RestorePlan(
            info=self._contents.info,
            principals=self._contents.principals,
            target=target,
            new=self._new,
            same=self._same,
            size=self._size,
            conflicts=tuple(self._conflicts),
            blocked=tuple(self._blocked),
            unfit=tuple(self._unfit),
            left_out=files - count - len(self._contents.lost),
            lost=self._contents.lost,
            nameless=self._contents.nameless,
            licenses_lost=self._contents.licenses_lost,
        )

    def _nothing(self, selection: Selection) -> WmbackupError:
        """Return why nothing is left to restore."""
        lost = len(self._contents.lost)
        if lost:
            return ArchiveDamaged(
                f"nothing that the selection names can be verified; lost files: {lost:,}",
                reason="selection-lost",
            )
        if self._contents.withholds(selection):
            return NotFound(
                "what matches the selection was not backed up: its issuer forbids that",
                reason="withheld",
                path=self._archive,
            )
        return NotFound(
            "nothing in the archive matches the selection", reason="no-match", path=self._archive
        )

    def _judge(self, index: int, row: Row) -> None:
        item, sha256 = row.item, row.sha256
        if item is None or sha256 is None:
            return
        try:
            standing = self._import.standing(item, sha256)
        except ItemUnavailable as error:
            self._unfit.append(Skipped(item.path, str(error)))
            self._control.notify(SkipEvent(item.path, str(error)))
            return
        if standing is Standing.SAME:
            self._same += 1
        elif standing is Standing.BLOCKED:
            self._blocked.append(item.path)
        elif standing is Standing.NEW:
            self._new += 1
            self._want(index, item.size)
        else:
            self._conflicts.append(item.path)
            if self._on_conflict is OnConflict.REPLACE:
                self._want(index, item.size)

    def _is_in_target(self, row: Row) -> bool:
        if row.item is None or row.sha256 is None:
            return False
        try:
            return self._import.standing(row.item, row.sha256) is Standing.SAME
        except ItemUnavailable:
            return False

    def _want(self, index: int, size: int) -> None:
        self._wanted[index] = True
        self._size += size

    def refuse_conflicts(self, plan: RestorePlan) -> None:
        """Raise RestoreConflict where the plan cannot be carried out as it was asked for."""
        if self._on_conflict is not OnConflict.SKIP and plan.blocked:
            raise RestoreConflict(
                f"something that is no file stands where {_some(plan.blocked)} would go",
                reason="no-file",
            )
        if self._on_conflict is OnConflict.FAIL and plan.conflicts:
            raise RestoreConflict(
                f"files with other content stand in the target: {_some(plan.conflicts)}"
            )
        if self._on_conflict is OnConflict.REPLACE and self._own_path in plan.conflicts:
            raise UsageError(
                "the restore would replace the archive that it reads",
                reason="archive-in-target",
            )

    def verify(self, plan: RestorePlan, *, selective: bool) -> None:
        """Verify what would be restored, and stage nothing: a plan that fails is no plan."""
        self._release(plan, None, selective=selective)

    def _release(self, plan: RestorePlan, receiver: Import | None, *, selective: bool) -> None:
        control, info = self._control, self._contents.info
        items, size = (sum(self._wanted), plan.size) if selective else (info.files, info.octets)
        control.notify(PhaseEvent(Phase.VERIFYING, items=items, size=size))
        verified = self._contents.release(self._wanted, receiver, alone=selective)
        with contextlib.closing(verified):  # at once, and with it a worker that may be at it
            progress = Progress(control)
            for one in verified:
                control.check()
                progress.file(one.member, one.size)

    def carry_out(
        self, plan: RestorePlan, admit: Callable[[TrustedArchive], object], *, selective: bool
    ) -> None:
        """Verify and stage everything, then make it visible."""
        control = self._control
        self._release(plan, self._import, selective=selective)
        admit(self._contents.trusted)
        # Otherwise the sync would bring the private files to the disk as well.
        self._contents.close()
        control.notify(PhaseEvent(Phase.APPLYING, items=sum(self._wanted)))
        control.check()
        self._import.commit()

    def summary(self, plan: RestorePlan, *, applied: bool) -> RestoreSummary:
        """Return what was done, or would have been."""
        replaced = len(plan.conflicts) if self._on_conflict is OnConflict.REPLACE else 0
        skipped = list(plan.unfit)
        if self._on_conflict is OnConflict.SKIP:
            reason = "another file stands in its place"
            skipped += [Skipped(path, reason) for path in (*plan.conflicts, *plan.blocked)]
        return RestoreSummary(
            plan=plan,
            restored=plan.new + replaced,
            replaced=replaced,
            size=plan.size,
            skipped=tuple(skipped),
            applied=applied,
        )


def _some(paths: tuple[bytes, ...]) -> str:
    names = ", ".join(quoted(os.fsdecode(path)) for path in paths[:_SHOWN])
    more = len(paths) - _SHOWN
    return f"{names} and {more} more" if more > 0 else names
