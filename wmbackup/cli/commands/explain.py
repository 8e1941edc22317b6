"""``wmbackup explain``."""

from __future__ import annotations

import difflib
import importlib
import re

import click

from wmbackup import hresult
from wmbackup.cli.click_ext import HELP, Command
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.error_texts import SENTENCES
from wmbackup.cli.render.hint_texts import NOTHING
from wmbackup.cli.render.hints import command_line, did_you_mean
from wmbackup.cli.render.meanings import CODES, NEXT_STEPS, STATUSES
from wmbackup.cli.render.output import Explanation
from wmbackup.cli.render.vocabulary import KINDS, WARNINGS, Meaning, file_meaning
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode, NotFound, UsageError, WmbackupError
from wmbackup.quoting import quoted
from wmbackup.status import Status

# Beside wmbackup.errors.
_HAVE_ERRORS = (
    *(
        "cli.config",
        "cli.encryption",
        "cli.monitoring.monitor",
        "engine._countersign",
        "engine._read_back",
        "restorer",
        "stores.windows.store",
    ),
    "trust",
    "trust.trust_files",
)
# As Microsoft and programmers print them: 0xC00D277F, C00D277F, (0xC00D277F), C00D277FL, #80070005.
_HEXADECIMAL = re.compile(
    r"(-?)(0x|&h|\$|#|x)([0-9a-f]{1,99})(?:u?l{0,2}|i32|i64)|()()([0-9a-f]{1,16})(?:u?l{0,2}|h|i32|i64)",
    re.IGNORECASE,
)
_SIGN = 0xFFFFFFFF << 32
_BARE = re.compile(r"[0-9a-f]{8}|f{8}[0-9a-f]{8}", re.IGNORECASE)
_DECIMAL = re.compile(r"([+-]?[0-9]{1,99})(?:u?l{0,2}|u|i32|i64)", re.IGNORECASE)
_AROUND = re.compile(
    r"(?:(?:error|code|hresult|hr|result|status|scode|is|exit)[\s:=#]+)*(.*?)[\s.,;:!]*",
    re.IGNORECASE,
)
_INSIDE = re.compile(r"(?<![\w\\/.-])(?:0x)?[0-9a-f]{8}(?![\w\\/-])", re.IGNORECASE)
_BRACKETS = "()[]{}<>\"'`"


@click.command(
    "explain",
    cls=Command,
    example="wmbackup explain 0xC00D2742",
    # A signed HRESULT begins with a minus and is no option.
    context_settings={**HELP, "ignore_unknown_options": True},
)
@click.argument("what", metavar="HRESULT|NAME|EXIT-CODE|KIND|FILE-NAME")
def command(session: Session, what: str) -> ExitCode:
    """Explain an HRESULT, a name, an exit code, a kind, a warning or a file name.

    HRESULTs are taken as they are printed: 0xC00D277F, C00D277F, with a trailing dot, L or
    parentheses, and as decimal numbers, signed or not. Names are those of HRESULTs, of statuses
    (WMT_...), and of this program's errors and warnings.
    """
    text = _bare(what)
    number = _number(text)
    if what.startswith("-") and number is None:
        ctx = click.get_current_context()
        names = [
            name for param in ctx.command.params for name in (*param.opts, *param.secondary_opts)
        ]
        raise click.NoSuchOption(what, possibilities=names, ctx=ctx)
    if number is None and len(inside := _INSIDE.findall(what)) == 1:
        number = _number(inside[0])  # a whole message with one HRESULT in it
    found = _by_name(text, what) if number is None else _by_number(*number, what)
    session.data_on_stdout = True
    for explanation in found:
        session.output.explain(explanation)
    return ExitCode.OK


def _bare(text: str) -> str:
    """Take off what stands around a number or a name in a message."""
    before = None
    while text != before:
        before = text
        text = text.strip().strip(_BRACKETS)
        match = _AROUND.fullmatch(text)
        text = text if match is None else match[1] or text
    return text


def _number(text: str) -> tuple[int, bool] | None:
    """Return a number, and whether it was hexadecimal; None where it is none."""
    decimal, hexadecimal = _DECIMAL.fullmatch(text), _HEXADECIMAL.fullmatch(text)
    if hexadecimal is not None:
        sign, prefix, digits = (part for part in hexadecimal.groups() if part is not None)
        # HRESULTs are printed without 0x as well. No decimal one has eight digits.
        if prefix or text[-1] in "hH" or _BARE.fullmatch(digits):
            value = int(sign + digits, 16)
            return value - (_SIGN if value >= _SIGN else 0), True  # of one in 64 bits
    return None if decimal is None else (int(decimal[1]), False)


def _by_number(value: int, hexadecimal: bool, text: str) -> list[Explanation]:  # noqa: FBT001 (a pair of `_number`)
    if not hexadecimal and value in set(ExitCode):
        return [_exit_code(ExitCode(value))]
    if not -(2**31) <= value < 2**32:
        raise UsageError(f"{text} is no HRESULT: it has more than 32 bits")
    known = hresult.find(value)
    if known.is_unknown and 0 < value <= 0xFFFF:  # noqa: PLR2004 - bits of a Win32 error
        windows = hresult.find(0x80070000 | value)  # HRESULT_FROM_WIN32
        known = known if windows.is_unknown else windows
    if not known.is_explained:
        raise NotFound(
            f"the HRESULT 0x{known.value:08X} is not known here",
            hint="look for it in nserror.h or winerror.h of the Windows SDK",
        )
    return [_hresult(known)]


def _by_name(text: str, given: str) -> list[Explanation]:
    names = known_names()
    found = names.get(text.upper().replace("_", "-")) or names.get(text.upper())
    if found is None and (meaning := file_meaning(text)) is not None:
        return [_meaning("file", re.split(r"[/\\]", text)[-1], meaning)]
    if found is None:
        close = difflib.get_close_matches(text.upper(), names, n=3)
        hint = f"for help: {command_line('explain', '--help')}"
        if close:
            hint = did_you_mean(given, close)
        raise NotFound(f"{given or quoted(given)} is not known here", hint=hint)
    return found


def known_names() -> dict[str, list[Explanation]]:
    """Return everything that has a name here, by that name in upper case."""
    for module in _HAVE_ERRORS:
        importlib.import_module(f"wmbackup.{module}")
    names: dict[str, list[Explanation]] = {}
    for known in hresult.table().values():
        for name in (known.name, *known.aliases):
            names.setdefault(name.upper(), []).append(_hresult(known))
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
    ours = [one for one in _all_errors(WmbackupError) if one.code in SENTENCES]
    for error in ours:  # and none of a store of another package
        names.setdefault(error.code.upper(), []).append(_error(error))
    for kind, meanings in (("kind", KINDS), ("warning", WARNINGS)):
        for name, meaning in meanings.items():
            names.setdefault(name.upper(), []).append(_meaning(kind, name, meaning))
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
        next_steps.of_hresult(known),
        category.exit_code,
        category.word,
    )


def _meaning(kind: str, name: str, meaning: Meaning) -> Explanation:
    return Explanation(kind, name, None, *meaning)


def _exit_code(code: ExitCode) -> Explanation:
    name = code.name.lower().replace("_", "-")
    return Explanation("exit-code", name, int(code), code.meaning, CODES[code], code)


def _error(error: type[WmbackupError]) -> Explanation:
    code = ExitCode(error.exit_code)
    step = next_steps.step_of_class(error)
    return Explanation("error", error.code, None, SENTENCES[error.code], step, code)
