from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.cli.program import SCRIPTS, Inside, Process
from wmbackup.cli.click_ext import COMMON
from wmbackup.cli.click_ext import program as tree
from wmbackup.errors import ExitCode

ROOT = Path(__file__).parent.parent.parent
SHARE = Path(sys.prefix) / "share"
PAGES = sorted((ROOT / "man").glob("*.[15]"))
GENERATE = ROOT / "man" / "generate.py"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command by its words, the program first."""
    waiting: list[tuple[str, click.Command]] = [("", tree)]
    while waiting:
        path, command = waiting.pop(0)
        yield path, command
        if isinstance(command, click.Group):
            ctx = click.Context(command)
            for name in command.list_commands(ctx):
                below = command.get_command(ctx, name)
                assert below is not None
                waiting.append((f"{path} {name}".strip(), below))


COMMANDS = dict(commands())
every_command = pytest.mark.parametrize(
    ("path", "command"), COMMANDS.items(), ids=lambda one: str(one) or "wmbackup"
)


def options(command: click.Command) -> Iterator[click.Option]:
    ctx = click.Context(command, **command.context_settings)
    yield from (one for one in command.get_params(ctx) if isinstance(one, click.Option))


def common(option: click.Option) -> bool:
    return getattr(option, "section", COMMON) == COMMON


def page_of(path: str) -> str:
    """Return the page that a command is documented on; those of a group share one."""
    name = "-".join(("wmbackup", *path.split()[:1]))
    return (ROOT / "man" / f"{name}.1").read_text(encoding="utf-8").replace("\\-", "-")


def examples(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of EXAMPLES, each with the remarks for its test before it."""
    text = page.read_text(encoding="utf-8").replace("\\-", "-").replace("\\e", "\\")
    section = text.partition("\n.Sh EXAMPLES\n")[2].partition("\n.Sh ")[0]
    remarks: list[str] = []
    pattern = r'^\.\\" test: (.+)|^\$ (.+(?:\n    .+)*)'
    for remark, command in re.findall(pattern, section, re.MULTILINE):
        if command:
            yield command, remarks
            remarks = []
        else:
            remarks.append(remark)


def generate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", GENERATE, *arguments], capture_output=True, text=True, check=False
    )


def test_generated_files_are_up_to_date() -> None:
    done = generate("--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_not_up_to_date_is_named(tmp_path: Path) -> None:
    assert generate("--root", tmp_path).returncode == 0
    assert generate("--check", "--root", tmp_path).returncode == 0
    with open(tmp_path / "man" / "wmbackup.1", "a", encoding="utf-8") as file:
        file.write("\n")
    (tmp_path / "man" / "wmbackup-forgotten.1").touch()
    (tmp_path / "completions" / "_wmbackup").unlink()
    done = generate("--check", "--root", tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[:-1] == [
        "completions/_wmbackup is missing",
        "man/wmbackup-forgotten.1 is surplus",
        "man/wmbackup.1 is out of date",
    ]
    assert generate("--root", tmp_path).returncode == 0
    assert generate("--check", "--root", tmp_path).returncode == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_judges_of_manual_pages_are_silent(page: Path) -> None:
    lint = ["mandoc", "-Tlint", "-Wwarning", str(page)]
    man = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page)]
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"}
    for command in (lint, man):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        assert done.returncode == 0
    assert subprocess.run(lint, env=env, capture_output=True, check=True).stdout == b""
    # Style as well, but for pages of others, which may not be installed.
    lint = ["mandoc", "-Tlint", "-Wstyle", str(page)]
    env["MANPATH"] = f"{SHARE}/man:/usr/share/man"
    done = subprocess.run(lint, env=env, capture_output=True, text=True, check=False)
    others = re.compile(r"referenced manual not found: Xr (?!wmbackup)|outdated mandoc\.db")
    told = (done.stdout + done.stderr).splitlines()
    assert [line for line in told if not others.search(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_apropos_has_a_line_of_the_page(page: Path) -> None:
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["lexgrog", str(page)], env=env, capture_output=True, text=True, check=True
    )
    summary = re.search(r"^\.Nd ([^.][^\n]*(?:\n[^.\n]+)*)", page.read_text("utf-8"), re.MULTILINE)
    assert summary is not None
    assert done.stdout == f'{page}: "{page.stem} - {" ".join(summary[1].split())}"\n'


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_wheel_puts_the_page_where_man_looks(page: Path, tmp_path: Path) -> None:
    # With the programs of the environment on the path, nothing else is needed.
    env = {"PATH": f"{SCRIPTS}:/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    section = page.suffix[1:]
    command = ["man", "-w", section, page.stem]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found = Path(done.stdout.strip())
    assert found == SHARE / "man" / f"man{section}" / page.name
    assert found.read_bytes() == page.read_bytes()
    shown = subprocess.run(
        ["man", section, page.stem], env=env, capture_output=True, text=True, check=True
    )
    assert page.stem in shown.stdout


def test_the_wheel_has_all_completions() -> None:
    installed = {
        "wmbackup.bash": SHARE / "bash-completion/completions/wmbackup",
        "_wmbackup": SHARE / "zsh/site-functions/_wmbackup",
        "wmbackup.fish": SHARE / "fish/vendor_completions.d/wmbackup.fish",
        "wmbackup.ps1": SHARE / "wmbackup/wmbackup.ps1",
    }
    assert sorted(installed) == sorted(path.name for path in (ROOT / "completions").iterdir())
    for name, path in installed.items():
        assert path.read_bytes() == (ROOT / "completions" / name).read_bytes()


@every_command
def test_every_command_and_option_is_documented(path: str, command: click.Command) -> None:
    page = page_of(path)
    if path:
        assert f'.Nm "wmbackup {path}"' in page or isinstance(command, click.Group)
    else:
        for name in tree.list_commands(click.Context(tree)):
            assert f".It Xr wmbackup-{name} 1" in page
    for option in options(command):
        if path and common(option):
            continue
        items = [line for line in page.splitlines() if line.startswith(".It Fl ")]
        for name in (*option.opts, *option.secondary_opts):
            assert any(f"Fl {name[1:]} " in f"{item} " for item in items), name
        if isinstance(option.envvar, str):
            assert f".It Ev {option.envvar}\n" in page


@pytest.mark.parametrize(
    "title",
    [
        *("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "ENVIRONMENT", "FILES"),
        *("EXIT STATUS", "EXAMPLES", "DEPRECATION", "SEE ALSO"),
    ],
)
def test_every_generated_page_has_its_sections(title: str) -> None:
    for page in PAGES:
        if page.suffix == ".1":
            text = page.read_text(encoding="utf-8")
            assert re.search(rf"^\.Sh {title}\n.", text, re.MULTILINE), page.name


RUN = [(page.stem, *one) for page in PAGES if page.suffix == ".1" for one in examples(page)]


@pytest.fixture
def ready(program: Process) -> Process:
    """Give a machine on which the examples make sense."""
    made = program.shell(
        "wmbackup key create && mkdir backups"
        " && { wmbackup backup --store sample -o licenses.wmbackup.tar; test $? = 3; }"
        " && wmbackup restore licenses.wmbackup.tar --to folder:licenses --yes"
        " && echo new > licenses/new.lic"
        " && ssh-keygen -q -t ed25519 -N '' -C wmbackup@other -f other"
    )
    assert made.code == 0, made.err
    return program


@pytest.mark.parametrize(("page", "command", "remarks"), RUN)
def test_every_example_runs(ready: Process, page: str, command: str, remarks: list[str]) -> None:
    code = 0
    before = []
    for remark in remarks:
        word, _, rest = remark.partition(" ")
        if word == "exit":
            code = int(rest)
        else:
            assert word == "run"
            before.append(rest)
    # A shell with functions, and whatever a remark adds behind the command.
    result = ready.shell("\n".join((*before, f'{command} "$@"')))
    assert (result.code, page) == (code, page), result.err
    assert result.errors == []


@every_command
def test_the_example_of_the_help_is_one_of_the_manual(path: str, command: click.Command) -> None:
    example = getattr(command, "example", "")
    assert example.startswith(f"wmbackup {path}" if path else "wmbackup ")
    assert any(f"{command} ".startswith(f"{example} ") for _, command, _ in RUN)


@every_command
def test_help_is_complete_and_short(program: Process, path: str, command: click.Command) -> None:
    long, short = (program(*path.split(), flag) for flag in ("--help", "-h"))
    assert long == short
    assert (long.code, long.err) == (0, "")
    lines = long.out.splitlines()
    assert lines[0] == f"Example: {getattr(command, 'example', '')}"
    for option in options(command):
        assert option.help
        assert not option.help.endswith(".")
        shown = bool(re.search(rf"^ .*{max(option.opts, key=len)}\b", long.out, re.MULTILINE))
        assert shown == (not path or not common(option)), option.opts
    assert not path or lines[-1] == "Options that all commands have: wmbackup --help"


def rows(text: str, pattern: str) -> list[tuple[int, str]]:
    found = re.findall(pattern, text, re.MULTILINE)
    return [(int(code), re.sub(r"\s+", " ", meaning).strip()) for code, meaning in found]


def test_exit_codes_are_the_same_everywhere(program: Process) -> None:
    table = [(int(code), code.meaning) for code in ExitCode]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert rows(readme, r"^\| (\d+) \| (.*) \|$") == table
    told = program("--help").out.partition("Exit codes:\n")[2].partition("\n\n")[0]
    assert rows(told, r"^  (\d+) +(.*(?:\n {4,}.*)*)") == table
    for page in PAGES:
        if page.suffix == ".1":
            text = page.read_text(encoding="utf-8").replace("\\-", "-")
            section = text.partition("\n.Sh EXIT STATUS\n")[2].partition("\n.El\n")[0] + "\n"
            assert rows(section, r"^\.It (\d+)\n((?:[^.].*\n)+)") == table, page.name


def test_what_the_readme_writes_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"wmbackup ((?:[a-z]|--)[^`\n#]*)", readme)
    assert len(lines) > 10
    seen = set()
    for line in lines:
        words = line.split()
        path = max((p for p in COMMANDS if p == " ".join(words[: len(p.split())])), key=len)
        command = COMMANDS[path]
        known = {name for option in options(command) for name in option.opts}
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= known, line
        seen.add(path.partition(" ")[0])
    assert seen >= set(tree.list_commands(click.Context(tree)))
    everything = {
        name for command in COMMANDS.values() for one in options(command) for name in one.opts
    }
    assert set(re.findall(r"`(--[a-z-]+)`", readme)) <= everything


@every_command
def test_a_mistyped_option_is_answered_with_the_right_one(
    inside: Inside, path: str, command: click.Command
) -> None:
    known = {name for option in options(command) for name in (*option.opts, *option.secondary_opts)}
    for name in sorted(known):
        wrong = name[:3] + name[4:]
        if not name.startswith("--") or wrong in known or len(name) < 6:
            continue
        result = inside(*path.split(), wrong)
        assert result.code == ExitCode.USAGE
        assert name in result.hints[0], result.err


def test_a_mistyped_command_is_answered_with_the_right_one(inside: Inside) -> None:
    for path in COMMANDS:
        *group, name = path.split() or [""]
        if name:
            result = inside(*group, name[0] + name[2:])
            assert result.code == ExitCode.USAGE
            assert name in result.hints[0]


@every_command
def test_a_mistyped_value_is_answered_with_the_right_one(
    inside: Inside, path: str, command: click.Command
) -> None:
    for option in options(command):
        for choice in getattr(option.type, "choices", ()):
            wrong = choice[:1] + choice[2:]
            result = inside(*path.split(), option.opts[-1], wrong)
            assert result.code == ExitCode.USAGE
            assert choice in result.hints[0]


def test_generating_leaves_what_is_written_by_hand(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "man", tmp_path / "man", ignore=shutil.ignore_patterns("__pycache__"))
    before = sorted(path.name for path in (tmp_path / "man").iterdir())
    assert generate("--root", tmp_path).returncode == 0
    assert sorted(path.name for path in (tmp_path / "man").iterdir()) == before
