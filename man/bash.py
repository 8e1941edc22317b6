"""Completion for bash, 3.2 and later, with or without the package bash-completion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from man.model import Page, Switch
from man.tables import ARCHIVE, HEADER, STORE_PREFIXES, STORE_WORDS, Tables, many, offers, operand

_FRAME = r"""# bash completion for wmbackup
# @HEADER@

# Tells of the command $1: its options, its commands, its operand, and how many of it.
_wmbackup_command() {
    options='@COMMON@' commands='' operand='' several=''
    case $1 in
@COMMANDS@
    esac
}

# Tells what the value of the option $2 of the command $1 can be; of a flag, nothing.
_wmbackup_value() {
    case "$1 $2" in
@VALUES@
    *) value='' ;;
    esac
}

# Offers the names that begin with $1, behind the prefix $2, found with the other arguments.
_wmbackup_names() {
    local begin=$1 prefix=$2 name
    shift 2
    compopt -o filenames 2>/dev/null
    while IFS='' read -r name; do
        COMPREPLY+=("$prefix$name")
    done < <(compgen "$@" -- "$begin")
}

# Offers those of the words and kinds in $1 that begin with $2.
_wmbackup_offer() {
    local word prefix begin=$2
    for word in $1; do
        case $word in
        @nothing) ;;
        @files) _wmbackup_names "$begin" '' -f ;;
        @folders) _wmbackup_names "$begin" '' -d ;;
        @archives)
            _wmbackup_names "$begin" '' -d
            _wmbackup_names "$begin" '' -f -X '!*@ARCHIVE@'
            _wmbackup_names "$begin" '' -f -X '!*@ARCHIVE@.age'
            ;;
        @stores)
            for prefix in @PREFIXES@; do
                if [[ $begin == "$prefix"* ]]; then
                    # Behind it, bash takes a tilde for what it is.
                    [[ $begin == "$prefix~"* ]] || _wmbackup_names "${begin#"$prefix"}" "$prefix" -d
                    return
                fi
            done
            _wmbackup_offer '@STORES@' "$begin"
            [[ " $1 " == *' @archives '* ]] || _wmbackup_names "$begin" '' -d
            ;;
        *) [[ $word == "$begin"* ]] && COMPREPLY+=("$word") ;;
        esac
    done
}

_wmbackup() {
    local words=() word glue='' path='' value='' only='' count=0 index last begin lead='' there name
    local options commands operand several
    COMPREPLY=()
    # bash breaks words at the characters : and = as well, and they are one word for us.
    last=$COMP_CWORD
    for ((index = 1; index <= last; index++)); do
        word=${COMP_WORDS[index]}
        if [[ -z $word && $index == "$last" && $COMP_LINE == *[[:blank:]] ]]; then
            glue=''
        fi
        if [[ ${#words[@]} -gt 0 && ( -n $glue || $word == [:=]* ) ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        glue=''
        [[ $word == [:=]* ]] && glue=1
    done
    begin=${words[${#words[@]} - 1]}
    # What stands before the last break is there already, and only what follows is replaced.
    there=${COMP_WORDS[COMP_CWORD]}
    [[ $there == [:=]* ]] && there=''
    there=${begin%"$there"}
    there=${there//\\/}
    unset "words[${#words[@]} - 1]"
    _wmbackup_command ''
    for word in ${words[@]+"${words[@]}"}; do
        if [[ -n $value ]]; then
            value=''
        elif [[ -n $only ]]; then
            count=$((count + 1))
        elif [[ $word == -- ]]; then
            only=1
        elif [[ $word == --*=* ]]; then
            continue
        elif [[ $word == -?* ]]; then
            _wmbackup_value "$path" "$word"
        elif [[ " $commands " == *" $word "* ]]; then
            path=${path:+$path }$word
            _wmbackup_command "$path"
        else
            count=$((count + 1))
        fi
    done
    if [[ -z $value && -z $only && $begin == --*=* ]]; then
        _wmbackup_value "$path" "${begin%%=*}"
        [[ -n $value ]] || return
        lead=${begin%%=*}=
        begin=${begin#*=}
    fi
    # A name may be begun in quotes, or with characters that are protected one by one.
    case $begin in
    [\"\']*) begin=${begin:1} ;;
    *) begin=${begin//\\/} ;;
    esac
    if [[ -n $value ]]; then
        _wmbackup_offer "$value" "$begin"
    elif [[ -z $only && $begin == -* ]]; then
        _wmbackup_offer "$options" "$begin"
        [[ $begin == - && " $operand " == *' - '* ]] && COMPREPLY+=(-)
    elif [[ -z $only && -n $commands ]]; then
        _wmbackup_offer "$commands" "$begin"
    elif [[ -n $several || $count == 0 ]]; then
        _wmbackup_offer "$operand" "$begin"
    fi
    for ((index = 0; index < ${#COMPREPLY[@]}; index++)); do
        name=${COMPREPLY[index]}
        word=$lead$name
        word=${word#"$there"}
        # Behind a break in a name, bash does not see that it is that of a folder.
        for begin in @PREFIXES@; do
            name=${name#"$begin"}
        done
        if [[ -d $name && ! -d $word ]]; then
            word+=/
            compopt -o nospace 2>/dev/null
        fi
        COMPREPLY[index]=$word
    done
    # A path is to follow, and the colon needs no protection.
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]]; then
        compopt +o filenames -o nospace 2>/dev/null
    fi
    return 0
}

complete -F _wmbackup wmbackup
"""


def completion(tables: Tables) -> str:
    """Return the file."""
    parts = {
        "@HEADER@": HEADER,
        "@COMMON@": " ".join(_names(tables.common)),
        "@COMMANDS@": "\n".join(_command(tables, page) for page in tables.pages),
        "@VALUES@": "\n".join(_values(tables)),
        "@ARCHIVE@": ARCHIVE,
        "@PREFIXES@": " ".join(STORE_PREFIXES),
        "@STORES@": " ".join((*STORE_WORDS, *STORE_PREFIXES)),
    }
    text = _FRAME
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def _names(switches: Iterable[Switch]) -> Iterator[str]:
    return (name for switch in switches for name in switch.all_names)


def _command(tables: Tables, page: Page) -> str:
    lines = [f"    '{' '.join(page.path)}')"]
    if own := " ".join(_names(tables.own(page))):
        lines.append(f"        options+=' {own}'")
    if page.commands:
        lines.append(f"        commands='{' '.join(one.path[-1] for one in page.commands)}'")
    if offered := " ".join(operand(page)):
        lines.append(f"        operand='{offered}'")
    if many(page):
        lines.append("        several=1")
    return "\n".join((*lines, "        ;;"))


def _values(tables: Tables) -> Iterator[str]:
    yield from _value("*", tables.common)
    for page in tables.pages:
        yield from _value(" ".join(page.path), tables.own(page))


def _value(path: str, switches: Iterable[Switch]) -> Iterator[str]:
    place = "*" if path == "*" else f"'{path}'"
    for switch in switches:
        if switch.value is not None:
            patterns = " | ".join(f"{place}' {name}'" for name in switch.all_names)
            yield f"    {patterns}) value='{' '.join(offers(switch.value))}' ;;"
