"""Text of others amid our own words: bounded, and in quotes where it could pass for ours.

Whoever makes an archive chooses its host, its titles and its paths. A host that is called
``vm by wmbackup@boss`` must not read as if this program had said so.
"""

from __future__ import annotations

import re

MAX_SHOWN = 120
"""Characters of a name that a message has; JSON has all of them."""

_WORD = re.compile(r"[A-Za-z0-9_/~.{][A-Za-z0-9._@+=:/\\~{}-]*\Z")


def quoted(text: str, most: int = MAX_SHOWN) -> str:
    """Return a text as one word: as it is where it is one, in double quotes where it is not."""
    if _WORD.match(text) and len(text) <= most:
        return text
    inner = elided(text, most).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'


def elided(text: str, most: int = MAX_SHOWN) -> str:
    """Return a text of at most so many characters, with an ellipsis for what is left out."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 1]}\u2026{text[len(text) - tail :]}"
