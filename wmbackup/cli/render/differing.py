"""What is shown where two are compared: signs, what they mean, and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wmbackup.cli.render.sanitize import count, shown, visible
from wmbackup.quoting import quoted

if TYPE_CHECKING:
    from wmbackup.engine import Differences


def difference_legend(first: str, second: str) -> str:
    """Return what the signs of `difference_lines` mean."""
    names = f"+ only in {quoted(visible(second))}, - only in {quoted(visible(first))}"
    return f"{names}, ~ in both, with different content"


def difference_lines(differences: Differences) -> list[str]:
    """Return what differs, one line each."""
    lines = [f"+ {shown(path)}" for path in differences.added]
    for path in differences.gone:
        why = " (expired: such licenses delete themselves)" if path in differences.expired else ""
        lines.append(f"- {shown(path)}{why}")
    return lines + [f"~ {shown(path)}" for path in differences.changed]


def difference_counts(found: Differences) -> str:
    """Return how much differs, the same for `list` and `verify`."""
    if not found:
        return "nothing differs"
    expired = f" ({len(found.expired):,} of them expired: no damage)" if found.expired else ""
    return (
        f"{count(len(found.added), 'file')} added, {len(found.gone):,} gone{expired},"
        f" {len(found.changed):,} changed"
    )
