"""The ``windows`` store: the licenses of this machine, through the documented interface.

The interface writes into a private folder and restores from one; what it wrote is carried as it
is, whatever the files are called. Everything that exists on Windows alone is behind `Binding`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, ClassVar

from wmbackup.errors import ExitCode, StoreUnavailable, SystemFailure, TimedOut, WmbackupError
from wmbackup.hresult import Category, InterfaceError, find
from wmbackup.item import Item, Skipped
from wmbackup.license import License
from wmbackup.status import Control, WarningEvent
from wmbackup.storage.files import PRIVATE_FOLDER
from wmbackup.storage.spool import temporary_folder
from wmbackup.stores.base import Content, Import, ItemWithheld, Standing
from wmbackup.stores.folder import FolderExport, FolderStore
from wmbackup.stores.importing import begin_import
from wmbackup.stores.layouts import WRITTEN
from wmbackup.stores.windows import child
from wmbackup.stores.windows.child import Runner
from wmbackup.stores.windows.findings import Machine, findings
from wmbackup.stores.windows.following import Outcome
from wmbackup.stores.windows.merging import merge
from wmbackup.stores.windows.private import private_folder

PRIVACY_POLICY = "https://privacy.microsoft.com/privacystatement"
_PARTIAL = 0x000D1136  # NS_S_WMPBR_PARTIALSUCCESS


class PartlyRestored(WmbackupError):
    """The interface restored some of the licenses and others not."""

    code = "partly-restored"
    exit_code = ExitCode.PARTIAL
    hresult = _PARTIAL


@dataclass(frozen=True, slots=True)
class Binding:
    """What only Windows has: see `documented_binding` for what stands behind each.

    ``restore`` is told whether the user has consented to a security upgrade. ``enumerate`` may run
    in a process of its own, and ``probe_apart`` does what ``probe`` does in one.
    """

    machine: Callable[[], Machine]
    probe: Callable[[], object]
    enumerate: Callable[[Control], Iterable[License]]
    backup: Callable[[str, Control], Outcome]
    restore: Callable[[str, Control, bool], Outcome]
    restrict: Callable[[str], object]
    probe_apart: Callable[[], object] | None = None


if sys.platform == "win32":

    def documented_binding(runner: Runner | None = None) -> Binding:
        """Return the documented interface of this system.

        With a ``runner``, what is only to be known is asked in a process of its own, so that a
        crash of Microsoft's component there costs an answer and not what this process did.
        """
        from wmbackup.stores.windows import enumeration, interface, machine
        from wmbackup.trust import owner

        return Binding(
            machine=machine.this_machine,
            probe=interface.probe,
            enumerate=enumeration.enumerate_licenses
            if runner is None
            else lambda control: child.licenses(runner, control),
            backup=interface.backup_into,
            restore=lambda folder, control, consent: interface.restore_from(
                folder, control, individualize=consent
            ),
            restrict=owner.restrict,
            probe_apart=None if runner is None else lambda: child.probe(runner, Control()),
        )

else:

    def documented_binding(runner: Runner | None = None) -> Binding:  # noqa: ARG001 - that of Windows
        """Raise StoreUnavailable, and say what can be done from here."""
        raise StoreUnavailable(
            "the windows store is the Windows Media interface, which exists on Windows alone",
            reason="not-windows",
        )


class WindowsStore:
    """The licenses of this machine."""

    kind: ClassVar[str] = WRITTEN.kind
    location: ClassVar[str] = "Windows Media DRM of this machine"
    root: ClassVar[str | None] = None
    gives_statuses: ClassVar[bool] = True

    def __init__(
        self,
        folder: str | None = None,
        binding: Binding | None = None,
        *,
        consent: bool = False,
        runner: Runner | None = None,
    ) -> None:
        """Use the documented interface, or another binding.

        ``folder`` is where private folders are made; it should belong to this user. ``consent``
        says that the user has allowed a security upgrade, ``runner`` starts a process of its own
        for what may crash. Raises StoreUnavailable off Windows.
        """
        self._binding = binding or documented_binding(runner)
        self._folder = folder or os.path.join(temporary_folder(), "wmbackup-private")
        self._consent = consent

    def with_consent(self) -> WindowsStore:
        """Return the same store after the user has allowed a security upgrade."""
        return WindowsStore(self._folder, self._binding, consent=True)

    @property
    def binding(self) -> Binding:
        """What it drives, for whoever wants to look before it does."""
        return self._binding

    def licenses(self, control: Control) -> Iterator[License]:
        """Enumerate them. Raises StoreUnavailable without ``wmdrmsdk.dll``, InterfaceError."""
        control.check()
        for license_ in self._binding.enumerate(control):
            control.check()
            yield license_

    @contextlib.contextmanager
    def export(self, control: Control) -> Iterator[WindowsExport]:
        """Have the interface back everything up into a private folder, and list what it wrote.

        Raises StoreUnavailable, InterfaceError, Cancelled, SystemFailure.
        """
        control.check()
        machine = self._look(control, restoring=False)
        with private_folder(self._folder, self._binding.restrict) as folder:
            try:
                os.mkdir(folder, PRIVATE_FOLDER)
            except OSError as error:
                raise SystemFailure.of(error, "make the folder", folder) from error
            outcome = self._binding.backup(folder, control)
            known = merge(self._enumerated(control), outcome.restricted)
            with FolderStore(folder, WRITTEN).export(control) as written:
                yield WindowsExport(written, known, outcome, machine)

    @contextlib.contextmanager
    def import_(self, control: Control, *, replace: bool) -> Iterator[Import]:
        """Begin a restore: what is staged is handed to the interface by `Import.commit`.

        The limits are said first. Raises StoreUnavailable, InterfaceError, SystemFailure.
        """
        control.check()
        self._look(control, restoring=True)
        control.notify(_LIMITS)
        if self._consent:
            control.notify(_UPGRADE)
        with (
            private_folder(self._folder, self._binding.restrict) as folder,
            begin_import(folder, control, replace=replace) as staged,
        ):
            yield _HandedOver(staged, lambda: self._hand_over(folder, control))

    def _look(self, control: Control, *, restoring: bool) -> Machine:
        """Say what stands in the way before anything is done. Raises the worst of it."""
        machine = self._binding.machine()
        for found in findings(machine, self._binding.probe):
            matters = found.restore if restoring else found.backup
            if found.trouble is None or not matters:
                continue
            if found.exit_code is not ExitCode.OK:
                if found.name == "interface":
                    self._binding.probe()  # which raises, and knows its HRESULT
                reason = f"{found.name}-{found.trouble}"
                raise StoreUnavailable(found.message, reason=reason)
            control.notify(found.warning)
        return machine

    def _enumerated(self, control: Control) -> Sequence[License]:
        try:
            return list(self._binding.enumerate(control))
        except (StoreUnavailable, InterfaceError, TimedOut) as error:
            message = f"the licenses cannot be enumerated, and are not named: {error.message}"
            control.notify(WarningEvent("not-enumerated", message, cause=error))
            return ()

    def _hand_over(self, folder: str, control: Control) -> None:
        outcome = self._binding.restore(folder, control, self._consent)
        known = find(outcome.hresult)
        if known.value == _PARTIAL:
            raise PartlyRestored("the interface restored some of the licenses and others not")
        if known.category is Category.CONSENT:
            control.notify(WarningEvent("upgrade-wanted", known.sentence))


_LIMITS = WarningEvent(
    "restore-limits",
    "a restore asks Microsoft's license service over the Internet, which allows it on four"
    " computers at most (a reinstalled system counts as another) and may be gone for good: nobody"
    " can promise that it will be accepted",
)
_UPGRADE = WarningEvent(
    "individualization",
    "as was allowed, Microsoft's component may be upgraded over the Internet and made unlike any"
    f" other; Microsoft's privacy policy: {PRIVACY_POLICY}",
)


class WindowsExport:
    """What the interface wrote, and what is known of the licenses in it."""

    def __init__(
        self,
        written: FolderExport,
        known: Sequence[License],
        outcome: Outcome,
        machine: Machine,
    ) -> None:
        """Take the files of the private folder."""
        self._written = written
        self._known = known
        self._read: set[tuple[str, str | None]] = set()
        self.paths: Sequence[bytes] = written.paths
        self.skipped: Sequence[Skipped] = written.skipped
        self.machine: str | None = machine.fingerprint()
        if outcome.hresult == _PARTIAL and not outcome.restricted:
            reason = "the interface says that it backed up some of the licenses and others not"
            self.skipped = (*self.skipped, Skipped(b"licenses without a name", reason))

    @property
    def licenses(self) -> Sequence[License]:
        """What was enumerated and is not recognized in one of the files that were read."""
        return [
            one for one in self._known if one.kid is None or (one.kid, one.lid) not in self._read
        ]

    def read(self, path: bytes) -> Content:
        """Read one of `paths`. Raises ItemUnavailable."""
        try:
            content = self._written.read(path)
        except ItemWithheld as error:  # pragma: no cover - the layout withholds nothing
            raise AssertionError(path) from error
        self._read |= {(one.kid, one.lid) for one in content.licenses if one.kid is not None}
        return content


class _HandedOver:
    """A restore into the private folder; committing it hands the folder to the interface."""

    def __init__(self, staged: Import, hand_over: Callable[[], None]) -> None:
        self._staged = staged
        self._hand_over = hand_over

    def standing(self, item: Item, sha256: bytes) -> Standing:
        return self._staged.standing(item, sha256)

    def put(self, item: Item, data: bytes) -> None:
        self._staged.put(item, data)

    def stage(self, item: Item) -> BinaryIO:
        return self._staged.stage(item)

    def accept(self, item: Item) -> None:
        self._staged.accept(item)

    def commit(self) -> None:
        self._staged.commit()
        self._hand_over()
