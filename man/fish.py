"""Completion for fish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from man.model import Page, Switch
from man.tables import ARCHIVE, HEADER, STORE_PREFIXES, STORE_WORDS, Tables, many, offers, operand

_FRAME = r"""# fish completion for wmbackup
# @HEADER@

# Splits what stands before the cursor: the command in $__wmbackup_path, its operands counted.
function __wmbackup_look
    set -g __wmbackup_path
    set -g __wmbackup_count 0
    set -l value
    set -l only
    for word in (commandline -opc)[2..-1]
        if set -q value[1]
            set value
        else if set -q only[1]
            set __wmbackup_count (math $__wmbackup_count + 1)
        else if test "$word" = --
            set only yes
        else if string match -qr -- '^-.' $word
            contains -- $word @VALUED@; and set value yes
        else if contains -- "$__wmbackup_path $word" @COMMANDS@
            set __wmbackup_path (string trim -- "$__wmbackup_path $word")
        else
            set __wmbackup_count (math $__wmbackup_count + 1)
        end
    end
end

# Whether the command is $argv[1], and, with a number behind it, how many operands it may have.
function __wmbackup_at
    __wmbackup_look
    test "$__wmbackup_path" = "$argv[1]"; or return
    set -q argv[2]; or return 0
    test $__wmbackup_count -lt $argv[2]
end

# Offers words, and the names of files, folders, archives and stores.
function __wmbackup_offer
    set -l begin (commandline -ct | string replace -r -- '^--[^=]+=' '' | string unescape)
    for word in $argv
        switch $word
            case @nothing
            case @files
                __wmbackup_names "$begin"
            case @folders
                __wmbackup_names "$begin" | string match -r -- '.*/$'
            case @archives
                __wmbackup_names "$begin" | string match -r -- '.*(?:/|@ARCHIVE_PATTERN@)$'
            case @stores
                set -l prefix (string match -r -- '^(?:@PREFIXES@)' "$begin")
                set begin (string replace -r -- '^(?:@PREFIXES@)' '' "$begin")
                # Behind it, fish takes a tilde for what it is.
                set -q prefix[1]; and string match -q -- '~*' "$begin"; and continue
                __wmbackup_names "$begin" | string match -r -- '.*/$' |
                    string replace -r -- '^' "$prefix"
                set -q prefix[1]; or printf '%s\n' @STORES@
            case '*'
                printf '%s\n' $word
        end
    end
end

# Lists the names that begin with $argv[1]; those of folders end with a slash.
function __wmbackup_names
    set -l begin (string replace -r -- '^~/' "$HOME/" "$argv[1]")
    for name in $begin*
        test -d "$name"; and set name "$name/"
        string match -q -- '~/*' "$argv[1]"; and set name (string replace -- "$HOME/" '~/' $name)
        printf '%s\n' $name
    end
end

complete -c wmbackup -f
@LINES@
"""


def completion(tables: Tables) -> str:
    """Return the file."""
    commands = [" ".join(page.path) for page in tables.pages if page.path]
    parts = {
        "@HEADER@": HEADER,
        "@VALUED@": " ".join(tables.with_value),
        # A command of the program itself stands behind an empty path.
        "@COMMANDS@": " ".join(_quoted(c if " " in c else f" {c}") for c in commands),
        "@ARCHIVE_PATTERN@": ARCHIVE.replace(".", r"\.") + r"(?:\.age)?",
        "@PREFIXES@": "|".join(STORE_PREFIXES),
        "@STORES@": " ".join((*STORE_WORDS, *STORE_PREFIXES)),
        "@LINES@": "\n".join(_lines(tables)),
    }
    text = _FRAME
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def _lines(tables: Tables) -> Iterator[str]:
    yield from _switches("", tables.common)
    for page in tables.pages:
        path = " ".join(page.path)
        yield from _switches(f"__wmbackup_at {_quoted(path)}", tables.own(page))
        for command in page.commands:
            yield (
                f"complete -c wmbackup -n {_quoted(f'__wmbackup_at {_quoted(path)} 1')}"
                f" -a {command.path[-1]} -d {_quoted(command.summary)}"
            )
        yield from _operand(page, path)


def _operand(page: Page, path: str) -> Iterator[str]:
    offered = operand(page)
    if offered:
        condition = f"__wmbackup_at {_quoted(path)}" + ("" if many(page) else " 1")
        yield f"complete -c wmbackup -n {_quoted(condition)} -a {_call(offered)}"


def _switches(condition: str, switches: Iterable[Switch]) -> Iterator[str]:
    when = f" -n {_quoted(condition)}" if condition else ""
    for switch in switches:
        for names in (switch.names, switch.negative):
            if names:
                flags = " ".join(
                    f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                    for name in names
                )
                value = "" if switch.value is None else f" -x -a {_call(offers(switch.value))}"
                yield f"complete -c wmbackup{when} {flags}{value} -d {_quoted(switch.help)}"


def _call(offered: list[str]) -> str:
    return _quoted(f"(__wmbackup_offer {' '.join(offered)})")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
