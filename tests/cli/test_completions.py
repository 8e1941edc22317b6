from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pexpect
import pytest
import tree_sitter
import tree_sitter_powershell

from wmbackup.cli.click_ext import program as tree

# Where the wheel has put them.
SHARE = Path(sys.prefix) / "share"
BASH = SHARE / "bash-completion/completions/wmbackup"
ZSH = SHARE / "zsh/site-functions"
FISH = SHARE / "fish/vendor_completions.d/wmbackup.fish"
POWERSHELL = SHARE / "wmbackup/wmbackup.ps1"
CAPTURE = Path(__file__).parent / "capture.zsh"
TOP = [
    *(
        "backup",
        "check",
        "explain",
        "help",
        "key",
        "list",
        "prune",
        "restore",
        "schedule",
        "status",
    ),
    "verify",
]
STORES = ["bak:", "drm:", "folder:", "sample", "windows"]
FOLDERS = ["backups", "my dir"]
ARCHIVES = ["a.wmbackup.tar", "b c.wmbackup.tar"]
Ask = Callable[..., list[str]]

# What is typed, and what is offered.
OFFERS: list[tuple[str, list[str]]] = [
    ("", TOP),
    ("ver", ["verify"]),
    ("--col", ["--color"]),
    ("--color ", ["always", "auto", "never"]),
    ("--color a", ["always", "auto"]),
    ("--color always ba", ["backup"]),
    (
        "--json key ",
        ["create", "list", "revoke", "rotate", "show", "sign", "trust", "untrust"],
    ),
    ("--vers", ["--version"]),
    ("backup --vers", ["--version"]),
    ("backup --acc", ["--accept-restricted", "--accept-skipped"]),
    ("verify --acc", []),
    ("backup --store ", FOLDERS + STORES),
    ("backup --store my", ["my dir"]),
    ("backup --store s", ["sample"]),
    ("backup --store folder:b", ["folder:backups"]),
    ("backup -o no", ["notes.txt"]),
    ("backup --timeout ", []),
    ("backup ", []),
    ("verify ", ["-", *ARCHIVES, *FOLDERS]),
    ("verify a.wmbackup.tar b", ["b c.wmbackup.tar", "backups"]),
    ("list --store sample a", ["a.wmbackup.tar"]),
    ("list --sort k", ["kid", "kind"]),
    ("list --kind wmdrm-r", ["wmdrm-response"]),
    ("key trust ", [*ARCHIVES, *FOLDERS, "notes.txt"]),
    ("explain NS_E_DRM_BACKUP_", ["NS_E_DRM_BACKUP_CORRUPT", "NS_E_DRM_BACKUP_EXISTS"]),
    ("explain WMT_RESTR", ["WMT_RESTRICTED_LICENSE"]),
]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    for name in FOLDERS:
        (folder / name).mkdir()
    for name in (*ARCHIVES, "notes.txt"):
        (folder / name).touch()
    return folder


def run(here: Path, *command: str | Path, **changes: str) -> list[str]:
    """Run a shell; a wmbackup is on its path that tells when it is started."""
    home = here.parent
    decoy = home / "bin" / "wmbackup"
    decoy.parent.mkdir(exist_ok=True)
    decoy.write_text(f"#!/bin/sh\n: > '{home}/started'\n")
    decoy.chmod(0o755)
    env = {
        "PATH": f"{decoy.parent}:/usr/bin:/bin",
        "HOME": str(home),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=here,
        env=env | changes,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert not (home / "started").exists()
    return sorted({line.split("\t")[0].removesuffix("/") for line in done.stdout.splitlines()})


def plain(offered: list[str]) -> list[str]:
    return sorted(name.replace("\\ ", " ") for name in offered)


_BASH = r"""
source "$1"
COMP_LINE="wmbackup $2" COMP_POINT=${#COMP_LINE}
# As bash breaks a line, without its quotes.
spaced=${COMP_LINE//:/ : }
spaced=${spaced//=/ = }
read -r -a COMP_WORDS <<< "$spaced"
[[ $spaced == *' ' && $COMP_LINE != *[:=] ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_wmbackup
printf '%s\n' "${COMPREPLY[@]}"
"""


def ask_bash(here: Path, line: str) -> list[str]:
    offered = run(here, "bash", "--norc", "-c", _BASH, "bash", BASH, line)
    return [name for name in offered if name]


def ask_zsh(here: Path, line: str) -> list[str]:
    work = here.parent / "zsh"
    work.mkdir()
    line = f"wmbackup {line}"
    return plain(run(here, "zsh", "-f", CAPTURE, ZSH, line, work))


def ask_fish(here: Path, line: str) -> list[str]:
    script = f"complete -C 'wmbackup {line}'"
    share = str(SHARE)
    offered = run(here, "fish", "-c", script, XDG_DATA_DIRS=share)
    return [name for name in offered if name]


@pytest.mark.parametrize(("line", "offered"), OFFERS)
def test_bash_offers_what_can_follow(here: Path, line: str, offered: list[str]) -> None:
    # bash breaks words at colons: what stands before the last is there already.
    expected = [name.removeprefix("folder:") if ":b" in line else name for name in offered]
    assert ask_bash(here, line) == sorted(expected)


@pytest.mark.parametrize(("line", "offered"), OFFERS)
def test_fish_offers_what_can_follow(here: Path, line: str, offered: list[str]) -> None:
    assert ask_fish(here, line) == sorted(offered)


@pytest.mark.parametrize(("line", "offered"), OFFERS)
def test_zsh_offers_what_can_follow(here: Path, line: str, offered: list[str]) -> None:
    found = ask_zsh(here, line)
    if not line or line.endswith(" "):
        # Where nothing has been begun, zsh offers options as well.
        found = [name for name in found if name == "-" or not name.startswith("-")]
    assert found == sorted(offered)


@pytest.mark.parametrize("ask", [ask_bash, ask_zsh, ask_fish])
def test_an_operand_that_is_there_is_not_offered_again(here: Path, ask: Ask) -> None:
    offered = ask(here, "restore a.wmbackup.tar ")
    assert [name for name in offered if name and not name.startswith("-")] == []


@pytest.mark.parametrize("ask", [ask_bash, ask_fish, ask_zsh])
def test_a_value_behind_an_equals_sign(here: Path, ask: Ask) -> None:
    lead = "" if ask is ask_bash else "--color="
    assert ask(here, "--color=al") == [f"{lead}always"]


@pytest.mark.parametrize("ask", [ask_bash, ask_fish, ask_zsh])
def test_a_store_behind_an_equals_sign(here: Path, ask: Ask) -> None:
    lead = "" if ask is ask_bash else "--store=folder:"
    assert ask(here, "backup --store=folder:my") == [f"{lead}my dir"]


def test_bash_finds_it_where_the_wheel_puts_it(here: Path) -> None:
    script = (
        "source /usr/share/bash-completion/bash_completion; _completion_loader wmbackup;"
        " complete -p wmbackup"
    )
    found = run(here, "bash", "--norc", "-c", script, XDG_DATA_DIRS=str(SHARE))
    assert found == ["complete -F _wmbackup wmbackup"]


def test_shells_and_man_find_what_a_user_has_installed(here: Path) -> None:
    """As ``pip install --user`` lays it out; only zsh has to be told."""
    (wheel,) = (Path(__file__).parents[2] / "build" / "dist").glob("*.whl")
    base = here.parent / ".local"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    where = ["--ignore-installed", "--no-warn-script-location", "--prefix", str(base)]
    subprocess.run([*pip, *where, str(wheel)], check=True)
    path = f"{base}/bin:/usr/bin:/bin"
    bash = "source /usr/share/bash-completion/bash_completion; _completion_loader wmbackup;"
    zsh = f"fpath+=({base}/share/zsh/site-functions); autoload -Uz compinit; compinit -u -D;"
    for command, found in (
        (
            ["bash", "--norc", "-c", f"{bash} complete -p wmbackup"],
            "complete -F _wmbackup wmbackup",
        ),
        (["fish", "-c", "complete -C 'wmbackup ver'"], "verify"),
        (["zsh", "-f", "-c", f"{zsh} print $_comps[wmbackup]"], "_wmbackup"),
        (["man", "-w", "wmbackup-key"], f"{base}/share/man/man1/wmbackup-key.1"),
    ):
        assert run(here, *command, PATH=path) == [found]


def test_bash_without_breaks_at_colon_and_equals_sign(here: Path) -> None:
    script = _BASH.replace("spaced=${", ": ${").replace('"$spaced"', '"$COMP_LINE"')
    script = "COMP_WORDBREAKS=' '\n" + script
    line = "backup --store=folder:my"
    assert run(here, "bash", "--norc", "-c", script, "bash", BASH, line) == [f"{line[7:-2]}my dir"]


_ASK = r"""
bind 'set enable-bracketed-paste off'; bind 'set bell-style none'
told() { printf '%s\n' told "$@" end; }
"""
# What is typed before the tabulator, with names that a shell has to protect, and what stands then.
INTERACTIVE = [
    ("verify b", ["verify", "b c.wmbackup.tar"]),
    ("verify 'b", ["verify", "b c.wmbackup.tar"]),
    ("verify q", ["verify", "q'u$o.wmbackup.tar"]),
    ("verify x", ["verify", "x:y=z.wmbackup.tar"]),
    ("verify x:y=", ["verify", "x:y=z.wmbackup.tar"]),
    ("verify x\\:y", ["verify", "x:y=z.wmbackup.tar"]),
    ('verify "x:y', ["verify", "x:y=z.wmbackup.tar"]),
    ("verify -- -d", ["verify", "--", "-d.wmbackup.tar"]),
    ("backup --store fold", ["backup", "--store", "folder:"]),
    ("backup --store folder:my", ["backup", "--store", "folder:my dir/"]),
    ('backup --store "folder:my', ["backup", "--store", "folder:my dir/"]),
    ("backup --store 'folder:my dir/s", ["backup", "--store", "folder:my dir/su:b/"]),
    ("backup --store=folder:my\\ dir/su:", ["backup", "--store=folder:my dir/su:b/"]),
    ('backup --store="folder:my', ["backup", "--store=folder:my dir/"]),
    ("backup -o eq=u", ["backup", "-o", "eq=ual/"]),
    ("backup --output=eq=u", ["backup", "--output=eq=ual/"]),
]


@pytest.mark.parametrize("package", ["/usr/share/bash-completion/bash_completion", "/dev/null"])
@pytest.mark.parametrize(("line", "words"), INTERACTIVE)
def test_bash_completes_what_is_typed(
    tmp_path: Path, line: str, words: list[str], package: str
) -> None:
    for name in ("b c", "q'u$o", "x:y=z", "-d"):
        (tmp_path / f"{name}.wmbackup.tar").touch()
    for name in ("my dir/su:b", "eq=ual"):
        (tmp_path / name).mkdir(parents=True)
    init = f"source {package}\nsource '{BASH}'\n{_ASK}"
    (tmp_path / ".init").write_text(init, encoding="utf-8")
    shell = pexpect.spawn(
        "bash",
        ["--noprofile", "--rcfile", ".init"],
        cwd=str(tmp_path),
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb", "PS1": "? "},
        encoding="utf-8",
        dimensions=(50, 300),
        timeout=30,
    )
    try:
        shell.send(f"wmbackup {line}\t\x01told \x05\r")
        shell.expect("\ntold\r\n(.*?)\r\nend\r\n")
    finally:
        shell.close(force=True)
    assert isinstance(shell.match, re.Match)
    assert shell.match[1].split("\r\n") == ["wmbackup", *words]


def _every() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    waiting: list[tuple[str, click.Command]] = [("", tree)]
    while waiting:
        path, command = waiting.pop()
        found.append((path, command))
        if isinstance(command, click.Group):
            ctx = click.Context(command)
            for name in command.list_commands(ctx):
                below = command.get_command(ctx, name)
                assert below is not None
                waiting.append((f"{path} {name}".strip(), below))
    return found


@pytest.mark.parametrize("ask", [ask_bash, ask_fish])
@pytest.mark.parametrize(("path", "command"), _every(), ids=lambda one: str(one) or "wmbackup")
def test_every_option_is_offered(here: Path, ask: Ask, path: str, command: click.Command) -> None:
    ctx = click.Context(command, **command.context_settings)
    names = [
        name
        for param in command.get_params(ctx)
        if isinstance(param, click.Option)
        for name in (*param.opts, *param.secondary_opts)
        if name.startswith("--")
    ]
    assert ask(here, f"{path} --".lstrip()) == sorted(names)


@pytest.mark.parametrize("file", [BASH, ZSH / "_wmbackup", FISH, POWERSHELL])
def test_a_completion_starts_no_program(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "python" not in text.lower()
    assert not re.search(r"\$\(\s*wmbackup|`wmbackup|& *wmbackup|env wmbackup", text)


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", BASH), ("zsh", ZSH / "_wmbackup"), ("fish", FISH)]
)
def test_a_shell_reads_its_file_without_a_word(here: Path, shell: str, file: Path) -> None:
    assert run(here, shell, "-n", file) == []


def test_powershell_says_the_same() -> None:
    """PowerShell is not everywhere: what it would be told is compared, and its grammar parsed."""
    text = POWERSHELL.read_text(encoding="utf-8")
    for path, command in _every():
        assert not path or f"'{path.split()[-1]}' = " in text
        for param in command.get_params(click.Context(command)):
            if isinstance(param, click.Option):
                assert all(f"'{name}' = '" in text for name in param.opts)
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    assert not parser.parse(text.encode()).root_node.has_error
    assert parser.parse(text.replace("{", "", 1).encode()).root_node.has_error


@pytest.mark.skipif(shutil.which("pwsh") is None, reason="PowerShell is not installed")
@pytest.mark.parametrize(("line", "offered"), OFFERS)
def test_powershell_offers_what_can_follow(here: Path, line: str, offered: list[str]) -> None:
    typed = f"wmbackup {line}"
    script = (
        f". '{POWERSHELL}';"
        f" (TabExpansion2 -inputScript '{typed}' -cursorColumn {len(typed)})"
        ".CompletionMatches.CompletionText"
    )
    found = run(here, "pwsh", "-NoProfile", "-Command", script)
    names = [name.strip("'\"").removeprefix(f".{os.sep}") for name in found]
    assert set(offered) <= {re.sub(r"'|\./", "", name) for name in names}
