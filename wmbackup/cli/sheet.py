"""The page of ``key show --sheet``: what to keep on paper for the day this machine is gone.

Nothing secret is on it. The commands are for Linux and need neither wmbackup nor Python.
"""

from __future__ import annotations

import html
import os
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from wmbackup.archive.sshsig import NAMESPACE
from wmbackup.cli.render.output import KeyRow
from wmbackup.errors import OutputExists, SystemFailure, UsageError
from wmbackup.trust import small_files

_SIGNED = "tagmanifest-sha256.txt"
_STYLE = (
    "body{font:11pt/1.4 serif;max-width:46em;margin:2em auto;padding:0 1em}"
    "pre{font:9pt/1.3 monospace;white-space:pre-wrap;overflow-wrap:anywhere;"
    "border-left:2pt solid #888;padding-left:.8em}"
    "@media print{body{margin:0}}"
)


class Part(NamedTuple):
    """A heading, a text, and lines that are to be copied as they are."""

    heading: str
    text: str
    lines: tuple[str, ...] = ()


def write(path: str, rows: Sequence[KeyRow], host: str) -> None:
    """Write the page; HTML where the name says so. ``rows`` are keys, the signing one first.

    Raises OutputExists, UsageError, SystemFailure.
    """
    if not path:
        raise UsageError("--sheet names no file", hint="name a file, such as wmbackup-sheet.html")
    is_html = path.lower().endswith((".html", ".htm"))
    parts = _parts(rows)
    title = f"wmbackup: keys of {host}"
    page = _html(title, parts) if is_html else _text(title, parts)
    try:
        small_files.write(path, page.encode(), "the sheet", replace=False)
    except OutputExists:
        raise OutputExists(f"{path} exists", hint="choose another name, or move it away") from None
    except OSError as error:
        raise SystemFailure.of(error, "write", path) from error


def _parts(rows: Sequence[KeyRow]) -> list[Part]:
    key = rows[0]
    principal = key.principal or ""
    namespace = NAMESPACE.decode()
    line = f'{principal} namespaces="{namespace}" {key.public_key}'
    recipients = [row for row in rows if row.role == "identity"]
    identities = ", ".join(dict.fromkeys(os.path.basename(row.path or "") for row in recipients))
    verify = (
        f"ssh-keygen -Y verify -f ../signers -I {shlex.quote(principal)} -n {namespace}"
        f" -s {_SIGNED}.sig < {_SIGNED}"
    )
    unpack = "tar -xf ../ARCHIVE"
    encrypted = "age -d -i ../identity.txt ../ARCHIVE | tar -xf -"
    return [
        Part(
            "Fingerprint of the signing key",
            "Compare it with what a machine shows before you trust an archive.",
            (key.fingerprint or "",),
        ),
        Part(
            "Trust line",
            "A machine that has this line in its allowed_signers trusts archives of this key.",
            (line,),
        ),
        Part(
            "Recipient",
            "Archives that are encrypted for it are opened with the identity."
            if recipients
            else "This user has no age identity: archives are not encrypted for one.",
            tuple(row.public_key for row in recipients),
        ),
        Part(
            "What to keep where",
            "Keep this page apart from the machine and from the archives."
            f" Keep a copy of the signing key ({key.path}) only where nobody else can read it;"
            " without it old archives stay valid, and a new key signs new ones."
            + (
                f" Keep a copy of the identity ({identities}) offline as well: without it no"
                " archive that was encrypted for it can be opened."
                if recipients
                else ""
            )
            + " Keep archives on at least two disks; they hold no secret of the signing key.",
        ),
        Part(
            "Restore by hand: unpack",
            "On Linux, with ARCHIVE in the current folder. For an archive whose name ends in .age,"
            f" use instead of tar: {encrypted}",
            ("mkdir restored", "cd restored", unpack, "cd wmbackup-1"),
        ),
        Part(
            "Restore by hand: who signed it",
            "The last line has to say: Good signature.",
            (
                f"printf '%s\\n' {shlex.quote(line)} > ../signers",
                verify,
            ),
        ),
        Part(
            "Restore by hand: whether every byte is there",
            "Each line has to end in: OK. The files are then in the folder data; README.txt beside"
            " it gives them back their names and times.",
            (
                f"sha256sum --strict -c {_SIGNED}",
                "sha256sum --strict -c manifest-sha256.txt",
            ),
        ),
    ]


def _text(title: str, parts: Sequence[Part]) -> str:
    import textwrap

    lines = [title, "=" * len(title)]
    for part in parts:
        lines += ["", part.heading, "-" * len(part.heading)]
        lines += textwrap.wrap(part.text, 78, break_long_words=False, break_on_hyphens=False)
        lines += ["", *(f"    {line}" for line in part.lines)] if part.lines else []
    return "\n".join(lines) + "\n"


def _html(title: str, parts: Sequence[Part]) -> str:
    body = [f"<h1>{html.escape(title)}</h1>"]
    for part in parts:
        body += [f"<h2>{html.escape(part.heading)}</h2>", f"<p>{html.escape(part.text)}</p>"]
        if part.lines:
            body.append(f"<pre>{html.escape(chr(10).join(part.lines))}</pre>")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )
