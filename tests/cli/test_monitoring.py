"""The log, the metrics and the commands that a backup leaves for those who did not watch it."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.program import IS_ROOT, Inside, Json, Process
from wmbackup.cli.monitoring import metrics
from wmbackup.cli.monitoring.log import Log, line_of
from wmbackup.errors import ExitCode

BACKUP = (
    "backup",
    "--store",
    "sample",
    "--no-notice",
    "--accept-restricted",
    "--force",
    "-o",
    "a.tar",
)
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ wmbackup\[\d+\] (info|warning|error) ([a-z]+)((?: .*)?)"
)
FIELD = re.compile(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "]+)')


@pytest.fixture
def keyed(inside: Inside) -> Inside:
    assert inside("key", "create").code == 0
    return inside


def events(place: Inside | Process, name: str = "log") -> list[tuple[str, dict[str, str]]]:
    """Return the events of a log, with their fields."""
    found = []
    for line in place.read(name).decode().splitlines():
        parts = LINE.fullmatch(line)
        assert parts is not None, line
        assert FIELD.sub("", parts[3]) == "", line
        fields = {
            key: json.loads(value) if value.startswith('"') else value
            for key, value in FIELD.findall(parts[3])
        }
        found.append((parts[2], fields))
    return found


def samples(place: Inside | Process, name: str = "m.prom") -> dict[str, float]:
    """Return the metrics of a file as Prometheus reads them, without the prefix."""
    text = place.read(name).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            assert sample.labels == {"store": "sample", "output": "a.tar"}
            found[sample.name.removeprefix("wmbackup_")] = sample.value
    return found


def script(place: Inside | Process, name: str, text: str) -> str:
    """Write a command; return what to give for it."""
    return f"{shlex.quote(sys.executable)} {shlex.quote(place.write(name, text.encode()))}"


KEEP = """
import json, os, sys
kept = {name: text for name, text in os.environ.items() if name.startswith("WMB_RESULT_")}
summary = json.loads(sys.stdin.read())
print("the command says hello")
json.dump({"summary": summary, "variables": kept}, open("told.json", "w"))
"""


def told(place: Inside | Process) -> tuple[Json, dict[str, str]]:
    kept = json.loads(place.read("told.json"))
    return kept["summary"], kept["variables"]


def test_a_night_can_be_understood_from_its_log(keyed: Inside) -> None:
    folder = Path(keyed.store(a=b"1", b=b"22"))
    (folder / "link").symlink_to("a")
    done = keyed("backup", "--store", f"folder:{folder}", "-o", "x.tar", "--log-file", "log")
    assert done.code == ExitCode.PARTIAL
    names = [name for name, _ in events(keyed)]
    assert names[0] == "begin"
    assert names[-1] == "end"
    assert names.count("phase") == 4
    begin, end = events(keyed)[0][1], events(keyed)[-1][1]
    assert begin["command"] == "backup"
    assert begin["store"] == f"folder:{folder}"
    assert begin["output"] == "x.tar"
    assert {"version", "host"} <= set(begin)
    (skipped,) = [fields for name, fields in events(keyed) if name == "skipped"]
    assert skipped["path"] == "link"
    assert "link" in skipped["reason"]
    assert end["exit"] == "partial"
    assert end["exit_code"] == "3"
    assert (end["files"], end["bytes"], end["skipped"]) == ("2", "3", "1")
    assert end["path"] == keyed.path("x.tar")


def test_an_error_is_logged_with_its_next_step(keyed: Inside) -> None:
    assert keyed("backup", "--store", "folder:none", "-o", "x.tar", "--log-file", "log").code == 7
    (error,) = [fields for name, fields in events(keyed) if name == "error"]
    assert error["code"] == "store-unavailable"
    assert "none" in error["message"]
    assert error["hint"]
    assert events(keyed)[-1][1]["exit_code"] == "7"


def test_a_mistake_in_the_command_is_logged(keyed: Inside) -> None:
    assert keyed("backup", "--store", "sample", "-o", "~/x.tar", "--log-file", "log").code == 2
    assert [name for name, _ in events(keyed)] == ["begin", "error", "end"]


def test_a_log_is_appended_to_and_can_be_rotated(keyed: Inside) -> None:
    keyed.write("log", b"2026-01-01T00:00:00Z wmbackup[1] info end\n")
    assert keyed(*BACKUP, "--log-file", "log").code == 0
    first = len(events(keyed))
    log = Log(keyed.path("log"))
    log.line("info", "one")
    os.rename(keyed.path("log"), keyed.path("log.1"))
    log.line("info", "two")
    assert len(events(keyed, "log.1")) == first + 1
    assert [name for name, _ in events(keyed)] == ["two"]


def test_no_text_breaks_a_line_of_the_log() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    fields: dict[str, str | float | None] = {
        "a": 'x\ny "z" \x1b[1m \u202e',
        "b": "",
        "c": "plain/path.tar",
        "d": None,
        "e": 1.5,
        "f": "q" * 5000,
    }
    line = line_of(moment, 7, "info", "event", fields)
    assert line.startswith("2026-01-02T03:04:05Z wmbackup[7] info event a=")
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert line.isprintable() is False  # the line feed at its end alone
    assert line[:-1].isprintable()
    assert " c=plain/path.tar " in line
    assert " d=" not in line
    assert " e=1.5 " in line
    assert len(line) < 3000


def test_a_log_that_cannot_be_written_fails_a_run_that_succeeded(keyed: Inside) -> None:
    os.mkdir(keyed.path("folder"))
    for log in ("folder", "none/log"):
        done = keyed(*BACKUP, "--log-file", log, "--json")
        assert done.code == ExitCode.FAILED
        assert done.summary["error"] == "system"
        assert done.summary["result"]["path"] == keyed.path("a.tar")
        assert keyed("verify", "a.tar").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes in folders")
def test_a_pipe_in_the_place_of_the_log_stops_nothing(keyed: Inside) -> None:
    os.mkfifo(keyed.path("pipe"))
    reader = os.open(keyed.path("pipe"), os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = keyed(*BACKUP, "--log-file", "pipe")
        assert done.code == ExitCode.FAILED
        assert "it is a pipe" in done.err
    finally:
        os.close(reader)
    assert keyed(*BACKUP, "--log-file", "pipe").code == ExitCode.FAILED


def test_metrics_are_what_prometheus_reads(keyed: Inside) -> None:
    assert keyed(*BACKUP, "--metrics-file", "m.prom").code == 0
    found = samples(keyed)
    assert set(found) <= set(metrics.METRICS)
    assert found["last_exit_code"] == 0
    assert found["archive_files"] == 12
    assert found["archive_licenses"] == 11
    assert found["archive_withheld"] == 1
    assert found["archive_skipped"] == 0
    assert found["archive_size_bytes"] == os.path.getsize(keyed.path("a.tar"))
    assert found["last_start_timestamp_seconds"] <= found["last_success_timestamp_seconds"]
    assert found["last_success_timestamp_seconds"] == found["last_end_timestamp_seconds"]
    assert found["archive_age_seconds"] >= 0


def test_a_failure_keeps_the_last_success(keyed: Inside) -> None:
    assert keyed(*BACKUP, "--metrics-file", "m.prom").code == 0
    good = samples(keyed)
    failing = [word for word in BACKUP if word != "--force"]
    assert keyed(*failing, "--metrics-file", "m.prom").code == ExitCode.FAILED
    bad = samples(keyed)
    assert bad["last_exit_code"] == 1
    for name in ("last_success_timestamp_seconds", "archive_timestamp_seconds", "archive_files"):
        assert bad[name] == good[name]
    assert bad["last_start_timestamp_seconds"] >= good["last_start_timestamp_seconds"]
    assert bad["archive_age_seconds"] >= good["archive_age_seconds"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_the_collector_can_read_the_metrics_whatever_the_umask(keyed: Inside, mask: int) -> None:
    before = os.umask(mask)
    try:
        assert keyed(*BACKUP, "--metrics-file", "m.prom").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(keyed.path("m.prom")).st_mode) == 0o644


@pytest.mark.parametrize(
    "old", [b"", b"\xff\xfe{ no metrics", b"wmbackup_archive_files 3\n" * 9000]
)
def test_metrics_replace_whatever_was_there(keyed: Inside, old: bytes) -> None:
    keyed.write("m.prom", old)
    assert keyed(*BACKUP, "--metrics-file", "m.prom").code == 0
    assert samples(keyed)["archive_files"] == 12


def test_labels_are_escaped() -> None:
    labels = metrics.labels_of('a"b\\c\nd', "x")
    text = metrics.text_of({"archive_files": 3.0}, labels)
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"store": 'a"b\\c\nd', "output": "x"}


def test_metrics_that_cannot_be_written_fail_the_run(keyed: Inside) -> None:
    done = keyed(*BACKUP, "--metrics-file", "none/m.prom")
    assert done.code == ExitCode.FAILED
    assert done.errors == ["cannot write the metrics to none/m.prom: no such file or directory"]
    assert keyed("verify", "a.tar").code == 0


def test_after_success_the_command_for_it_gets_the_summary(keyed: Inside) -> None:
    command = script(keyed, "keep.py", KEEP)
    done = keyed(*BACKUP, "--on-success", command, "--on-failure", "false", "--json")
    assert done.code == 0
    summary, variables = told(keyed)
    expected = done.summary
    assert summary["result"]["path"] == expected["result"]["path"]
    assert summary["exit_code"] == 0
    assert variables["WMB_RESULT_EXIT_CODE"] == "0"
    assert variables["WMB_RESULT_FILES"] == "12"
    assert variables["WMB_RESULT_PATH"] == keyed.path("a.tar")
    assert variables["WMB_RESULT_ARCHIVE_ID"] == expected["result"]["archive"]["archive_id"]
    assert "WMB_RESULT_ERROR" not in variables


@pytest.mark.parametrize(
    ("options", "code"), [((), 3), (("--strict",), 1), (("--timeout", "x"), 2)]
)
def test_partial_success_and_errors_count_as_failures(
    keyed: Inside, options: tuple[str, ...], code: int
) -> None:
    command = script(keyed, "keep.py", KEEP)
    words = ("backup", "--store", "sample", "-o", "a.tar", "--on-failure", command, *options)
    assert keyed(*words, "--on-success", "false").code == code
    if code == ExitCode.USAGE:  # of a command line that was not accepted nobody is told
        assert "told.json" not in keyed.tree()
        return
    summary, variables = told(keyed)
    assert summary["exit_code"] == int(variables["WMB_RESULT_EXIT_CODE"]) == code


def test_the_locks_are_free_when_the_command_runs(keyed: Inside) -> None:
    again = f"import sys; from wmbackup.cli import main; sys.exit(main({[*BACKUP[1:]]!r}))"
    again = again.replace("main([", "main(['backup', ")
    command = script(keyed, "again.py", again)
    done = keyed(*BACKUP, "--on-success", command)
    assert done.code == 0, done


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("false", "failed with exit code 1"),
        ("no-such-program-here", "cannot be run: no such file or directory"),
        ("'open", "cannot be read: no closing quotation"),
        ("sh -c 'kill -9 $$'", "was killed by signal 9"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="commands of POSIX")
def test_a_command_that_fails_makes_the_run_fail(keyed: Inside, command: str, reason: str) -> None:
    done = keyed(*BACKUP, "--on-success", command, "--json")
    assert done.code == ExitCode.FAILED
    assert done.summary["error"] == "hook-failed"
    assert done.lines[-2]["type"] == "notice"
    assert done.lines[-3]["message"] == f"the command of --on-success {reason}"
    assert done.lines[-3]["hint"]
    other = keyed("backup", "--store", "folder:none", "-o", "b.tar", "--on-failure", command)
    assert other.code == 7  # the first failure is the one that counts
    assert len(other.errors) == 2


def test_a_command_prints_where_it_harms_nothing(program: Process) -> None:
    assert program("key", "create").code == 0
    command = script(program, "keep.py", KEEP)
    words = (
        "backup",
        "--store",
        "sample",
        "--accept-restricted",
        "-o",
        "-",
        "--on-success",
        command,
    )
    done = program(*words)
    assert done.code == 0
    assert "the command says hello" in done.err
    program.write("a.tar", done.raw)
    assert program("verify", "a.tar").code == 0


@pytest.mark.parametrize("option", ["--log-file", "--metrics-file", "--on-success", "--on-failure"])
def test_nothing_is_no_name(keyed: Inside, option: str) -> None:
    done = keyed(*BACKUP, option, "")
    assert done.code == ExitCode.USAGE
    assert option in done.errors[0]


@pytest.mark.parametrize("variable", ["WMBACKUP_ON_SUCCESS", "WMBACKUP_ON_FAILURE"])
def test_a_variable_never_names_a_command(
    keyed: Inside, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "touch made")
    done = keyed(*BACKUP)
    assert done.code == 0
    assert "made" not in keyed.tree()


def configured(place: Inside, text: str) -> str:
    path = os.path.join(place.config, "wmbackup.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
@pytest.mark.parametrize("what", ["file", "folder", "parent", "owner"])
def test_a_configuration_that_others_can_write_runs_nothing(keyed: Inside, what: str) -> None:
    path = configured(keyed, "[backup]\non-success = 'touch made'\n")
    place = {"file": path, "folder": keyed.config, "parent": keyed.home, "owner": path}[what]
    if what == "owner":
        if not IS_ROOT:
            pytest.skip("only root can give files away")
        os.chown(place, 54321, 54321)
        os.chmod(keyed.config, 0o755)  # noqa: S103 - what is tested
    else:
        os.chmod(place, 0o775)  # noqa: S103 - what is tested
    done = keyed(*BACKUP)
    assert done.code == ExitCode.USAGE, done
    assert "made" not in keyed.tree()
    assert place in done.err


def test_the_configuration_of_one_user_names_commands(keyed: Inside) -> None:
    command = script(keyed, "keep.py", KEEP)
    configured(keyed, f"[backup]\non-success = {json.dumps(command)}\nlog-file = 'log'\n")
    assert keyed(*BACKUP).code == 0
    assert told(keyed)[0]["exit_code"] == 0
    assert events(keyed)[-1][0] == "end"


def test_a_dry_run_tells_nobody(keyed: Inside) -> None:
    command = script(keyed, "keep.py", KEEP)
    words = ("backup", "--store", "sample", "-n", "--accept-restricted", "--on-success", command)
    assert keyed(*words, "--log-file", "log", "--metrics-file", "m.prom").code == 0
    assert keyed.tree() == ["keep.py"]
