"""One asynchronous operation of the interface, followed from its call to its end.

The interface's threads only put messages into a queue. The thread that waits takes them out,
tells the caller, and decides when it is over: the interface is documented to end with
BACKUPRESTORE_END, and not documented to do so after a failure or after ERROR_WITHURL.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from wmbackup.errors import Cancelled, TimedOut, WmbackupError
from wmbackup.hresult import Category, InterfaceError, failed, find
from wmbackup.status import Control, Status, StatusEvent, WarningEvent

Value = str | bytes | int | None

REFUSED = 0xC00D1133  # NS_E_WMPBR_ERRORWITHURL: what ERROR_WITHURL means where no HRESULT says it


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what may never come, in seconds."""

    tick: float = 0.1  # between two looks at `cancelled`, and at Ctrl-C on Windows
    failure: float = 0.5  # for END after a failed HRESULT
    url: float = 5.0  # for END after ERROR_WITHURL
    cancel: float = 10.0  # for END after a cancel
    silence: float = 600.0  # without a status and without growth of the folder
    look: float = 5.0  # between two looks at the folder


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended that did not fail.

    ``hresult`` is that of END: 0, or a success that says more (NS_S_WMPBR_PARTIALSUCCESS,
    NS_S_DRM_NEEDS_INDIVIDUALIZATION). ``restricted`` has what came along with each
    RESTRICTED_LICENSE, as a rule a key ID; None for one that came without.
    """

    hresult: int = 0
    restricted: tuple[Value, ...] = ()


class Operation:
    """What is known of an operation while it runs.

    ``doing`` completes the sentence "cannot …"; ``timeout`` is in seconds, None for no limit.
    There is always one limit, which grows with progress: `Patience.silence`.
    """

    def __init__(
        self,
        control: Control,
        *,
        doing: str,
        timeout: float | None = None,
        patience: Patience | None = None,
        growth: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to count the time; `receive` may be called from now on.

        ``growth`` returns something that differs while the interface gets on, such as the sizes of
        the files that it writes. ``clock`` is in seconds.
        """
        self._clock = clock
        self._growth = growth
        self._seen: object = None
        self._sign_of_life = self._looked = clock()
        self._control = control
        self._doing = doing
        self._patience = patience or Patience()
        self._queue: SimpleQueue[tuple[int, int, Value]] = SimpleQueue()
        self._limit = None if timeout is None else clock() + timeout
        self._begun = False
        self._ended: int | None = None  # END's HRESULT
        self._failure: int | None = None  # the first failed HRESULT
        self._url: str | None = None
        self._refused = False
        self._stop_at: float | None = None  # when to wait no longer
        self._restricted: list[Value] = []

    @property
    def unanswered(self) -> bool:
        """Whether the interface may still be at work: it began, and nothing said that it ended."""
        over = self._ended is not None or self._failure is not None or self._refused
        return self._begun and not over

    def receive(self, status: int, hresult: int, value: Value) -> None:
        """Take note of one status, on any thread, and return at once."""
        self._queue.put((status, hresult, value))

    def run(self, begin: Callable[[], object], cancel: Callable[[], object]) -> Outcome:
        """Begin, wait for the end, and return or raise what came of it.

        ``cancel`` asks the interface to stop; it is called at most once. Both are called on this
        thread. Raises InterfaceError, Cancelled, TimedOut, and whatever ``notify`` raises; the
        interface has been asked to stop and was given time to do so before anything is raised.
        """
        try:
            self._start(begin)
            why = self._follow()
        except BaseException:
            if self._begun and self._ended is None:
                self._quit(cancel, notify=False)
            raise
        if self._ended is None:
            self._quit(cancel, notify=True)
        return self._result(why)

    def _start(self, begin: Callable[[], object]) -> None:
        self._begun = True  # first: whatever interrupts the call, the interface may be at work
        try:
            begin()
        except InterfaceError:
            self._begun = False
            raise

    def _follow(self) -> WmbackupError | None:
        """Return why it is to be given up, None when it is over or nothing more is to come."""
        while self._ended is None and not self._overdue():
            self._take(self._patience.tick)
            if self._control.cancelled():
                return Cancelled()
            if self._limit is not None and self._clock() >= self._limit:
                return TimedOut(
                    f"cannot {self._doing}: the time is over",
                    reason="interface",
                )
            if self._is_silent():
                return TimedOut(
                    f"cannot {self._doing}: the interface has not got on for"
                    f" {self._patience.silence / 60:g} minutes",
                    reason="silent",
                )
        return None

    def _is_silent(self) -> bool:
        """Whether nothing came from the interface for too long: no status and no file grew."""
        now = self._clock()
        if now - self._looked >= self._patience.look:
            self._looked = now
            seen = self._growth()
            if seen != self._seen:
                self._seen, self._sign_of_life = seen, now
        return now - self._sign_of_life >= self._patience.silence

    def _overdue(self) -> bool:
        return self._stop_at is not None and self._clock() >= self._stop_at

    def _take(self, seconds: float, *, notify: bool = True) -> None:
        try:
            status, hresult, value = self._queue.get(timeout=seconds)
        except Empty:
            return
        self._note(status, hresult, value)
        if notify:
            self._control.notify(_event(status, hresult, value))
            if status == Status.RESTRICTED_LICENSE and failed(hresult):
                self._control.notify(_refused_license(hresult))

    def _note(self, status: int, hresult: int, value: Value) -> None:
        now = self._sign_of_life = self._clock()
        if status == Status.RESTRICTED_LICENSE:
            # It is about one license, whatever HRESULT comes along; END decides about the others.
            self._restricted.append(value)
        elif failed(hresult):
            # Where FAILED(hr), the status is not to be treated as normal (wmsdkidl.h).
            self._failure = self._failure or hresult
            self._stop_at = self._stop_at or now + self._patience.failure
        if status == Status.ERROR_WITHURL:
            self._refused = True
            self._url = value if isinstance(value, str) else None
            self._stop_at = now + self._patience.url
        elif status == Status.BACKUPRESTORE_END:
            self._ended = hresult

    def _quit(self, cancel: Callable[[], object], *, notify: bool) -> None:
        """Ask the interface to stop, and give it time to say that it did."""
        patience = self._patience.cancel if self.unanswered else self._patience.failure
        with suppress(InterfaceError):  # what cannot be canceled may still end by itself
            cancel()
        until = self._clock() + patience
        while self._ended is None and (left := until - self._clock()) > 0:
            self._take(min(left, self._patience.tick), notify=notify)

    def _result(self, why: WmbackupError | None) -> Outcome:
        if self._ended is not None and self._failure is None and not self._refused:
            return Outcome(self._ended, tuple(self._restricted))  # done before it could be stopped
        canceled = self._failure is not None and find(self._failure).category is Category.CANCELLED
        failure = None if canceled else self._failure
        if why is not None and failure is None:
            raise why
        if failure is None and not self._refused:
            raise Cancelled
        raise InterfaceError(failure or REFUSED, doing=self._doing, url=self._url)


def _event(status: int, hresult: int, value: Value) -> StatusEvent | WarningEvent:
    if status in Status._value2member_map_:
        return StatusEvent(Status(status), hresult, value)
    return WarningEvent(
        "status-unknown",
        f"the interface sent status {status}, which is not documented, with 0x{hresult:08X}",
    )


def _refused_license(hresult: int) -> WarningEvent:
    known = find(hresult)
    named = known.name if known.is_unknown else f"{known.name}, 0x{hresult:08X}"
    return WarningEvent(
        "restricted-failed",
        f"the interface reported a restricted license with a failure ({named}) and went on:"
        f" {known.sentence}",
        cause=InterfaceError(hresult, doing="back up a license"),
    )
