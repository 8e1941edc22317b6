"""One operation on a thread of its own."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from wmbackup import limits
from wmbackup.errors import Busy, Cancelled, TimedOut, WmbackupError
from wmbackup.restorer.statuses import Statuses
from wmbackup.status import Control, Event

_E_FAIL = 0x80004005
_GRACE = 2.0  # seconds that an operation gets to end after it was asked to
_POLL = 0.1  # seconds: a cancel takes no lock and wakes nobody
_TICK = 0.1 if os.name == "nt" else None  # seconds: a wait there is deaf to Ctrl-C
_T = TypeVar("_T")


class _CallbackRaised(Exception):
    """What a callback raised, on its way out of the engine."""


class _Question:
    """Something to ask, and the answer when it is there."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask
        self.answers: list[bool] = []

    def answer(self) -> None:
        self.answers.append(self._ask())


class _Clock:
    """How much time is left of so many seconds, of which those that answers take are none."""

    def __init__(self, seconds: float | None) -> None:
        self._until = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    @property
    def is_over(self) -> bool:
        return self.left == 0

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        since = time.monotonic()
        try:
            yield
        finally:
            if self._until is not None:
                self._until += time.monotonic() - since


class Operation(Generic[_T]):
    """One backup or restore on its thread."""

    def __init__(
        self, work: Callable[[Control], _T], statuses: Statuses, *, items: bool = True
    ) -> None:
        """Take the work, those that it reports to, and whether of each file; nothing runs yet."""
        self._work = work
        self._items = items
        self._statuses = statuses
        self._changed = threading.Condition()
        self._cancelled = False
        self._question: _Question | None = None
        self._callback_error: BaseException | None = None
        self._error: BaseException | None = None
        self._result: list[_T] = []
        self._here: int | None = None  # the thread that does the work where it has none of its own
        self._clock = _Clock(None)
        self._is_threadless = False
        self._was_late = False  # and was stopped for it, without a thread of its own
        self.ended = False
        self._thread = threading.Thread(target=self._run, name="wmbackup", daemon=True)

    def start(self) -> None:
        """Begin. Where the system grants no thread, `wait` does the work."""
        if limits.has_room_for_threads():
            _LIVE.add(self)
            try:
                limits.start_deaf(self._thread)
            except RuntimeError:
                _LIVE.discard(self)
            else:
                return
        self._is_threadless = True

    def cancel(self) -> None:
        """Ask it to stop, from any thread, as often as one likes."""
        # No lock: this may be called by the garbage collector or a signal, at any place.
        self._cancelled = True

    def _should_stop(self) -> bool:
        return self._cancelled or (self._here is not None and self._clock.is_over)

    def wait(self, timeout: float | None) -> _T:
        """Return the result or raise the error; see `BackupRestorer.wait`."""
        if threading.get_ident() in {self._thread.ident, self._here}:
            raise Busy("an operation cannot wait for itself", reason="itself")
        clock = _Clock(timeout)
        if self._is_threadless:
            self._work_here(clock)
        is_late = not self._wait_for_end(clock)
        if is_late:
            self.cancel()
            if not self._wait_for_end(_Clock(_GRACE)):
                _LIVE.discard(self)  # it hangs: nobody waits for it at the end of the program
                raise _timed_out(timeout, "hangs")
        if (is_late or self._was_late) and isinstance(self._error, Cancelled):
            raise _timed_out(timeout)
        if self._callback_error is not None:
            raise self._callback_error
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _work_here(self, clock: _Clock) -> None:
        """Do the work on this thread, unless another that waits does."""
        with self._changed:
            if self._here is not None or self.ended:
                return
            self._here, self._clock = threading.get_ident(), clock
        try:
            self._run()
            self._was_late = clock.is_over and not self._cancelled
        finally:
            self._here = None

    def _wait_for_end(self, clock: _Clock) -> bool:
        """Answer questions until the end; return whether it came in time."""
        with self._changed:
            while self._something_comes(clock):
                asked, self._question = self._question, None
                if asked is None:
                    return True
                # The answer may take its time, and the operation may end meanwhile.
                self._changed.release()
                try:
                    with clock.stopped():
                        asked.answer()
                except BaseException:
                    self.cancel()  # nobody will answer any more
                    raise
                finally:
                    self._changed.acquire()
                self._changed.notify_all()
        return False

    def _something_comes(self, clock: _Clock) -> bool:
        """Wait for the end or a question, holding the lock; return whether one came in time."""
        while True:
            left = clock.left
            span = _TICK if left is None else min(left, _TICK or left)
            if self._changed.wait_for(lambda: self.ended or self._question, span):
                return True
            if clock.is_over:
                return False

    def ask(self, ask: Callable[[], bool]) -> bool:
        """Have a question answered on the thread that waits. Raises Cancelled."""
        if self._here is not None:
            with self._clock.stopped():
                return ask()
        question = _Question(ask)
        with self._changed:
            self._question = question
            self._changed.notify_all()
            while not self._changed.wait_for(lambda: question.answers, _POLL):
                if self._cancelled:
                    raise Cancelled
        return question.answers[0]

    def _notify(self, event: Event) -> None:
        if self._callback_error is None:
            try:
                self._statuses.pass_on(event)
            except BaseException as error:  # noqa: BLE001 - whatever it is goes to who waits
                self._callback_error = error
                self.cancel()
        if self._callback_error is not None:
            raise _CallbackRaised

    def _run(self) -> None:
        try:
            control = Control(self._notify, self._should_stop, items=self._items)
            try:
                control.check()
                self._result.append(self._work(control))
            except BaseException as error:  # noqa: BLE001 - it is raised again by wait
                self._error = error
            # Also to a callback that has raised: whoever heard BEGIN hears END.
            try:
                self._statuses.end(_hresult(self._error))
            except BaseException as error:  # noqa: BLE001 - as above
                self._callback_error = self._callback_error or error
        finally:
            with self._changed:
                self.ended = True
                self._changed.notify_all()
            _LIVE.discard(self)

    def join(self) -> None:
        """Give the thread some time to end."""
        self._thread.join(_GRACE)


def _hresult(error: BaseException | None) -> int:
    if error is None:
        return 0
    known = error.hresult if isinstance(error, WmbackupError) else None
    return _E_FAIL if known is None else known


def _timed_out(timeout: float | None, reason: str | None = None) -> TimedOut:
    return TimedOut(f"the operation did not end within {timeout:g} s", reason=reason)


_LIVE: set[Operation[Any]] = set()


def _end_all() -> None:
    """Let what still works at the end of the program clean up after itself."""
    for operation in tuple(_LIVE):
        operation.cancel()
        operation.join()


atexit.register(_end_all)
