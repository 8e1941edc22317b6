"""What a test vector is, and its file: see README.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from forge import MAKER

TRUSTED = (MAKER.trusted('namespaces="archive@wmbackup"'),)


@dataclass(frozen=True, kw_only=True)
class Vector:
    """An archive, whom its reader believes, and what the reader has to find.

    ``released`` are bytes here and their SHA-256 in the file. What is said of a seekable stream
    is what is said of a pipe unless it is given. A variant is one more case of a rule that
    another vector shows: it is tested, and no file of it is kept.
    """

    name: str
    comment: str
    archive: bytes
    expect: str = "damaged"
    released: bytes = b""
    seekable_expect: str | None = None
    seekable_released: bytes | None = None
    trusted: tuple[str, ...] = TRUSTED
    revoked: tuple[str, ...] = ()
    required: int = 1
    variant: bool = False

    def encode(self) -> bytes:
        """The file."""
        seekable = self.released if self.seekable_released is None else self.seekable_released
        lines = [f"comment: {self.comment}", f"expect: {self.expect}"]
        if self.seekable_expect is not None:
            lines.append(f"seekable-expect: {self.seekable_expect}")
        lines += [
            f"released: {hashlib.sha256(self.released).hexdigest()}",
            f"seekable-released: {hashlib.sha256(seekable).hexdigest()}",
            *(f"trusted: {line}" for line in self.trusted),
            *(f"revoked: {line}" for line in self.revoked),
            f"required: {self.required}",
        ]
        if any("\n" in line for line in lines):
            raise ValueError(f"{self.name}: a header line with a line feed")
        return "\n".join(lines).encode() + b"\n\n" + self.archive


def ok(name: str, comment: str, archive: bytes, data: bytes) -> Vector:
    """A vector of an archive that is right and whose payload is ``data``."""
    return Vector(name=f"ok-{name}", comment=comment, expect="ok", archive=archive, released=data)


def damaged(name: str, comment: str, archive: bytes) -> Vector:
    """A vector of an archive that is damaged in its head, so that nothing is released."""
    return Vector(name=name, comment=comment, archive=archive)


Vectors = Iterator[Vector]


def keep(names: str, vectors: Vectors) -> Vectors:
    """The vectors, of which those with these names are kept as files and the others are not."""
    wanted = set(names.split())
    for vector in vectors:
        yield vector if vector.name in wanted else replace(vector, variant=True)
        wanted.discard(vector.name)
    if wanted:
        raise ValueError(f"there are no such vectors: {wanted}")
