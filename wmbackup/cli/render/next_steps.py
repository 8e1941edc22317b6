"""The next step after an error or a warning: the only place that makes it.

What is below the command line gives facts: a class, a reason, a path. Here they become a text or a
command that can be pasted into the shell of this system.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from wmbackup.cli.render import limit_hints, shell
from wmbackup.cli.render.hint_texts import (
    CATEGORIES,
    ERRORS,
    EXPLAINED,
    HRESULTS,
    NOTHING,
    WARNINGS,
)
from wmbackup.errors import (
    LIMITS,
    SignerUntrusted,
    SystemFailure,
    Undecryptable,
    WmbackupError,
)
from wmbackup.status import WarningEvent

if TYPE_CHECKING:
    from wmbackup.hresult import HResult
    from wmbackup.trust.small_files import Exposed


class _Fact:
    """A fact in a text: quoted for the shell, or what stands in where it is not known."""

    def __init__(self, value: str | None, quote: Callable[[str], str] = shell.quote) -> None:
        self._value = value
        self._quote = quote

    def __format__(self, stand_in: str) -> str:
        return stand_in if self._value is None else self._quote(self._value)


def of_error(error: WmbackupError) -> str | None:
    """Return the next step after an error; None where there is none to name."""
    if error.hint is not None:
        return error.hint
    codes = _codes(error)
    keys = [f"{code}/{error.reason}" for code in codes] + [f"*/{error.reason}"]
    for key in [*(keys if error.reason else ()), *codes]:
        if key in SPECIAL:
            return SPECIAL[key](error)
        text = ERRORS.get(key)
        if text is not None:
            return _filled(text, error.path, _fingerprint(error))
    return None


def then(error: WmbackupError, last: str) -> str:
    """Return the next step after an error with another one that comes after it."""
    first = of_error(error)
    return last if first is None else f"{first}; then {last}"


def of_warning(event: WarningEvent) -> str | None:
    """Return the next step after a warning; None where there is nothing to do."""
    if event.hint is not None:
        return event.hint
    if event.cause is not None:
        return of_error(event.cause)
    text = WARNINGS.get(f"{event.code}/{event.reason}", WARNINGS.get(event.code))
    return None if text is None or text == NOTHING else _filled(text, event.subject)


def step_of_class(error: type[WmbackupError]) -> str:
    """Return the next step after any error of a class, with stand-ins for the facts."""
    for code in _codes(error):
        text = ERRORS.get(code) or EXPLAINED.get(code)
        if text is not None:
            return _filled(text)
    raise KeyError(error.code)


def step_of_warning(code: str) -> str:
    """Return the next step after any warning of a code, with stand-ins for the facts."""
    return _filled(WARNINGS[code])


def of_hresult(known: HResult) -> str:
    """Return the next step after an HRESULT."""
    if known.windows_error is not None:
        return f"see what Windows says about it: net helpmsg {known.windows_error}"
    return HRESULTS.get(known.name) or known.next_step or CATEGORIES[known.category.word]


def of_exposed(found: Exposed) -> str:
    """Return what keeps other users from writing to a file that says whom to trust."""
    if found.has_modes:
        return f"chmod go-w {shell.argument(found.path)}"
    return without_modes(found.file)


def hide(path: str) -> str:
    """Return what keeps other users from reading a private file."""
    from wmbackup.trust.small_files import can_hide

    try:
        is_possible = can_hide(path)
    except SystemFailure:  # a hint is given with an error, and never in its place
        is_possible = True
    return shell.hide(path) if is_possible else without_modes(path)


def without_modes(path: str) -> str:
    """Return what helps where a file is on a file system that keeps no modes."""
    return f"the file system of {path} keeps no modes: mount it with umask=077, or use another one"


def _codes(error: WmbackupError | type[WmbackupError]) -> list[str]:
    """Return the code of an error and those of the classes above it."""
    kind = error if isinstance(error, type) else type(error)
    return [one.code for one in kind.__mro__ if issubclass(one, WmbackupError)]


def _filled(text: str, path: str | None = None, fingerprint: str | None = None) -> str:
    return text.format(
        path=_Fact(path, shell.argument),
        remove=_Fact(path, shell.remove),
        make=_Fact(path, shell.make),
        hide=_Fact(path, hide),
        subject=_Fact(path),
        fingerprint=_Fact(fingerprint),
    )


def _fingerprint(error: WmbackupError) -> str | None:
    return error.fingerprint if isinstance(error, SignerUntrusted) else None


def make_another_key(path: str) -> str:
    """Return the commands that make another signing key and keep the old one."""
    rename = shell.rename(path, f"{path}.old")
    # PowerShell 5, which comes with Windows, has no &&.
    then = ", then: " if shell.IS_WINDOWS else " && "
    return f"make another one: {rename}{then}wmbackup key create"


def _another_key(error: WmbackupError) -> str | None:
    return None if error.path is None else make_another_key(error.path)


def _own_principal(error: WmbackupError) -> str | None:
    from wmbackup.trust.allowed_signers import PrincipalTaken

    if not isinstance(error, PrincipalTaken) or error.path is None:
        return None
    how = shell.add_line(error.path, error.line, ends=error.ends)
    return f"trust it under a name of its own: {how}"


def _of_interface(error: WmbackupError) -> str | None:
    from wmbackup.hresult import InterfaceError, find

    step = of_hresult(find(error.hresult or 0))
    url = error.url if isinstance(error, InterfaceError) else None
    return step if url is None else f"the page that says why is {url}; {step}"


def _of_recipients(error: WmbackupError) -> str | None:
    if isinstance(error, Undecryptable) and error.reason is None and "scrypt" in error.recipients:
        return ERRORS["undecryptable/passphrase"]
    return ERRORS["undecryptable"]


def _of_limit(error: WmbackupError) -> str | None:
    return limit_hints.of_reason(error.reason)


SPECIAL: Mapping[str, Callable[[WmbackupError], str | None]] = {
    "signing-key-unusable/own": _another_key,
    "key-revoked/own": _another_key,
    "principal-taken": _own_principal,
    "interface": _of_interface,
    "undecryptable": _of_recipients,
    **{f"*/{reason}": _of_limit for reason in LIMITS},
}
