"""Completion for zsh."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from man.model import Page, Switch
from man.tables import ARCHIVE, HEADER, STORE_PREFIXES, STORE_WORDS, Tables, many, offers, operand

_FRAME = r"""#compdef wmbackup
# @HEADER@

# Offers words, and the names of files, folders, archives and stores.
_wmbackup_offer() {
    local word found=1
    local -a words
    for word; do
        case $word in
        @nothing) ;;
        @files) _files && found=0 ;;
        @folders) _files -/ && found=0 ;;
        @archives) _files -g '*@ARCHIVE@(|.age)(-.)' && found=0 ;;
        @stores) _wmbackup_stores && found=0 ;;
        *) words+=("$word") ;;
        esac
    done
    (( $#words )) && compadd -- $words && found=0
    return found
}

_wmbackup_stores() {
    local found=1
    if compset -P '(@PREFIXES@)'; then
        # Behind it, zsh takes a tilde for what it is.
        [[ $PREFIX != \~* ]] && _files -/
        return
    fi
    compadd -- @STORES@ && found=0
    compadd -S '' -- @PREFIX_WORDS@ && found=0
    _files -/ && found=0
    return found
}

_wmbackup() {
    local curcontext=$curcontext state line found=1
    local -a common commands
    typeset -A opt_args
    common=(
@COMMON@
    )
@COMMANDS@
}

@CALL@
"""


def completion(tables: Tables) -> str:
    """Return the file."""
    parts = {
        "@HEADER@": HEADER,
        "@COMMON@": "\n".join(_specs(tables.common, " " * 8)),
        "@COMMANDS@": "\n".join(_body(tables, tables.program, 4)),
        "@ARCHIVE@": ARCHIVE,
        "@PREFIXES@": "|".join(STORE_PREFIXES),
        "@STORES@": " ".join(STORE_WORDS),
        "@PREFIX_WORDS@": " ".join(STORE_PREFIXES),
        # Loaded by its name the file is the function's body; read as a file it declares it.
        "@CALL@": "if [[ $funcstack[1] == _wmbackup ]]; then\n"
        '    _wmbackup "$@"\nelse\n    compdef _wmbackup wmbackup\nfi',
    }
    text = _FRAME
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def _body(tables: Tables, page: Page, indent: int) -> Iterator[str]:
    space = " " * indent
    specs = list(_specs(tables.own(page), f"{space}    "))
    if not page.commands:
        word = page.arguments[0].metavar if page.arguments else ""
        if page.arguments:
            action = " ".join(_quoted(offer) for offer in operand(page))
            place = "*" if many(page) else "1"
            specs.append(f"{space}    '{place}:{_described(word)}: _wmbackup_offer {action}'")
        yield " \\\n".join((f"{space}_arguments -s -S $common", *specs)) + " && found=0"
        return
    specs += [f"{space}    '1: :->command'", f"{space}    '*:: :->argument'"]
    yield " \\\n".join((f"{space}_arguments -C -s -S $common", *specs)) + " && found=0"
    yield f"{space}case $state in"
    yield f"{space}command)"
    yield f"{space}    commands=("
    for command in page.commands:
        described = f"{command.path[-1]}:{_described(command.summary)}"
        yield f"{space}        '{described}'"
    yield f"{space}    )"
    yield f"{space}    _describe -t commands command commands && found=0"
    yield f"{space}    ;;"
    yield f"{space}argument)"
    name = "-".join(("wmbackup", *page.path))
    yield f"{space}    curcontext=${{curcontext%:*:*}}:{name}-$words[1]:"
    yield f"{space}    case $words[1] in"
    for command in page.commands:
        yield f"{space}    {command.path[-1]})"
        yield from _body(tables, command, indent + 8)
        yield f"{space}        ;;"
    yield f"{space}    esac"
    yield f"{space}    ;;"
    yield f"{space}esac"
    if not page.path:
        yield f"{space}return found"


def _specs(switches: Iterable[Switch], indent: str) -> Iterator[str]:
    for switch in switches:
        names = switch.all_names
        exclusive = "*" if switch.repeats else f"({' '.join(names)})"
        for name in names:
            value, mark = "", ""
            if switch.value is not None:
                mark = "=" if name.startswith("--") else "+"
                action = " ".join(_quoted(offer) for offer in offers(switch.value))
                value = f":{_described(switch.value.metavar)}: _wmbackup_offer {action}"
            yield f"{indent}'{exclusive}{name}{mark}[{_described(switch.help)}]{value}'"


def _described(text: str) -> str:
    """Protect what has a meaning in a description, and inside quotes."""
    return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")


def _quoted(word: str) -> str:
    return word.replace("'", "'\\''")
