"""The metrics of a run, in the text format of Prometheus, for the textfile collector.

The file is replaced as a whole. What the last archive was stays in it when a later run fails, as
does the time of the last success: whoever is on call wants both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wmbackup.storage.files import read_small_file

METRICS: Mapping[str, str] = {
    "last_start_timestamp_seconds": "When the last run began, in seconds since 1970.",
    "last_end_timestamp_seconds": "When the last run ended, in seconds since 1970.",
    "last_success_timestamp_seconds": "When the last run that ended with 0 did so.",
    "last_duration_seconds": "How long the last run took.",
    "last_exit_code": "The exit code of the last run.",
    "archive_timestamp_seconds": "When the newest archive was made, in seconds since 1970.",
    "archive_age_seconds": "How old the newest archive was when the last run ended.",
    "archive_size_bytes": "The size of the newest archive.",
    "archive_content_bytes": "The bytes of the files in the newest archive.",
    "archive_files": "The files in the newest archive.",
    "archive_licenses": "The licenses in the newest archive.",
    "archive_withheld": "The licenses that the newest archive may not have.",
    "archive_skipped": "The files that could not be backed up into the newest archive.",
    "archive_sequence": "The number of the newest archive in its series.",
}
"""What each metric says, by its name without ``wmbackup_``; all of them are gauges."""

_MAX_FILE = 64 * 1024
_SAMPLE = re.compile(r"wmbackup_([a-z_]+)(\{.*\}) (\S+)")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def labels_of(store: str, output: str) -> str:
    """Return the labels of a series: two backups may have two files in one folder."""
    values = {"store": store, "output": output}
    told = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in values.items())
    return f"{{{told}}}"


def read(path: str, labels: str) -> dict[str, float]:
    """Return the values that a file has for these labels; none where there is no such file.

    Raises OSError.
    """
    found = read_small_file(path, _MAX_FILE)
    values: dict[str, float] = {}
    text = "" if found is None else found.data.decode("utf-8", "replace")
    for line in text.splitlines():
        sample = _SAMPLE.fullmatch(line)
        if sample is not None and sample[1] in METRICS and sample[2] == labels:
            try:
                values[sample[1]] = float(sample[3])
            except ValueError:
                continue
    return values


def text_of(values: Mapping[str, float], labels: str) -> str:
    """Return the file that says so, in the order of `METRICS`."""
    lines = []
    for name, meaning in METRICS.items():
        if name in values:
            lines += [f"# HELP wmbackup_{name} {meaning}", f"# TYPE wmbackup_{name} gauge"]
            lines.append(f"wmbackup_{name}{labels} {_number(values[name])}")
    return "".join(f"{line}\n" for line in lines)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"
