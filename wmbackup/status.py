"""What an operation says while it works, and how it is followed and stopped.

Statuses carry the names and numbers of the documented interface (``WMT_STATUS`` in
``wmsdkidl.h``). Phases and items are this program's own and never dressed as statuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple

from wmbackup.errors import Cancelled

if TYPE_CHECKING:
    from wmbackup.errors import WmbackupError
    from wmbackup.license import License


class Status(IntEnum):
    """``WMT_STATUS``: every status that the Windows Media Format SDK defines."""

    ERROR = 0
    OPENED = 1
    BUFFERING_START = 2
    BUFFERING_STOP = 3
    EOF = 4
    END_OF_SEGMENT = 5
    END_OF_STREAMING = 6
    LOCATING = 7
    CONNECTING = 8
    NO_RIGHTS = 9
    MISSING_CODEC = 10
    STARTED = 11
    STOPPED = 12
    CLOSED = 13
    STRIDING = 14
    TIMER = 15
    INDEX_PROGRESS = 16
    SAVEAS_START = 17
    SAVEAS_STOP = 18
    NEW_SOURCEFLAGS = 19
    NEW_METADATA = 20
    BACKUPRESTORE_BEGIN = 21
    SOURCE_SWITCH = 22
    ACQUIRE_LICENSE = 23
    INDIVIDUALIZE = 24
    NEEDS_INDIVIDUALIZATION = 25
    NO_RIGHTS_EX = 26
    BACKUPRESTORE_END = 27
    BACKUPRESTORE_CONNECTING = 28
    BACKUPRESTORE_DISCONNECTING = 29
    ERROR_WITHURL = 30
    RESTRICTED_LICENSE = 31
    CLIENT_CONNECT = 32
    CLIENT_DISCONNECT = 33
    NATIVE_OUTPUT_PROPS_CHANGED = 34
    RECONNECT_START = 35
    RECONNECT_END = 36
    CLIENT_CONNECT_EX = 37
    CLIENT_DISCONNECT_EX = 38
    SET_FEC_SPAN = 39
    PREROLL_READY = 40
    PREROLL_COMPLETE = 41
    CLIENT_PROPERTIES = 42
    LICENSEURL_SIGNATURE_STATE = 43
    INIT_PLAYLIST_BURN = 44
    TRANSCRYPTOR_INIT = 45
    TRANSCRYPTOR_SEEKED = 46
    TRANSCRYPTOR_READ = 47
    TRANSCRYPTOR_CLOSED = 48
    PROXIMITY_RESULT = 49
    PROXIMITY_COMPLETED = 50
    CONTENT_ENABLER = 51

    @property
    def documented_name(self) -> str:
        """The name in ``wmsdkidl.h``, such as ``WMT_BACKUPRESTORE_BEGIN``."""
        return f"WMT_{self.name}"


class Phase(Enum):
    """The parts of an operation, in the order in which they come."""

    SEARCHING = "searching"
    AUTHENTICATING = "authenticating"
    PLANNING = "planning"
    READING = "reading"
    SEALING = "sealing"
    READING_BACK = "reading back"
    VERIFYING = "verifying"
    APPLYING = "applying"


# Tuples here and elsewhere, where nothing speaks for a dataclass: every command loads them, and to
# make a frozen dataclass with slots takes 0.4 ms, eight times as long.


class StatusEvent(NamedTuple):
    """One call of the documented status callback.

    ``hresult`` is the unsigned 32-bit HRESULT; where it says failure, the status is not to be
    treated as normal. ``value`` is what came along: a key ID for ``RESTRICTED_LICENSE``, an
    address for ``ERROR_WITHURL``, otherwise nothing.
    """

    status: Status
    hresult: int = 0
    value: str | bytes | int | None = None


class PhaseEvent(NamedTuple):
    """A phase begins. Totals are those known when it begins; None is not known yet."""

    phase: Phase
    items: int | None = None
    size: int | None = None


class ItemEvent(NamedTuple):
    """One file is done, or a part of a large one (``index`` then repeats).

    ``index`` counts from 1 within the phase, or is 0 where bytes alone are counted, as while an
    archive is sealed; ``size`` is the bytes done since the last event,
    ``path`` is the true path, slash-separated, in the bytes of the file system.
    """

    path: bytes
    index: int  # type: ignore[assignment] # hides the method of tuples, which nobody needs
    size: int


class SkipEvent(NamedTuple):
    """A file that is not carried, and why, in words."""

    path: bytes
    reason: str


class LeftOutEvent(NamedTuple):
    """A file that does not belong to the store, or that nobody wants, and why, in words."""

    path: bytes
    reason: str


class WithheldEvent(NamedTuple):
    """A license whose issuer forbids its backup: known, and not carried."""

    license: License


class WarningEvent(NamedTuple):
    """Something that the user should know and that stops nothing.

    ``reason`` tells apart the causes of one code, ``subject`` is the path or the key ID that the
    next step is about, and ``cause`` the error that it came from. ``hint`` is as that of an error.
    """

    code: str
    message: str
    hint: str | None = None
    reason: str | None = None
    subject: str | None = None
    cause: WmbackupError | None = None


Event = (
    StatusEvent | PhaseEvent | ItemEvent | SkipEvent | LeftOutEvent | WithheldEvent | WarningEvent
)
Notify = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Follow nothing: the default of every ``notify``."""


def never() -> bool:
    """Never ask to stop: the default of every ``cancelled``."""
    return False


class Control(NamedTuple):
    """How a caller follows an operation and stops it.

    ``cancelled`` is asked between items, of small ones every few hundred, and while a store is read
    between the blocks of large ones. Without ``items`` there is no ItemEvent, of which there can be
    a million.
    """

    notify: Notify = ignore
    cancelled: Callable[[], bool] = never
    items: bool = True

    def item(self, path: bytes, index: int, size: int) -> None:
        """Tell an ItemEvent, where it is wanted."""
        if self.items:
            self.notify(ItemEvent(path, index, size))

    def each(self, paths: Sequence[bytes], sizes: Sequence[int], before: int) -> None:
        """Tell an ItemEvent of each of some, where it is wanted; so many came before them."""
        if self.items:
            for index, (path, size) in enumerate(zip(paths, sizes, strict=True), before + 1):
                self.notify(ItemEvent(path, index, size))

    def check(self) -> None:
        """Go on, or raise Cancelled when the caller wants to stop."""
        if self.cancelled():
            raise Cancelled
