r"""Paths as a person names them: what ``list`` prints, a folder, or a pattern.

In a pattern ``*`` is anything, ``?`` a character, ``[ab]``, ``[a-z]`` and ``[!a]`` one of some. As
``list`` prints brackets as they are, a path with brackets is first of all that path.
A backslash begins an escape, with which ``list`` prints what cannot be seen and what would mean
something here: ``\\``, ``\*``, ``\?``, ``\n``, ``\r``, ``\t``, a byte as ``\xff``, a character as
``\u202e`` or ``\U000e0001``; ``\[`` is a bracket. A backslash before anything else is one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

_ESCAPE = re.compile(
    rb"\\(?:([\\*?\[nrt])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))"
    rb"|([*?]|\[!?\]?[^\]/]*\])"
)
_SHORT = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_LAST_CHARACTER = 0x10FFFF


class PathPattern(NamedTuple):
    """What a text means.

    ``literal`` is the true path of a file or a folder, or None where the text has ``*`` or ``?``.
    ``regex``, where there is one, matches true paths, decoded and normalized. ``beginning`` is what
    all that is meant begins with, as far as that can be told.
    """

    literal: bytes | None
    beginning: bytes
    regex: re.Pattern[str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it means more where nothing has the literal as its path."""
        literal = self.literal
        return literal is not None and (self.regex is not None or not literal.isascii())

    def matches(self, path: bytes, *, to_the_letter: bool = False) -> bool:
        """Whether the file at a true path is meant; ``to_the_letter`` takes the literal alone."""
        literal = self.literal
        if literal is not None and _is_in(path, literal):
            return True
        if to_the_letter:
            return False
        if self.regex is not None:
            return self.regex.fullmatch(_normal(path)) is not None
        if literal is None or literal.isascii() or path.isascii():
            return False
        return _is_in(_normal(path).encode("utf-8", "surrogatepass"), _normal_bytes(literal))


@lru_cache
def parse(text: bytes) -> PathPattern:
    """Read what a person wrote. Leading ``./``, doubled slashes and the last slash do not count."""
    if not text:
        return PathPattern(None, b"")
    cleaned = b"/".join(part for part in text.split(b"/") if part not in {b"", b"."})
    if not cleaned:  # the root itself
        return PathPattern(None, b"", re.compile(".*", re.DOTALL))
    pieces = list(_pieces(cleaned))
    literal = None
    if not any(piece in {"*", "?"} for piece in pieces):
        literal = b"".join(
            one if isinstance(one, bytes) else one.encode("utf-8", "surrogateescape")
            for one in pieces
        )
    if all(isinstance(piece, bytes) for piece in pieces):
        return PathPattern(literal, literal or b"")
    beginning = pieces[0] if isinstance(pieces[0], bytes) else b""
    regex = "".join(map(_regex, pieces))
    return PathPattern(literal, beginning, re.compile(f"{regex}(?:/.*)?", re.DOTALL))


def _regex(piece: bytes | str) -> str:
    if isinstance(piece, bytes):
        return re.escape(_normal(piece))
    if piece in {"*", "?"}:
        return ".*" if piece == "*" else "."
    is_negated = piece[1] == "!"
    members = re.sub(r"([\\\[\]^&~|])", r"\\\1", piece[1 + is_negated : -1])
    regex = f"[{'^' * is_negated}{members}]"
    try:
        re.compile(regex)
    except re.error:  # a range that goes backwards, or nothing at all
        return re.escape(piece)
    return regex


def exact(texts: Iterable[bytes], paths: Iterable[bytes]) -> frozenset[bytes]:
    """Return the texts that are the path of a file or a folder to the letter, and mean that alone.

    Other normalization forms are other files then, and brackets are brackets.
    """
    wanted = {text: found for text in texts if (found := parse(text)).is_open}
    if not wanted:
        return frozenset()
    to_the_letter: set[bytes] = set()
    for path in paths:
        for text, pattern in wanted.items():
            if text not in to_the_letter and pattern.matches(path, to_the_letter=True):
                to_the_letter.add(text)
        if len(to_the_letter) == len(wanted):
            break
    return frozenset(to_the_letter)


def _pieces(text: bytes) -> Iterator[bytes | str]:
    """Yield literal bytes, and ``*``, ``?`` and sets in brackets as texts."""
    literal = b""
    at = 0
    for match in _ESCAPE.finditer(text):
        literal += text[at : match.start()]
        at = match.end()
        if match[5] is None:
            literal += _meant(match)
            continue
        if literal:
            yield literal
        literal = b""
        yield match[5].decode("utf-8", "surrogateescape")
    literal += text[at:]
    if literal:
        yield literal


def _meant(match: re.Match[bytes]) -> bytes:
    short, byte, *characters = match.groups()[:4]
    if short is not None:
        return _SHORT.get(short, short)
    if byte is not None:
        return bytes([int(byte, 16)])
    number = int(characters[0] or characters[1], 16)
    if number > _LAST_CHARACTER:
        return match[0]
    return chr(number).encode("utf-8", "surrogatepass")


def _is_in(path: bytes, wanted: bytes) -> bool:
    return path == wanted or (path.startswith(wanted) and path[len(wanted) :].startswith(b"/"))


def _normal(path: bytes) -> str:
    text = path.decode("utf-8", "surrogateescape")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


@lru_cache
def _normal_bytes(path: bytes) -> bytes:
    return _normal(path).encode("utf-8", "surrogatepass")
