"""The bounds that a configuration keeps before it is parsed.

Python's parser takes time and memory with the square of the parts of a key, of the depth of
brackets, and of the digits of a number. What is looked for here is found in one pass.
"""

from __future__ import annotations

import re

MAX_FILE = 64 * 1024
"""The largest file that is read, in bytes."""

MAX_DEPTH = 8
"""How many levels of tables and arrays a file may have, and how many parts a key."""

MAX_WORD = 1000
"""The longest number, or key without quotes, in characters."""

# Strings and comments, in which brackets and points mean nothing. What is not closed goes on to the
# end of its line or of the file: the parser stops there, and nothing is looked at twice.
_OPAQUE = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:"{3,5}|\\?\Z)|"(?:[^"\\\n]|\\[^\n])*+["\\]?|'
    r"'''(?:[^']|'(?!''))*+(?:'{3,5}|\Z)|'[^'\n]*+'?|#[^\n]*+",
    re.DOTALL,
)
_PARTS = re.compile(r'(?<![\w"-])(?:[\w"-]++[ \t]*+\.[ \t]*+){8}')  # MAX_DEPTH
_WORD = re.compile(r"[^\s\[\]{},=\"'.]{1001}")  # MAX_WORD, and one more
_BRACKETS = re.compile(r"[\[\]{}]")
_DIGITS = re.compile(r"[0-9_]+\Z")


def find_excess(text: str) -> tuple[int, str] | None:
    """Return the line and the fact where a text exceeds a bound; None where it keeps them all."""
    bare = _OPAQUE.sub(_emptied, text)
    word = _WORD.search(bare)
    if word is not None:
        what = "a number has too many digits" if _DIGITS.match(word[0]) else "a word is too long"
        return _line(bare, word.start()), f"{what}: {MAX_WORD} are the most"
    deep = _PARTS.search(bare)
    at = _deep_bracket(bare) if deep is None else deep.start()
    if at is not None:
        return _line(bare, at), f"this is nested more than {MAX_DEPTH} levels deep"
    return None


def _emptied(part: re.Match[str]) -> str:
    return '""' + "\n" * part[0].count("\n")


def _deep_bracket(bare: str) -> int | None:
    depth = 0
    for sign in _BRACKETS.finditer(bare):
        depth += 1 if sign[0] in "[{" else -1
        if depth > MAX_DEPTH:
            return sign.start()
    return None


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
