from __future__ import annotations

import time
import tomllib

import pytest

from wmbackup.cli.config import Config, ConfigInvalid, Key, Kind, Table, parse
from wmbackup.cli.config_bounds import MAX_FILE, find_excess
from wmbackup.errors import ExitCode


def judge(value: object) -> str | None:
    return "too long" if value == "x" * 9 else None


KEYS = {
    "store": Key(Kind.TEXT, judge=judge),
    "title": Key(Kind.TEXT, many=True),
    "sort": Key(Kind.TEXT, choices=("path", "title")),
    "quiet": Key(Kind.FLAG),
    "verbose": Key(Kind.COUNT),
    "lock-wait": Key(Kind.NUMBER),
    "passphrase-file": Key(Kind.TEXT),
}
INNER = Table({"finger": Key(Kind.TEXT)})
BELOW = {"backup": Table({**KEYS, "output": Key(Kind.TEXT)}), "key": Table(KEYS, {"trust": INNER})}
TOP = Table(KEYS, BELOW)
SCHEMA = Table(KEYS, {**BELOW, "profile": Table(named=TOP)})


def read(text: str) -> Config:
    return parse("f", text.encode(), SCHEMA)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("quiet = 1", "f:1: quiet wants true or false", "quiet = true"),
        ("verbose = true", "f:1: verbose wants a whole number, 0 or more", "verbose = 1"),
        ("verbose = -1", "f:1: verbose wants a whole number, 0 or more", "verbose = 1"),
        ("lock-wait = true", "f:1: lock-wait wants a number", "lock-wait = 30"),
        ("lock-wait = '3'", "f:1: lock-wait wants a number", "lock-wait = 30"),
        ("store = 3", "f:1: store wants a string", 'store = "TEXT"'),
        ("store = ['x']", "f:1: store wants a string", 'store = "TEXT"'),
        ("store = 2026-11-23", "f:1: store wants a string", 'store = "TEXT"'),
        ("title = 'x'", "f:1: title wants an array of strings", 'title = ["TEXT"]'),
        ("title = ['x', 1]", "f:1: title wants an array of strings", 'title = ["TEXT"]'),
        ("sort = 1", "f:1: sort wants a string", 'sort = "path"'),
        ("sort = 'titel'", "f:1: sort is titel, and not one of path, title", "mean title?"),
        ("store = 'xxxxxxxxx'", "f:1: store: too long", None),
        ("stroe = 'x'", "f:1: there is no key stroe", "did you mean store?"),
        ("lock_wait = 3", "f:1: there is no key lock_wait", "did you mean lock-wait?"),
        ("zzz = 3", "f:1: there is no key zzz", "see man wmbackup.toml"),
        ("[key]\noutput = 'x'", "f:2: there is no key output in [key]", "it is one of backup"),
        ("[profile.a.key]\noutput = 1", "f:2: there is no key output in [pr", "one of backup"),
        ('store = "a\\u0000b"', "f:1: store has a character that nothing can have", None),
        ("passphrase = 'x'", "f:1: there is no key passphrase", "secrets are named by"),
        ("PASSWORD = 'x'", "f:1: there is no key PASSWORD", "secrets are named by"),
        ("backup = 'x'", "f:1: backup is a table", "write [backup]"),
        ("[[backup]]", "f:1: backup is a table", "write [backup]"),
        ("profile = 'x'", "f:1: profile is a table", "write [profile.NAME] on a line"),
        (
            "[profile]\nquiet = true",
            "f:2: quiet stands in [profile], which",
            "write [profile.NAME]",
        ),
        ('[profile."a b"]\nx = 1', 'f:2: there is no key x in [profile."a b"]', "see man"),
        ("[bakcup]", "f:1: there is no table [bakcup]", "did you mean backup?"),
        ("[store]", "f:1: there is no table [store]", "see man"),
        ("[profile.a.profile]", "f:1: there is no table [profile.a.profile]", "see man"),
        ("[profile.a.key.trust]\nfinge = ''", "f:2: there is no key finge in [prof", "finger?"),
        ("\n\n[backup]\n# quiet\nquiet=1\n", "f:5: quiet wants true or false", "quiet = true"),
        ("store = '''\nquiet = 1\n'''\nquiet = 1\n", "f:4: quiet wants", "quiet = true"),
        ("title = [\n 'quiet',\n]\nquiet = [\n1]\n", "f:4: quiet wants", "quiet = true"),
        ("backup = { store = 'x', outptu = 'y' }", "f:1: there is no key outptu", "output?"),
        ('\n"st\\u0072oe" = 1', "f:2: there is no key stroe", "did you mean store?"),
        ("# a\u2028b\x85c\r\nstroe = 1", "f:2: there is no key stroe", "did you mean store?"),
        ('store = """x"""""\nquiet = 1', "f:2: quiet wants", "quiet = true"),
        ("store = 'a\"b' # ' \nquiet = 1", "f:2: quiet wants", "quiet = true"),
        ('store = "[\\"{" # "[\nquiet = 1', "f:2: quiet wants", "quiet = true"),
        ("store = x", "f:1: this is not TOML: invalid value", "https://toml.io/"),
        ("store = 'x'\nstore = 'y'", "f:2: this is not TOML: cannot overwrite", "remove one"),
        ("[backup", "f:1: this is not TOML: expected ']'", "https://toml.io/"),
        ("[key]\n[key]", "f:2: this is not TOML: cannot declare [key] twice", "begins once"),
        ("[key.a]\n[key]\na.b.c=1", "f:3: this is not TOML: cannot", "begins once"),
        ('store = "C:\\x"', "f:1: this is not TOML:", "single quotes"),
        ('store = "C:\\Users"', "f:1: this is not TOML:", "single quotes"),
        ("\nlock-wait = " + "1" * 5000, "f:2: a number has too many digits", None),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read(text)
    assert caught.value.message.startswith(message)
    assert (hint or "None") in str(caught.value.hint)
    assert caught.value.exit_code is ExitCode.USAGE


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="f:2: this is not UTF-8"):
        parse("f", b"\n'\xff'", SCHEMA)
    with pytest.raises(ConfigInvalid, match="f:1: this is not UTF-8") as caught:
        parse("f", "quiet = true".encode("utf-16"), SCHEMA)
    assert caught.value.hint == "save it as UTF-8, which is what TOML is written in"
    with pytest.raises(ConfigInvalid, match="f is too large: it may have 64 KiB"):
        parse("f", b"#" * (MAX_FILE + 1), SCHEMA)
    with pytest.raises(ConfigInvalid, match="f:1: this is nested more than 8 levels deep"):
        parse("f", b"store = " + b"[" * 30_000, SCHEMA)
    assert parse("f", b"#" * MAX_FILE, SCHEMA).data == {}


TEXT = """\
store = "top"
quiet = true
title = ["a", "b"]

[backup]
store = "of backup"

[key]
store = "of key"

[profile.nightly]
store = "of nightly"
lock-wait = 2.5

[profile.nightly.backup]
store = "of nightly backup"
"""


@pytest.mark.parametrize(
    ("command", "profile", "value", "line"),
    [
        ("list", None, "top", 1),
        ("backup", None, "of backup", 6),
        ("key trust", None, "of key", 9),
        ("key", None, "of key", 9),
        ("list", "nightly", "of nightly", 12),
        ("key trust", "nightly", "of nightly", 12),
        ("backup", "nightly", "of nightly backup", 16),
        ("backup", "of another file", "of backup", 6),
    ],
)
def test_the_nearest_table_counts_and_a_profile_before_all(
    command: str, profile: str | None, value: str, line: int
) -> None:
    found = read(TEXT).find(tuple(command.split()), "store", profile)
    assert found is not None
    assert (found.value, found.line) == (value, line)
    (header,) = TEXT.splitlines()[line - 2 : line - 1] or [""]
    assert found.place == f"f:{line}" + (f" in {header}" if header else "")


def test_values_keep_their_types() -> None:
    config = read(TEXT)
    assert config.profiles == ["nightly"]
    assert config.find(("list",), "sort", None) is None
    for key, profile, value in (
        ("quiet", None, True),
        ("title", "nightly", ["a", "b"]),
        ("lock-wait", "nightly", 2.5),
    ):
        found = config.find(("list",), key, profile)
        assert found is not None
        assert found.value == value


def test_a_mark_at_the_beginning_is_none_of_the_text() -> None:
    # Editors on Windows write one.
    assert parse("f", b"\xef\xbb\xbfquiet = true\r\n", SCHEMA).data == {"quiet": True}


@pytest.mark.parametrize(
    ("begin", "middle", "end"),
    [
        ("", "# store\n", ""),
        ("title = [\n", "'store',\n", "]\n"),
        ("", "[profile.store{}]\n", "[backup]\n"),
    ],
)
def test_the_line_is_found_in_a_long_file(
    begin: str, middle: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = begin + "".join(middle.format(number) for number in range(3_000)) + end
    text = f"{before}store = 'x'\n"
    config = read(text)
    parsed: list[str] = []
    loads = tomllib.loads

    def counted(part: str) -> dict[str, object]:
        parsed.append(part)
        return loads(part)

    monkeypatch.setattr(tomllib, "loads", counted)
    found = config.find(("backup",), "store", None)
    assert found is not None
    assert found.line == before.count("\n") + 1
    # It took minutes when each line was tried with all that stands before it.
    assert sum(map(len, parsed)) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 16_000) + " = 1",
        f"[{'.'.join('a' * 16_000)}]",
        f"x = {{{'.'.join('a' * 16_000)} = 1}}",
        ".".join(['"a"'] * 8_000) + " = 1",
        " . ".join("a" * 8_000) + " = 1",
        f"x = {'[' * 8_000}",
        f"x = {'[' * 8_000}{']' * 8_000}",
        f"x = {'{a=' * 8_000}",
        '[a]\nx = """\n"""\n' + "y." * 9 + "z = 1",
        # What a key could hide behind, if the ends of strings were taken for others than they are.
        'x = """a"""" # \\\n' + "y." * 9 + 'z = 1 # "',
        "x = '''a'''' # \\\n" + "y." * 9 + "z = 1 # '",
        'x = "a" # "\\\n' + "y." * 9 + 'z = 1 # "',
        'x = """\\"""" # """\n' + "y." * 9 + 'z = 1 # """',
    ],
)
def test_what_is_nested_deeply_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("tomllib.loads", lambda _text: pytest.fail("it was parsed"))
    with pytest.raises(ConfigInvalid, match="nested more than 8 levels deep"):
        parse("file", text.encode(), SCHEMA)


def test_points_and_brackets_in_strings_and_comments_are_no_levels() -> None:
    dots = "a." * 100 + "[" * 100
    text = f"store = '{dots}'\n# {dots}\nsort = \"path\" # {dots}\n"
    assert read(text).data["store"] == dots


def test_utf_16_is_named_as_that() -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        with pytest.raises(ConfigInvalid, match="not UTF-8 but UTF-16"):
            parse("file", "output = 'x'".encode(encoding), SCHEMA)


def test_a_word_that_is_too_long_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tomllib.loads", lambda _text: pytest.fail("it was parsed"))
    for word in ("0x" + "f" * 999, "a" * 1001, "-" * 1001, "1_" * 501):
        for text in (f"\nquiet = {word}", f"\n{word} = true", f"x = [\n{word}]"):
            with pytest.raises(ConfigInvalid, match=r"f:2: a (word is|number has) too"):
                parse("f", text.encode(), SCHEMA)


def test_numbers_and_names_of_any_length_that_is_read_are_answered() -> None:
    for text in ("quiet = 0x" + "f" * 990, "store = 0b" + "1" * 990, f"'{'x' * 60_000}' = 1"):
        with pytest.raises(ConfigInvalid) as caught:
            parse("f", text.encode(), SCHEMA)
        assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("piece", ['"', "'", '"""\\', '\\"', "#", "[", "a", "a.", " . ", "[]"])
def test_the_bounds_are_found_in_one_pass(piece: str) -> None:
    """Twice the text takes about twice the steps, and not four times."""

    def steps(size: int) -> float:
        text = f"x = {piece * (size // len(piece))}"
        best = []
        for _ in range(3):
            started = time.process_time()
            for _ in range(4):
                find_excess(text)
            best.append(time.process_time() - started)
        return min(best)

    small = max(steps(8_000), 0.002)
    assert steps(64_000) < small * 40  # 8 where it is linear, 64 where it is a square
