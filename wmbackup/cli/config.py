"""What stands in ``wmbackup.toml``: bytes in, values with the places that they come from out.

The page wmbackup.toml(5) says what a file may hold. Which keys there are is told by the caller,
so that this module knows no option.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from wmbackup.cli.config_bounds import MAX_FILE, find_excess
from wmbackup.errors import UsageError

_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_SECRETS = re.compile("passphrase|password|secret|private", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"
# What a statement is made of, as far as one has to know to find its end (TOML 1.0.0).
_PARTS = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|"
    r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|"
    r"#[^\n]*|[\[{]|[\]}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)
# What Python's reader says, and what helps; its sentences differ a little between its releases.
_HINTS = (
    (re.compile("overwrite a value"), "a key stands once in a table: remove one of the two"),
    (
        re.compile("declare|redefine|immutable"),
        "a table begins once: write what it holds below its first line",
    ),
    (re.compile("Unescaped|hex value"), r"a path stands in single quotes, as in 'C:\Users\me'"),
    (re.compile(""), 'write KEY = "VALUE"; see https://toml.io/'),
)
_TUPLE = re.compile(r"\((?:'[^']*'(?:, |,)?)+\)")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_MAX_SHOWN = 120  # characters of a name or a value that a message shows
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class ConfigInvalid(UsageError):
    """The configuration has a key, a value or a form that is not valid."""

    code = "config-invalid"


class Kind(Enum):
    """What type the value of a key has."""

    FLAG = "true or false"
    COUNT = "a whole number, 0 or more"
    NUMBER = "a number"
    TEXT = "a string"


@dataclass(frozen=True, slots=True)
class Key:
    """A key. ``judge`` returns what is wrong with a value of the right type, or None."""

    kind: Kind
    many: bool = False
    choices: tuple[str, ...] = ()
    judge: Callable[[Any], str | None] = field(default=lambda _: None, compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """What a table may hold. ``named`` is what a table of any name may hold, as in profiles."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    named: Table | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A value and its place; ``line`` counts from 1, and ``table`` is empty before the first."""

    value: Any
    file: str
    line: int
    table: str

    @property
    def place(self) -> str:
        """The place as it is told: ``FILE:LINE``, and the table."""
        return f"{self.file}:{self.line}" + (f" in [{self.table}]" if self.table else "")


@dataclass(frozen=True, slots=True)
class Config:
    """One file that holds what it may hold."""

    file: str
    data: Mapping[str, Any]
    _text: str = field(repr=False)

    @property
    def profiles(self) -> list[str]:
        """The profiles of which the file has a part."""
        return list(self.data.get("profile", {}))

    def find(self, command: tuple[str, ...], key: str, profile: str | None) -> Value | None:
        """Return the value of an option for a command, by its words; None where there is none."""
        bases: list[tuple[str, ...]] = [()] if profile is None else [("profile", profile), ()]
        for base in bases:
            for depth in range(len(command), -1, -1):
                path = (*base, *command[:depth])
                table = _at(self.data, path)
                if isinstance(table, dict) and key in table:
                    line = _line(self._text, (*path, key))
                    return Value(table[key], self.file, line, _dotted(path))
        return None


def parse(file: str, text: bytes, schema: Table) -> Config:
    """Read a file. Raises ConfigInvalid with the line, and what may have been meant."""
    if len(text) > MAX_FILE:
        raise ConfigInvalid(f"{file} is too large: it may have {MAX_FILE // 1024} KiB")
    import tomllib

    if text.startswith(_UTF_16) or b"\0" in text[:2]:
        raise ConfigInvalid(
            f"{file}:1: this is not UTF-8 but UTF-16",
            hint="save it as UTF-8, which is what TOML is written in",
        )
    text = text.removeprefix(_BOM)  # which editors on Windows write
    try:
        decoded = text.decode("utf-8")
        excess = find_excess(decoded)
        if excess is not None:
            raise ConfigInvalid(f"{file}:{excess[0]}: {excess[1]}")
        data = tomllib.loads(decoded)
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8, which is what TOML is written in"
        raise ConfigInvalid(f"{file}:{line}: this is not UTF-8", hint=hint) from None
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(file, str(error), decoded.rstrip().count("\n") + 1) from None
    for path, message, meant in _wrong(data, schema, (), schema):
        raise ConfigInvalid(f"{file}:{_line(decoded, path)}: {message}", hint=meant)
    return Config(file, data, decoded)


def _unreadable(file: str, text: str, last: int) -> ConfigInvalid:
    position = _POSITION.search(text)
    line = position[1] if position and position[1] else last
    text = _TUPLE.sub(_table_of, _POSITION.sub("", text))
    return ConfigInvalid(
        f"{file}:{line}: this is not TOML: {text[:1].lower()}{text[1:]}",
        hint=next(hint for pattern, hint in _HINTS if pattern.search(text)),
    )


def _table_of(names: re.Match[str]) -> str:
    found = re.findall("'([^']*)'", names[0])
    return f"[{_dotted(found)}]"


_Complaint = tuple[tuple[str, ...], str, str | None]


def _wrong(
    data: Mapping[str, Any], table: Table, path: tuple[str, ...], schema: Table
) -> Iterator[_Complaint]:
    for name, value in data.items():
        here = (*path, name)
        below = table.tables.get(name, table.named)
        if isinstance(value, dict) and below is not None:
            yield from _wrong(value, below, here, schema)
        elif isinstance(value, dict):
            yield here, f"there is no table [{_short(_dotted(here))}]", _close(name, table.tables)
        elif name in table.keys:
            yield from ((here, *complaint) for complaint in _judge(name, value, table.keys[name]))
        elif below is not None:
            yield here, *_no_table(here, table, below)
        else:
            inside = f" in [{_dotted(path)}]" if path else ""
            yield here, f"there is no key {_short(name)}{inside}", _meant(name, table, schema)


def _dotted(path: Iterable[str]) -> str:
    return ".".join(n if _BARE.fullmatch(n) else json.dumps(n, ensure_ascii=False) for n in path)


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _no_table(path: tuple[str, ...], table: Table, below: Table) -> tuple[str, str]:
    if table.named is not None:
        home = _dotted(path[:-1])
        return f"{path[-1]} stands in [{home}], which has tables alone", f"write [{home}.NAME]"
    name = ".NAME" if below.named is not None else ""
    return f"{path[-1]} is a table", f"write [{_dotted(path)}{name}] on a line of its own"


def _meant(name: str, table: Table, schema: Table) -> str:
    if _SECRETS.search(name):
        return "secrets are named by their file or by a command, never given here"
    homes = [home for home, below in schema.tables.items() if name in below.keys]
    if homes:
        return f"it is one of {', '.join(homes)}"
    return _close(name, table.keys)


def _close(name: str, known: Mapping[str, object]) -> str:
    import difflib

    close = difflib.get_close_matches(_short(name).replace("_", "-"), known, n=2)
    return f"did you mean {' or '.join(close)}?" if close else "see man wmbackup.toml"


def _judge(name: str, value: object, key: Key) -> Iterator[tuple[str, str | None]]:
    values = value if key.many and isinstance(value, list) else [value]
    if key.many != isinstance(value, list) or not all(_fits(one, key.kind) for one in values):
        wanted = "an array of strings" if key.many else key.kind.value
        yield f"{name} wants {wanted}", f"write it as: {name} = {_sample(key)}"
        return
    for one in values:
        if key.choices and one not in key.choices:
            import difflib

            close = difflib.get_close_matches(_short(str(one)), key.choices, n=1)
            hint = f"did you mean {close[0]}?" if close else None
            yield f"{name} is {_short(str(one))}, and not one of {', '.join(key.choices)}", hint
        elif isinstance(one, str) and "\0" in one:
            yield f"{name} has a character that nothing can have: U+0000", None
        elif (complaint := key.judge(one)) is not None:
            yield f"{name}: {complaint}", None


def _fits(value: object, kind: Kind) -> bool:
    if kind is Kind.FLAG:
        return isinstance(value, bool)
    if kind is Kind.TEXT:
        return isinstance(value, str)
    # To Python, true is a number.
    if isinstance(value, bool):
        return False
    if kind is Kind.COUNT:
        return isinstance(value, int) and value >= 0
    return isinstance(value, (int, float))


def _sample(key: Key) -> str:
    text = f'"{key.choices[0]}"' if key.choices else '"TEXT"'
    sample = {Kind.FLAG: "true", Kind.COUNT: "1", Kind.NUMBER: "30", Kind.TEXT: text}[key.kind]
    return f"[{sample}]" if key.many else sample


def _at(data: Mapping[str, Any], path: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever TOML has
    found: Any = data
    for name in path:
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    return found


def _line(text: str, path: tuple[str, ...]) -> int:
    """Return the line on which a key or a table that is there begins, counted from 1.

    The reader does not tell, but it reads single statements as well.
    """
    import tomllib

    table: tuple[str, ...] = ()
    for line, statement in _statements(text):
        begun = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _names(begun)
            if table[: len(path)] == path:
                return line
        elif path[: len(table)] == table and _at(begun, path[len(table) :]) is not None:
            return line
    raise LookupError(f"no line has {_dotted(path)}")


def _names(header: Any) -> tuple[str, ...]:  # noqa: ANN401 - as above
    """Return the table that a statement begins, and that it is read as."""
    if isinstance(header, list):
        (header,) = header
    return tuple(name for key, below in header.items() for name in (key, *_names(below)))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement of a text that is TOML, with the line on which it begins."""
    begin, line, depth = 0, 1, 0
    for part in _PARTS.finditer(text):
        if part[0] in "[{":
            depth += 1
        elif part[0] in "]}":
            depth -= 1
        elif part[0] == "\n" and not depth:
            yield line, text[begin : part.end()]
            line += text.count("\n", begin, part.end())
            begin = part.end()
    yield line, text[begin:]
