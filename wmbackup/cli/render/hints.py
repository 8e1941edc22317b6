"""The next step after an error that says no more than what is wrong."""

from __future__ import annotations

from wmbackup.errors import Undecryptable, WmbackupError


def hint_of(error: WmbackupError) -> str | None:
    """Return the hint of an error: its own, or one that is made of what it knows."""
    if error.hint is None and isinstance(error, Undecryptable):
        if "scrypt" in error.recipients:
            return (
                "give the passphrase that it was encrypted with: --passphrase on a terminal, or"
                " --passphrase-file, --passphrase-fd, --passphrase-command"
            )
        return "name the identity that it was encrypted for: --identity FILE"
    return error.hint
