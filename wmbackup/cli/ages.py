"""Ages and spans of time on the command line: a number with s, m, h, d or w."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from wmbackup.history.retention import Span

if TYPE_CHECKING:
    _SpanType = click.ParamType[Span]
else:
    _SpanType = click.ParamType  # old releases know no parameter

_AGE = re.compile(r"([0-9]{1,9})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DAYS = {"d": 1, "w": 7}


class Age(_SpanType):
    """A span of time, such as 90s, 26h or 30d; days and weeks are those of the calendar."""

    name = "age"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - whatever click has
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Span:
        """Read it. Raises click.BadParameter."""
        if isinstance(value, Span):
            return value
        match = _AGE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value} is not a number with s, m, h, d or w, such as 30d", param, ctx)
        number, unit = int(match[1]), match[2]
        if unit in _DAYS:
            return Span(days=number * _DAYS[unit])
        return Span(seconds=number * _SECONDS[unit])
