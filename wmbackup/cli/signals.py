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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Go back to what was before."""
        if sys.unraisablehook == self._unraisable:
            sys.unraisablehook = self._hook
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._to_the_end else handler)  # type: ignore[arg-type] # what signal gave


def _send_again(number: int, thread: int) -> None:
    time.sleep(_SOON)
    if sys.platform == "win32":
        _thread.interrupt_main(signal.Signals(number))
    else:
        signal.pthread_kill(thread, number)
