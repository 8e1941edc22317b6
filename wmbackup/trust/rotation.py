"""A new signing key in the place of the old one, in steps that another run can complete.

1. The new key is written to ``signing_key.next``; it is trusted nowhere yet.
2. The old key gets a name with the time, its ``.pub`` file first. There is no signing key now.
3. ``allowed_signers`` limits the old key and trusts the new one, by one write.
4. ``signing_key.next`` becomes ``signing_key``.
5. ``signing_key.pub`` is written.

A run that is cut off after 2 is completed by the next one; after 4, by ``key create``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from wmbackup.errors import SigningKeyMissing, SystemFailure, UsageError, WmbackupError
from wmbackup.storage.files import sync_folder
from wmbackup.trust import edits, keys
from wmbackup.trust.allowed_signers import PrincipalTaken, parse_allowed_signers
from wmbackup.trust.keys import SigningKey, next_path, public_path
from wmbackup.trust.patterns import has_patterns
from wmbackup.trust.policy import Signer, principal_of
from wmbackup.trust.trust_files import Paths, held, named, read_revoked, read_text, write_text
from wmbackup.trust.unlock import has_passphrase, read_public

if TYPE_CHECKING:
    from wmbackup.storage.locks import Locks

_STAMP = re.compile(r"-[0-9]{8}T[0-9]{6}Z(-[0-9]+)?")


class Rotated(NamedTuple):
    """A signing key that took the place of another, which is ``old`` and at ``old_path``."""

    key: SigningKey
    principal: str
    old: bytes
    old_path: str
    until: datetime
    had_passphrase: bool


def rotate(
    path: str,
    allowed_signers: str,
    host: str,
    revoked: Paths = None,
    locks: Locks | None = None,
) -> Rotated:
    """Make a new signing key; the old one is kept, and trusted for what it has signed until now.

    Raises SigningKeyMissing, UsageError for a key that ssh-agent holds, and as
    `keys.create_trusted` does.
    """
    with held(allowed_signers, locks) as file:
        text, never = read_text(file), read_revoked(revoked)  # before anything changes
        with named(file):
            parse_allowed_signers(text)
        now = datetime.now(UTC).replace(microsecond=0)
        until = now + timedelta(seconds=1)  # what was signed in this second was signed before
        with _replacing(path):
            if os.path.lexists(path):
                old = read_public(path)
                had_passphrase = has_passphrase(path)
                _discard(next_path(path))  # of a run that was cut off before it trusted it
                new = keys.create_private_key(next_path(path))
                after, principal = _replaced(file, text, old, new.public, host, until, never)
                kept = _put_away(path, now)
            else:
                kept = _put_away_before(path)
                old, had_passphrase = read_public(kept), False
                new = keys.load(next_path(path))
                after, principal = _replaced(file, text, old, new.public, host, until, never)
            if after != text:
                write_text(file, after)
            os.rename(next_path(path), path)
            _sync(path)
            key = keys.load(path)
            keys.write_public(key, principal)
        return Rotated(key, principal, old, kept, until, had_passphrase)


def rotated_from(path: str) -> tuple[bytes, ...]:
    """Return the public keys that the key at ``path`` was rotated from (32 raw bytes each).

    A file that cannot be read as one counts for nothing.
    """
    folder, base = os.path.split(path)
    try:
        names = sorted(os.listdir(folder or os.curdir))
    except OSError:
        return ()
    found = []
    for name in names:
        key = name.removesuffix(".pub")
        if name.startswith(base) and _STAMP.fullmatch(key[len(base) :]):
            with contextlib.suppress(WmbackupError):
                found.append(read_public(os.path.join(folder, key)))
    return tuple(dict.fromkeys(found))


def _replaced(
    file: str,
    text: bytes,
    old: bytes,
    new: bytes,
    host: str,
    until: datetime,
    never: Collection[bytes],
) -> tuple[bytes, str]:
    """Return the new trust file, and the principal of the new key: that of the old one."""
    with named(file):
        signers = parse_allowed_signers(text)
        done = next((one.principals for one in signers if one.key == new), None)
        if done is not None:
            return edits.limited(text, old, until), done
        names = [one.principals for one in signers if one.key == old]
        plain = [name for name in names if not (has_patterns(name) or "," in name)]
        base = plain[0] if plain else principal_of(host)
        for number in count(1):
            principal = base if number == 1 else f"{base}-{number}"
            with contextlib.suppress(PrincipalTaken):
                signer = Signer(principal, new)
                return edits.replaced(text, old, signer, until, never), principal
    raise AssertionError("some number is free")


def _put_away(path: str, now: datetime) -> str:
    """Give a key and its public half a name with the time; return that of the key."""
    names = (f"{path}-{now:%Y%m%dT%H%M%SZ}{'' if n == 1 else f'-{n}'}" for n in count(1))
    kept = next(
        name for name in names if not (os.path.lexists(name) or os.path.lexists(f"{name}.pub"))
    )
    with contextlib.suppress(FileNotFoundError):
        os.rename(public_path(path), public_path(kept))
    os.rename(path, kept)
    _sync(path)
    return kept


def _put_away_before(path: str) -> str:
    """Return the key that a run which was cut off has put away."""
    folder, base = os.path.split(path)
    if os.path.lexists(next_path(path)):
        names = [
            name
            for name in os.listdir(folder or os.curdir)
            if name.startswith(base) and _STAMP.fullmatch(name[len(base) :])
        ]
        if names:
            return os.path.join(folder, max(names))
    if os.path.lexists(public_path(path)):
        raise UsageError(
            f"the private half of {public_path(path)} is not on the disk, and is not replaced here",
            reason="key-elsewhere",
        )
    raise SigningKeyMissing(f"there is no signing key at {path}", reason="own", path=path)


def _discard(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _sync(path: str) -> None:
    sync_folder(os.path.dirname(path) or os.curdir)


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[None]:
    """Give what the system refuses on the way a sentence."""
    try:
        yield
    except OSError as error:
        raise SystemFailure.of(error, "replace the signing key", path) from error
