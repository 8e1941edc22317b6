"""The line of a series: its archives in order, and what contradicts that order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from wmbackup.archive.tag_files import format_time
from wmbackup.engine._folder import Found, Head, entry_of, place_of
from wmbackup.errors import HistoryInconsistent, RolledBack
from wmbackup.history.records import Entry, Memory, Place
from wmbackup.quoting import quoted
from wmbackup.storage.files import resolved

AHEAD = timedelta(minutes=10)
"""How far a signed time can be ahead of this machine's clock."""


class Owner(NamedTuple):
    """Whose archives a series has: a principal, and the store of a host."""

    principal: str
    host: str
    store_kind: str
    store: str


class Member(NamedTuple):
    """An archive that has a head."""

    found: Found
    head: Head

    @property
    def number(self) -> int:
        """Its number in its chain, 0 where it has none."""
        return self.head.info.sequence or 0

    @property
    def order(self) -> tuple[str, int]:
        """What sorts archives of different chains; see `Entry.order`."""
        return format_time(self.head.info.created), self.number


@dataclass(frozen=True, slots=True)
class Line:
    """A series in a folder: ``members`` from the oldest to the newest.

    ``problems`` are what contradicts the line, and ``gaps`` how many predecessors are not there.
    """

    owner: Owner
    members: tuple[Member, ...]
    problems: tuple[HistoryInconsistent, ...]
    gaps: int

    @property
    def newest(self) -> Member:
        """The newest archive, which is never one from the future where there is another."""
        return self.members[-1]


def lines_of(found: Iterable[Found], now: datetime, *, complete: bool = False) -> list[Line]:
    """Return the series of some archives, in the order of host, store and principal.

    ``now`` is this machine's time. With ``complete`` a predecessor that is missing is a problem.
    """
    members = [Member(one, one.head) for one in found if one.head is not None]
    series: dict[Owner, list[Member]] = {}
    for one in members:
        info = one.head.info
        owner = Owner(one.head.principal, info.host, info.store_kind, info.store)
        series.setdefault(owner, []).append(one)
    return [
        line_of(owner, series[owner], now, complete=complete)
        for owner in sorted(series, key=lambda owner: (*owner[1:], owner[0]))
    ]


def is_ahead(member: Member, now: datetime) -> bool:
    """Whether an archive says that it was signed in the future."""
    return member.head.info.created > now + AHEAD


def line_of(
    owner: Owner, members: Sequence[Member], now: datetime, *, complete: bool = False
) -> Line:
    """Return the line of the archives of one series."""
    ordered = in_order(members)
    by_hash = {one.head.signed: one for one in ordered}
    problems = [
        HistoryInconsistent(
            f"{_name(one)} was signed in the future, at {format_time(one.head.info.created)}",
            reason="future",
            path=one.found.path,
        )
        for one in ordered
        if is_ahead(one, now)
    ]
    gaps = 0
    for one in by_hash.values():
        previous = one.head.info.previous
        if (previous is None and one.number <= 1) or previous in by_hash:
            continue
        gaps += 1
        if complete:
            problems.append(
                HistoryInconsistent(
                    f"the predecessor of {_name(one)} is missing",
                    reason="incomplete",
                    path=one.found.path,
                )
            )
    problems += _forks(ordered)
    problems += _contradictions(ordered, by_hash)
    # What is from the future is not the newest: a clock that was wrong once is no better archive.
    ordered = sorted(ordered, key=lambda one: not is_ahead(one, now))
    return Line(owner, tuple(ordered), tuple(problems), gaps)


def in_order(members: Sequence[Member]) -> list[Member]:
    """Return archives from the oldest to the newest.

    In a chain the number decides, whatever the clock said. A chain comes after the one that its
    first archive names as its predecessor's, and chains that name none by the time of their first.
    """
    chains: dict[str, list[Member]] = {}
    for one in members:
        chain = one.head.info.chain or f"alone {one.head.signed}"
        chains.setdefault(chain, []).append(one)
    home = {one.head.signed: chain for chain, some in chains.items() for one in some}
    for some in chains.values():
        some.sort(key=lambda one: (one.number, one.order, one.head.signed, one.found.path))
    waiting = sorted(chains, key=lambda chain: (chains[chain][0].order, chain))
    done: list[str] = []
    while waiting:
        ready = (
            chain
            for chain in waiting
            if (parent := home.get(chains[chain][0].head.info.previous or "")) in {None, chain}
            or parent not in waiting
        )
        # Chains that name each other in a circle are no line, and are reported as such.
        chosen = next(ready, waiting[0])
        waiting.remove(chosen)
        done.append(chosen)
    return [one for chain in done for one in chains[chain]]


def _forks(ordered: Sequence[Member]) -> list[HistoryInconsistent]:
    problems = []
    first: dict[tuple[str, int], Member] = {}
    for one in ordered:
        chain = one.head.info.chain
        if chain is None:
            continue
        other = first.setdefault((chain, one.number), one)
        if other.head.signed != one.head.signed:
            problems.append(
                HistoryInconsistent(
                    f"{_name(other)} and {_name(one)} have one chain and one number,"
                    f" {one.number:,}",
                    reason="forked",
                    path=one.found.path,
                )
            )
    return problems


def _contradictions(
    ordered: Sequence[Member], by_hash: dict[str, Member]
) -> list[HistoryInconsistent]:
    problems = []
    before: Member | None = None
    for one in ordered:
        chain = one.head.info.chain
        last, before = before, one
        if chain is None or one.number <= 1:
            continue
        if last is None or last.head.info.chain != chain:
            last = None
        if last is not None and last.number == one.number:
            continue  # the same archive twice, or a fork, which has its own sentence
        named = by_hash.get(one.head.info.previous or "")
        if last is not None and named is not None and named.head.signed == last.head.signed:
            continue
        if named is not None:
            text = f"{_name(one)} follows {_name(named)} by its own word, and that is not before it"
            problems.append(_contradiction(one, text))
        elif last is not None and last.number == one.number - 1:
            text = f"{_name(one)} does not follow {_name(last)}, whose number is one below"
            problems.append(_contradiction(one, text))
    return problems


def _contradiction(one: Member, text: str) -> HistoryInconsistent:
    return HistoryInconsistent(text, reason="contradicts", path=one.found.path)


def _name(one: Member) -> str:
    return one.found.path


def newer_known(
    memory: Memory, place: Place, head: Head, members: Sequence[Member] = ()
) -> Entry | None:
    """Return the newest archive that the ledger knows to be newer than one; None without one.

    ``members`` are those that are there with it, and that nobody misses.
    """
    info = head.info
    present = {head.signed, *(one.head.signed for one in members)}
    chains = {info.chain, *(one.head.info.chain for one in members)} - {None}
    signers = {info.signer, *(one.head.signer for one in members)}
    candidates = []
    for one in memory.series:
        if one.place[:3] != place[:3]:
            continue
        is_here = place.destination is not None and one.place.destination == place.destination
        for entry in (one.made, one.accepted):
            if entry is None or entry.signed in present:
                continue
            # Another trusted signer can claim our host and chain, and makes nothing of ours old.
            is_theirs = entry.principal is None or entry.principal == head.principal
            if is_theirs and (entry.chain in chains or (is_here and entry.signer in signers)):
                candidates.append(entry)
    newer = [entry for entry in candidates if _is_newer(entry, head)]
    return max(newer, key=lambda entry: entry.order, default=None)


def accept(memory: Memory, found: Found, head: Head) -> None:
    """Remember an archive that was verified, where it is newer than the one accepted before."""
    place = place_of(head.info, os.path.dirname(resolved(found.path)))
    series = memory.obtain(place, {head.signer}, head.signer)
    entry = replace(entry_of(found, head), principal=head.principal)
    last = series.accepted
    if last is None or last.signed == entry.signed or not _is_newer(last, head):
        series.accepted = entry


def _is_newer(entry: Entry, head: Head) -> bool:
    info = head.info
    if entry.chain is not None and entry.chain == info.chain:
        return (entry.sequence or 0) > (info.sequence or 0)
    return entry.order > (format_time(info.created), info.sequence or 0)


def rolled_back(line: Line, memory: Memory, destination: str) -> RolledBack | None:
    """Return the error where the newest archive of a line is older than the newest one known."""
    newest = line.newest
    place = Place(*line.owner[1:], destination)
    known = newer_known(memory, place, newest.head, line.members)
    if known is None:
        return None
    return older(newest.found.path, known)


def older(path: str, known: Entry) -> RolledBack:
    """Return the error for an archive that is older than the newest one known."""
    name = "" if known.path is None else f" ({quoted(known.path)})"
    number = "" if known.sequence is None else f", number {known.sequence:,} of its chain"
    return RolledBack(
        f"{path} is older than the newest archive known here{name}, made at {known.created}"
        f"{number}",
        path=path,
    )
