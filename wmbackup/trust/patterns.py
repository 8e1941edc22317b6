"""Lists of patterns as OpenSSH matches them (``PATTERNS`` in ssh_config(5))."""

from __future__ import annotations

_MAX_PATTERN = 1022
"""Bytes of one pattern: ssh-keygen lets a list with a longer one match nothing."""


def has_patterns(names: str) -> bool:
    """Whether a list has anything but plain names."""
    return any(sign in names for sign in "*?!")


def matches(name: str, patterns: str) -> bool:
    """Whether a list, separated by commas, matches a name: ``*``, ``?``, and ``!`` for never.

    Stricter than ssh-keygen in one thing: a pattern that is too long makes the list match nothing,
    wherever in the list it is.
    """
    wanted = patterns.split(",")
    if any(len(pattern.encode("utf-8", "surrogateescape")) > _MAX_PATTERN for pattern in wanted):
        return False
    found = False
    for pattern in wanted:
        if _matches_one(name, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _matches_one(name: str, pattern: str) -> bool:
    # One star is remembered and tried anew: the work is the product of both lengths at most,
    # where a regular expression would try all ways to divide the name between many stars.
    at = star = 0
    after_star = -1
    position = 0
    while at < len(name):
        if position < len(pattern) and pattern[position] == "*":
            after_star, star = position + 1, at
            position += 1
        elif position < len(pattern) and pattern[position] in {"?", name[at]}:
            at += 1
            position += 1
        elif after_star >= 0:
            star += 1
            at, position = star, after_star
        else:
            return False
    return not pattern[position:].strip("*")
