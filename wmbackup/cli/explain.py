"""``wmbackup explain``."""

from __future__ import annotations

import difflib
import importlib
import re

import click

from wmbackup import hresult
from wmbackup.cli.app import HELP, Command
from wmbackup.cli.output import Explanation
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode, NotFound, UsageError, WmbackupError
from wmbackup.status import Status

_NUMBER = re.compile(r"[+-]?[0-9]{1,99}\Z|[+-]?0[xX][0-9a-fA-F]{1,99}\Z")
_STATUSES = {
    Status.ERROR: "an error occurred; its HRESULT says which",
    Status.OPENED: "a media file or stream has been opened",
    Status.BUFFERING_START: "a player begins to fill its buffer",
    Status.BUFFERING_STOP: "a player has filled its buffer",
    Status.EOF: "the end of a media file was reached",
    Status.END_OF_SEGMENT: "the end of a part of a media file was reached",
    Status.END_OF_STREAMING: "a server has sent its stream to the end",
    Status.LOCATING: "a server is being looked for",
    Status.CONNECTING: "a player connects to a server",
    Status.NO_RIGHTS: "a protected file of version 1 has no license here",
    Status.MISSING_CODEC: "what decodes the file is not installed",
    Status.STARTED: "playing has begun",
    Status.STOPPED: "playing has stopped",
    Status.CLOSED: "a media file or stream has been closed",
    Status.STRIDING: "a player skips through the file faster than it plays",
    Status.TIMER: "a time that a player asked for has come",
    Status.INDEX_PROGRESS: "a media file is being indexed",
    Status.SAVEAS_START: "a stream begins to be saved",
    Status.SAVEAS_STOP: "a stream has been saved",
    Status.NEW_SOURCEFLAGS: "what can be done with the open file has changed",
    Status.NEW_METADATA: "new text about the open file has come",
    Status.SOURCE_SWITCH: "a server has gone on to its next source",
    Status.ACQUIRE_LICENSE: "a license is being fetched",
    Status.NO_RIGHTS_EX: "a protected file has no license here; the address of one comes along",
    Status.INDIVIDUALIZE: "the DRM component is being upgraded for this machine",
    Status.NEEDS_INDIVIDUALIZATION: "the DRM component wants an upgrade for this machine first",
    Status.BACKUPRESTORE_BEGIN: "the backup or the restore begins",
    Status.BACKUPRESTORE_END: "the backup or the restore has ended",
    Status.BACKUPRESTORE_CONNECTING: "the credentials are being checked",
    Status.BACKUPRESTORE_DISCONNECTING: "the credentials are good",
    Status.ERROR_WITHURL: "the right to restore was refused; a page on the Web says more",
    Status.RESTRICTED_LICENSE: "the issuer of a license forbids its backup; its key ID comes along",
}
_NOTHING = "there is nothing to do"
_NEXT = {
    Status.ERROR: "ask for the HRESULT that came along: wmbackup explain HRESULT",
    Status.RESTRICTED_LICENSE: "ask the shop that sold it for a new one after a change of machine",
    Status.ERROR_WITHURL: "open the address that came along",
    Status.NEEDS_INDIVIDUALIZATION: "read the privacy policy, then allow the upgrade",
    Status.NO_RIGHTS: "restore the licenses, or ask the shop that sold the file",
    Status.NO_RIGHTS_EX: "restore the licenses, or open the address that came along",
    Status.MISSING_CODEC: "install the codec; licenses have nothing to do with it",
    Status.ACQUIRE_LICENSE: "wait until it has come before you back up",
    Status.INDIVIDUALIZE: "wait until it is done before you back up or restore",
}
_CODES = {
    ExitCode.OK: _NOTHING,
    ExitCode.FAILED: "read the error on standard error, and its hint",
    ExitCode.USAGE: "see wmbackup COMMAND --help",
    ExitCode.PARTIAL: "see which files were named on standard error",
    ExitCode.DAMAGED: "fetch the archive again from where it was copied, or use an older one",
    ExitCode.UNTRUSTED: "compare the fingerprint with what you know, then wmbackup key trust",
    ExitCode.UNDECRYPTABLE: "look for the key or the passphrase that it was encrypted to",
    ExitCode.NOT_FOUND: "check the path, or see wmbackup check",
    ExitCode.BUSY: "try again later, or add --lock-wait SECONDS",
    ExitCode.REFUSED: "read what the service answered; keep the archive",
    ExitCode.STALE: "look for a newer archive",
    ExitCode.DIFFERS: "look at what differs; an expired license deletes itself",
    ExitCode.INTERRUPTED: "start it again",
    ExitCode.TERMINATED: "start it again",
}


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
        hint = f"did you mean {' or '.join(close)}?" if close else "see wmbackup explain --help"
        raise NotFound(f"{text} is not known here", hint=hint)
    return found


def known_names() -> dict[str, list[Explanation]]:
    """Return everything that has a name here, by that name in upper case."""
    importlib.import_module("wmbackup.restorer")  # for the errors that it has
    names: dict[str, list[Explanation]] = {}
    for known in hresult.TABLE:
        names.setdefault(known.name.upper(), []).append(_hresult(known))
    for status in Status:
        explanation = Explanation(
            "status",
            status.documented_name,
            int(status),
            _STATUSES[status],
            _NEXT.get(status, _NOTHING),
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
    return Explanation("exit-code", name, int(code), code.meaning, _CODES[code], code)


def _error(error: type[WmbackupError]) -> Explanation:
    sentence = (error.__doc__ or "").split("\n")[0].rstrip(".")
    if sentence[1:2].islower():  # and no name such as E_INVALIDARG
        sentence = sentence[:1].lower() + sentence[1:]
    code = ExitCode(error.exit_code)
    return Explanation("error", error.code, None, sentence, _CODES[code], code)
