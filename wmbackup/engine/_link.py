"""The place of a new archive in its series: chain, number, and the archive before it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from wmbackup.archive.reader import TrustPolicy
from wmbackup.archive.sshsig import fingerprint
from wmbackup.archive.tag_files import format_time
from wmbackup.archive.writer import Sealed
from wmbackup.engine._folder import (
    Found,
    Head,
    Kind,
    entry_of,
    file_hash,
    head_of,
    place_of,
    search,
)
from wmbackup.errors import Busy, SystemFailure, WmbackupError
from wmbackup.history.ledger import Ledger
from wmbackup.history.records import Entry, Memory, Place, Series
from wmbackup.status import Control, WarningEvent


@dataclass(frozen=True, slots=True)
class History:
    """What a backup takes its place in a series from.

    ``ledger`` is None where this user has no state folder. ``own`` are this machine's signing key
    and those that it was rotated from (32 raw bytes each); ``policy`` says whose archives at the
    destination are trusted.
    """

    ledger: Ledger | None
    own: tuple[bytes, ...]
    policy: TrustPolicy


class OwnOrTrusted:
    """Trusts what this machine has signed, and what a policy trusts."""

    def __init__(self, own: Sequence[bytes], policy: TrustPolicy) -> None:
        """Take public keys, 32 bytes each, and the policy."""
        self._own = frozenset(own)
        self._policy = policy

    def check(
        self,
        maker: bytes,
        cosigners: Sequence[bytes] = (),
        signed_at: datetime | None = None,
        host: str | None = None,
    ) -> tuple[str, ...]:
        """See `TrustPolicy`."""
        if maker in self._own:
            return ()
        return self._policy.check(maker, cosigners, signed_at, host)


class Link(NamedTuple):
    """Chain, number and predecessor of a new archive, as bag-info.txt has them."""

    chain: str
    sequence: int
    previous: str | None


class Making:
    """One archive on its way into the ledger: reserved, pending, confirmed."""

    def __init__(
        self, history: History, place: Place, signer: bytes, prefix: str, control: Control
    ) -> None:
        """Take the series. ``prefix`` begins the usual names of its archives."""
        self._history = history
        self._ledger = history.ledger
        self._place = place
        self._own = (*history.own, signer)
        self._signers = {fingerprint(key) for key in self._own}
        self._signer = fingerprint(signer)
        self._prefix = prefix
        self._control = control

    def link(self) -> Link:
        """Give the archive its place, and its number to nobody else. Raises Busy, Cancelled."""
        found = [] if self._place.destination is None else self._at(self._place.destination)
        ours = [one for one in found if one.head and self._is_of_place(one.head)]
        if self._ledger is None:
            return self._anew(ours, None)
        try:
            with self._ledger.change(self._control) as (memory, state):
                link, reason = self._choose(memory, found, ours, state)
                series = self._series(memory)
                if series.chain != link.chain:
                    self._take_note(series, found, ours)
                series.chain, series.sequence, series.pending = link.chain, link.sequence, None
        except SystemFailure as error:
            self._give_up(error)
            return self._anew(ours, None)
        if reason is not None:
            self._warn(reason, link)
        return link

    def _take_note(self, series: Series, found: Sequence[Found], ours: Sequence[Found]) -> None:
        """Remember what is at the destination: it is no reason for yet another chain."""
        for one in ours:
            if one.head is not None:
                series.remember(entry_of(one, one.head))
        series.seen = [os.path.basename(one.path) for one in found if self._may_be_ours(one)]

    def _may_be_ours(self, found: Found) -> bool:
        # Of what cannot be opened here, the name says enough to be careful.
        return found.is_locked and os.path.basename(found.path).startswith(self._prefix)

    def pending(self, entry: Entry) -> None:
        """Write down what is about to be published."""

        def note(series: Series) -> None:
            series.pending = entry

        self._change(note)

    def confirm(self, entry: Entry) -> None:
        """Write down that it was published, which no cancel undoes any more."""

        def confirm(series: Series) -> None:
            series.made, series.pending = entry, None
            series.checked, series.checks = None, 0
            series.remember(entry)

        self._control = Control(self._control.notify)
        try:
            self._change(confirm)
        except Busy as error:  # the next run finds it pending, and at the destination
            self._give_up(error)

    def _change(self, change: Callable[[Series], None]) -> None:
        if self._ledger is None:
            return
        try:
            with self._ledger.change(self._control) as (memory, _):
                change(self._series(memory))
        except SystemFailure as error:
            self._give_up(error)

    def _series(self, memory: Memory) -> Series:
        return memory.obtain(self._place, self._signers, self._signer)

    def _choose(
        self, memory: Memory, found: Sequence[Found], ours: Sequence[Found], state: str
    ) -> tuple[Link, str | None]:
        """Return the place, and why a new chain begins where that is to be reported."""
        series = memory.find(self._place, self._signers)
        newest = None if series is None else series.made
        if series is not None and series.pending is not None and _has(found, series.pending):
            # The run that made it was cut off after it had published it.
            newest = series.made = series.pending
            series.remember(newest)
        if series is None or newest is None or series.chain is None:
            reason = None
            if ours or state in {"foreign", "damaged"}:
                reason = state if state in {"foreign", "damaged"} else "lost"
            return self._anew(ours, newest), reason
        if self._place.destination is None:
            return self._anew(ours, newest), None
        if not _has(found, newest):
            return self._anew(ours, None), "moved"
        if self._is_older(series, newest, found, ours):
            return self._anew(ours, newest), "older"
        return Link(series.chain, series.sequence + 1, newest.signed), None

    def _is_older(
        self, series: Series, newest: Entry, found: Sequence[Found], ours: Sequence[Found]
    ) -> bool:
        """Whether the destination has archives that the ledger does not know."""
        known = {one.signed for one in series.archives}
        numbers = [one.head.info.sequence or 0 for one in ours if one.head and _is_in(one, series)]
        if any(number > series.sequence for number in numbers):
            return True
        if any(
            one.head
            and _is_in(one, series)
            and one.head.info.sequence == newest.sequence
            and one.head.signed != newest.signed
            for one in ours
        ):
            return True
        if any(
            one.head
            and _order(one) > newest.order
            and one.head.signed not in known
            and one.head.signer in self._signers
            for one in ours
        ):
            return True
        names = {os.path.basename(one.path or "") for one in series.archives} | {*series.seen}
        return any(
            self._may_be_ours(one) and os.path.basename(one.path) not in names for one in found
        )

    def _anew(self, ours: Sequence[Found], newest: Entry | None) -> Link:
        heads = sorted((one for one in ours if one.head), key=_order)
        previous = None if newest is None else newest.signed
        last = heads[-1].head if heads else None
        if last is not None and (newest is None or _order(heads[-1]) >= newest.order):
            previous = last.signed
        return Link(os.urandom(16).hex(), 1, previous)

    def _at(self, folder: str) -> list[Found]:
        found = []
        trusting = OwnOrTrusted(self._own, self._history.policy)
        try:
            for path, kind in search(folder, below=False):
                self._control.check()
                if kind is Kind.FILE:
                    one = head_of(path, kind, trusting, control=self._control)
                    if one is not None:
                        found.append(one)
        except SystemFailure:  # the archive itself will say what is wrong there
            pass
        return found

    def _is_of_place(self, head: Head) -> bool:
        return place_of(head.info, self._place.destination) == self._place

    def _warn(self, reason: str, link: Link) -> None:
        where = self._place.destination or ""
        why = {
            "lost": "the ledger of this machine does not know the archives at the destination",
            "older": "the destination has archives that the ledger of this machine does not know",
            "foreign": "the ledger was written on another machine",
            "damaged": "the ledger is damaged",
            "moved": "the newest archive of the series is no longer at the destination",
        }[reason]
        event = WarningEvent("new-chain", f"a new chain begins in {where}: {why}", reason=reason)
        self._control.notify(event)

    def _give_up(self, error: WmbackupError) -> None:
        self._ledger = None
        self._control.notify(
            WarningEvent(
                "ledger-unusable",
                f"the ledger of this machine is not kept: {error.message}",
                cause=error,
            )
        )


def made_entry(
    sealed: Sealed, size: int, licenses: int, path: str | None, file: str | None
) -> Entry:
    """Return what the ledger remembers of an archive that was made; ``file`` is its hash."""
    info = sealed.info
    return Entry(
        archive_id=info.archive_id,
        created=format_time(info.created),
        signer=info.signer,
        signed=hashlib.sha256(sealed.tag_manifest).hexdigest(),
        size=size,
        files=info.files,
        withheld=info.withheld,
        skipped=info.skipped,
        chain=info.chain,
        sequence=info.sequence,
        previous=info.previous,
        file=file,
        licenses=licenses,
        path=path,
    )


def _order(found: Found) -> tuple[str, int]:
    assert found.head is not None  # noqa: S101 - those without a head were left out
    info = found.head.info
    return format_time(info.created), info.sequence or 0


def _is_in(found: Found, series: Series) -> bool:
    return found.head is not None and found.head.info.chain == series.chain


def _has(found: Sequence[Found], entry: Entry) -> bool:
    """Whether an archive is there: by what was signed, or by its file where it is encrypted."""
    if any(one.head is not None and one.head.signed == entry.signed for one in found):
        return True
    name = os.path.basename(entry.path or "")
    return any(
        one.is_locked
        and one.size == entry.size
        and os.path.basename(one.path) == name
        and entry.file is not None
        and file_hash(one.path) == entry.file
        for one in found
    )
