from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.cli.program import Inside, Process
from wmbackup.cli import settings
from wmbackup.cli.click_ext import program as tree
from wmbackup.cli.config import Key, Table
from wmbackup.errors import ExitCode

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def machine(inside: Inside) -> Inside:
    """A place in this process with a system's folder of its own, and a signing key."""
    os.makedirs(inside.site)
    assert inside("key", "create").code == 0
    return inside


def user(place: Inside, text: str) -> str:
    path = os.path.join(place.config, "wmbackup.toml")
    Path(path).write_text(text, encoding="utf-8")
    return path


def system(place: Inside, text: str) -> str:
    path = os.path.join(place.site, "wmbackup.toml")
    Path(path).write_text(text, encoding="utf-8")
    return path


def stored(place: Inside, *arguments: str) -> object:
    """Return where a backup would go, which shows which output is in force."""
    result = place("backup", "--store", "sample", "--dry-run", "--json", *arguments)
    assert result.code == ExitCode.PARTIAL, result.out
    return os.path.basename(result.summary["result"]["path"])


def test_the_nearest_place_counts(machine: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    system(machine, "[backup]\noutput = 'of-system'\n")
    assert stored(machine) == "of-system"
    user(machine, "[backup]\noutput = 'of-user'\n")
    assert stored(machine) == "of-user"
    monkeypatch.setenv("WMBACKUP_OUTPUT", "of-environment")
    assert stored(machine) == "of-environment"
    assert stored(machine, "-o", "of-line") == "of-line"


def test_the_user_comes_before_the_system_in_everything(machine: Inside) -> None:
    system(machine, "[profile.nightly.backup]\noutput = 'of-system'\n")
    assert stored(machine, "--profile", "nightly") == "of-system"
    user(machine, "[profile.nightly]\n")
    assert stored(machine, "--profile", "nightly") == "of-system"
    user(machine, "[backup]\noutput = 'of-user'\n")
    assert stored(machine, "--profile", "nightly") == "of-user"


@pytest.mark.parametrize("way", ["before", "behind", "environment"])
def test_a_profile_can_be_asked_for_anywhere(
    machine: Inside, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    user(machine, "[backup]\noutput='day'\n[profile.nightly.backup]\noutput='night'\n")
    assert stored(machine) == "day"
    arguments = ["backup", "--store", "sample", "--dry-run", "--json"]
    if way == "environment":
        monkeypatch.setenv("WMBACKUP_PROFILE", "nightly")
    elif way == "before":
        arguments = ["--profile", "nightly", *arguments]
    else:
        arguments += ["--profile", "nightly"]
    assert machine(*arguments).summary["result"]["path"] == machine.path("night")


def test_the_profile_of_the_command_line_comes_first(
    machine: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    user(machine, "[profile.a.backup]\noutput='a'\n[profile.b.backup]\noutput='b'\n")
    monkeypatch.setenv("WMBACKUP_PROFILE", "a")
    assert stored(machine) == "a"
    assert stored(machine, "--profile", "b") == "b"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "no file has profiles"),
        ("[profile.nightly]", "did you mean: wmbackup check --profile nightly"),
        ("[profile.other]\n[profile.another]", "there are: other, another"),
    ],
)
def test_a_profile_that_is_nowhere_is_an_error(machine: Inside, text: str, hint: str) -> None:
    user(machine, text)
    result = machine("check", "--profile", "nigthly")
    assert result.code == ExitCode.USAGE
    assert result.errors == ["there is no profile nigthly"]
    assert result.hints[0].startswith(hint)


def test_a_backup_needs_no_options_where_all_is_configured(machine: Inside) -> None:
    user(machine, "no-notice = true\n[backup]\nstore = 'sample'\noutput = 'x.tar'\n")
    result = machine("backup")
    assert result.code == ExitCode.PARTIAL
    assert "notice" not in result.err
    assert machine.tree() == ["x.tar"]


def test_common_options_are_heard(machine: Inside) -> None:
    user(machine, "json = true\nstrict = true\n[backup]\nstore = 'sample'\n")
    result = machine("backup", "--dry-run")
    assert result.code == ExitCode.FAILED
    assert result.lines[-2]["type"] == "notice"


def test_the_environment_takes_a_flag_back(
    machine: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    user(machine, "quiet = true\n")
    assert machine("key", "create", "--help").err == ""
    assert "notice" not in machine("check").err
    monkeypatch.setenv("WMBACKUP_QUIET", "0")
    assert "notice" in machine("check").err


def test_an_archive_that_is_named_comes_before_a_configured_store(machine: Inside) -> None:
    assert machine("backup", "--store", "sample", "-o", "a.tar").code == ExitCode.PARTIAL
    user(machine, "store = 'sample'\n")
    assert "a.tar: 12 files" in machine("list", "a.tar").err
    assert machine("list", "a.tar", "--store", "sample").code == ExitCode.USAGE
    assert "sample: 12 files" in machine("list").err


@pytest.mark.parametrize("make", [user, system])
def test_a_wrong_key_is_an_error_with_its_line(machine: Inside, make: object) -> None:
    assert callable(make)
    path = make(machine, "\n[backup]\nstroe = 'x'\n")
    for command in (["backup"], ["list", "x"], ["key", "show"]):
        result = machine(*command)
        assert result.code == ExitCode.USAGE
        assert result.errors == [f"{path}:3: there is no key stroe in [backup]"]
        assert result.hints == ["did you mean store?"]
    lines = machine("check", "--json").lines
    (row,) = [line for line in lines if line.get("name") == "configuration"]
    assert (row["state"], row["exit_code"]) == ("failed", 2)
    assert row["message"] == f"{path}:3: there is no key stroe in [backup]"
    assert row["remedy"] == "did you mean store?"
    assert lines[-1]["exit_code"] == ExitCode.USAGE
    assert machine("explain", "1").code == machine("help", "backup").code == 0


def test_a_value_that_the_option_refuses_is_an_error_with_its_line(machine: Inside) -> None:
    path = user(machine, "lock-wait = -1\n")
    assert machine("key", "list").errors == [
        f"{path}:1: lock-wait: -1 is not a number of seconds, 0 or more"
    ]
    for number in ("1" + "0" * 400, "0x" + "f" * 900):
        user(machine, f"lock-wait = {number}\n")
        assert machine("key", "list").errors[0].endswith("is not a number of seconds, 0 or more")


def test_a_time_longer_than_the_system_can_wait_is_waited(machine: Inside) -> None:
    user(machine, "lock-wait = 1e300\n[backup]\ntimeout = 1e300\nstore = 'sample'\n")
    assert machine("backup", "-o", "x.tar").code == ExitCode.PARTIAL


def test_help_and_version_do_not_look_at_the_configuration(program: Process) -> None:
    os.makedirs(program.config)
    Path(program.config, "wmbackup.toml").write_text("this is wrong", encoding="utf-8")
    for arguments in (["--version"], ["--help"], ["backup", "--help"], ["key", "trust", "-h"]):
        result = program(*arguments)
        assert (result.code, result.err) == (0, "")
    assert program("check").code == ExitCode.USAGE


def test_the_version_loads_nothing_that_it_does_not_need(program: Process) -> None:
    script = (
        "import sys; before = set(sys.modules); sys.argv = ['wmbackup', '--version'];"
        " from wmbackup.cli import main; main();"
        " print([name for name in ('rich', 'cryptography', 'platformdirs', 'tomllib',"
        " 'wmbackup.cli.config') if name in set(sys.modules) - before])"
    )
    out = subprocess.check_output([sys.executable, "-c", script], env=program.environment())
    assert out.split()[-1:] == [b"[]"]


def test_a_file_that_cannot_be_read_is_a_fault_of_the_setup(machine: Inside) -> None:
    os.mkdir(f"{machine.config}/wmbackup.toml")
    assert "cannot read the configuration" in machine("check").out
    result = machine("key", "list")
    assert result.code == ExitCode.USAGE
    assert result.errors[0].startswith(f"cannot read the configuration {machine.config}")


def test_a_pipe_is_not_waited_for(program: Process) -> None:
    os.makedirs(program.config)
    os.mkfifo(f"{program.config}/wmbackup.toml")
    assert program("explain", "1").code == 0
    result = program("key", "list")
    assert (result.code, result.errors) == (2, [f"{program.config}/wmbackup.toml is a pipe"])


def test_an_output_without_a_name_is_none(machine: Inside) -> None:
    user(machine, "[backup]\noutput = ''\nstore = 'sample'\n")
    for arguments in ([], ["-o", ""], ["-o", "", "--dry-run"]):
        result = machine("backup", *arguments)
        assert (result.code, result.errors) == (2, ["--output names nothing"])


def test_check_says_what_is_in_force_and_why(
    machine: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = user(machine, "lock-wait = 3\n[profile.n]\nallowed-signers = 'keys'\n")
    theirs = system(machine, "lock-wait = 9\nstrict = true\n\n[backup]\nstore = 'sample'\n")
    monkeypatch.setenv("WMBACKUP_TIMEOUT", "60")
    monkeypatch.setenv("WMBACKUP_READ_BACK", "hidden")
    monkeypatch.setenv("WMBACKUP_ON_CONFLICT", "spik")
    monkeypatch.setenv("WMBACKUP_STOER", "hidden")
    monkeypatch.setenv("wmbackup_quiet", "hidden")
    result = machine("check", "--profile", "n", "--no-notice", "--store", "sample", "--json")
    rows = [line for line in result.lines if line["type"] == "check"]
    files = [row["message"] for row in rows if row["name"] == "configuration"]
    assert files == [ours, theirs]
    told = [row["message"] for row in rows if row["name"] == "setting"]
    spik = 'on-conflict = "spik" for restore, from WMBACKUP_ON_CONFLICT in the environment'
    whose = (
        "restore, list, verify, status, prune, key list, key revoke, "
        "key sign, key trust, key untrust"
    )
    failed = [row for row in rows if row["state"] == "failed"]
    failures = [(row["name"], row["exit_code"]) for row in failed]
    # The sample store has a license that may not be backed up, and nothing names an output.
    assert failures == [("setting", 2), ("store", 1), ("output", 2)]
    assert sorted(told) == sorted(
        [
            "no option reads WMBACKUP_READ_BACK",
            "no option reads WMBACKUP_STOER",
            "no option reads wmbackup_quiet",
            f'allowed-signers = "keys" for {whose}, from {ours}:3 in [profile.n]',
            f"{spik}: 'spik' is not one of 'fail', 'skip', 'replace'",
            'profile = "n", from the command line',
            "no-notice = true, from the command line",
            "json = true, from the command line",
            'store = "sample" for check, from the command line',
            f'store = "sample" for backup, from {theirs}:5 in [backup]',
            'timeout = "60" for backup, restore, from WMBACKUP_TIMEOUT in the environment',
            f"lock-wait = 3, from {ours}:1",
            f"strict = true, from {theirs}:2",
        ]
    )
    assert "hidden" not in result.out
    meant = {row["message"]: row["remedy"] for row in rows if row["state"] == "warning"}
    assert meant["no option reads WMBACKUP_STOER"] == "did you mean WMBACKUP_STORE?"
    assert meant["no option reads wmbackup_quiet"] == "did you mean WMBACKUP_QUIET?"


@pytest.mark.parametrize("name", ["WMBACKUP_STOER", "WMBACKUP_NO_PROGRES", "WMBACKUP_no_notice"])
def test_a_mistyped_variable_is_named_by_every_run(
    machine: Inside, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("WMBACKUP_TIMEOUT", "7")  # of another command
    monkeypatch.setenv("WMBACKUP_COMPOSE_FILE", "of somebody else")
    assert "warning" not in machine("explain", "1").err
    monkeypatch.setenv(name, "1")
    result = machine("explain", "1", "--json")
    (warning,) = [line for line in result.lines if line["type"] == "warning"]
    assert warning["message"] == f"no option reads {name}"
    assert warning["hint"].startswith("did you mean WMBACKUP_")
    assert "warning" not in machine("explain", "--help").err


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("QUIET", "maybe", "'maybe' is not 1 or 0"),
        ("VERBOSE", "x", "'x' is not a whole number, 0 or more"),
        ("VERBOSE", "-1", "'-1' is not a whole number, 0 or more"),
        ("LOCK_WAIT", "soon", "soon is not a number of seconds, 0 or more"),
        ("COLOR", "alwyas", "'alwyas' is not one of 'auto', 'always', 'never'"),
    ],
)
def test_a_variable_is_named_whose_value_is_refused(
    machine: Inside, monkeypatch: pytest.MonkeyPatch, name: str, value: str, wrong: str
) -> None:
    monkeypatch.setenv(f"WMBACKUP_{name}", value)
    for command in (["check"], ["key", "show"]):
        result = machine(*command)
        assert result.errors == [f"invalid value for WMBACKUP_{name}: {wrong}"]
        assert result.code == ExitCode.USAGE


def test_without_a_file_check_says_where_it_would_be(machine: Inside) -> None:
    place = os.path.join(machine.config, "wmbackup.toml")
    assert f"there is no file; it would be {place} or " in machine("check").out


def test_without_a_home_there_is_the_system_alone(
    machine: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    system(machine, "json = true\n")
    monkeypatch.setattr(settings, "config_folder", lambda: None)
    assert machine("explain", "1").lines
    result = machine("explain", "1", "--profile", "x")
    assert result.hints == ["no file has profiles"]


def tables(table: Table) -> list[Table]:
    return [table, *(one for below in table.tables.values() for one in tables(below))]


_ALONE = {"profile", "version", "key_passphrase_fd", "passphrase", "passphrase_fd"}
_ALONE |= {"is_system", "install"}
"""They belong to one command line."""


def test_every_option_is_a_key_and_no_name_has_two_meanings() -> None:
    schema = settings.schema()
    commands = {name for table in tables(schema) for name in table.tables}
    keys: dict[str, Key] = {}
    for table in tables(schema):
        for name, key in table.keys.items():
            assert keys.setdefault(name, key) == key
    assert not commands & set(keys)
    assert not {"profile", "help", "version"} & set(keys)
    for _, command in settings.commands_below(tree):
        for param in command.params:
            if isinstance(param, click.Option) and param.name not in _ALONE:
                assert settings.key_of(param) in keys


def test_the_example_of_the_manual_is_right(machine: Inside) -> None:
    page = (ROOT / "man" / "wmbackup.toml.5").read_text(encoding="utf-8")
    example = page.partition(".Sh EXAMPLES")[2].partition("indent\n")[2].partition(".Ed")[0]
    user(machine, example)
    # Whether all is well here is another question.
    result = machine("check", "--profile", "nightly", "--store", "sample")
    assert result.code in {ExitCode.OK, ExitCode.FAILED, ExitCode.NOT_FOUND}
    out = machine("check", "--profile", "nightly").out
    for told in ("lock-wait = 30", 'store = "folder:/srv/licenses"', "timeout = 3600"):
        assert told in out
