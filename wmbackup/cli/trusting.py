"""Whose archives are trusted, as the command line says it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from wmbackup.cli.click_ext import Option
from wmbackup.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from wmbackup.cli.session import Session
    from wmbackup.trust import Policy

_MOST = 16
"""How many can sign an archive: the maker and fifteen others."""


class TrustGiven(NamedTuple):
    """What the options say: a trust file, how many have to sign, and who has to be among them."""

    allowed_signers: str | None = None
    required: int = 1
    named: tuple[str, ...] = ()

    def policy(self, session: Session) -> Policy:
        """Read whom to trust. Raises as `Session.policy` does."""
        from dataclasses import replace

        found = session.policy(self.allowed_signers)
        return replace(found, required=self.required, named=self.named)


def trust_options(
    section: str,
) -> Callable[[Callable[..., ExitCode]], Callable[..., ExitCode]]:
    """Declare the options; the function gets what they say as ``trust``."""
    options = [
        Option(
            ["--allowed-signers"], metavar="F", section=section,
            help="use this allowed_signers file instead of your own",
        ),
        Option(
            ["--require-signers"], metavar="N", section=section,
            type=click.IntRange(min=1, max=_MOST), default=1,
            help="require signatures by so many trusted principals, each with a different key",
        ),
        Option(
            ["--signer"], metavar="PRINCIPAL", section=section, multiple=True,
            help="require a signature by this trusted principal",
        ),
    ]  # fmt: skip

    def declare(function: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
        @functools.wraps(function)
        def called(
            *arguments: Any,  # noqa: ANN401 - those of the function
            allowed_signers: str | None,
            require_signers: int,
            signer: tuple[str, ...],
            **more: Any,  # noqa: ANN401 - as above
        ) -> ExitCode:
            if not all(signer):
                raise UsageError("--signer names nobody", hint="see: wmbackup key list")
            given = TrustGiven(allowed_signers, require_signers, signer)
            return function(*arguments, trust=given, **more)

        below: list[click.Parameter] = getattr(function, "__click_params__", [])
        called.__click_params__ = [*below, *reversed(options)]  # type: ignore[attr-defined] # as click keeps them
        return called

    return declare
