"""Removing old archives from a folder: what stays and why, what goes, and what must not go.

What counts is what this machine has signed, by the key that it has or one that it was rotated from,
of its own host. Everything else in the folder is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import NamedTuple

from wmbackup.archive.tag_files import BagInfo
from wmbackup.engine._folder import Found, Head, Kind, file_hash, moment_of
from wmbackup.engine._line import Line, Member, Owner, is_ahead, line_of
from wmbackup.errors import SystemFailure, WmbackupError
from wmbackup.history.records import Entry, Memory, Place
from wmbackup.history.retention import RetentionPolicy, reasons_to_keep
from wmbackup.status import Control
from wmbackup.storage.files import sync_folder

COMPLETE = "complete"
"""The reason that keeps the newest archive of a backup that skipped nothing."""

_HALF = 2


class Fate(NamedTuple):
    """What becomes of an archive: the reasons that keep it, none where it goes."""

    member: Member
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a prune does with one series in one folder, the newest archive first.

    ``ahead`` are archives from the future, which neither count nor go.
    """

    folder: str
    line: Line
    fates: tuple[Fate, ...]
    ahead: tuple[Member, ...]

    @property
    def newest(self) -> Member:
        """The newest archive that counts."""
        return self.fates[0].member

    @property
    def going(self) -> list[Member]:
        """What would be removed, the oldest first."""
        return [one.member for one in reversed(self.fates) if not one.reasons]


@dataclass(slots=True)
class Ours:
    """Says which archives are this machine's own: its keys (32 raw bytes), host and ledger."""

    keys: Collection[bytes]
    host: str
    memory: Memory
    signers: Collection[str]
    control: Control = field(default_factory=Control)

    def claim(self, found: Found) -> Found | None:
        """Return an archive with its head where it is ours; None where it is not."""
        if found.kind is not Kind.FILE or os.path.islink(found.path):
            return None
        if found.head is not None:
            is_ours = found.head.maker in self.keys and found.head.info.host == self.host
            return found if is_ours else None
        if not found.is_locked:
            return None
        known = recognized(found, self.memory, self.control)
        head = None if known is None else known.head
        is_ours = head is not None and head.signer in self.signers and head.info.host == self.host
        return known if is_ours else None


def recognized(found: Found, memory: Memory, control: Control | None = None) -> Found | None:
    """Recognize what cannot be opened here by the hash of its file, which this machine made.

    None for any other. Raises SystemFailure, Cancelled.
    """
    known = [
        (entry, series.place)
        for series in memory.series
        for entry in series.archives
        if entry.size == found.size and entry.file is not None
    ]
    if not known:
        return None
    digest = file_hash(found.path, control)
    for entry, place in known:
        if entry.file == digest:
            return replace(found, head=head_from_entry(entry, place), error=None)
    return None


def head_from_entry(entry: Entry, place: Place) -> Head:
    """Return the head that the ledger remembers of an archive that this machine made."""
    info = BagInfo(
        archive_id=entry.archive_id,
        created=moment_of(entry.created),
        host=place.host,
        store_kind=place.store_kind,
        store=place.store,
        signer=entry.signer,
        withheld=entry.withheld,
        skipped=entry.skipped,
        octets=0,
        files=entry.files,
        agent="",
        chain=entry.chain,
        sequence=entry.sequence,
        previous=entry.previous,
    )
    return Head(info, (), entry.signer, b"", entry.signed)


def plans_of(
    found: Iterable[Found],
    ours: Ours,
    policy: RetentionPolicy,
    now: datetime,
    zone: tzinfo | None = None,
) -> list[Plan]:
    """Decide what stays of each series of ours. Raises SystemFailure, Cancelled.

    ``zone`` is the one whose days count, by default that of this machine.
    """
    series: dict[tuple[str, Owner], list[Member]] = {}
    for one in found:
        mine = ours.claim(one)
        if mine is not None and mine.head is not None:
            info = mine.head.info
            owner = Owner("", info.host, info.store_kind, info.store)
            key = (os.path.dirname(mine.path), owner)
            series.setdefault(key, []).append(Member(mine, mine.head))
    return [
        plan
        for (folder, owner), members in sorted(series.items(), key=lambda one: one[0])
        if (plan := _plan(folder, line_of(owner, members, now), policy, now, zone)) is not None
    ]


def _plan(
    folder: str, line: Line, policy: RetentionPolicy, now: datetime, zone: tzinfo | None
) -> Plan | None:
    ahead = tuple(one for one in line.members if is_ahead(one, now))
    counting = [one for one in reversed(line.members) if not is_ahead(one, now)]
    if not counting:
        return None
    # A copy of an archive shares its fate, and counts once.
    distinct = list({one.head.signed: one for one in reversed(counting)}.values())[::-1]
    reasons = dict(
        zip(
            (one.head.signed for one in distinct),
            reasons_to_keep([one.head.info.created for one in distinct], policy, zone),
            strict=True,
        )
    )
    newest = distinct[0].head.signed
    if not reasons[newest]:
        reasons[newest] = ("newest",)
    complete = next((one.head.signed for one in distinct if not one.head.info.skipped), None)
    if complete is not None and not reasons[complete]:
        reasons[complete] = (COMPLETE,)
    fates = tuple(Fate(one, reasons[one.head.signed]) for one in counting)
    return Plan(folder, line, fates, ahead)


class Shrunk(NamedTuple):
    """The newest archive has far less than one that would be removed, and which."""

    newest: Member
    largest: Member
    what: str
    few: int
    many: int


def shrunk(plan: Plan, licenses: Callable[[Member], int | None]) -> Shrunk | None:
    """Return what stops a prune: the newest has fewer than half of the files or licenses.

    ``licenses`` counts those of an archive, and returns None where it cannot.
    """
    going = plan.going
    if not going:
        return None
    files = max(going, key=lambda one: one.head.info.files)
    few, many = plan.newest.head.info.files, files.head.info.files
    if few * _HALF < many:
        return Shrunk(plan.newest, files, "file", few, many)
    counts = [(licenses(one) or 0, at) for at, one in enumerate(going)]
    most, at = max(counts)
    own = licenses(plan.newest) if most else 0
    if most and (own is None or own * _HALF < most):
        return Shrunk(plan.newest, going[at], "license", own or 0, most)
    return None


def remove(
    members: Sequence[Member],
    is_same: Callable[[Member], bool],
    control: Control,
) -> tuple[list[Member], WmbackupError | None]:
    """Remove archives, the oldest first; return those that are gone, and what ended it.

    Each is looked at once more: ``is_same`` says whether it is still what was planned. Whatever
    ends this leaves a line that is whole from some archive on. Raises Cancelled.
    """
    gone: list[Member] = []
    failure: WmbackupError | None = None
    for one in members:
        control.check()
        path = one.found.path
        try:
            if is_same(one):
                os.unlink(path)
                gone.append(one)
        except FileNotFoundError:
            gone.append(one)
        except OSError as error:
            failure = SystemFailure.of(error, "remove", path)
            break
    for folder in {os.path.dirname(one.found.path) for one in gone}:
        try:
            sync_folder(folder or os.curdir)
        except OSError as error:
            failure = failure or SystemFailure.of(error, "sync", folder)
    return gone, failure


def forget(memory: Memory, gone: Iterable[Member]) -> None:
    """Forget the files of archives that were removed."""
    signed = {one.head.signed for one in gone}
    for series in memory.series:
        series.archives = [one for one in series.archives if one.signed not in signed]
