"""What is told of a run beside its output: to a log, to a file of metrics, and to a command.

A backup is worth more than its log: what goes wrong here is reported and makes the run fail in the
end, and stops nothing before.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wmbackup import __version__
from wmbackup.cli import public_files
from wmbackup.cli.click_ext import MONITORING, on_command_line
from wmbackup.cli.monitoring import hooks, metrics
from wmbackup.cli.monitoring.log import Log
from wmbackup.cli.passphrases import refuse_writable
from wmbackup.cli.render import json_fields
from wmbackup.cli.session import Session, host_name
from wmbackup.cli.signals import Interrupted
from wmbackup.engine import BackupSummary
from wmbackup.errors import Cancelled, ExitCode, SystemFailure, UsageError, WmbackupError

if TYPE_CHECKING:
    from wmbackup.cli.render.output import Result


class HookFailed(WmbackupError):
    """The command that was to run after the backup could not be run, or failed."""

    code = "hook-failed"


class Monitor:
    """The log, the metrics and the commands of one run."""

    def __init__(self, session: Session, wanted: Mapping[str, str | None]) -> None:
        """Take what the options `MONITORING` say. Raises UsageError."""
        for name in MONITORING:
            value = wanted.get(name)
            if value is not None and not value.strip():
                option = f"--{name.replace('_', '-')}"
                what = "file" if name.endswith("file") else "command"
                raise UsageError(f"{option} names no {what}", hint=f"name a {what}")
        self._session = session
        self._wanted = wanted
        self._begun = time.time()
        path = wanted.get("log_file")
        self._log = None if path is None else Log(path)
        params = session.params
        self._labels = metrics.labels_of(
            params.get("store") or "windows", params.get("output") or ""
        )

    def begin(self) -> None:
        """Say that a run begins. Raises SetupUnusable for a command that others could change."""
        if self._log is not None:
            session = self._session
            self._log.line(
                "info",
                "begin",
                version=__version__,
                host=host_name(),
                command=session.command,
                store=session.params.get("store"),
                output=session.params.get("output"),
                profile=session.profile,
            )
            session.record.followers.append(self._log)
        path = self._wanted.get("metrics_file")
        if path is not None:
            with contextlib.suppress(OSError, WmbackupError):  # the end reports it
                self._write_metrics(path, {"last_start_timestamp_seconds": self._begun})
        for name in ("on_success", "on_failure"):
            if self._wanted.get(name) is not None and not on_command_line(name):
                refuse_writable(self._session, name.replace("_", "-"))

    def end(self, code: ExitCode) -> ExitCode:
        """Say how the run ended, and return the exit code that this leaves."""
        code = self._call(code)
        path = self._wanted.get("metrics_file")
        if path is not None:
            try:
                self._write_metrics(path, self._outcome(code))
            except OSError as error:
                code = self._report(SystemFailure.of(error, "write the metrics to", path), code)
            except WmbackupError as error:
                code = self._report(error, code)
        if self._log is not None:
            self._log.line(
                "info" if code is ExitCode.OK else "error",
                "end",
                exit=code.name.lower().replace("_", "-"),
                exit_code=int(code),
                seconds=self._session.elapsed,
                **_told(self._session.record.result),
            )
            if self._log.failure is not None:
                file = self._wanted["log_file"] or ""
                failure = SystemFailure.of(self._log.failure, "write to the log", file)
                code = self._report(failure, code)
        return code

    def _call(self, code: ExitCode) -> ExitCode:
        name = "on_success" if code is ExitCode.OK else "on_failure"
        command = self._wanted.get(name)
        if command is None:
            return code
        session = self._session
        record = session.record
        summary = json_fields.summary_fields(
            session.command, code, record.last_error, record.result, session.elapsed
        )
        fields = {
            "command": session.command,
            "exit_code": int(code),
            "exit": summary["exit"],
            "error": summary["error"],
            "message": None if record.last_error is None else record.last_error.message,
            "seconds": round(session.elapsed, 3),
            "store": session.params.get("store"),
            "output": session.params.get("output"),
            "host": host_name(),
            **_told(record.result),
        }
        try:
            wrong = hooks.run(
                command,
                {"schema": json_fields.SCHEMA, "type": "summary", **summary},
                hooks.environment_of(fields),
            )
        except Interrupted as signal:
            self._report(Cancelled(signal.message), code)
            return signal.exit_code
        if wrong is None:
            return code
        return self._report(HookFailed(f"the command of --{name.replace('_', '-')} {wrong}"), code)

    def _report(self, error: WmbackupError, code: ExitCode) -> ExitCode:
        """Tell an error; the first one of a run stays that of its summary."""
        record, first = self._session.record, self._session.record.last_error
        self._session.output.error(error)
        record.last_error = first or error
        return ExitCode.FAILED if code in {ExitCode.OK, ExitCode.PARTIAL} else code

    def _outcome(self, code: ExitCode) -> dict[str, float]:
        now = time.time()
        values: dict[str, float] = {
            "last_start_timestamp_seconds": self._begun,
            "last_end_timestamp_seconds": now,
            "last_duration_seconds": self._session.elapsed,
            "last_exit_code": int(code),
        }
        if code is ExitCode.OK:
            values["last_success_timestamp_seconds"] = now
        result = self._session.record.result
        if isinstance(result, BackupSummary):
            values |= _archive_metrics(result)
        return values

    def _write_metrics(self, path: str, values: dict[str, float]) -> None:
        """Raises OSError, Unconfirmed."""
        values = {**metrics.read(path, self._labels), **values}
        made, ended = (values.get(f"{name}_timestamp_seconds") for name in ("archive", "last_end"))
        if made is not None and ended is not None:
            values["archive_age_seconds"] = max(0.0, ended - made)
        text = metrics.text_of(values, self._labels)
        public_files.write(path, text.encode("utf-8", "backslashreplace"), "the metrics")


def _archive_metrics(made: BackupSummary) -> dict[str, float]:
    values: dict[str, float] = {
        "archive_timestamp_seconds": made.info.created.timestamp(),
        "archive_size_bytes": made.size,
        "archive_content_bytes": made.info.octets,
        "archive_files": made.info.files,
        "archive_licenses": made.licenses,
        "archive_withheld": len(made.withheld),
        "archive_skipped": len(made.skipped),
    }
    if made.info.sequence is not None:
        values["archive_sequence"] = made.info.sequence
    return values


def _told(result: Result) -> dict[str, Any]:
    """Return what a log and a command are told of an archive that was made."""
    if not isinstance(result, BackupSummary):
        return {}
    return {
        "path": result.path,
        "archive_id": result.info.archive_id,
        "size": result.size,
        "files": result.info.files,
        "bytes": result.info.octets,
        "licenses": result.licenses,
        "withheld": len(result.withheld),
        "skipped": len(result.skipped),
        "sequence": result.info.sequence,
    }
