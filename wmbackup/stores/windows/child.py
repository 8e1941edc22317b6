"""Calls into Microsoft's components in a process of their own, which may crash or hang.

A crash on a thread of the component ends its process. What is asked there costs one answer, and
not what this process has done already. The caller says how such a process is started: the library
starts none by itself. Answers are lines of JSON.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import IO, Any

from wmbackup.errors import StoreUnavailable, TimedOut
from wmbackup.hresult import InterfaceCrashed, InterfaceError, find
from wmbackup.license import License
from wmbackup.status import Control, WarningEvent

Answer = Mapping[str, Any]

SILENCE = 120.0  # seconds without a line, after which a process is taken to hang
_TICK = 0.1  # seconds between two looks at `cancelled`
_MAX_LINE = 1024 * 1024  # characters of an answer
_MAX_WORDS = 64 * 1024  # characters of standard error that are kept


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended: its exit code, unsigned; None where it hung and was ended."""

    code: int | None
    words: str = ""

    @property
    def reason(self) -> str:
        """What to call it in a sentence."""
        if self.code is None:
            return "it did not answer any more"
        known = find(self.code)
        return known.sentence if self.code and not known.is_unknown else f"exit code {self.code}"


Runner = Callable[[Sequence[str], Control, float, Callable[[Answer], None]], End]
"""Start a process with these arguments, pass on each answer, and say how it ended.

The number is how many seconds it may be silent. Raises Cancelled, StoreUnavailable where it cannot
be started, and what taking an answer raises; the process is over then.
"""


def starter(command: Sequence[str]) -> Runner:
    """Return a runner that appends the arguments to a command, such as the program's own."""

    def run(
        arguments: Sequence[str], control: Control, silence: float, take: Callable[[Answer], None]
    ) -> End:
        try:
            process = subprocess.Popen(  # noqa: S603 (the program's own command)
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise StoreUnavailable(
                f"this program cannot be started a second time: {error.strerror or error}",
                reason="not-started",
            ) from error
        with _ended(process):
            return _follow(process, control, silence, take)

    return run


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        with process:
            pass  # which closes its pipes and waits for it


def _follow(
    process: subprocess.Popen[str],
    control: Control,
    silence: float,
    take: Callable[[Answer], None],
) -> End:
    lines: SimpleQueue[str | None] = SimpleQueue()
    words: list[str] = []

    def read(stream: IO[str]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := stream.readline(_MAX_LINE):
                lines.put(line)
        lines.put(None)

    def listen(stream: IO[str]) -> None:
        with contextlib.suppress(OSError, ValueError):
            words.append(stream.read(_MAX_WORDS))
            while stream.read(_MAX_WORDS):
                pass

    assert process.stdout is not None  # noqa: S101 (both are pipes)
    assert process.stderr is not None  # noqa: S101
    readers = [
        threading.Thread(target=read, args=(process.stdout,), daemon=True),
        threading.Thread(target=listen, args=(process.stderr,), daemon=True),
    ]
    for reader in readers:
        reader.start()
    finished = _listen(lines, control, silence, take)
    if not finished:
        process.kill()
    code = process.wait()
    readers[1].join(_TICK * 10)
    return End(code & 0xFFFFFFFF if finished else None, "".join(words))


def _listen(
    lines: SimpleQueue[str | None],
    control: Control,
    silence: float,
    take: Callable[[Answer], None],
) -> bool:
    """Pass on answers until there are no more; False where it becomes silent."""
    heard = time.monotonic()
    while time.monotonic() - heard < silence:
        control.check()
        try:
            line = lines.get(timeout=_TICK)
        except Empty:
            continue
        if line is None:
            return True
        heard = time.monotonic()
        answer = _parsed(line)
        if answer is not None:
            take(answer)
    return False


def _parsed(line: str) -> Answer | None:
    """Read an answer; None for what a component of others printed there."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def licenses(runner: Runner, control: Control, silence: float = SILENCE) -> list[License]:
    """Enumerate the licenses of this machine in a process of their own.

    Raises what enumerating them here would, InterfaceCrashed and TimedOut.
    """
    found: list[License] = []
    ends: list[Answer] = []

    def take(answer: Answer) -> None:
        if "kind" in answer:
            found.append(_license(answer))
        elif "warning" in answer:
            control.notify(WarningEvent(*_texts(answer["warning"])))
        else:
            ends.append(answer)

    end = runner([LICENSES], control, silence, take)
    _settle(end, ends, "list the licenses")
    return found


def probe(runner: Runner, control: Control, silence: float = SILENCE) -> None:
    """Make the object of the backup interface in a process of its own.

    Raises what making it here would, InterfaceCrashed and TimedOut.
    """
    ends: list[Answer] = []
    end = runner([PROBE], control, silence, ends.append)
    _settle(end, ends, "use the Windows Media license backup")


LICENSES, PROBE = "licenses", "probe"
"""What can be asked of such a process."""


def _settle(end: End, answers: Sequence[Answer], doing: str) -> None:
    last = answers[-1] if answers else {}
    if last.get("done") is True:
        return  # whatever happened when everything was given back
    if isinstance(last.get("doing"), str):
        doing = last["doing"]
    if isinstance(last.get("hresult"), int):
        crash = last.get("call")
        if isinstance(crash, str):
            raise InterfaceCrashed(crash, last.get("reason"), doing=doing)
        raise InterfaceError(last["hresult"], doing=doing)
    if "message" in last:
        message, reason = _texts([last["message"], last.get("reason")])
        raise StoreUnavailable(message or "", reason=reason)
    if end.code is None:
        raise TimedOut(
            f"cannot {doing}: Microsoft's component did not answer any more",
            reason="no-answer",
        )
    raise InterfaceCrashed("a process of its own", end.reason, doing=doing)


def tell(answer: Answer) -> None:
    """Send an answer, from the process that was started."""
    sys.stdout.write(json.dumps(answer, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def told(license_: License) -> Answer:
    """Return a license as an answer."""
    fields = ("kind", "kid", "lid", "issued", "begins", "expires", "withheld")
    answer = {name: getattr(license_, name) for name in fields}
    return {**answer, "rights": dict(license_.rights), "attributes": dict(license_.attributes)}


def _license(answer: Answer) -> License:
    def text(name: str) -> str | None:
        value = answer.get(name)
        return value if isinstance(value, str) else None

    rights, attributes = answer.get("rights"), answer.get("attributes")
    return License(
        kind=text("kind") or "wmdrm-other",
        kid=text("kid"),
        lid=text("lid"),
        issued=text("issued"),
        begins=text("begins"),
        expires=text("expires"),
        rights=rights if isinstance(rights, dict) else {},
        attributes=attributes if isinstance(attributes, dict) else {},
        withheld=answer.get("withheld") is True,
    )


def _texts(values: Any) -> list[Any]:  # noqa: ANN401 (what JSON has)
    if not isinstance(values, list):
        return ["status-unknown", "", None]
    return [value if isinstance(value, str) else None for value in values[:3]]
