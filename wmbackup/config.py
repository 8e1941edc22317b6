"""What stands in ``wmbackup.toml``: bytes in, values with the places that they come from out.

The page wmbackup.toml(5) says what a file may hold. Which keys there are is told by the caller,
so that this module knows no option.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from wmbackup.errors import UsageError

MAX_FILE = 64 * 1024
"""The largest file that is read, in bytes."""

_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_SECRETS = re.compile("passphrase|password|secret|private", re.IGNORECASE)


class ConfigInvalid(UsageError):
    """The configuration has a key, a value or a form that cannot be."""

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
    """A value and its place; ``line`` counts from 1, and is None where nobody can say."""

    value: Any
    file: str
    line: int | None

    @property
    def place(self) -> str:
        """The place as it is told: ``FILE:LINE``."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


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
                    return Value(table[key], self.file, _line(self._text, (*path, key)))
        return None


def parse(file: str, text: bytes, schema: Table) -> Config:
    """Read a file. Raises ConfigInvalid with the line, and what may have been meant."""
    if len(text) > MAX_FILE:
        raise ConfigInvalid(f"{file} is too large: it may have {MAX_FILE // 1024} KiB")
    import tomllib

    try:
        decoded = text.decode("utf-8")
        data = tomllib.loads(decoded)
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ConfigInvalid(f"{file}:{line}: this is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(file, str(error), decoded.count("\n") + 1) from None
    except RecursionError:
        raise ConfigInvalid(f"{file}: this is nested too deeply") from None
    for path, message, hint in _wrong(data, schema, ()):
        line_ = _line(decoded, path)
        place = file if line_ is None else f"{file}:{line_}"
        raise ConfigInvalid(f"{place}: {message}", hint=hint)
    return Config(file, data, decoded)


def _unreadable(file: str, text: str, last: int) -> ConfigInvalid:
    position = _POSITION.search(text)
    line = position[1] if position and position[1] else last
    message = _POSITION.sub("", text)
    return ConfigInvalid(
        f"{file}:{line}: this is not TOML: {message[:1].lower()}{message[1:]}",
        hint='write KEY = "VALUE"; see https://toml.io/',
    )


_Complaint = tuple[tuple[str, ...], str, str | None]


def _wrong(data: Mapping[str, Any], table: Table, path: tuple[str, ...]) -> Iterator[_Complaint]:
    for name, value in data.items():
        here = (*path, name)
        below = table.tables.get(name, table.named)
        if isinstance(value, dict) and below is not None:
            yield from _wrong(value, below, here)
        elif isinstance(value, dict):
            yield here, f"there is no table [{'.'.join(here)}]", _close(name, table.tables)
        elif name in table.keys:
            yield from ((here, *complaint) for complaint in _judge(name, value, table.keys[name]))
        elif below is not None:
            yield here, f"{name} is a table", f"write [{'.'.join(here)}] on a line of its own"
        else:
            yield here, f"there is no key {name}{_inside(path)}", _meant(name, table)


def _inside(path: tuple[str, ...]) -> str:
    return f" in [{'.'.join(path)}]" if path else ""


def _meant(name: str, table: Table) -> str:
    if _SECRETS.search(name):
        return "secrets are named by their file or by a command, never given here"
    homes = [home for home, below in table.tables.items() if name in below.keys]
    if homes:
        return f"write it in [{homes[0]}]"
    return _close(name, table.keys)


def _close(name: str, known: Mapping[str, object]) -> str:
    import difflib

    close = difflib.get_close_matches(name.replace("_", "-"), known, n=2)
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

            close = difflib.get_close_matches(str(one), key.choices, n=1)
            hint = f"did you mean {close[0]}?" if close else None
            yield f"{name} is {one}, and not one of {', '.join(key.choices)}", hint
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


def _line(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line on which a key stands, counted from 1.

    The reader does not tell, but it reads the beginning of a file as well: the key stands on the
    first line that has its name and with which, and with what follows to the end of its value,
    the key is there.
    """
    import tomllib

    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        if path[-1] not in line:
            continue
        for end in range(index + 1, len(lines) + 1):
            try:
                begun = tomllib.loads("".join(lines[:end]))
            except tomllib.TOMLDecodeError:
                continue
            if _at(begun, path) is not None:
                return index + 1
            break
    return None
