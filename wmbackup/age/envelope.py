"""The age envelope around an archive: opened with an identity, made for recipients."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from wmbackup.age.header import FILE_KEY_SIZE, MAX_STANZAS, Header, encode, parse
from wmbackup.age.keys import SCRYPT, Identity, Passphrase, Recipient, check_stanzas
from wmbackup.age.stream import ByteStream, DecryptingStream, EncryptingStream, sealed_size
from wmbackup.errors import ArchiveTruncated, Undecryptable

_MAX_TYPES = 5
_MAX_TYPE = 32  # characters


class Opened(NamedTuple):
    """An envelope that is open, and what opened it."""

    stream: DecryptingStream
    identity: Identity


class SealedEnvelope:
    """An envelope whose header was read and whose stanzas are well-formed; nothing is decrypted."""

    def __init__(self, stream: ByteStream, length: int | None = None, *, start: int = 0) -> None:
        """Read the header. ``length`` is that of the whole envelope, None for a pipe.

        The envelope begins at ``start``, where the stream stands.
        Raises ArchiveTruncated, EnvelopeDamaged, UnsupportedArchive.
        """
        self._stream = stream
        self._start = start
        self._length = length
        self._header: Header = parse(stream.read)
        check_stanzas(self._header.stanzas)

    @property
    def recipients(self) -> Counter[str]:
        """How many stanzas of each type there are."""
        return Counter(stanza.type for stanza in self._header.stanzas)

    @property
    def takes_passphrase(self) -> bool:
        """Whether a passphrase opens it, and nothing else does."""
        return SCRYPT in self.recipients

    def open(self, identities: Sequence[Identity], *, salvage: bool = False) -> Opened:
        """Return the plaintext for the first identity that fits, and which that is.

        ``salvage`` is that of `DecryptingStream`. Raises Undecryptable, EnvelopeDamaged,
        ArchiveTruncated.
        """
        file_key, identity = self._unwrap(identities)
        return Opened(self.open_with_key(file_key, salvage=salvage), identity)

    def anew(self, identities: Sequence[Identity]) -> NewEnvelope:
        """Return an envelope for other bytes and for the same recipients. Raises as `open` does."""
        file_key, _ = self._unwrap(identities)
        self._header.verify(file_key)
        self._stream.seek(self._start)
        header = b""
        while len(header) < self._header.size:
            part = self._stream.read(self._header.size - len(header))
            if not part:
                raise ArchiveTruncated("the archive ends in the header of the encryption")
            header += part
        return NewEnvelope.again(header, file_key)

    def _unwrap(self, identities: Sequence[Identity]) -> tuple[bytes, Identity]:
        for identity in identities:
            file_key = identity.unwrap(self._header.stanzas)
            if file_key is not None:
                return file_key, identity
        raise Undecryptable(self._reason(identities), recipients=self.recipients)

    def open_with_key(self, file_key: bytes, *, salvage: bool = False) -> DecryptingStream:
        """Return the plaintext. Raises EnvelopeDamaged, ArchiveTruncated."""
        header = self._header
        header.verify(file_key)
        return DecryptingStream(
            self._stream,
            file_key,
            begin=self._start + header.size,
            ahead=header.rest,
            length=None if self._length is None else self._length - header.size,
            salvage=salvage,
        )

    def _reason(self, identities: Sequence[Identity]) -> str:
        counts = _told(self.recipients)
        has_passphrase = any(isinstance(identity, Passphrase) for identity in identities)
        if self.takes_passphrase:
            if has_passphrase:
                return f"the passphrase does not open the archive ({counts})"
            return f"the archive is encrypted with a passphrase ({counts}), and none was given"
        held = len(identities) - has_passphrase
        tried = {0: "there is no identity here", 1: "the identity here is not one of them"}
        return (
            f"the archive is encrypted for other recipients ({counts});"
            f" {tried.get(held, f'none of the {held} identities here is one of them')}"
        )


def _told(recipients: Counter[str]) -> str:
    """Return how many stanzas of which type there are. The types are those of a stranger."""
    shown = [
        f"{count} {kind}" for kind, count in sorted(recipients.items()) if len(kind) <= _MAX_TYPE
    ][:_MAX_TYPES]
    others = recipients.total() - sum(int(text.partition(" ")[0]) for text in shown)
    return ", ".join([*shown, f"{others} of other types"] if others else shown)


class NewEnvelope:
    """An envelope under way, with a file key of its own that lives in memory only.

    Whoever rewrites an archive takes a new one, or at least begins anew, which draws another nonce:
    one file key and nonce over other bytes would give both away.
    """

    def __init__(self, recipients: Sequence[Recipient]) -> None:
        """Draw the file key and wrap it. Raises ValueError for recipients that do not go along."""
        if not 0 < len(recipients) <= MAX_STANZAS:
            raise ValueError(f"there must be 1 to {MAX_STANZAS} recipients")
        if len(recipients) > 1 and any(isinstance(one, Passphrase) for one in recipients):
            raise ValueError("a passphrase must be the only way to open an age file")
        self._file_key = os.urandom(FILE_KEY_SIZE)
        self.header = encode([one.wrap(self._file_key) for one in recipients], self._file_key)

    @classmethod
    def again(cls, header: bytes, file_key: bytes) -> NewEnvelope:
        """Return one with the header and the file key of another."""
        made = cls.__new__(cls)
        made.header, made._file_key = header, file_key  # noqa: SLF001 - its own
        return made

    def size(self, plain: int) -> int:
        """Return the size of the whole file for so many bytes in it."""
        return len(self.header) + sealed_size(plain)

    def begin(self, output: BinaryIO) -> EncryptingStream:
        """Write the header; the payload is what is written to the stream that is returned."""
        output.write(self.header)
        return EncryptingStream(output, self._file_key)

    def read_back(self, stream: ByteStream, length: int) -> DecryptingStream:
        """Open what was written. Raises as `SealedEnvelope.open` does."""
        return SealedEnvelope(stream, length).open_with_key(self._file_key)
