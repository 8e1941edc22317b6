"""What a true path is: the path of a file inside its store (wmbackup-archive(5), PAYLOAD)."""

from __future__ import annotations

MAX_PATH = 4096
"""The longest true path, in bytes."""

MAX_DEPTH = 100
"""The most components of a true path: what costs time for each folder on the way is bounded."""

_GAPS = {b"", b".", b"/"}


def is_path(path: bytes) -> bool:
    """Whether these bytes are a true path: relative, without ``..``, zero, gaps, and bounded."""
    return path_problem(path) is None


def path_problem(path: bytes) -> str | None:
    """Return why these bytes are no true path; None where they are one."""
    # Without one of these at its beginning or behind a slash no component can be wrong.
    plain = path[:1] not in _GAPS and b"//" not in path and b"/." not in path and path[-1:] != b"/"
    problem = None
    if len(path) > MAX_PATH:
        problem = f"its path has {len(path):,} bytes; an archive takes {MAX_PATH:,} at most"
    elif path.count(b"/") >= MAX_DEPTH:
        problem = (
            f"it is {path.count(b'/'):,} folders deep; an archive takes {MAX_DEPTH - 1} at most"
        )
    elif b"\0" in path:
        problem = "its path has a zero byte"
    elif not plain and any(part in {b"", b".", b".."} for part in path.split(b"/")):
        problem = "its path is absolute, leaves its store, or has an empty component"
    return problem
