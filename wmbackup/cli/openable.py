"""Whether somebody could open an archive that is made now, by what the configuration says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wmbackup.cli.encryption import own_identities, read_identities, read_recipients
from wmbackup.cli.render.output import CheckRow, State
from wmbackup.cli.session import Session
from wmbackup.cli.settings import in_force_for

if TYPE_CHECKING:
    from wmbackup.age.keys import X25519Identity

_NAME = "encryption"


def encryption_row(session: Session) -> CheckRow:
    """Return what `check` says of the encryption. Raises WmbackupError, OSError."""
    recipients = read_recipients(in_force_for(session, ("backup",), "recipient"))
    if not recipients:
        return _without_recipients(session)
    names = {str(recipient) for recipient in recipients}
    own = [one for one in _identities(session) if str(one.recipient) in names]
    many = f"{len(names)} recipients" if len(names) > 1 else f"{recipients[0]}"
    if own:
        message = f"archives are encrypted for {many}, and an identity here opens them"
        return CheckRow(_NAME, State.OK, message)
    return CheckRow(
        _NAME,
        State.WARNING,
        f"archives are encrypted for {many}, and no identity here opens them",
        "try one where the identity is: wmbackup verify ARCHIVE --identity FILE",
    )


def _identities(session: Session) -> list[X25519Identity]:
    named = in_force_for(session, ("restore",), "identity")
    if named:
        return [one for path in named for one in read_identities(session, path).identities]
    own = own_identities(session)
    return [] if own is None else own.identities


def _without_recipients(session: Session) -> CheckRow:
    for key in ("passphrase-file", "passphrase-command"):
        value = in_force_for(session, ("backup",), key)
        if not value:
            continue
        message = f"archives are encrypted with a passphrase, by {key}"
        if key == "passphrase-file" and not os.path.isfile(value[0]):
            return CheckRow(
                _NAME, State.WARNING, f"{message}: there is no file {value[0]}", "check its path"
            )
        if in_force_for(session, ("restore",), key) == value:
            return CheckRow(_NAME, State.OK, f"{message}, and a restore takes the same")
        remedy = f"give it to verify and restore too: {key} before the first table"
        message = f"{message}, and a restore has another or none"
        return CheckRow(_NAME, State.WARNING, message, remedy)
    return CheckRow(_NAME, State.OK, "archives are not encrypted: no recipient is configured")
