"""Verifying every byte of an archive, without writing anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wmbackup.archive.reader import SealedArchive, TrustPolicy
from wmbackup.archive.tag_files import BagInfo
from wmbackup.engine._open import open_inventory
from wmbackup.engine._progress import Progress
from wmbackup.status import Control, Phase, PhaseEvent
from wmbackup.workers.verify_chunks import start_verifier

if TYPE_CHECKING:
    from wmbackup.workers.process import Workers


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """What was verified. ``quick`` says that the payload was not read.

    ``principals`` are the trusted ones who signed, ``maker`` is its maker's key (32 raw bytes), and
    ``signed`` the SHA-256 of its tag manifest (hexadecimal).
    """

    info: BagInfo
    principals: tuple[str, ...]
    quick: bool
    maker: bytes
    signed: str


def verify(
    archive: SealedArchive,
    policy: TrustPolicy,
    control: Control | None = None,
    *,
    quick: bool = False,
    workers: Workers | None = None,
) -> VerifySummary:
    """Verify an archive: its signers, its head, its length, and unless ``quick`` every byte.

    ``workers`` allows a worker process that verifies a part of a large archive.

    Raises SignerUntrusted and its kin, ArchiveDamaged, ArchiveTruncated, UnsupportedArchive,
    Cancelled, SystemFailure.
    """
    control = control or Control()
    with (
        open_inventory(archive, policy, control) as (trusted, inventory),
        # Begun before the head is checked, since it takes its time to start.
        start_verifier(None if quick else workers, archive, inventory) as worker,
    ):
        info = trusted.info
        inventory.check(control.check)
        inventory.check_length()
        if not quick:
            control.notify(PhaseEvent(Phase.VERIFYING, items=info.files, size=info.octets))
            whole = inventory.verify_payload() if worker is None else worker.verify(control)
            progress = Progress(control)
            for chunk in whole:
                control.check()
                progress.chunk(chunk)
    signed = hashlib.sha256(trusted.tag_manifest).hexdigest()
    return VerifySummary(info, trusted.principals, quick, trusted.keys[0], signed)
