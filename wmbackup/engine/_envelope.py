"""The envelope around an archive: taken off where there is one, and put on where one is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple

from wmbackup.age.magic import ENOUGH, is_envelope
from wmbackup.archive.stream import ByteStream
from wmbackup.archive.tag_files import BagInfo
from wmbackup.status import Control, WarningEvent

if TYPE_CHECKING:
    from wmbackup.age.envelope import NewEnvelope, SealedEnvelope
    from wmbackup.age.keys import Identity, Recipient
    from wmbackup.age.stream import EncryptingStream

Identities = Callable[["SealedEnvelope"], Sequence["Identity"]]
"""Returns what to try to open an envelope with; called where one is met."""

Spool = Callable[[], IO[bytes]]


def nobody(_envelope: SealedEnvelope) -> Sequence[Identity]:
    """Have nothing to open an envelope with."""
    return ()


class Unsealed(NamedTuple):
    """The bytes of an archive, its length where it is known, and whose identity opened it.

    ``recipient`` is ``age1…``, ``passphrase``, or None for an archive without an envelope. What a
    worker needs to read the envelope in the same file is ``shared``, which is secret.
    """

    stream: ByteStream
    length: int | None
    recipient: str | None
    shared: bytes = b""


def unseal(
    stream: ByteStream, length: int | None, identities: Identities, *, salvage: bool = False
) -> Unsealed:
    """Return the bytes of an archive, without the envelope that it may be in.

    An envelope is known by how it begins. With ``salvage`` a damaged one is read as far as it can
    be, with zeros for what cannot. Raises Undecryptable, ArchiveDamaged, UnsupportedArchive, and
    what ``identities`` raises.
    """
    start = 0 if length is None else stream.tell()
    beginning = _beginning(stream)
    if length is None:
        stream = _Ahead(beginning, stream)
    else:
        stream.seek(start)
    if not is_envelope(beginning):
        return Unsealed(stream, length, None)
    from wmbackup.age.envelope import SealedEnvelope

    envelope = SealedEnvelope(stream, length, start=start)
    opened = envelope.open(identities(envelope), salvage=salvage)
    shared = b"" if salvage else opened.stream.share()
    return Unsealed(opened.stream, opened.stream.size, opened.identity.name, shared)


def _beginning(stream: ByteStream) -> bytes:
    data = b""
    while len(data) < ENOUGH and (part := stream.read(ENOUGH - len(data))):
        data += part
    return data


class _Ahead:
    """A pipe of which the first bytes were read already."""

    def __init__(self, ahead: bytes, stream: ByteStream) -> None:
        self._ahead = ahead
        self._stream = stream

    def read(self, size: int) -> bytes:
        if not self._ahead:
            return self._stream.read(size)
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int) -> int:
        return self._stream.seek(offset)


def warn_of_recipients(info: BagInfo, recipient: str | None, control: Control) -> None:
    """Warn where an archive has not come in the envelope that its maker put it into."""
    if info.recipients is None:
        return
    if recipient is None:
        control.notify(
            WarningEvent(
                "encryption-missing",
                "the maker encrypted this archive, and it comes in the clear",
            )
        )
    elif recipient not in info.recipients.split(" "):
        control.notify(
            WarningEvent(
                "recipient-unnamed",
                "the maker did not encrypt this archive for what opens it here",
            )
        )


def encrypted_spool(spool: Spool) -> Spool:
    """Return a maker of private files that hold no plaintext on the disk."""
    from wmbackup.age.spool import encrypted

    return encrypted(spool)


class Sealing:
    """The envelope of an archive that is made; without recipients it is none."""

    def __init__(self, recipients: Sequence[Recipient]) -> None:
        """Draw a key and wrap it for the recipients. Raises ValueError where they do not fit."""
        self.names = " ".join(recipient.name for recipient in recipients) or None
        self._envelope: NewEnvelope | None = None
        if recipients:
            from wmbackup.age.envelope import NewEnvelope

            self._envelope = NewEnvelope(recipients)

    @classmethod
    def anew(cls, stream: ByteStream, length: int, identities: Identities) -> Sealing:
        """Return the envelope of an archive that is rewritten: for the same recipients, if any.

        Raises as `unseal` does.
        """
        made = cls(())
        start = stream.tell()
        is_sealed = is_envelope(_beginning(stream))
        stream.seek(start)
        if is_sealed:
            from wmbackup.age.envelope import SealedEnvelope

            envelope = SealedEnvelope(stream, length, start=start)
            made._envelope = envelope.anew(identities(envelope))
            stream.seek(start)
        return made

    def spool(self, spool: Spool) -> Spool:
        """Return a maker of private files that hold no plaintext where the archive does not."""
        return spool if self._envelope is None else encrypted_spool(spool)

    def write(self, output: BinaryIO, write: Callable[[BinaryIO], int]) -> int:
        """Have an archive written through the envelope; return the bytes of the whole.

        ``write`` returns those of the archive.
        """
        if self._envelope is None:
            return write(output)
        stream: EncryptingStream = self._envelope.begin(output)
        size = write(stream)  # type: ignore[arg-type] # all of a BinaryIO that a writer needs
        stream.finish()
        output.flush()
        return self._envelope.size(size)

    def plain(self, file: ByteStream, size: int) -> ByteStream:
        """Return the bytes of an archive of ``size`` bytes that was written to a file.

        Raises ArchiveDamaged.
        """
        if self._envelope is None:
            return file
        return self._envelope.read_back(file, self._envelope.size(size))
