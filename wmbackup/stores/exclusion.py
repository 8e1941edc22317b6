"""Patterns of files to leave out, with the meaning that they have in a ``.gitignore`` file.

Source: gitignore(5). The tests compare every rule with ``git check-ignore``.
"""

from __future__ import annotations

import os
import re
import string
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_IGNORES_CASE = os.name == "nt" or sys.platform == "darwin"
"""Whether upper and lower case are the same, as Git decides for the usual file system there."""

EXCLUDED = "it matches the pattern "
"""How the reason begins for which such a file is left out."""

_ANY = b"[^/]"
_WILD = re.compile(rb"[*?[\\]")
_SEEN = string.digits + string.ascii_letters + string.punctuation
_CLASSES = {
    b"alnum": string.digits + string.ascii_letters,
    b"alpha": string.ascii_letters,
    b"blank": " \t",
    b"cntrl": "".join(map(chr, range(32))) + "\x7f",
    b"digit": string.digits,
    b"graph": _SEEN,
    b"lower": string.ascii_lowercase,
    b"print": " " + _SEEN,
    b"punct": string.punctuation,
    b"space": string.whitespace,
    b"upper": string.ascii_uppercase,
    b"xdigit": string.hexdigits,
}


class _Invalid(Exception):
    """A pattern that matches nothing, such as one with a bracket that is never closed."""


class _Rule(NamedTuple):
    """One pattern: what it matches is left out, or with ``keeps`` carried all the same."""

    text: str
    keeps: bool
    only_folders: bool
    by_name: bool
    """Whether the own name is compared; otherwise it is the path from the root of the store."""
    regex: re.Pattern[bytes]


class Exclusion:
    """Which files are left out: the last pattern that matches decides.

    What is in a folder that is left out is left out as well, whatever other patterns say of it.
    ``void`` are the patterns that can match nothing, such as ``[a``, which is never closed.
    """

    def __init__(self, patterns: Sequence[str], *, ignores_case: bool = _IGNORES_CASE) -> None:
        """Take patterns, each as a line of a ``.gitignore`` file."""
        self._ignores_case = ignores_case
        rules = {text: _rule(text, ignores_case=ignores_case) for text in patterns}
        self.void = [text for text, rule in rules.items() if rule is None]
        found = (rules[text] for text in reversed(patterns))
        self._rules = [rule for rule in found if rule is not None]

    def __bool__(self) -> bool:
        """Whether there is any pattern."""
        return bool(self._rules)

    def pattern_for(self, path: bytes, *, is_folder: bool) -> str | None:
        """Return the pattern for which a path is left out by itself, and not for its folder."""
        path = path.lower() if self._ignores_case else path
        name = path.rpartition(b"/")[2]
        for rule in self._rules:
            if rule.only_folders and not is_folder:
                continue
            if rule.regex.fullmatch(name if rule.by_name else path):
                return None if rule.keeps else rule.text
        return None

    def pattern_for_file(self, path: bytes) -> str | None:
        """Return the pattern for which a file is left out, by itself or for one of its folders."""
        end = path.find(b"/")
        while end >= 0:
            found = self.pattern_for(path[:end], is_folder=True)
            if found is not None:
                return found
            end = path.find(b"/", end + 1)
        return self.pattern_for(path, is_folder=False)


def _rule(text: str, *, ignores_case: bool) -> _Rule | None:
    """Read a pattern; None for an empty line, a comment, and what matches nothing."""
    pattern = os.fsencode(text)
    if pattern.startswith(b"#"):
        return None
    pattern = _without_trailing_spaces(pattern.removesuffix(b"\r"))
    keeps = pattern.startswith(b"!")
    pattern = pattern[keeps:]
    only_folders = pattern.endswith(b"/")
    pattern = pattern[: len(pattern) - only_folders]
    by_name = b"/" not in pattern
    # A slash in front says no more than that the pattern is not one for names.
    pattern = pattern.removeprefix(b"/")
    try:
        if ignores_case:
            pattern = pattern.lower().replace(b"[:upper:]", b"[:lower:]")
        regex = _compiled(pattern, by_name=by_name)
    except _Invalid:
        return None
    if not pattern:
        return None
    return _Rule(text, keeps, only_folders, by_name, re.compile(regex, re.DOTALL))


def _without_trailing_spaces(pattern: bytes) -> bytes:
    """Remove spaces at the end, but not one after a backslash."""
    end = at = 0
    while at < len(pattern):
        step = 2 if pattern[at : at + 1] == b"\\" else 1
        if pattern[at : at + 1] != b" ":
            end = at + step
        at += step
    return pattern[:end]


# The tokens of a pattern that are not regular expressions already.
_STAR = b"*"  # any part of a name
_FOLDERS = b"**/"  # any number of folders, or none
_REST = b"**"  # all that follows
_SLASH = b"/"
_REGEX = {_STAR: b"[^/]*", _FOLDERS: b"(?:[^/]*/)*", _REST: b".*"}
_ENDS = {_STAR: {_SLASH, _FOLDERS, _REST}, _FOLDERS: {_REST}}
"""What a star cannot reach beyond."""


def _compiled(pattern: bytes, *, by_name: bool) -> bytes:
    """Return a pattern as a regular expression. Raises _Invalid.

    However many stars there are, matching takes little time: what stands between two of them is
    searched for once, where it comes first, because the second star takes whatever follows.
    """
    tokens = list(_tokens(pattern, by_name=by_name))
    closing: list[int] = []  # where groups end that are not tried a second time
    parts = []
    for at, token in enumerate(tokens):
        parts.append(b")" * closing.count(at))
        after = None if token not in _ENDS else _next_star(tokens, at)
        if after is None:
            parts.append(_REGEX.get(token, token))
        else:
            closing.append(after)
            parts.append(b"(?>" + _REGEX[token] + b"?")
    return b"".join(parts)


def _next_star(tokens: list[bytes], at: int) -> int | None:
    """Return where the next star of the same kind is, if what is between cannot be elsewhere."""
    for index in range(at + 1, len(tokens)):
        if tokens[index] == tokens[at]:
            return index
        if tokens[index] in _ENDS[tokens[at]]:
            return None
    return None


def _tokens(pattern: bytes, *, by_name: bool) -> Iterator[bytes]:
    wild = _WILD.search(pattern)
    start = len(pattern) if wild is None else wild.start()
    at = 0
    while at < len(pattern):
        one = pattern[at : at + 1]
        if one == b"*":
            end = at + 1
            while pattern[end : end + 1] == b"*":
                end += 1
            # Git compares what comes before the first star apart, so that two stars there count as
            # if they were at the beginning of a name.
            begins = at == start or pattern[at - 1 : at] == b"/"
            if by_name or end - at == 1 or not begins or pattern[end : end + 1] not in b"/\\":
                yield _STAR
            elif pattern[end : end + 1] == b"/":
                yield _FOLDERS
                end += 1
            elif end == len(pattern) or pattern[end : end + 2] == b"\\/":
                yield _REST
            else:
                yield _STAR
            at = end
        elif one == b"[":
            members, at = _set(pattern, at + 1)
            yield _one_of(members)
        elif one == b"?":
            yield _ANY
            at += 1
        else:
            at += one == b"\\"
            if at == len(pattern):
                raise _Invalid
            yield re.escape(pattern[at : at + 1])
            at += 1


def _one_of(members: set[int]) -> bytes:
    members = members - {ord("/")}
    return b"[%b]" % b"".join(b"\\x%02x" % one for one in sorted(members)) if members else b"(?!)"


def _set(pattern: bytes, at: int) -> tuple[set[int], int]:
    """Return the bytes that a set in brackets matches, and where it ends. Raises _Invalid."""
    is_negated = pattern[at : at + 1] in {b"!", b"^"}
    at += is_negated
    members: set[int] = set()
    before: int | None = None  # the byte that a range can begin with
    first = at
    while at == first or pattern[at : at + 1] != b"]":
        one = pattern[at : at + 1]
        if one == b"-" and before is not None and pattern[at + 1 : at + 2] not in {b"", b"]"}:
            last, at = _byte(pattern, at + 1)
            members.update(range(before, last + 1))
            before = None
        elif one == b"[" and pattern[at + 1 : at + 2] == b":" and (end := _class_end(pattern, at)):
            named = _CLASSES.get(pattern[at + 2 : end - 1])
            if named is None:
                raise _Invalid
            members.update(named.encode())
            before, at = None, end + 1
        else:
            before, at = _byte(pattern, at)
            members.add(before)
    return (set(range(256)) - members if is_negated else members), at + 1


def _class_end(pattern: bytes, at: int) -> int | None:
    """Return where a class such as ``[:digit:]`` ends; None for a plain bracket."""
    end = pattern.find(b"]", at + 2)
    if end < 0:
        raise _Invalid
    return end if end > at + 2 and pattern[end - 1 : end] == b":" else None


def _byte(pattern: bytes, at: int) -> tuple[int, int]:
    """Return a byte, which a backslash may precede, and where it ends. Raises _Invalid."""
    at += pattern[at : at + 1] == b"\\"
    if at >= len(pattern):
        raise _Invalid
    return pattern[at], at + 1
