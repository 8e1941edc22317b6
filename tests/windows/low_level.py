"""The real object in the test's own hands, below `backup_into` and `restore_from`."""

from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wmbackup.hresult import InterfaceError
from wmbackup.stores.windows.callback import StatusCallback, Value
from wmbackup.stores.windows.com import Apartment, Interface
from wmbackup.stores.windows.wmsdkidl import (
    BACKUP_PATH,
    RESTORE_PATH,
    IWMBackupRestoreProps,
    IWMLicenseBackup,
    create_backup_restorer,
)


def answer_of(asked: Interface, method: str, *arguments: object) -> int | None:
    """Call a method and return its HRESULT, also when that is a failure."""
    try:
        result: int = getattr(asked, method)(*arguments)
    except InterfaceError as error:
        return error.hresult
    return result


@dataclass(frozen=True)
class Seen:
    """One call of OnStatus, and the thread it came on."""

    status: int
    hresult: int
    value: Value
    thread: int


@dataclass
class Session:
    """An object and its callback, which are released when the session ends."""

    backup: IWMLicenseBackup
    callback: StatusCallback
    seen: list[Seen] = field(default_factory=list)

    def set_paths(self, folder: object) -> None:
        with self.backup.query(IWMBackupRestoreProps) as props:
            props.set_path(BACKUP_PATH, str(folder))
            props.set_path(RESTORE_PATH, str(folder))

    def wait_for(self, status: int, seconds: float = 10) -> Seen:
        until = time.monotonic() + seconds
        while not (found := [one for one in self.seen if one.status == status]):
            assert time.monotonic() < until, f"status {status} never came: {self.seen}"
            time.sleep(0.005)
        return found[0]


@contextmanager
def session(react: Callable[[Session, int], object] | None = None) -> Iterator[Session]:
    """Make the object; ``react`` is called for each status, on the interface's thread."""
    seen: list[Seen] = []

    def receive(status: int, hresult: int, value: Value) -> None:
        seen.append(Seen(status, hresult, value, threading.get_ident()))
        if react is not None:
            react(one, status)

    with Apartment():
        callback = StatusCallback(receive)
        try:
            with create_backup_restorer(callback.pointer) as backup:
                one = Session(backup, callback, seen)
                yield one
        finally:
            callback.release()
