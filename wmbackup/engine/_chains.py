"""License chains: a restore of a leaf without its root brings a license that plays nothing.

A leaf opens its content, and its root opens the leaf; each has its own key ID (Windows Media Rights
Manager 10, "How License Chaining Works").
"""

from __future__ import annotations

from collections.abc import Callable

from wmbackup.archive.inventory import Row
from wmbackup.engine._inventory import Selection
from wmbackup.engine._restorable import Contents
from wmbackup.formats.keyid import canonical
from wmbackup.license import License
from wmbackup.quoting import quoted
from wmbackup.status import WarningEvent

_NAMED = 20  # roots that are reported one by one


class Chains:
    """The licenses in the files that a selection names, as they are met in order."""

    def __init__(self) -> None:
        """Begin with none."""
        self._index = -1
        self._pending: list[License] = []
        self._is_chosen = False
        self._brought: set[str] = set()
        self._leaves: dict[str, License] = {}  # the first leaf of each root

    def see(self, index: int, known: License | None, *, is_chosen: bool) -> None:
        """Note a license of a file; ``is_chosen`` says that the file is restored.

        That may be clear only at a later license of the same file.
        """
        if index != self._index:
            self._index, self._pending, self._is_chosen = index, [], False
        self._is_chosen = self._is_chosen or is_chosen
        if known is not None:
            self._pending.append(known)
        if self._is_chosen:
            for license_ in self._pending:
                self._bring(license_)
            self._pending = []

    def _bring(self, known: License) -> None:
        if known.kid is not None:
            self._brought.add(canonical(known.kid))
        if known.root is not None:
            self._leaves.setdefault(canonical(known.root), known)

    def warnings(
        self, contents: Contents, is_in_target: Callable[[Row], bool]
    ) -> list[WarningEvent]:
        """Return a warning for each root that a leaf needs and that is neither restored nor there.

        ``is_in_target`` says of a row whether its file is in the target already.
        """
        missing = {root: leaf for root, leaf in self._leaves.items() if root not in self._brought}
        if not missing:
            return []
        archived: set[str] = set()
        for _, row in contents.rows(Selection()):
            root = None if row.license is None else row.license.kid
            root = None if root is None else canonical(root)
            if root is not None and root in missing:
                archived.add(root)
                if is_in_target(row):
                    del missing[root]
        found = [
            _warning(leaf, _reason(leaf.root or root, contents, is_archived=root in archived))
            for root, leaf in list(missing.items())[:_NAMED]
        ]
        if len(missing) > _NAMED:
            more = len(missing) - _NAMED
            text = f"other roots are not restored: {more:,}"
            found.append(WarningEvent("root-missing", text, reason="more"))
        return found


def _warning(leaf: License, reason: str | None) -> WarningEvent:
    title, kid = leaf.attributes.get("Title"), leaf.kid
    name = f" {quoted(title)}" if title else ""
    own = f" with key ID {quoted(kid)}" if kid else ""
    return WarningEvent(
        "root-missing",
        f"the license{name}{own} is a leaf, and the restore does not bring its root, key ID"
        f" {quoted(leaf.root or '')}: without the root it plays nothing",
        reason=reason,
        subject=leaf.root,
    )


def _reason(root: str, contents: Contents, *, is_archived: bool) -> str | None:
    if is_archived:
        return None
    return "withheld" if contents.withholds(Selection(kids=(root,))) else "not-here"
