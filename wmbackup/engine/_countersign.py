"""Adding a countersignature to an archive, which is rewritten at once or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from wmbackup.archive.reader import SealedArchive, TrustedArchive, TrustPolicy
from wmbackup.archive.tag_files import BagInfo
from wmbackup.archive.ustar import record_length
from wmbackup.engine._archive_file import open_file
from wmbackup.engine._envelope import Identities, Sealing, nobody
from wmbackup.engine._open import (
    NamedStream,
    authenticate,
    open_archive,
    private_files,
    spooling,
)
from wmbackup.engine._progress import Progress
from wmbackup.engine._read_back import HashedFile, ReadBackFailed, TheseKeys
from wmbackup.errors import (
    ArchiveDamaged,
    NotAnArchive,
    SystemFailure,
    UnsupportedArchive,
    WmbackupError,
)
from wmbackup.status import Control, Phase, PhaseEvent
from wmbackup.storage.files import resolved
from wmbackup.storage.private_files import remove_leftovers
from wmbackup.storage.publish import Draft

if TYPE_CHECKING:
    from wmbackup.storage.locks import Locks
    from wmbackup.trust.keys import SigningKey

_MOST = 16
"""How many can sign an archive: the maker and fifteen others."""


class SignedAlready(WmbackupError):
    """The key has signed the archive already, or there is no room for another signature."""

    code = "signed-already"


@dataclass(frozen=True, slots=True)
class Countersigned:
    """An archive that has one more signature; ``signers`` is how many keys have signed it now.

    ``signed`` is the SHA-256 of its tag manifest and ``file`` that of the file as it was read back,
    both hexadecimal.
    """

    path: str
    info: BagInfo
    size: int
    signers: int
    signed: str
    file: str


def countersign(
    source: str,
    key: SigningKey,
    policy: TrustPolicy,
    control: Control | None = None,
    *,
    identities: Identities = nobody,
    locks: Locks | None = None,
) -> Countersigned:
    """Add a countersignature to an archive whose signers are trusted and whose bytes are right.

    Not a byte of what was signed is changed, and of an encrypted archive the recipients stay. The
    archive is replaced by one rename, after the new one was read back from the disk.

    Raises SignedAlready, SignerUntrusted and its kin, ArchiveDamaged, UnsupportedArchive,
    Undecryptable, Busy, Cancelled, SystemFailure.
    """
    control = control or Control()
    path = resolved(source)
    with contextlib.ExitStack() as stack:
        if locks is not None:
            stack.enter_context(locks.hold("destination", path, control))
        draft: Draft | None = None
        try:
            with open_archive(source, identities) as archive:
                if archive.length is None:
                    raise NotAnArchive(f"{source} is no file that can be rewritten", reason="pipe")
                trusted = _verify(archive, policy, control)
                _refuse_second(source, key, trusted.keys)
                signature = key.sign(trusted.tag_manifest)
                sealing = _sealing(source, identities)
                remove_leftovers(os.path.dirname(path))
                draft = Draft(path, "the archive")
                stack.enter_context(contextlib.closing(draft))
                size = _write(draft, trusted, signature, sealing, control)
                keys = (*trusted.keys, key.public)
                file = HashedFile(draft.file)
                _read_back(file, trusted, len(signature), keys, sealing, control)
                digest = file.sha256(control.check)
            control.check()
            draft.publish(replace=True)  # Windows replaces no file that is open
        except OSError as error:
            if draft is not None and draft.published:
                raise draft.unconfirmed(error) from error
            raise SystemFailure.of(error, "write", path) from error
    signed = hashlib.sha256(trusted.tag_manifest).hexdigest()
    return Countersigned(path, trusted.info, size, len(keys), signed, digest)


def _refuse_second(source: str, key: SigningKey, keys: tuple[bytes, ...]) -> None:
    if key.public in keys:
        raise SignedAlready(
            f"{source} is signed by {key.fingerprint} already",
            reason="same-key",
            path=source,
        )
    if len(keys) >= _MOST:
        raise SignedAlready(f"{source} has {_MOST} signatures, and no more fit in")


def _verify(archive: SealedArchive, policy: TrustPolicy, control: Control) -> TrustedArchive:
    """Verify every byte, and return the archive as it is trusted."""
    trusted = authenticate(archive, policy, control)
    with spooling():
        inventory = trusted.read_head(private_files(archive))
    with contextlib.closing(inventory):
        inventory.check(control.check)
        inventory.check_length()
        info = trusted.info
        control.notify(PhaseEvent(Phase.VERIFYING, items=info.files, size=info.octets))
        progress = Progress(control)
        for chunk in inventory.verify_payload():
            control.check()
            progress.chunk(chunk)
    return trusted


def _sealing(source: str, identities: Identities) -> Sealing:
    """Return the envelope that the archive is in, to be made anew around other bytes."""
    with open_file(source) as file:
        length = os.fstat(file.fileno()).st_size
        return Sealing.anew(NamedStream(file, source), length, identities)


def _write(
    draft: Draft, trusted: TrustedArchive, signature: bytes, sealing: Sealing, control: Control
) -> int:
    """Write the archive with one more signature; return the bytes of the file."""

    def write(output: BinaryIO) -> int:
        def write_part(data: bytes) -> None:
            control.check()
            output.write(data)
            control.item(b"", 0, len(data))

        size = trusted.rewrite(signature, write_part)
        output.flush()
        return size

    control.notify(PhaseEvent(Phase.SEALING, size=trusted.sealed.length))
    size = sealing.write(draft.file, write)
    if os.name == "posix":
        os.chmod(draft.name, stat.S_IMODE(os.stat(draft.path).st_mode))
    draft.sync()
    return size


def _read_back(
    file: HashedFile,
    trusted: TrustedArchive,
    added: int,
    keys: tuple[bytes, ...],
    sealing: Sealing,
    control: Control,
) -> None:
    """Verify what the disk has, with one more signature of ``added`` bytes. Raises ReadBackFailed.

    What was signed is the same to the byte where its hashes are signed by the same key.
    """
    info, before = trusted.info, trusted.sealed.length or 0
    size = before + record_length(added)
    control.notify(PhaseEvent(Phase.READING_BACK, items=info.files, size=info.octets))
    try:
        sealed = SealedArchive(sealing.plain(file, size), length=size)
        archive = sealed.authenticate(TheseKeys(*keys), control.check)
        if archive.tag_manifest != trusted.tag_manifest:
            raise ReadBackFailed("the archive that was read back is another one")
        with contextlib.closing(archive.read_head(private_files(trusted.sealed))) as inventory:
            inventory.check(control.check)
            inventory.check_length()
            progress = Progress(control)
            for chunk in inventory.verify_payload():
                control.check()
                progress.chunk(chunk)
    except (ArchiveDamaged, UnsupportedArchive) as error:
        raise ReadBackFailed(
            f"the disk gave back other bytes than were written: {error}",
            reason="in-place",
        ) from error
