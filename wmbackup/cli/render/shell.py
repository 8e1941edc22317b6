"""Quoting for the shell that a hint is pasted into, and the commands that differ between systems.

Both shells of Windows, cmd and PowerShell, take the same text from here, where that is possible.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys

from wmbackup.cli.render.sanitize import visible

IS_WINDOWS = os.name == "nt"

_PLAIN = re.compile(r"[A-Za-z0-9_./:\\~+-]+")
_EXPANDED = re.compile("[$`]")  # what PowerShell looks for in double quotes, and cmd does not
_LAST_BACKSLASHES = re.compile(r"\\+\Z")


def quote(text: str, *, windows: bool | None = None) -> str:
    """Return a text as one word of the shell of this system.

    In what a POSIX shell takes, unseen characters are escapes, so that the terminal shows the
    same text that is pasted. A text with ``$`` or a backtick is for PowerShell alone.
    """
    if IS_WINDOWS if windows is None else windows:
        return _for_windows(text)
    return shlex.quote(text) if visible(text) == text else _with_escapes(text)


def argument(path: str, *, windows: bool | None = None) -> str:
    """Return a path as an argument of a command, which must not look like an option."""
    return quote(f"./{path}" if path.startswith("-") else path, windows=windows)


def _for_windows(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    if _EXPANDED.search(text):
        return "'" + text.replace("'", "''") + "'"
    # A backslash before the closing quote would escape it (CommandLineToArgvW).
    return '"' + _LAST_BACKSLASHES.sub(lambda match: match[0] * 2, text) + '"'


def _with_escapes(text: str) -> str:
    """Return a text in dollar-single-quotes (POSIX.1-2024, 2.2.4), with octal escapes."""
    parts = []
    for character in text:
        if visible(character) != character:
            parts += [f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape")]
        else:
            parts.append(f"\\{character}" if character in "\\'" else character)
    return f"$'{''.join(parts)}'"


def remove(path: str, *, is_folder: bool = True, windows: bool | None = None) -> str:
    """Return the command that removes a file or a folder with all that is in it."""
    name = argument(path, windows=windows)
    if IS_WINDOWS if windows is None else windows:
        return f"cmd /c rmdir /s {name}" if is_folder else f"cmd /c del {name}"
    return f"rm -r {name}"


def make(path: str, *, windows: bool | None = None) -> str:
    """Return the command that makes a folder, and those above it."""
    command = "cmd /c mkdir" if (IS_WINDOWS if windows is None else windows) else "mkdir -p"
    return f"{command} {argument(path, windows=windows)}"


def rename(path: str, new: str, *, windows: bool | None = None) -> str:
    """Return the command that gives a file another name."""
    is_windows = IS_WINDOWS if windows is None else windows
    command = "cmd /c move" if is_windows else "mv"
    return f"{command} {argument(path, windows=windows)} {argument(new, windows=windows)}"


def hide(path: str, *, windows: bool | None = None) -> str:
    """Return the command that keeps other users from reading a file."""
    name = argument(path, windows=windows)
    if IS_WINDOWS if windows is None else windows:
        user, others = _who(path)
        command = f"icacls {name} /inheritance:r /grant:r {user}:F"
        # Entries of the file's own stay when it inherits none any more.
        return " ".join((command, *(["/remove", *others] if others else [])))
    return f"chmod 600 {name}"


if sys.platform == "win32":

    def _who(path: str) -> tuple[str, list[str]]:
        """Return this user, and whom a file is to be kept from, as icacls takes them."""
        from wmbackup.trust import owner

        # By SID: names can be ambiguous, have blanks, and are translated.
        others: list[str] = []
        with contextlib.suppress(OSError):
            others = owner.others(path)
        return f"*{owner.user()}", [f"*{sid}" for sid in others]

else:

    def _who(_path: str) -> tuple[str, list[str]]:
        """Return somebody: there is no such user here."""
        return "USER", []


def add_line(path: str, line: str, *, ends: bool, windows: bool | None = None) -> str:
    """Return what adds a line to a text file: a command, where the shell writes UTF-8.

    ``ends`` says that the file is empty or its last line is complete.
    """
    if IS_WINDOWS if windows is None else windows:
        return f"add this line to {path}: {line}"
    gap = "" if ends else "\\n"
    return f"printf '{gap}%s\\n' {quote(line, windows=False)} >> {argument(path, windows=False)}"
