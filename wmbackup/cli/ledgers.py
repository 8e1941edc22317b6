"""The ledger of this user, and what a backup takes its place in a series from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wmbackup.cli.session import (
    Session,
    allowed_signers_paths,
    revoked_keys_paths,
    signing_key_path,
    state_folder,
)
from wmbackup.errors import WmbackupError

if TYPE_CHECKING:
    from wmbackup.engine import History
    from wmbackup.history.ledger import Ledger
    from wmbackup.trust import Policy
    from wmbackup.trust.keys import SigningKey


def ledger_of(session: Session) -> Ledger | None:
    """Return the ledger of this user; None where there is no state folder."""
    from wmbackup.history.ledger import Ledger

    folder = state_folder()
    return None if folder is None else Ledger(folder, session.trust_locks())


def history_of(session: Session, key: SigningKey) -> History:
    """Return what a backup that this key signs takes its place from."""
    from wmbackup.engine import History
    from wmbackup.trust.rotation import rotated_from

    return History(ledger_of(session), (key.public, *rotated_from(key.path)), _whom_to_trust())


def own_keys(path: str | None) -> tuple[bytes, ...]:
    """Return this machine's signing key and those it was rotated from (32 raw bytes each).

    No passphrase is needed. Raises SigningKeyMissing, SigningKeyUnusable, SetupUnusable,
    SystemFailure.
    """
    from wmbackup.trust.rotation import rotated_from
    from wmbackup.trust.unlock import read_public

    path = path or signing_key_path()
    return read_public(path), *rotated_from(path)


def _whom_to_trust() -> Policy:
    """Return whom this user trusts; nobody where the files cannot be read: `check` says why."""
    from wmbackup.trust import Policy
    from wmbackup.trust.trust_files import read_policy

    try:
        return read_policy(allowed_signers_paths(), revoked_keys_paths())
    except WmbackupError:
        return Policy()
