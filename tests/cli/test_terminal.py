from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
import pytest

from tests.cli.program import WMBACKUP, Process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOR = re.compile(r"\x1b\[[0-9;]*m")
BACKUP = ("backup", "--store", "sample", "--accept-restricted", "--no-notice", "-o", "a.tar")


@contextmanager
def terminal(
    program: Process, *arguments: str, size: tuple[int, int] = (24, 80), **env: str | None
) -> Iterator[pexpect.spawn[str]]:
    """Run the program on a terminal."""
    child = pexpect.spawn(
        WMBACKUP,
        list(arguments),
        env=program.environment(**{"TERM": "xterm-256color", **env}),
        cwd=program.here,
        dimensions=size,
        encoding="utf-8",
        timeout=30,
    )
    try:
        yield child
    finally:
        child.close(force=True)


def screen(
    program: Process, *arguments: str, size: tuple[int, int] = (24, 80), **env: str | None
) -> tuple[int, str]:
    """Run it to its end; return the exit code and everything that the terminal got."""
    with terminal(program, *arguments, size=size, **env) as child:
        text = child.read()
    assert isinstance(text, str)
    assert "Traceback" not in text
    return child.exitstatus or 0, text.replace("\r\n", "\n")


class Screen:
    """As much of a terminal as the program uses: what is left to see at the end."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = [""]
        self.row = self.column = 0

    def show(self, text: str) -> list[str]:
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|.|\n", text):
            if part.startswith("\x1b"):
                self._control(part)
            elif part == "\n":
                self.row, self.column = self.row + 1, 0
            elif part == "\r":
                self.column = 0
            else:
                self._put(part)
            self.rows += [""] * (self.row + 1 - len(self.rows))
        return [row.rstrip() for row in self.rows]

    def _control(self, part: str) -> None:
        if part.endswith("A"):
            self.row -= int(part[2:-1] or 1)
            assert self.row >= 0
        elif part.endswith("K"):
            self.rows[self.row] = ""

    def _put(self, character: str) -> None:
        if self.column == self.width:
            self.row, self.column = self.row + 1, 0
            self.rows += [""] * (self.row + 1 - len(self.rows))
        row = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = row[: self.column] + character + row[self.column + 1 :]
        self.column += 1


def rows(text: str) -> list[str]:
    return ESCAPE.sub("", text).splitlines()


@pytest.fixture
def ready(program: Process) -> Process:
    program("key", "create")
    program(*BACKUP)
    return program


# The first backup


def test_the_first_backup_on_a_terminal_makes_a_key_and_says_so(program: Process) -> None:
    code, text = screen(program, *BACKUP, "--color", "never")
    assert code == 0
    assert re.search(r"warning: made a signing key,\s+SHA256:", text)
    told = " ".join(text.split())
    assert "trusted as wmbackup@" in told
    assert f"hint: keep a copy of {program.config}/signing_key.pub" in told
    assert program.tree() == ["a.tar"]
    assert program("verify", "a.tar").code == 0


def test_the_first_backup_that_may_not_ask_makes_no_key(program: Process) -> None:
    code, text = screen(program, *BACKUP, "--no-input")
    assert code == 2
    assert "wmbackup key create" in text
    assert program.tree(program.home) == []


# Questions


@pytest.mark.parametrize("answer", ["y", "yes", "YES", " y "])
def test_a_yes_restores(ready: Process, answer: str) -> None:
    with terminal(ready, "restore", "a.tar", "--to", "b", "--no-notice") as child:
        child.expect_exact("Restore 12 files to ")
        child.expect_exact("[y/N] ")
        assert not os.path.exists(ready.path("b"))
        child.sendline(answer)
        child.expect_exact("restored 12 files")
        child.expect(pexpect.EOF)
    assert child.exitstatus == 0
    assert len(os.listdir(ready.path("b"))) == 7


@pytest.mark.parametrize("answer", ["n", "", "no", "yep", "\x04"])
def test_anything_else_restores_nothing(ready: Process, answer: str) -> None:
    arguments = ("restore", "a.tar", "--to", "b", "--no-notice", "--color", "never")
    with terminal(ready, *arguments) as child:
        child.expect_exact("[y/N] ")
        child.send(answer if answer == "\x04" else answer + "\n")  # that is the end of the input
        child.expect_exact("error: nothing was restored: the plan was declined")
        child.expect(pexpect.EOF)
    assert child.exitstatus == 1
    assert ready.tree() == ["a.tar"]


def test_control_c_at_the_question_restores_nothing(ready: Process) -> None:
    with terminal(ready, "restore", "a.tar", "--to", "b", "--no-notice") as child:
        child.expect_exact("[y/N] ")
        child.sendintr()
        child.expect_exact("interrupted")
        child.expect(pexpect.EOF)
    assert child.exitstatus == 130
    assert ready.tree() == ["a.tar"]


def test_a_question_is_not_asked_where_it_may_not(ready: Process) -> None:
    code, text = screen(ready, "restore", "a.tar", "--to", "b", "--no-input")
    assert (code, "wmbackup restore a.tar --to b --no-input --yes" in text) == (2, True)
    code, text = screen(ready, "restore", "a.tar", "--to", "b", "--yes", "--no-notice")
    assert (code, "[y/N]" in text) == (0, False)
    code, text = screen(ready, "restore", "a.tar", "--to", "c", "--dry-run", "--no-notice")
    assert (code, "[y/N]" in text) == (0, False)


def test_an_archive_on_standard_input_leaves_nobody_to_ask(ready: Process) -> None:
    command = f"exec {WMBACKUP} restore - --to b < a.tar"
    env = ready.environment(TERM="dumb")
    child = pexpect.spawn(
        "/bin/sh", ["-c", command], env=env, cwd=ready.here, encoding="utf-8", timeout=30
    )
    text = " ".join(str(child.read()).split())
    child.close()
    assert child.exitstatus == 2
    assert "without a terminal" not in text
    assert "standard input, which is the archive, gives none hint: to restore" in text


def test_the_key_of_an_archive_is_trusted_after_a_question(ready: Process) -> None:
    os.unlink(f"{ready.config}/allowed_signers")
    for answer, code, done in (("n", 1, "the key was declined"), ("y", 0, "trusting SHA256:")):
        with terminal(ready, "key", "trust", "a.tar") as child:
            child.expect(
                r"Trust SHA256:\S{43}, which says\s+that it is\s+wmbackup@\S+\?\s+\[y/N\] "
            )
            child.sendline(answer)
            child.expect_exact(done)
            child.expect(pexpect.EOF)
        assert child.exitstatus == code
    assert ready("verify", "a.tar").code == 0


# The bar


def test_the_bar_is_drawn_on_a_terminal_and_vanishes(ready: Process) -> None:
    ready.write("store/large", os.urandom(40_000_000))
    ready.write("store/small")
    for width in (40, 80, 200):
        code, text = screen(
            *(ready, "backup", "--store", "store", "-o", "b.tar", "--force", "--no-notice"),
            size=(24, width),
        )
        assert code == 0
        assert "━" in text
        assert "WMT_BACKUPRESTORE_" in text
        assert "MiB" in text
        for row in re.split(r"[\n\r]", ESCAPE.sub("", text)):
            assert len(row) <= width or row.startswith("backed up")
        # The cursor goes up and each line of it is taken away.
        assert text.rindex("\x1b[2K") < text.rindex("backed up 2 files")
        for step in ("2/4 reading", "3/4 sealing", "4/4 reading back"):
            assert (step if width == 40 else f"step {step.replace('/', ' of ', 1)}"[:11]) in text
        assert text.count("\x1b[?25l") == text.count("\x1b[?25h")


@pytest.mark.parametrize(
    ("width", "told"), [(1, None), (2, None), (65535, None), (80, "1"), (80, "99999999")]
)
def test_a_terminal_of_any_width_will_do(ready: Process, width: int, told: str | None) -> None:
    ready.write("store/small")
    os.symlink("x", ready.path("store/link"))
    for arguments in (
        ("--help",),
        ("list", "a.tar"),
        ("list", "a.tar", "--long"),
        ("list", "a.tar", "--at-risk"),
        ("check", "--store", "store", "-o", "."),
        ("backup", "--store", "store", "-o", "b.tar", "--force"),
        ("restore", "a.tar", "--to", "out", "--yes", "--on-conflict", "skip"),
        ("verify", "missing"),
    ):
        code, text = screen(ready, *arguments, size=(24, width), COLUMNS=told)
        assert code in {0, 3, 7}, text
        assert "this is a bug" not in " ".join(text.split())
        assert len(text) < 100_000


def test_a_thousand_rows_take_the_bar_away_as_often_as_it_is_drawn(ready: Process) -> None:
    for number in range(1000):
        ready.write(f"store/{number}.lic")
    _, text = screen(ready, "list", "--store", "store", "--no-notice", "--color", "never")
    assert text.count(".lic") >= 1000
    assert text.count("\x1b[?25l") < 200  # it was 1,000; on a machine that stands still it is a few


def test_no_bar_where_it_is_not_wanted(ready: Process) -> None:
    for option in ("--no-progress", "--quiet"):
        code, text = screen(ready, *BACKUP, "--force", option, "--color", "never")
        assert code == 0
        assert "\x1b" not in text


def test_a_log_gets_not_one_byte_of_a_bar(ready: Process) -> None:
    result = ready(*BACKUP, "--force", env={"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"})
    assert result.code == 0
    assert result.err == (
        "wmbackup: restricted: harbour/low-tide.lic: its issuer forbids the backup"
        ' (key ID DxwlWmpGl0+tY4ODAE83wQ==, title "Low Tide")\n'
    )


def test_what_is_said_on_the_way_stands_above_the_bar(ready: Process) -> None:
    code, text = screen(ready, *BACKUP, "--force", "-vv")
    assert code == 0
    said = [row for row in rows(text) if row.startswith("wmbackup: ")]
    assert "wmbackup: status: WMT_BACKUPRESTORE_BEGIN (21)" in said
    assert any(row.startswith("wmbackup: restricted: harbour/low-tide.lic") for row in said)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_bar_takes_nothing_away_but_itself(ready: Process, width: int) -> None:
    ready.write("store/large", os.urandom(20_000_000))
    os.symlink("x", ready.path("store/link"))
    arguments = ("backup", "--store", "store", "-o", "b.tar", "-v", "--no-notice")
    code, text = screen(ready, *arguments, size=(50, width))
    assert code == 3
    seen = Screen(width).show(text)
    assert not any("━" in row for row in seen)
    told = "".join("".join(seen).split())
    for line in (
        "phase: planning wmbackup: skipped: link: a symbolic link, which is never followed",
        "status: WMT_BACKUPRESTORE_BEGIN (21) wmbackup: phase: reading wmbackup: phase: sealing",
    ):
        assert line.replace(" ", "") in told
    with terminal(ready, "restore", "b.tar", "--to", "c", "--no-notice", size=(50, width)) as child:
        child.expect_exact("[y/N] ")
        before = Screen(width).show(str(child.before).replace("\r\n", "\n"))
        child.sendline("n")
        child.expect(pexpect.EOF)
    assert before[0].startswith("archive:")
    assert any(row.startswith("plan:") for row in before)


def test_words_are_kept_whole(ready: Process) -> None:
    _, text = screen(ready, "verify", "missing", size=(24, 40))
    assert rows(text) == [
        "wmbackup: error: there is no file",
        "  missing",
        "hint: check its path",
    ]
    _, text = screen(ready, "check", size=(24, 80))
    assert rows(text)[-4:-1] == [
        "wmbackup: notice: Microsoft has deprecated the Windows Media license backup",
        "                  interface in favor of PlayReady:",
        "                  https://www.microsoft.com/PlayReady/",
    ]


@pytest.mark.parametrize("width", [40, 80])
def test_the_plan_and_the_question_stay_below_their_labels(ready: Process, width: int) -> None:
    target = "a/folder/whose/name/is/long"
    os.makedirs(ready.path(target))
    with terminal(
        ready, "restore", "a.tar", "--to", target, "--no-notice", "--no-progress", size=(24, width)
    ) as child:
        child.expect_exact("[y/N] ")
        shown = rows(child.before or "")
        child.sendline("n")
        child.expect(pexpect.EOF)
    labels = ("archive:", "from:", "to:", "plan:", "Restore", " ")
    plan = shown[: next(n for n, row in enumerate(shown) if row.startswith("Restore"))]
    assert [row for row in plan if not row.startswith(labels)] == []
    # Only a path may be wider than the terminal: it stays whole, for it may be copied.
    assert [row for row in shown if len(row) >= width and target not in row] == []


def test_nothing_is_asked_where_nothing_would_change(ready: Process) -> None:
    ready("restore", "a.tar", "--to", "out", "--yes")
    code, text = screen(ready, "restore", "a.tar", "--to", "out", "--no-notice")
    assert (code, "[y/N]" in text) == (0, False)
    assert "12 files stood there already" in text.replace("\n", " ")


def test_a_single_file_is_one_file(ready: Process) -> None:
    with terminal(
        ready, "restore", "a.tar", "--to", "out", "--path", "READ ME.txt", "--no-notice"
    ) as child:
        child.expect_exact("Restore 1 file to ")
        child.sendline("n")


def test_check_fits_a_narrow_terminal(ready: Process) -> None:
    _, text = screen(ready, "check", "--no-notice", size=(60, 40))
    shown = rows(text)
    at = shown.index("failed  output:")
    assert shown[at + 1 : at + 4] == [
        "  no output is named, so a backup would",
        "  not know where to write",
        "  hint: name one with -o FILE|FOLDER,",
    ]


def test_risks_are_told_below_their_shop(ready: Process) -> None:
    _, text = screen(ready, "list", "a.tar", "--at-risk", size=(60, 60))
    told = rows(text)
    at = next(n for n, row in enumerate(told) if row.startswith("  - The Cartographer"))
    assert told[at + 1].startswith("    ")
    assert all(len(row) < 60 for row in told)


# Colors


def colored(program: Process, *arguments: str, **env: str) -> bool:
    _, text = screen(program, *arguments, "--no-progress", size=(24, 80), **env)
    return bool(COLOR.search(text))


def test_colors_are_for_terminals_that_want_them(ready: Process) -> None:
    check = ("check", "--no-notice")
    assert colored(ready, *check)
    assert not colored(ready, *check, NO_COLOR="1")
    assert colored(ready, *check, NO_COLOR="")
    assert not colored(ready, *check, TERM="dumb")
    assert not colored(ready, *check, "--color", "never")
    assert colored(ready, *check, "--color", "always", NO_COLOR="1")
    assert colored(ready, "verify", "missing")
    assert not COLOR.search(ready(*check).out)
    assert COLOR.search(ready(*check, "--color", "always").out)
    assert not COLOR.search(ready(*check, env={"FORCE_COLOR": "1"}).out)
    assert COLOR.search(ready(*check, env={"WMBACKUP_COLOR": "always"}).out)


def test_a_dumb_terminal_gets_a_bar_without_colors_or_none(ready: Process) -> None:
    code, text = screen(ready, *BACKUP, "--force", TERM="dumb")
    assert code == 0
    assert not COLOR.search(text)


# Tables


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (40, ["TITLE OR …", "EXPIRES", "BACKUP"]),
        (80, ["TITLE OR FILE", "KIND", "EXPIRES", "BACKUP"]),
        (120, ["TITLE OR FILE", "KIND", "KEY ID", "EXPIRES", "BACKUP"]),
        (
            200,
            ["TITLE OR FILE", "KIND", "KEY ID", "DISTRIBUTOR", "ISSUED", "EXPIRES", "BACKUP"],
        ),
    ],
)
def test_the_table_fits_the_terminal(ready: Process, width: int, columns: list[str]) -> None:
    code, text = screen(ready, "list", "a.tar", size=(50, width))
    assert code == 0
    table = [row for row in rows(text) if row]
    header = next(row for row in table if row.startswith("TITLE"))
    assert re.split(r" {2,}", header.strip()) == columns
    body = table[table.index(header) + 1 :][:13]
    assert len(body) == 13
    assert all(len(row) <= width for row in (header, *body))
    starts = [header.index(name) for name in columns]
    for row in body:
        assert all(start == 0 or row[start - 2 : start].strip() == "" for start in starts)
    assert any("Low Tide" in row and row.endswith("withheld") for row in body)
    assert any("Evening" in row and "! 2006-08-01" in row for row in body)
    legend = "1 license withheld, 2 licenses expired (!)"
    assert legend in " ".join(table[14:])
    assert "a.tar: 12 files, 11 licenses" in " ".join(table[14:])


def test_rows_on_a_terminal_come_as_people_sort(ready: Process) -> None:
    for name in ("10.lic", "9.lic", "B/2", "b/10", "a.lic"):
        ready.write(f"store/{name}")
    _, text = screen(ready, "list", "--store", "store", "--no-notice", "--no-progress")
    names = [row.split()[0] for row in rows(text) if re.search(r" file\b", row)]
    assert names[:5] == ["9.lic", "10.lic", "a.lic", "B/2", "b/10"]
    columns = ("--columns", "size,path", "--quiet")
    _, text = screen(ready, "list", "--store", "store", "--no-notice", *columns)
    assert [row.split()[-1] for row in rows(text) if row][1:] == names[:5]


def test_wide_characters_keep_the_columns(ready: Process) -> None:
    ready.write("store/夜の海と長い名前のファイルがあります夜の海と長い名前.lic")
    ready.write("store/short")
    _, text = screen(ready, "list", "--store", "store", "--no-notice", size=(24, 40))
    assert "夜の海" in text
    assert "…" in text


def test_hostile_names_do_not_steer_the_terminal(ready: Process) -> None:
    ready.write("store/\x1b[31mred\x1b]0;title\x07")
    ready.write("store/[bold]markup[/bold]")
    ready.write("store/\u202egnp.exe")
    for arguments in (
        ("list", "--store", "store", "--color", "never"),
        ("list", "--store", "store", "--long", "--color", "never"),
        ("backup", "--store", "store", "-o", "b.tar", "-vv", "--color", "never", "--no-progress"),
    ):
        _, text = screen(ready, *arguments, "--no-notice", size=(50, 200))
        assert "\x1b[31m" not in text
        assert "\x1b]" not in text
        assert "\u202e" not in text
        assert "\\x1b[31mred\\x1b]0;title\\x07" in text
        assert "[bold]markup[/bold]" in text


def test_keys_are_shown_as_facts(ready: Process) -> None:
    _, text = screen(ready, "key", "show", "--color", "never", size=(24, 200))
    assert re.search(r"\n  fingerprint: +SHA256:", text)
    assert re.search(r"\n  public key: +ssh-ed25519 ", text)
    _, text = screen(ready, "key", "list", "--color", "never", size=(24, 200))
    assert re.search(r"\n  role: +trusted", text)


def test_an_archive_goes_to_a_terminal_only_when_it_is_asked_to(program: Process) -> None:
    code, text = screen(program, "backup", "--store", "sample", "--no-notice")
    assert (code, "--output is missing" in text) == (2, True)
    assert "bagit" not in text


def test_dates_are_local_on_a_terminal_alone(ready: Process) -> None:
    arguments = ("list", "a.tar", "--long", "--title", "first light")
    assert "issued:                2005-03-14T09:26:53Z" in ready(*arguments).out
    assert "2006-10-28T00:00:00Z" in ready(*arguments).out
    _, text = screen(ready, *arguments, TZ="UTC-3")
    assert "issued:                2005-03-14 12:26 +0300" in text
    assert "2006-10-28 03:00 +0300" in text
    _, text = screen(ready, "list", "a.tar", "--at-risk", TZ="UTC-3", size=(24, 200))
    assert "its time ended 2006-08-01 03:00 +0300" in text


def test_times_have_a_zone_on_a_terminal_and_are_in_utc_elsewhere(ready: Process) -> None:
    """Of the archive that is verified and restored, of files, and of keys."""
    local = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d \+0300\b")
    utc = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    line = ready("key", "show").out.split()
    key = f'{line[2]} valid-after="20200101Z",valid-before="20400101Z" {line[0]} {line[1]}\n'
    ready.write("signers", key.encode())
    wide = (24, 250)
    for arguments in (
        ("verify", "a.tar"),
        ("restore", "a.tar", "--to", "new", "--dry-run"),
        ("list", "a.tar", "--columns", "modified"),
        ("key", "list", "--allowed-signers", "signers"),
    ):
        code, text = screen(ready, *arguments, "--no-progress", TZ="UTC-3", size=wide)
        assert (code, bool(local.search(text)), utc.search(text)) == (0, True, None), text
        piped = ready(*arguments, env={"TZ": "UTC-3"})
        assert utc.search(piped.out + piped.err), piped
        assert not local.search(piped.out + piped.err)


@pytest.mark.parametrize("width", [40, 80])
def test_what_is_at_risk_fits_the_terminal(ready: Process, width: int) -> None:
    _, text = screen(ready, "list", "a.tar", "--at-risk", "--no-progress", size=(50, width))
    assert [row for row in rows(text) if len(row) >= width] == []


def test_what_is_at_risk_is_told_shop_by_shop(ready: Process) -> None:
    arguments = ("list", "a.tar", "--at-risk", "--color", "never", "--no-progress")
    _, text = screen(ready, *arguments, size=(24, 200))
    told = text.splitlines()
    assert told[0] == "Harbour Street Records (synthetic)"
    assert told[1] == "  https://harbour.example/license.asp"
    assert told[4] == "Lending Library of Films (synthetic)"
    assert sum(line.startswith("  - ") for line in told) == 5
    assert told[-2].startswith("hint: ask the shops")


def test_the_notice_comes_once_a_day_for_a_user(program: Process) -> None:
    def is_shown() -> bool:
        code, text = screen(program, "check")
        assert code == 2  # there is no key, no store, no output
        return "wmbackup: notice: " in text

    assert [is_shown(), is_shown()] == [True, False]
    memory = f"{program.state}/notice-shown"
    for hours, expected in ((23, False), (25, True), (-1, True)):
        then = time.time() - hours * 3600
        os.utime(memory, (then, then))
        assert is_shown() is expected, hours
    assert "notice: " in program("check").err  # without a terminal once a run
