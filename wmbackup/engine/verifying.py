"""Proving every byte of an archive, without writing anything."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Protocol

from wmbackup.archive.head import START, Mark
from wmbackup.archive.tag_files import BagInfo
from wmbackup.engine.opening import ArchiveInput, Believed, believe
from wmbackup.status import Control, Phase, PhaseEvent
from wmbackup.trust import Policy


class Helper(Protocol):
    """Who proves a part of the payload meanwhile; ``share`` of it is left to this process."""

    share: float

    def proved(self, control: Control) -> bool:
        """Wait until it has ended, and return whether its part is proven."""


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """What was proven. ``quick`` says that the payload was not read.

    ``principals`` are the trusted ones who signed.
    """

    info: BagInfo
    principals: tuple[str, ...]
    quick: bool


def verify(
    source: ArchiveInput, policy: Policy, control: Control | None = None, *, quick: bool = False
) -> VerifySummary:
    """Verify an archive: its signers, its head, its length, and unless ``quick`` every byte.

    Of a large one a second process proves a part, where that is possible (see `second`).

    Raises SignerUntrusted and its kin, ArchiveDamaged, ArchiveTruncated, UnsupportedArchive,
    Cancelled, SystemFailure.
    """
    control = control or Control()
    with believe(source, policy, control) as archive:
        if quick:
            _judge_head(archive, control)
        else:
            _prove(source, archive, control)
    return VerifySummary(archive.info, archive.principals, quick)


def _judge_head(archive: Believed, control: Control) -> None:
    archive.head.check(control.check)
    archive.reader.check_length()


def _prove(source: ArchiveInput, archive: Believed, control: Control) -> None:
    if sys.platform == "linux":
        from wmbackup.engine.second import second

        with second(archive.reader, source) as helper:
            _judge_all(archive, control, helper)
    else:
        _judge_all(archive, control, None)


def _judge_all(archive: Believed, control: Control, helper: Helper | None) -> None:
    info, head = archive.info, archive.head
    _judge_head(archive, control)
    control.notify(PhaseEvent(Phase.VERIFYING, items=info.files, size=info.octets))
    if helper is None:
        _prove_payload(archive, control)
        return
    border = head.border(helper.share)
    _prove_payload(archive, control, end=border)
    if not helper.proved(control):
        _prove_payload(archive, control, begin=border)
        return
    if not control.items:
        return
    for section in head.sections(border):
        control.check()
        control.each(section.members, section.sizes, section.first)


def _prove_payload(
    archive: Believed, control: Control, *, begin: Mark = START, end: Mark | None = None
) -> None:
    for section in archive.reader.payload(begin=begin, end=end):
        control.check()
        control.each(section.members, section.sizes, section.first)
