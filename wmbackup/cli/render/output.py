"""What a command says, whoever renders it: `terminal` for people, `jsonl` for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from wmbackup.errors import ExitCode, WmbackupError
from wmbackup.status import Event

if TYPE_CHECKING:
    # A command loads what it does itself, and nothing of what the others do.
    from wmbackup.archive.columns import Columns
    from wmbackup.cli.render.folder_values import FolderRow
    from wmbackup.engine import (
        BackupPlan,
        BackupSummary,
        Differences,
        Listing,
        RestorePlan,
        RestoreSummary,
        Row,
        VerifySummary,
    )

DEPRECATION = (
    "Microsoft has deprecated the Windows Media license backup interface in favor of PlayReady"
)
DEPRECATION_URL = "https://www.microsoft.com/PlayReady/"


class State(Enum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class CheckRow(NamedTuple):
    """One thing that `check` looked at; ``remedy`` is the next step where it is not ok."""

    name: str
    state: State
    message: str
    remedy: str | None = None
    exit_code: ExitCode = ExitCode.OK


class KeyRow(NamedTuple):
    """One key: ``role`` is signing, trusted, revoked or identity. Times are UTC.

    ``public_key`` is as OpenSSH writes it; of an identity it is the recipient, and there is no
    fingerprint.

    ``state`` is valid, expired, not-yet or revoked; ``revoked_in`` is the file that revokes it.
    """

    role: str
    fingerprint: str | None
    public_key: str
    principal: str | None = None
    path: str | None = None
    valid_after: str | None = None
    valid_before: str | None = None
    state: str = "valid"
    revoked_in: str | None = None


class Explanation(NamedTuple):
    """What a number or a name means.

    ``kind`` is hresult, status, exit-code, error, kind, warning or file.
    """

    kind: str
    name: str
    value: int | None
    sentence: str
    next_step: str | None
    exit_code: ExitCode | None = None
    category: str | None = None


class Verified(NamedTuple):
    """The result for one archive: a summary, or the error that it ended with; how long it took.

    ``differences`` are those from the store ``against``.
    """

    name: str
    summary: VerifySummary | None
    error: WmbackupError | None
    differences: Differences | None = None
    restore_tested: bool = False
    seconds: float = 0.0
    against: str | None = None


class Listed(NamedTuple):
    """What `list` has shown, and what it saw on the way; ``live`` says that it was a store."""

    name: str
    store_kind: str
    files: int
    licenses: int
    octets: int
    skipped: int
    withheld: int
    live: bool
    differences: Differences | None = None


class FolderListed(NamedTuple):
    """What `list` has shown of a folder: how many archives, and their bytes."""

    name: str
    archives: int
    size: int


class Surveyed(NamedTuple):
    """What `status` has shown: how many series and archives, and their bytes."""

    series: int
    archives: int
    size: int


class Pruned(NamedTuple):
    """What a prune did: archives kept, removed and left alone, and the bytes of those removed."""

    folder: str
    kept: int
    removed: int
    size: int
    left: int
    dry_run: bool


class Checked(NamedTuple):
    """What `check` found; ``store_kind`` is the kind of the store that it was asked for."""

    rows: tuple[CheckRow, ...]
    store_kind: str = "windows"


class Affected(NamedTuple):
    """An archive that a key has signed: as its ``maker`` or as a ``cosigner``."""

    name: str
    role: str


class Revoked(NamedTuple):
    """A key that was revoked.

    ``affected`` are the archives of a folder that it has signed, None where no folder was named;
    ``unread`` are those of which nobody here can tell.
    """

    text: str
    affected: tuple[Affected, ...] | None
    unread: tuple[str, ...] = ()


class Message(NamedTuple):
    """What a small command did, in one line."""

    text: str


Result: TypeAlias = (
    "BackupPlan | BackupSummary | RestoreSummary | list[Verified] | Listed | FolderListed"
    " | Surveyed | Pruned | Checked | Message | Revoked | None"
)


class Output(Protocol):
    """A renderer. Standard output raises as `StandardOutput` does."""

    def notice(self) -> None:
        """Say that the interface is deprecated."""

    @property
    def follows_items(self) -> bool:
        """Whether `event` has a use for single files."""

    def event(self, event: Event) -> None:
        """Follow an operation; called on its thread."""

    def error(self, error: WmbackupError) -> None:
        """Report an error."""

    def warning(self, code: str, message: str, hint: str | None = None) -> None:
        """Report something that stops nothing."""

    def plan(self, plan: RestorePlan) -> None:
        """Show what a restore is about to do."""

    def rows(
        self, inventory: Listing, rows: Iterable[Row], *, long: bool, columns: Sequence[str] = ()
    ) -> None:
        """Show an inventory, row by row; ``long`` shows all that is known, ``columns`` some."""

    @property
    def takes_batches(self) -> bool:
        """Whether `batches` can do what `rows` does."""

    def batches(self, batches: Iterable[Columns | list[Row]]) -> None:
        """Show all of the inventory of an archive, many rows at once."""

    def at_risk(self, rows: Iterable[Row]) -> None:
        """Show licenses that a backup does not save, by shop; the rows come in that order."""

    def differences(self, differences: Differences, first: str, second: str) -> None:
        """Show what differs between two that have names."""

    def check(self, row: CheckRow) -> None:
        """Show one check."""

    def keys(self, rows: Iterable[KeyRow]) -> None:
        """Show keys."""

    def folder(self, rows: Sequence[FolderRow]) -> None:
        """Show the archives or series of folders."""

    def explain(self, explanation: Explanation) -> None:
        """Show what something means."""

    def ask(self, question: str) -> bool:
        """Ask on the terminal; no answer is a no."""

    def result(self, result: Result) -> None:
        """Keep the result and stop what moves on the screen."""

    def finish(self, code: ExitCode) -> None:
        """Say the last word."""
