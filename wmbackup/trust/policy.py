"""Who is trusted: a pure policy over the keys that signed an archive.

Keys in, principals out: no file is read here and no clock is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from wmbackup.archive.sshsig import fingerprint
from wmbackup.errors import (
    SignerExpired,
    SignerMissing,
    SignerRevoked,
    SignerUntrusted,
    TooFewSigners,
)
from wmbackup.trust.patterns import has_patterns, matches

_NOT_IN_PRINCIPAL = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_HOST = 200  # characters of a host that its principal has; a DNS name has 253 at most


def principal_of(host: str) -> str:
    """Return the principal of a host: ``wmbackup@HOST`` in characters that need no quoting."""
    name = _NOT_IN_PRINCIPAL.sub("-", host[:_MAX_HOST]).strip("-")
    return "wmbackup@" + (name or "unknown")


@dataclass(frozen=True, slots=True)
class Signer:
    """One line of allowed_signers.

    ``principals`` are names or patterns, separated by commas, ``key`` is 32 raw bytes. The key is
    valid from ``valid_after`` on and before ``valid_before``, where they are given.
    """

    principals: str
    key: bytes
    valid_after: datetime | None = None
    valid_before: datetime | None = None

    def valid_at(self, moment: datetime) -> bool:
        """Whether the key was valid at that time."""
        return (self.valid_after is None or self.valid_after <= moment) and (
            self.valid_before is None or moment < self.valid_before
        )

    def principal(self, claimed: str | None) -> str | None:
        """Return the principal that the line stands for; None where it is for nobody.

        A line of plain names stands for them, one with patterns for the ``claimed`` principal
        where they match it. Without a claim patterns are not checked yet.
        """
        if not has_patterns(self.principals):
            return self.principals
        if claimed is None or matches(claimed, self.principals):
            return claimed or self.principals
        return None


class Ignored(NamedTuple):
    """A countersignature that counts for nothing: its key, and whether that is revoked."""

    fingerprint: str
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is trusted, who never, how many principals have to sign, and which of them by name."""

    signers: tuple[Signer, ...] = ()
    revoked: frozenset[bytes] = frozenset()
    required: int = 1
    named: tuple[str, ...] = ()

    def check(
        self,
        maker: bytes,
        cosigners: Sequence[bytes] = (),
        signed_at: datetime | None = None,
        host: str | None = None,
    ) -> tuple[str, ...]:
        """Return the trusted principals that signed with these keys, each once.

        Patterns are matched against the principal of the ``host`` that the maker signed. Without
        ``signed_at`` neither times nor patterns are checked yet.
        Raises SignerRevoked, SignerUntrusted, SignerExpired, SignerMissing or TooFewSigners.
        """
        claimed = None if host is None else principal_of(host)
        mark = fingerprint(maker)
        if maker in self.revoked:
            raise SignerRevoked(f"the key that signed, {mark}, is revoked", fingerprint=mark)
        known = self._known(maker, cosigners, claimed)
        valid = {s: who for s, who in known.items() if signed_at is None or s.valid_at(signed_at)}
        if not known:
            raise SignerUntrusted(f"the key that signed, {mark}, is not trusted", fingerprint=mark)
        if not valid:
            raise SignerExpired(
                f"the key that signed, {mark}, was not valid at the time of signing",
                fingerprint=mark,
            )
        named = () if signed_at is None else self.named
        principals, missing = _distinct(((s.key, who) for s, who in valid.items()), named)
        if missing:
            raise SignerMissing(
                f"{' and '.join(missing)} did not sign, or {'is' if len(missing) == 1 else 'are'}"
                " not trusted",
                fingerprint=mark,
            )
        if len(principals) < self.required:
            raise TooFewSigners(
                f"{len(principals)} trusted of {self.required} required principals signed",
                fingerprint=mark,
            )
        return principals

    def ignored(
        self, maker: bytes, cosigners: Sequence[bytes], signed_at: datetime
    ) -> tuple[Ignored, ...]:
        """Return the countersignatures that count for nothing in an archive that is trusted."""
        known = self._known(maker, cosigners, None)
        counting = {signer.key for signer in known if signer.valid_at(signed_at)}
        keys = dict.fromkeys(key for key in cosigners if key not in {maker, *counting})
        return tuple(Ignored(fingerprint(key), key in self.revoked) for key in keys)

    def _known(
        self, maker: bytes, cosigners: Sequence[bytes], claimed: str | None
    ) -> dict[Signer, str]:
        """Return the lines for these keys, each with its principal; patterns are for the maker."""
        keys = {key for key in (maker, *cosigners) if key not in self.revoked}
        return {
            signer: principal
            for signer in self.signers
            if signer.key in keys
            and (principal := signer.principal(claimed if signer.key == maker else None))
            and (signer.key == maker or not has_patterns(signer.principals))
        }


def _distinct(
    pairs: Iterable[tuple[bytes, str]], named: Sequence[str] = ()
) -> tuple[tuple[str, ...], list[str]]:
    """Return the principals that signed, and which of the ``named`` ones did not.

    One key counts once and one principal counts once, whichever lines they stand on: the largest
    set of pairs, or a key on two lines would be two signers. A line of several names counts once,
    for one that is named where one is.
    """
    by_principal: dict[str, list[bytes]] = {}
    for key, principal in pairs:
        wanted = [name for name in named if name in principal.split(",")]
        for name in wanted or [principal]:
            by_principal.setdefault(name, []).append(key)
    holder: dict[bytes, str] = {}

    def place(principal: str, tried: set[bytes]) -> bool:
        for key in by_principal.get(principal, ()):
            if key not in tried:
                tried.add(key)
                if key not in holder or place(holder[key], tried):
                    holder[key] = principal
                    return True
        return False

    # Those that are placed stay placed while others look for a key.
    missing = [name for name in dict.fromkeys(named) if not place(name, set())]
    for principal in by_principal:
        if principal not in holder.values():
            place(principal, set())
    placed = set(holder.values())
    return tuple(principal for principal in by_principal if principal in placed), missing
