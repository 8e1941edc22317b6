"""Opening what `list` and `verify` look into: an archive, or a live store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO

from wmbackup.cli.encryption import Identities
from wmbackup.cli.paths import archive_on_standard_input, parse_store
from wmbackup.cli.session import Session
from wmbackup.cli.trusting import TrustGiven
from wmbackup.engine import (
    Listing,
    SealedArchive,
    inventory_of_archive,
    inventory_of_store,
    open_archive,
)
from wmbackup.engine._bag import is_bag
from wmbackup.engine._folder import Kind, opened
from wmbackup.engine._tally import Tally
from wmbackup.status import Control, Event, WithheldEvent
from wmbackup.trust import Policy


class Opener:
    """Opens the inventory of an archive or a store."""

    def __init__(self, session: Session, trust: TrustGiven, opens: Identities) -> None:
        """Keep whom to trust; the file is read when an archive is opened."""
        self._opens = opens
        self._session = session
        self._trust = trust
        self._policy: Policy | None = None

    @contextlib.contextmanager
    def open(
        self, archive: str | None, store: str | None, *, hashes: bool
    ) -> Iterator[tuple[Listing, Tally | None]]:
        """Open one of both; ``hashes`` has the files of a store read to their end."""
        control = self._session.inventory_control()
        if archive is None:
            if not hashes:
                control = Control(self._tell_but_withheld, items=self._session.output.follows_items)
            found = parse_store(store, control=self._session.control())
            with inventory_of_store(found, control, hashes=hashes) as opened:
                yield opened
            return
        if self._policy is None:
            self._policy = self._trust.policy(self._session)
        source = archive_on_standard_input(self._session) if archive == "-" else archive
        with (
            _opened(source, self._opens) as file,
            inventory_of_archive(file, self._policy, control) as inventory,
        ):
            yield inventory, None

    def _tell_but_withheld(self, event: Event) -> None:
        # What is withheld stands among the rows.
        if not isinstance(event, WithheldEvent):
            self._session.output.event(event)


def _opened(
    source: str | BinaryIO, opens: Identities
) -> contextlib.AbstractContextManager[SealedArchive]:
    if isinstance(source, str) and os.path.isdir(source) and is_bag(source):
        return opened(source, Kind.BAG, opens)
    return open_archive(source, opens)
