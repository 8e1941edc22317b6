"""Ctrl-C and requests to end.

The first stops the work and lets it clean up; the second stops at once. Little is imported here:
until it is done, a Ctrl-C is answered by Python, with a traceback.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from wmbackup.errors import ExitCode

_SOON = 0.01  # seconds
_waker: int | None = None
"""A pipe that can be read as soon as a signal has come."""
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Interrupted(BaseException):
    """A signal came. Raised on the main thread, wherever it is."""

    def __init__(self, number: int) -> None:
        """Keep which signal it was."""
        super().__init__(number)
        self.number = number
        self.by_user = number in {signal.SIGINT, getattr(signal, "SIGBREAK", None)}

    @property
    def exit_code(self) -> ExitCode:
        """130 for Ctrl-C and Ctrl-Break, 143 for the others."""
        from wmbackup.errors import ExitCode

        return ExitCode.INTERRUPTED if self.by_user else ExitCode.TERMINATED

    @property
    def message(self) -> str:
        """What happened."""
        return "interrupted" if self.by_user else "terminated"


class handled:  # noqa: N801 - it stands behind `with`, and contextlib would have to be loaded
    """Turns signals into `Interrupted` while it is entered, on the main thread.

    ``to_the_end`` of the process they are ignored afterwards: what was done is done, and the
    exit code that says so must not be lost while Python ends.
    """

    def __init__(self, *, to_the_end: bool = False) -> None:
        """Change nothing yet."""
        self._to_the_end = to_the_end
        self._seen = False
        self._before: dict[int, object] = {}
        self._hook = sys.unraisablehook
        self._pipe: tuple[int, int] | None = None
        self._waker_before = -1

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._seen:
            os._exit(Interrupted(number).exit_code)
        self._seen = True
        raise Interrupted(number)

    def _unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        """Let no signal be lost that came while Python ran what cannot raise, as a destructor."""
        if isinstance(lost.exc_value, Interrupted):
            self._seen = False
            number = lost.exc_value.number
            try:
                _thread.start_new_thread(_send_again, (number, _thread.get_ident()))
            except RuntimeError:  # the system grants none
                self._ring(number)
        else:
            self._hook(lost)

    def _ring(self, number: int) -> None:
        """Let the alarm clock of the process do what the signal should have done."""
        if sys.platform != "win32":
            signal.signal(signal.SIGALRM, lambda _number, frame: self._handle(number, frame))
            signal.setitimer(signal.ITIMER_REAL, _SOON)

    def __enter__(self) -> None:
        """Listen."""
        for name in _NAMES:
            number = getattr(signal, name, None)
            # What was ignored before, as under nohup or in the background, stays ignored.
            if number is None or signal.getsignal(number) is signal.SIG_IGN:
                continue
            try:
                self._before[number] = signal.signal(number, self._handle)
            except ValueError:  # on another thread, which hears none
                return
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        self._begin_to_wake()

    def _begin_to_wake(self) -> None:
        global _waker  # noqa: PLW0603 - there is one main thread, and one set of handlers
        if sys.platform != "win32":
            try:
                self._pipe = os.pipe()
            except OSError:  # no descriptors are left
                return
            for descriptor in self._pipe:
                os.set_blocking(descriptor, False)
            _waker = self._pipe[0]
            self._waker_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)

    def _end_to_wake(self) -> None:
        global _waker  # noqa: PLW0603 - as above
        if self._pipe is not None:
            _waker = None
            signal.set_wakeup_fd(self._waker_before)
            for descriptor in self._pipe:
                os.close(descriptor)
            self._pipe = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Go back to what was before."""
        if sys.unraisablehook == self._unraisable:
            sys.unraisablehook = self._hook
        self._end_to_wake()
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._to_the_end else handler)  # type: ignore[arg-type] # what signal gave


def wait_readable(descriptor: int) -> None:
    """Wait until something can be read, or a signal has come, whose handler runs then.

    A read alone is not enough: a signal that comes just before it would be heard only when the
    read is over, and of a pipe that says nothing it never is.
    """
    if sys.platform != "win32":
        waker = _waker
        if waker is None or _thread.get_ident() != _MAIN:
            return
        import select

        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        waiting.register(waker, select.POLLIN)
        while [ready for ready, _ in waiting.poll()] == [waker]:
            os.read(waker, 100)  # a signal that is no end


_MAIN = _thread.get_ident()


def _send_again(number: int, thread: int) -> None:
    time.sleep(_SOON)
    if sys.platform == "win32":
        _thread.interrupt_main(signal.Signals(number))
    else:
        signal.pthread_kill(thread, number)
