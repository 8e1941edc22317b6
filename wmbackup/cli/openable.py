"""Whether somebody could open an archive that is made now, by what the configuration says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wmbackup.cli.click_ext import PREFIX
from wmbackup.cli.encryption import own_identities, read_identities, read_recipients
from wmbackup.cli.render.output import CheckRow, State
from wmbackup.cli.session import Session

if TYPE_CHECKING:
    from wmbackup.age.keys import X25519Identity

_NAME = "encryption"


def encryption_row(session: Session) -> CheckRow:
    """Return what `check` says of the encryption. Raises WmbackupError, OSError."""
    recipients = read_recipients(_in_force(session, ("backup",), "recipient"))
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
    named = _in_force(session, ("restore",), "identity")
    if named:
        return [one for path in named for one in read_identities(session, path).identities]
    own = own_identities(session)
    return [] if own is None else own.identities


def _without_recipients(session: Session) -> CheckRow:
    for key in ("passphrase-file", "passphrase-command"):
        value = _in_force(session, ("backup",), key)
        if not value:
            continue
        message = f"archives are encrypted with a passphrase, by {key}"
        if key == "passphrase-file" and not os.path.isfile(value[0]):
            return CheckRow(
                _NAME, State.WARNING, f"{message}: there is no file {value[0]}", "check its path"
            )
        if _in_force(session, ("restore",), key) == value:
            return CheckRow(_NAME, State.OK, f"{message}, and a restore takes the same")
        remedy = f"give it to verify and restore too: {key} before the first table"
        message = f"{message}, and a restore has another or none"
        return CheckRow(_NAME, State.WARNING, message, remedy)
    return CheckRow(_NAME, State.OK, "archives are not encrypted: no recipient is configured")


def _in_force(session: Session, words: tuple[str, ...], key: str) -> list[str]:
    """Return the values of an option of another command: of the environment or a file."""
    variable = PREFIX + key.upper().replace("-", "_")
    if os.environ.get(variable) and not key.endswith("-command"):
        text = os.environ[variable]
        return [text] if key.startswith("passphrase") else text.split()
    for one in session.configs:
        found = one.find(words, key, session.profile)
        if found is not None:
            return [found.value] if isinstance(found.value, str) else list(found.value)
    return []
