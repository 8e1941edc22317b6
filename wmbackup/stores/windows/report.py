"""A report of what the interface answers on a machine, which may be sent to somebody else.

Each chain of calls runs in a process of its own, which may crash or hang. Of licenses and of what
comes along with statuses only type, length and an HMAC under a key of this report are kept.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from wmbackup.status import Control
from wmbackup.stores.windows.child import Answer, End, Runner

REPORT = "report"
"""What asks such a process for a chain of calls; the chain, a folder and seconds follow."""

CHAINS = ("creation", "enumeration", "query")
BACKUP = "backup"
TEXT = "wmbackup-report.txt"
"""The name of the report in its zip."""

_MARGIN = 15.0  # seconds by which a process may be silent longer than the end of a backup may take
_FATAL = re.compile(r"^(?:Windows fatal exception|Fatal Python error): .*")
_FRAME = re.compile(r'^ +File "(.*)", line ([0-9]+) in (\S+)')
_FRAMES = 12  # of a stack that are shown


def lines(
    runner: Runner,
    facts: Iterable[tuple[str, str]],
    folder: str,
    key: bytes,
    *,
    try_backup: bool = False,
    seconds: float = 120.0,
    control: Control | None = None,
) -> Iterator[str]:
    """Make the calls and yield the lines of the report, each of which is printable ASCII.

    ``facts`` are names and values of the machine; ``folder`` is a private one that exists. With
    ``try_backup`` the interface backs up into it. ``key`` is for this report alone. ``seconds`` is
    how long a call may take, and a backup may be silent. Raises Cancelled, and StoreUnavailable
    where no process can be started.
    """
    control = control or Control()
    for name, value in facts:
        yield _plain(f"{name}: {value}")
    for chain in (*CHAINS, BACKUP) if try_backup else CHAINS:
        answers: list[Answer] = []
        silence = seconds + _MARGIN if chain == BACKUP else seconds
        end = runner([REPORT, chain, folder, f"{seconds}"], control, silence, answers.append)
        for answer in answers:
            told = _told(answer, key)
            if told is not None:
                yield _plain(f"{chain} {told}")
        yield from (_plain(f"{chain} {told}") for told in _end(end, answers))
    if not try_backup:
        yield f"{BACKUP} not tried"


def zipped(text: str) -> bytes:
    """Return a zip file with the report as its only file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(TEXT), text.encode("ascii"), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def hidden(text: str, places: Sequence[tuple[str, str]]) -> str:
    """Replace names of places, such as a profile's folder, in whatever case they are written."""
    for place, instead in sorted(places, key=lambda pair: -len(pair[0])):
        if place:
            pieces = re.split(re.escape(place), text, flags=re.IGNORECASE)
            text = instead.join(pieces)
    return text


def _told(answer: Answer, key: bytes) -> str | None:
    """Return the line of an answer; None for one that says nothing by itself."""
    told: str | None = None
    match answer:
        case {"call": name}:
            told = f"call {name}: {_how(answer)}"
        case {"status": number}:
            told = f"status {number}: {_how(answer)}, {_value(answer, key)}"
        case {"license": kind}:
            told = f"license: type {kind}, {_reduced(answer, key)}"
        case {"licenses": amount}:
            told = f"licenses: {amount}"
        case {"ended": ended}:
            told = f"END came: {'yes' if ended else 'no'}"
        case {"note": note}:
            told = f"note: {note}"
    return told


def _how(answer: Answer) -> str:
    crash, missing, result = (answer.get(name) for name in ("crash", "missing", "hresult"))
    if crash is not None:
        how = f"crashed, {crash}"
    elif missing is not None:
        how = f"not there, {missing}"
    else:
        how = f"0x{result:08X}" if isinstance(result, int) else "no HRESULT"
    return f"{how}, {answer.get('ms')} ms, thread {answer.get('thread')}"


def _value(answer: Answer, key: bytes) -> str:
    kind = f"type {answer.get('type')}"
    if not answer.get("has_value"):
        return f"{kind}, no value"
    return f"{kind}, {_reduced(answer, key)}"


def _reduced(answer: Answer, key: bytes) -> str:
    data = answer.get("data")
    if not isinstance(data, str):
        return "length unknown"
    try:
        digest = hmac.new(key, bytes.fromhex(data), hashlib.sha256).hexdigest()[:16]
    except ValueError:
        return "not readable"
    return f"{answer.get('length')} bytes, HMAC {digest}"


def _end(end: End, answers: Sequence[Answer]) -> Iterator[str]:
    if any(answer.get("done") is True for answer in answers):
        yield "end: all that could be called was called"
        return
    begun = [answer["begin"] for answer in answers if "begin" in answer]
    told = sum("call" in answer for answer in answers)
    where = f" in {begun[-1]}" if len(begun) > told else ""
    if end.code is None:
        yield f"end: hung{where}"
    else:
        yield f"end: crashed{where}, exit code 0x{end.code:08X}"
    yield from _stack(end.words)


def _stack(words: str) -> Iterator[str]:
    """Yield what `faulthandler` said, without the folders of its files."""
    shown = 0
    for line in words.splitlines():
        frame = _FRAME.match(line)
        if frame is not None and shown < _FRAMES:
            shown += 1
            file = os.path.basename(frame[1].replace("\\", "/"))
            yield f"stack: {file}, line {frame[2]}, {frame[3]}"
        elif _FATAL.match(line):
            yield f"stack: {line}"


def _plain(text: Any) -> str:  # noqa: ANN401 (whatever a process said)
    return str(text).encode("ascii", "backslashreplace").decode("ascii").replace("\n", " ")
