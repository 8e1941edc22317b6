"""Reading a store: what is carried, what is skipped and why, what is withheld."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from operator import itemgetter
from typing import TypeVar

from wmbackup.archive.batch import ContentMismatch
from wmbackup.archive.constants import MAX_FILES
from wmbackup.archive.names import Naming, give_names
from wmbackup.errors import Incomplete
from wmbackup.item import MAX_SIZE, Skipped
from wmbackup.license import License
from wmbackup.status import Control, SkipEvent, WarningEvent, WithheldEvent
from wmbackup.stores.base import Content, Export, ItemUnavailable, ItemWithheld
from wmbackup.true_path import path_problem

_T = TypeVar("_T")
_LAST = sys.maxsize


class Tally:
    """What is noted on the way through a store; everything is told once, when it happens.

    ``licenses`` counts those that are carried. ``position`` orders what is noted, where files are
    not read in the order of their names: what has a lower one comes first.
    """

    def __init__(self, control: Control) -> None:
        """Begin with nothing."""
        self._control = control
        self._told: set[bytes] = set()
        self._skipped: list[tuple[int, Skipped]] = []
        self._withheld: list[tuple[int, License]] = []
        self.position = -1
        self.licenses = 0

    @property
    def skipped(self) -> list[Skipped]:
        """The files that are not carried, in order."""
        return _in_order(self._skipped)

    @property
    def withheld(self) -> list[License]:
        """The licenses that are withheld by their issuers, in order."""
        return _in_order(self._withheld)

    @property
    def noted(self) -> int:
        """How many licenses are withheld so far."""
        return len(self._withheld)

    def withheld_since(self, noted: int) -> list[License]:
        """Return the licenses that are withheld and were not when there were so many."""
        return [license_ for _, license_ in self._withheld[noted:]]

    def skip(self, path: bytes, reason: str) -> None:
        """Note a file that is not carried."""
        if path not in self._told:
            self._told.add(path)
            self._skipped.append((self.position, Skipped(path, reason)))
            self._control.notify(SkipEvent(path, reason))

    def names(self, export: Export) -> Naming:
        """Give names to what a store lists, passing over what no archive can name."""
        for skipped in export.skipped:
            self.skip(skipped.path, skipped.reason)
        return give_names(self._carried(export))

    def _carried(self, export: Export) -> Iterator[bytes]:
        """Yield the paths that an archive can hold."""
        count = 0
        for path in export.paths:
            problem = path_problem(path)
            if problem is not None:
                self.skip(path, problem)
            elif count == MAX_FILES:
                self.skip(path, f"an archive takes no more than {MAX_FILES} files")
            else:
                count += 1
                # What was told to be left behind stays behind, though it could be read this time.
                if path not in self._told:
                    yield path

    def know(self, licenses: Iterable[License]) -> list[License]:
        """Note licenses that are in no single file; return those that are not withheld."""
        free = []
        for license_ in licenses:
            if license_.withheld:
                self._withheld.append((_LAST, license_))
                self._control.notify(WithheldEvent(license_))
            else:
                free.append(license_)
        self.licenses += len(free)
        return free

    def refuse(self, *, skipped: bool, withheld: bool, planned: bool = False) -> None:
        """Raise Incomplete where files were skipped, or licenses withheld, and that is refused.

        ``planned`` says that no more than a plan was to be made.
        """
        left = []
        if skipped and self._skipped:
            left.append(_count(len(self._skipped), "file", "is skipped", "are skipped"))
        if withheld and self._withheld:
            left.append(_count(len(self._withheld), "license", "is withheld", "are withheld"))
        if left:
            raise Incomplete(
                f"no archive {'would be' if planned else 'was'} written: {' and '.join(left)}"
            )

    def start_over(self) -> None:
        """Forget what was counted, but not what was told: the store is read again without that."""
        self.licenses = 0
        self._control.notify(
            WarningEvent("reading-again", "a file was lost whose name others had made room for")
        )

    def carry(self, export: Export, path: bytes, take: Callable[[bytes, Content], object]) -> bool:
        """Read an item and hand it to ``take``; return whether that took it.

        Where it could not be read, or changed meanwhile, it is read once more: the only retry.
        After that, and where an archive cannot hold it, it is skipped. ``take`` raises
        ItemUnavailable or ContentMismatch for the one, ValueError for the other.
        """
        reason = ""
        for _ in range(2):
            try:
                content = export.read(path)
                if content.size > MAX_SIZE:
                    reason = "it has 8 GiB or more, which no archive takes"
                    break
                refusal = _taken(take, path, content)
            except (ItemUnavailable, ContentMismatch) as error:
                reason = str(error) or "it changed while it was read"
            except ItemWithheld as error:
                self._withhold(path, error.licenses)
                return False
            else:
                if refusal is None:
                    return True
                reason = refusal
                break
        self.skip(path, reason)
        return False

    def _withhold(self, path: bytes, licenses: tuple[License, ...]) -> None:
        others = sum(not license_.withheld for license_ in licenses)
        for license_ in licenses:
            known = replace(license_, withheld=True, path=path)
            self._withheld.append((self.position, known))
            if license_.withheld:
                self._control.notify(WithheldEvent(known))
        if others:
            stay = "license stays" if others == 1 else "licenses stay"
            self.skip(path, f"{others} other {stay} behind with one that is restricted")
        self._told.add(path)


def _taken(take: Callable[[bytes, Content], object], path: bytes, content: Content) -> str | None:
    try:
        take(path, content)
    except ValueError as error:
        return str(error)
    return None


def _count(number: int, noun: str, one: str, many: str) -> str:
    return f"{number:,} {noun} {one}" if number == 1 else f"{number:,} {noun}s {many}"


def _in_order(noted: list[tuple[int, _T]]) -> list[_T]:
    return [one for _, one in sorted(noted, key=itemgetter(0))]
