"""A hint that has a command has the whole of it: what is pasted into a shell works."""

from __future__ import annotations

import pytest

from tests.cli.program import Process
from wmbackup.cli.render.hints import Line, command_line

SETUP = (
    "wmbackup key create --quiet",
    "mkdir 'my store' && echo license > 'my store/a.lic'",
    "wmbackup backup --quiet --store 'folder:my store' -o 'an archive.tar'",
    "head -c 30000 'an archive.tar' > half.tar",
    "mkdir there && echo other > there/a.lic",
    "printf '[profile.nightly]\\nquiet = true\\n' > \"$HOME/.config/wmbackup/wmbackup.toml\"",
)

# The command, its exit code, and that of the command in its hint.
PASTED = [
    ("wmbackup bakcup --dry-run --store sample", 2, 3),
    ("wmbackup key lits", 2, 0),
    ("wmbackup list 'an archive.tar' --titel x", 2, 7),
    ("wmbackup list 'an archive.tar' --sort=sise", 2, 0),
    ("wmbackup backup 'my store' --dry-run", 2, 0),
    ("wmbackup --long list 'an archive.tar'", 2, 0),
    ("wmbackup --store 'my store' list", 2, 0),
    ("wmbackup list --store sampel", 7, 0),
    ("wmbackup list --store 'foldr:my store'", 2, 0),
    ("wmbackup list 'an archive.tar' --expires-within soon", 2, 0),
    ("wmbackup list --store sample --kind wmdrm-7", 0, 0),
    ("wmbackup list --store sample --expired --expires-within 5d", 2, 0),
    ("wmbackup list", 2, 0),
    ("wmbackup list 'an archive.tar' --store sample", 2, 0),
    ("wmbackup check --profile nightyl", 2, 2),
    ("wmbackup explain E_FIAL", 7, 0),
    ("wmbackup explain wholly-unknown", 7, 0),
    ("wmbackup backup --store 'my store'", 2, 0),
    ("wmbackup backup --store 'my store' -o ''", 2, 0),
    ("wmbackup backup --dry-run", 2, 3),
    ("wmbackup list 'my store'", 7, 0),
    ("wmbackup backup --store 'my store' --store='my store' -o new.tar", 2, 0),
    ("wmbackup restore 'an archive.tar' --to drm:new --yes", 2, 0),
    ("wmbackup verify file:'an archive.tar' file://x", 2, 7),
    ("wmbackup list 'an archive.tar' --columns path --against 'an archive.tar'", 2, 0),
    ("wmbackup backup --json --store 'my store' -o -", 2, 0),
    ("wmbackup backup --store 'my store' -o 'an archive.tar'", 1, 0),
    ("wmbackup backup --strict --store sample -o new.tar", 1, 3),
    ("wmbackup verify 'an archive.tar' --quick --restore-test", 2, 0),
    ("wmbackup restore 'an archive.tar' --yes", 2, 0),
    ("wmbackup restore 'an archive.tar' --to new", 2, 0),
    ("wmbackup restore 'an archive.tar' new --yes", 2, 0),
    ("wmbackup restore 'an archive.tar' --to there --yes", 1, 3),
    ("wmbackup restore 'an archive.tar' --to=sample --yes", 2, 0),
    ("wmbackup restore 'an archive.tar' --to new --yes --path zzz", 7, 0),
    ("wmbackup restore 'an archive.tar' --to new --yes --allow-individualize", 2, 0),
    ("wmbackup restore -", 2, 2),
    ("wmbackup verify", 2, 0),
    ("wmbackup key", 0, None),
    ("wmbackup help bakcup", 2, 0),
    ("wmbackup help backup x", 2, 0),
    ("wmbackup --json help", 2, 0),
]


@pytest.fixture(name="place")
def a_place_with_archives(program: Process) -> Process:
    for line in SETUP:
        assert program.shell(line).code == 0, line
    return program


@pytest.mark.parametrize(("line", "code", "then"), PASTED, ids=[line for line, *_ in PASTED])
def test_command_in_a_hint_works_when_it_is_pasted(
    place: Process, line: str, code: int, then: int | None
) -> None:
    result = place.shell(line, WMBACKUP_NO_NOTICE="1")
    assert result.code == code, result.err
    if then is None:
        assert result.hints == []
        return
    hints = result.hints or [line["hint"] for line in result.lines if line["type"] == "error"]
    (hint,) = hints
    at = hint.index("wmbackup ")
    assert at == 0 or hint[:at].endswith(": ")
    pasted = place.shell(hint[at:])
    assert pasted.code == then, (hint, pasted.err)


def test_unknown_signer_is_trusted_by_the_pasted_command(place: Process) -> None:
    place.shell('mv "$HOME/.config/wmbackup" old && wmbackup key create')
    (hint,) = place.shell("wmbackup verify 'an archive.tar'").hints
    pasted = hint[hint.index("wmbackup ") :]
    assert pasted.startswith("wmbackup key trust 'an archive.tar' --fingerprint SHA256:")


def test_trusting_without_a_terminal_is_answered_with_the_whole_command(place: Process) -> None:
    place.shell('mv "$HOME/.config/wmbackup" old')
    (hint,) = place.shell("wmbackup key trust 'an archive.tar'").hints
    pasted = hint[hint.index("wmbackup ") :]
    assert place.shell(pasted).code == 0
    assert place.shell("wmbackup verify 'an archive.tar'").code == 0


def test_damaged_archive_is_answered_with_what_can_be_recovered(place: Process) -> None:
    whole = place.read("an archive.tar")
    at = whole.index(b"license\n")
    place.write("bad one.tar", whole[:at] + b"L" + whole[at + 1 :])
    (hint,) = place.shell("wmbackup verify 'bad one.tar'").hints
    command = "wmbackup restore 'bad one.tar' --salvage --dry-run --to recovered"
    assert hint == f"to see what can be recovered: {command}"
    result = place.shell("wmbackup restore 'bad one.tar' --to new --yes")
    assert result.hints == [
        "to recover what is valid: wmbackup restore 'bad one.tar' --to new --yes --salvage"
    ]


def test_words_are_quoted_for_the_shell() -> None:
    assert command_line("list", "a b", "it's") == "wmbackup list 'a b' 'it'\"'\"'s'"
    assert Line(["list", "--", "-x"]).again("--long") == "wmbackup list --long -- -x"
    assert Line(["list", "--sort=a"]).corrected("--sort", "--title") == "wmbackup list --title=a"
    assert Line(["list", "--sort=a"]).corrected("a", "path") == "wmbackup list --sort=path"
    assert Line(["list", "a=b"]).corrected("b", "c") is None
