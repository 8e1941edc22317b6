"""What was mistyped or cannot be meant: each is refused, or warned of, with what to write instead.

What only a shell expands, a path of another system, a URL: as a path, each of them names a file in
the current folder that nobody wants. Whoever does want it writes ``./`` before it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable

import click
from click.core import ParameterSource

from wmbackup.cli.click_ext import PREFIX
from wmbackup.cli.paths import PREFIXES, is_registered
from wmbackup.cli.render.hints import did_you_mean, instead, without_values
from wmbackup.cli.session import Session
from wmbackup.errors import UsageError
from wmbackup.quoting import quoted

_STORES = {"store", "target", "against"}
_ARCHIVES = {"archive", "archives", "source"}
_FILES = {"output", "signing_key", "allowed_signers", "match_media", "log_file", "metrics_file"}
_PATHS = _STORES | _ARCHIVES | _FILES

_TILDE = re.compile(r"~[A-Za-z0-9._-]*(?:[/\\]|\Z)")
_VARIABLE = re.compile(
    r"\$\{?[A-Za-z_]\w*\}?(?:[/\\]|\Z)|%[A-Za-z_][\w() ]*%(?:[/\\]|\Z)", re.ASCII
)
_DRIVE = re.compile(r"(?:\\\\\?\\)?([A-Za-z]):[\\/](.*)", re.DOTALL)
_SHARE = re.compile(r"\\\\[^\\/]+[\\/]")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)


def refuse_impossible(ctx: click.Context, names: Collection[str] = _PATHS) -> None:
    """Look at the paths that a command was given, from wherever. Raises UsageError."""
    for param in ctx.command.params:
        if param.name not in names or param.name not in _PATHS:
            continue
        given = ctx.params.get(param.name)
        for text in (given,) if isinstance(given, str) else given or ():
            prefix = next((one for one in PREFIXES if text.startswith(one)), "")
            prefix = prefix if param.name in _STORES else ""
            path = text.removeprefix(prefix)
            if path and not os.path.lexists(path):
                _judge(_Given(param.name, _origin(ctx, param), _option(param), prefix), path)


class _Given:
    """Where a path was given, and what to call it."""

    def __init__(self, name: str, origin: str, option: str, prefix: str) -> None:
        self.name = name
        self._origin = origin
        self._option = option
        self._prefix = prefix

    def error(self, path: str, fault: str, hint: str) -> UsageError:
        """Return the error; ``fault`` is a clause whose subject is the path."""
        return UsageError(f"{self._origin}: {quoted(self._prefix + path)} {fault}", hint=hint)

    def instead(self, path: str, meant: str) -> str:
        """Return the command with another path in the place of one."""
        command = instead(self._prefix + path, self._prefix + meant, self._option.strip())
        return f"did you mean: {command}"


def _judge(given: _Given, path: str) -> None:
    first = re.split(r"[/\\]" if os.name == "nt" else "/", path, maxsplit=1)[0]
    if os.path.lexists(first) and not _URL.match(path):
        return
    if _TILDE.match(path) and (expanded := os.path.expanduser(path)) != path:
        fault = "begins with ~, which only a shell expands"
        raise given.error(path, fault, given.instead(path, expanded))
    if _VARIABLE.match(path):
        expanded = _expanded(path)
        hint = "write the whole path" if expanded == path else given.instead(path, expanded)
        raise given.error(path, "begins with a variable, which only a shell expands", hint)
    if os.name != "nt":
        _judge_windows(given, path)
    url = _URL.match(path)
    if url is not None and not (given.name in _STORES and is_registered(url[1].lower())):
        _refuse_url(given, path, url[1].lower(), url[2])


def _expanded(path: str) -> str:
    named = re.match(r"%([^%]+)%(.*)", path, re.DOTALL)
    if named is None:
        return os.path.expandvars(path)
    value = os.environ.get(named[1])
    return path if value is None else value + named[2]


def _judge_windows(given: _Given, path: str) -> None:
    drive = _DRIVE.match(path)
    if drive is not None:
        below = drive[2].replace("\\", "/")
        mounted = f"/mnt/{drive[1].lower()}"
        hint = given.instead(path, f"{mounted}/{below}")
        if not os.path.isdir(mounted):
            example = hint.replace("did you mean:", "for example:", 1)
            hint = f"name the folder where the disk is mounted; {example}"
        raise given.error(path, "is a path of Windows, and this is another system", hint)
    if _SHARE.match(path):
        hint = "mount the share, and name the folder where it is mounted"
        raise given.error(path, "is a share of Windows, and this is another system", hint)


def _refuse_url(given: _Given, path: str, scheme: str, rest: str) -> None:
    if scheme == "file":
        local = rest.removeprefix("localhost")
        raise given.error(path, "is a URL, and a path is wanted", given.instead(path, local))
    fault = f"is a URL, and this installation has no support for {scheme}://"
    if given.name == "output":
        hint = "write to a file and upload it, or pipe it on with -o -"
    elif given.name in _ARCHIVES:
        hint = "download the archive first, or pipe it in and name it -"
    else:
        hint = "copy what is there into a folder, and name that"
    raise given.error(path, fault, hint)


def _option(param: click.Parameter) -> str:
    return f"{max(param.opts, key=len)} " if isinstance(param, click.Option) else ""


def _origin(ctx: click.Context, param: click.Parameter) -> str:
    name = _option(param).strip() or param.human_readable_name.partition("|")[0].strip("[]")
    source = ctx.get_parameter_source(param.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return str(param.envvar)
    if source is ParameterSource.DEFAULT_MAP:
        return f"{name.lstrip('-')} in the configuration"
    return name


def refuse_repeated(order: Iterable[click.Parameter]) -> None:
    """Refuse an option with a value that was given twice, of which one would be ignored.

    ``order`` has each option as often as it was met. Raises UsageError.
    """
    for param, times in Counter(order).items():
        if times > 1 and isinstance(param, click.Option) and _is_single(param):
            name = _option(param).strip()
            once = without_values(param.opts, keep=1)
            raise UsageError(f"{name} is given {_times(times)}", hint=f"give it once: {once}")


def _is_single(option: click.Option) -> bool:
    return not (option.multiple or option.is_flag or option.count)


def _times(number: int) -> str:
    return "twice" if number == 2 else f"{number} times"  # noqa: PLR2004 - a word of its own


def warn_of_strange_variables(session: Session, ctx: click.Context) -> None:
    """Name each variable that was mistyped; `check` lists what else nobody reads."""
    ours = {name for name in os.environ if name.startswith(PREFIX)}
    ours -= {param.envvar for param in ctx.command.params if isinstance(param.envvar, str)}
    if ours and ctx.command.name != "check":
        from wmbackup.cli.settings import strange_variables

        for name, meant in strange_variables(sorted(ours)):
            if meant is not None:
                text = f"no option reads {name}"
                session.output.warning("unknown-variable", text, f"did you mean {meant}?")


def warn_of_strange_values(session: Session, ctx: click.Context) -> None:
    """Name each value that is unusual where nearly all are of a known list."""
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        known = getattr(param, "known", ())
        if value is not None and known and value not in known:
            import difflib

            close = difflib.get_close_matches(value, known, n=2, cutoff=0.7)
            hint = did_you_mean(value, close) if close else f"there are {', '.join(known)}"
            text = f"{max(param.opts, key=len)} is {value}, which nothing here is known to be"
            session.output.warning("unknown-value", text, hint)
