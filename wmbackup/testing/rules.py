"""The rules of a contract: each check names its sentence, and a broken one is reported with it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar


class ContractBroken(AssertionError):
    """A store breaks a rule of the contract: ``rule`` is its sentence, ``detail`` what happened."""

    def __init__(self, rule: str, detail: str) -> None:
        """Keep both; the message has both."""
        super().__init__(f"the store breaks this rule of its contract: {rule} ({detail})")
        self.rule = rule
        self.detail = detail


class Found(Exception):
    """What a check found wrong."""


def require(condition: object, detail: str) -> None:
    """Raise Found unless the condition holds."""
    # Not `assert`, which `python -O` removes.
    if not condition:
        raise Found(detail)


def require_raises(error: type[Exception], call: Callable[[], object], doing: str) -> None:
    """Raise Found unless the call raises the error."""
    try:
        call()
    except error:
        return
    raise Found(f"{doing} did not raise {error.__name__}")


_C = TypeVar("_C")


def rule(sentence: str) -> Callable[[Callable[[_C], None]], Callable[[_C], None]]:
    """Name the rule that a check is about. Whatever the store raises in it breaks the rule."""

    def name(check: Callable[[_C], None]) -> Callable[[_C], None]:
        @functools.wraps(check)
        def run(self: _C) -> None:
            try:
                check(self)
            except NotImplementedError:
                raise  # the contract has no store yet
            except Found as found:
                raise ContractBroken(sentence, str(found)) from found.__context__
            except Exception as error:
                detail = f"{type(error).__name__} was raised: {error}"
                raise ContractBroken(sentence, detail) from error

        run.__doc__ = sentence  # not written as a docstring, which `python -OO` removes
        return run

    return name
