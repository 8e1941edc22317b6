"""Running the program in a home of its own, as a process or in this one, and judging its JSON."""

from __future__ import annotations

import contextlib
import importlib.resources
import io
import json
import os
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from wmbackup.cli import main

SCRIPTS = sysconfig.get_path("scripts")
WMBACKUP = os.path.join(SCRIPTS, "wmbackup")
WINDOWS = os.name == "nt"
PROGRAM = (sys.executable, "-m", "wmbackup") if WINDOWS else (WMBACKUP,)
IS_ROOT = os.name == "posix" and os.getuid() == 0
_READ_ALL = "dac_override,{0}dac_read_search"
POWERLESS = (
    *("setpriv", "--bounding-set=-" + _READ_ALL.format("-")),
    *("--inh-caps=-" + _READ_ALL.format("-"), "--"),
)
"""Before a command: permissions count for root as well. The interpreter may be root's alone."""
STRANGER = (
    *("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"),
    *("--inh-caps=+" + _READ_ALL.format("+"), "--ambient-caps=+" + _READ_ALL.format("+"), "--"),
)
"""Before a command: a user whom no list of users knows, and who can read everything."""
DEADLINE = 60  # seconds after which a hanging program fails its test

SCHEMA = json.loads(importlib.resources.files("wmbackup.cli").joinpath("schema.json").read_text())
_KINDS = {
    kind: Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{kind}"}]})
    for kind in (one["$ref"].rpartition("/")[2] for one in SCHEMA["oneOf"])
}

Json = dict[str, Any]


def judge_line(line: str) -> Json:
    """Parse a line of --json and hold it against the definition of its type."""
    found: Json = json.loads(line)
    assert list(found)[:2] == ["schema", "type"], line
    _KINDS[found["type"]].validate(found)
    return found


def judge(out: str, code: int) -> list[Json]:
    """Hold a whole output against the schema: one summary, last, with the exit code."""
    lines = [judge_line(line) for line in out.splitlines()]
    kinds = [line["type"] for line in lines]
    assert kinds.count("summary") == 1, out
    assert kinds[-1] == "summary", out
    assert lines[-1]["exit_code"] == code, out
    return lines


@dataclass(frozen=True)
class Result:
    """What a run gave back. Streams are decoded as file names are."""

    code: int
    out: str
    err: str
    raw: bytes = b""

    @property
    def lines(self) -> list[Json]:
        """The lines of --json, each held against the schema."""
        return judge(self.out, self.code)

    @property
    def summary(self) -> Json:
        """The last of them."""
        return self.lines[-1]

    @property
    def errors(self) -> list[str]:
        """The errors, without the label."""
        label = "wmbackup: error: "
        return [text.removeprefix(label) for text in self.err.splitlines() if label in text]

    @property
    def hints(self) -> list[str]:
        """The hints, without the label."""
        label = "hint: "
        return [text.removeprefix(label) for text in self.err.splitlines() if label in text]


def _text(stream: bytes) -> str:
    return os.fsdecode(stream.replace(b"\r\n", b"\n") if WINDOWS else stream)


def _result(code: int, out: bytes, err: bytes, arguments: tuple[str, ...]) -> Result:
    result = Result(code, _text(out), _text(err), out)
    assert "Traceback" not in result.err, result.err
    if "--json" in arguments and "-o-" not in arguments:
        judge(result.out, code)
    return result


class Place:
    """A home, a current folder and a folder for temporary files, that nobody else uses."""

    def __init__(self, root: str) -> None:
        """Make them below ``root``."""
        self.root = root
        self.home, self.here, self.tmp = (
            os.path.join(root, name) for name in ("home", "here", "tmp")
        )
        for folder in (self.home, self.here, self.tmp):
            os.mkdir(folder)
        self.config = os.path.join(self.home, "wmbackup" if WINDOWS else ".config/wmbackup")
        self.state = self.config if WINDOWS else f"{self.home}/.local/state/wmbackup"
        self.site = os.path.join(root, "etc", "wmbackup")

    def environment(self, **changes: str | None) -> dict[str, str]:
        """Return the environment of a run; None takes a variable away."""
        fixed: dict[str, str | None] = {
            "PATH": f"{SCRIPTS}:/usr/bin:/bin",
            "HOME": self.home,
            "TMPDIR": self.tmp,
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            **(self._windows() if WINDOWS else {"XDG_CONFIG_DIRS": os.path.dirname(self.site)}),
            **{name: text for name, text in os.environ.items() if name.startswith("COVERAGE_")},
            **changes,
        }
        return {name: text for name, text in fixed.items() if text is not None}

    def _windows(self) -> dict[str, str]:
        """Return what stands for the profile, and what a process there cannot do without."""
        found = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "PYTHONPATH")}
        common = os.path.dirname(self.site)
        folders = {"LOCAL_APPDATA": self.home, "COMMON_APPDATA": common}
        found |= {f"WIN_PD_OVERRIDE_{name}": path for name, path in folders.items()}
        return found | {"TEMP": self.tmp, "TMP": self.tmp}

    def path(self, name: str) -> str:
        """Return the full path of something in the current folder."""
        return os.path.join(self.here, name.replace("/", os.sep))

    def write(self, name: str, data: bytes = b"x") -> str:
        """Write a file in the current folder, making the folders on the way."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def read(self, name: str) -> bytes:
        """Read a file in the current folder."""
        with open(self.path(name), "rb") as file:
            return file.read()

    def store(self, **files: bytes) -> str:
        """Make a small store called ``store`` in the current folder."""
        for name, data in (files or {"a.lic": b"one", "b.lic": b"two"}).items():
            self.write(f"store/{name}", data)
        return self.path("store")

    def tree(self, folder: str | None = None) -> list[str]:
        """List what is in the current folder, or another, all the way down."""
        root = os.fsencode(folder or self.here)
        found = []
        for at, folders, files in os.walk(root):
            for name in (*files, *folders):
                full = os.path.join(at, name)
                slash = "/" if name in folders and not os.path.islink(full) else ""
                found.append(os.fsdecode(os.path.relpath(full, root)).replace(os.sep, "/") + slash)
        return sorted(found)

    def forget_locks(self) -> None:
        """Remove the files of locks, which stay where a run was not let go to its end."""
        for name in self.tree(f"{self.state}/locks"):
            os.unlink(f"{self.state}/locks/{name}")

    def leftovers(self) -> list[str]:
        """List private files of the program that are still there, and locks."""
        left = [name for name in self.tree(self.root) if ".wmbackup-" in name]
        left += [f"tmp/{name}" for name in self.tree(self.tmp)]
        return left + [f"locks/{name}" for name in self.tree(f"{self.state}/locks")]


class Process(Place):
    """The installed program as a process."""

    def __call__(
        self,
        *arguments: str,
        stdin: bytes | int = b"",
        env: Mapping[str, str | None] | None = None,
        cwd: str | None = None,
        powers: Sequence[str] = (),
        before: Callable[[], object] | None = None,
    ) -> Result:
        """Run it to its end; without ``stdin`` its standard input is empty."""
        changes = dict(env or {})
        if before is not None:
            changes |= _UNMEASURED
        done = subprocess.run(
            [*powers, *PROGRAM, *arguments],
            env=self.environment(**changes),
            cwd=cwd or self.here,
            stdin=None if isinstance(stdin, bytes) else stdin,
            input=stdin if isinstance(stdin, bytes) else None,
            capture_output=True,
            check=False,
            timeout=DEADLINE,
            preexec_fn=before,
        )
        return _result(done.returncode, done.stdout, done.stderr, arguments)

    def shell(self, command: str, **changes: str | None) -> Result:
        """Run a line of shell, for redirections and pipes."""
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env=self.environment(**changes),
            cwd=self.here,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=DEADLINE,
        )
        return Result(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))

    @contextlib.contextmanager
    def started(self, *arguments: str, **attributes: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Start it, and end it whatever happens."""
        env = attributes.pop("env", None) or {}
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            env=self.environment(**env),
            cwd=self.here,
            **{**streams, **attributes},
        )
        # A test that waits for what never comes fails, and does not wait for ever.
        watch = threading.Timer(2 * DEADLINE, process.kill)
        watch.start()
        try:
            with process:
                try:
                    yield process
                except BaseException:
                    process.kill()  # or the end of the process would be waited for
                    raise
        finally:
            watch.cancel()


# A measured run wants to write down what it has seen, which these may not.
_UNMEASURED: dict[str, str | None] = {
    name: None for name in os.environ if name.startswith("COVERAGE_")
}


class Inside(Place):
    """The program in this process: where a process of its own would show nothing more."""

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        """Run it to its end."""
        out, err = io.BytesIO(), io.BytesIO()
        before = sys.stdin, sys.stdout, sys.stderr
        streams = [
            io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
            for raw in (io.BytesIO(stdin), out, err)
        ]
        sys.stdin, sys.stdout, sys.stderr = streams
        try:
            code = main(list(arguments))
            for stream in streams[1:]:
                stream.flush()
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
        return _result(code, out.getvalue(), err.getvalue(), arguments)
