"""What this program made for itself and could not remove again, so that a command can name it."""

from __future__ import annotations

import os

_left: dict[str, OSError] = {}


def note(path: str, error: OSError) -> None:
    """Remember a file that could not be removed, and why."""
    _left[path] = error


def take() -> list[tuple[str, OSError]]:
    """Return what is still there, and why, and forget it."""
    found = [(path, error) for path, error in _left.items() if _may_be_there(path)]
    _left.clear()
    return found


def _may_be_there(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError:  # whoever cannot look cannot say that it is gone
        return True
    return True
