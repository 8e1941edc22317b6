"""The file in which a machine remembers its series: locked, and replaced at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from wmbackup.errors import SystemFailure
from wmbackup.history import machine
from wmbackup.history.records import Memory, encode, parse
from wmbackup.status import Control
from wmbackup.storage.files import make_folders, read_small_file
from wmbackup.storage.locks import Locks
from wmbackup.trust.small_files import write

NAME = "ledger.json"
MAX_SIZE = 64 * 1024 * 1024
"""The largest ledger that is read, in bytes."""


class Found(NamedTuple):
    """What was found of a ledger: its memory, and in which state it was.

    ``state`` is ``here``; ``missing`` where there is none yet; ``foreign`` where it was written on
    another machine, of which only what was accepted is kept; ``damaged`` where it is no ledger.
    """

    memory: Memory
    state: str


class Ledger:
    """The ledger of this user on this machine."""

    def __init__(self, folder: str, locks: Locks) -> None:
        """Take the state folder, and what keeps other runs off it for a moment."""
        self._folder = folder
        self._locks = locks
        self.path = os.path.join(folder, NAME)

    def read(self) -> Found:
        """Read it without a lock: it is replaced at once. Raises SystemFailure."""
        here = machine.fingerprint()
        try:
            found = read_small_file(self.path, MAX_SIZE)
        except NotADirectoryError:
            found = None
        except OSError as error:
            raise SystemFailure.of(error, "read the ledger", self.path) from error
        if found is None:
            return Found(Memory(here), "missing")
        try:
            if len(found.data) > MAX_SIZE:
                raise ValueError("the ledger is too large")  # noqa: TRY301 - as all that is wrong with it
            memory = parse(found.data)
        except ValueError:
            return Found(Memory(here), "damaged")
        if memory.machine == here:
            return Found(memory, "here")
        for one in memory.series:
            one.forget_made()
        memory.machine = here
        return Found(memory, "foreign")

    @contextlib.contextmanager
    def change(self, control: Control) -> Iterator[Found]:
        """Read it, let it be changed, and write it. Raises Busy, Cancelled, SystemFailure.

        Nothing is written where the change raises.
        """
        try:
            make_folders(self._folder)
        except OSError as error:
            raise SystemFailure.of(error, "write the ledger", self.path) from error
        with self._locks.hold("ledger", self.path, control):
            found = self.read()
            yield found
            try:
                write(self.path, encode(found.memory), "the ledger")
            except OSError as error:
                raise SystemFailure.of(error, "write the ledger", self.path) from error
