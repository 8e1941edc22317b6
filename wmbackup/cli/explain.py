"""``wmbackup explain``."""

from __future__ import annotations

import difflib
import importlib
import re

import click

from wmbackup import hresult
from wmbackup.cli.app import HELP, Command
from wmbackup.cli.hints import command_line, did_you_mean
from wmbackup.cli.meanings import CODES, NEXT_STEPS, NOTHING, STATUSES
from wmbackup.cli.output import Explanation
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode, NotFound, UsageError, WmbackupError
from wmbackup.status import Status

# Beside wmbackup.errors.
_HAVE_ERRORS = ("config", "engine.backing_up", "restorer", "stores.windows.store", "trust")
_NUMBER = re.compile(r"[+-]?[0-9]{1,99}\Z|[+-]?0[xX][0-9a-fA-F]{1,99}\Z")


@click.command(
    "explain",
    cls=Command,
    example="wmbackup explain 0xC00D2742",
    # A signed HRESULT begins with a minus and is no option.
    context_settings={**HELP, "ignore_unknown_options": True},
)
@click.argument("what", metavar="HRESULT|NAME|EXIT-CODE")
def command(session: Session, what: str) -> ExitCode:
    """Explain an HRESULT (hexadecimal, or decimal as tools print it), a name or an exit code.

    Names are those of HRESULTs, of statuses (WMT_...), and of this program's errors.
    """
    if what.startswith("-") and not _NUMBER.match(what):
        ctx = click.get_current_context()
        names = [
            name for param in ctx.command.params for name in (*param.opts, *param.secondary_opts)
        ]
        raise click.NoSuchOption(what, possibilities=names, ctx=ctx)
    found = _by_number(what) if _NUMBER.match(what) else _by_name(what)
    session.data_on_stdout = True
    for explanation in found:
        session.output.explain(explanation)
    return ExitCode.OK


def _by_number(text: str) -> list[Explanation]:
    hexadecimal = "x" in text.lower()
    value = int(text, 16 if hexadecimal else 10)
    if not hexadecimal and value in set(ExitCode):
        return [_exit_code(ExitCode(value))]
    if not -(2**31) <= value < 2**32:
        raise UsageError(f"{text} is no HRESULT: it has more than 32 bits")
    known = hresult.find(value)
    if known.value not in {row.value for row in hresult.TABLE}:
        raise NotFound(
            f"the HRESULT 0x{known.value:08X} is not known here",
            hint="look for it in nserror.h or winerror.h of the Windows SDK",
        )
    return [_hresult(known)]


def _by_name(text: str) -> list[Explanation]:
    names = known_names()
    found = names.get(text.upper())
    if found is None:
        close = difflib.get_close_matches(text.upper(), names, n=3)
        hint = (
            did_you_mean(text, close) if close else f"for help: {command_line('explain', '--help')}"
        )
        raise NotFound(f"{text} is not known here", hint=hint)
    return found


def known_names() -> dict[str, list[Explanation]]:
    """Return everything that has a name here, by that name in upper case."""
    for module in _HAVE_ERRORS:
        importlib.import_module(f"wmbackup.{module}")
    names: dict[str, list[Explanation]] = {}
    for known in hresult.TABLE:
        names.setdefault(known.name.upper(), []).append(_hresult(known))
    for status in Status:
        explanation = Explanation(
            "status",
            status.documented_name,
            int(status),
            STATUSES[status],
            NEXT_STEPS.get(status, NOTHING),
        )
        for name in (status.documented_name, status.name):
            names.setdefault(name.upper(), []).append(explanation)
    for code in ExitCode:
        names.setdefault(code.name.replace("_", "-"), []).append(_exit_code(code))
    for error in _all_errors(WmbackupError):
        names.setdefault(error.code.upper(), []).append(_error(error))
    return names


def _all_errors(error: type[WmbackupError]) -> list[type[WmbackupError]]:
    found = [error]
    for below in error.__subclasses__():
        found += _all_errors(below)
    return found


def _hresult(known: hresult.HResult) -> Explanation:
    category = known.category
    return Explanation(
        "hresult",
        known.name,
        known.value,
        known.sentence,
        known.next_step,
        category.exit_code,
        category.word,
    )


def _exit_code(code: ExitCode) -> Explanation:
    name = code.name.lower().replace("_", "-")
    return Explanation("exit-code", name, int(code), code.meaning, CODES[code], code)


def _error(error: type[WmbackupError]) -> Explanation:
    sentence = (error.__doc__ or "").split("\n")[0].rstrip(".")
    if not sentence[1:2].isupper() and "_" not in sentence.split(":")[0]:  # no E_INVALIDARG
        sentence = sentence[:1].lower() + sentence[1:]
    code = ExitCode(error.exit_code)
    return Explanation("error", error.code, None, sentence, CODES[code], code)
