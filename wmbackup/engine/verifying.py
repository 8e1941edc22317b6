"""Proving every byte of an archive, without writing anything."""

from __future__ import annotations

from dataclasses import dataclass

from wmbackup.archive.bag import BagInfo
from wmbackup.engine.opening import ArchiveInput, believe
from wmbackup.status import Control, ItemEvent, Phase, PhaseEvent
from wmbackup.trust import Policy


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """What was proven. ``quick`` says that the payload was not read.

    ``principals`` are the trusted ones who signed, ``sequence`` of steps is that of
    wmbackup-archive(5), READING.
    """

    info: BagInfo
    principals: tuple[str, ...]
    quick: bool


def verify(
    source: ArchiveInput, policy: Policy, control: Control | None = None, *, quick: bool = False
) -> VerifySummary:
    """Verify an archive: its signers, its head, its length, and unless ``quick`` every byte.

    Raises SignerUntrusted and its kin, ArchiveDamaged, ArchiveTruncated, UnsupportedArchive,
    Cancelled, SystemFailure.
    """
    control = control or Control()
    with believe(source, policy, control) as archive:
        info = archive.info
        archive.head.check(control.check)
        archive.reader.check_length()
        if not quick:
            control.notify(PhaseEvent(Phase.VERIFYING, items=info.files, size=info.octets))
            for position, line in archive.reader.payload():
                control.check()
                control.notify(ItemEvent(line.member, position + 1, line.size))
    return VerifySummary(info, archive.principals, quick)
