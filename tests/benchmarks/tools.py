"""How each tool does the same five things."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

from measure import Job
from trees import Tree

OURS = "wmbackup"
BASE = "tar + minisign"
BEFORE = "before"
CREATE, VERIFY, LIST, ONE, ALL = "create", "verify", "list", "restore one", "restore all"
OPERATIONS = (CREATE, VERIFY, LIST, ONE, ALL)


class Place:
    """A folder for what is made, with keys of its own. What was restored goes when all is done."""

    def __init__(self, cache: str) -> None:
        self.home = os.path.join(cache, "home")
        self.made = os.path.join(cache, "made")
        self._restored = 0
        for folder in (self.home, self.made):
            os.makedirs(folder, exist_ok=True)
        self.environment = {
            "HOME": self.home,
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "RESTIC_PASSWORD": "benchmark",
            "BORG_PASSPHRASE": "benchmark",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }
        if not os.path.exists(os.path.join(self.home, ".config/wmbackup/signing_key")):
            self._once(*ours("key", "create"))
        if shutil.which("minisign") and not os.path.exists(self.key("public")):
            self._once("minisign", "-GWf", "-p", self.key("public"), "-s", self.key("secret"))
        if shutil.which("age-keygen") and not os.path.exists(self.key("age")):
            self._once("age-keygen", "-o", self.key("age"))

    def _once(self, *command: str) -> None:
        subprocess.run(command, env=self.environment, check=True, capture_output=True)

    def key(self, name: str) -> str:
        return os.path.join(self.home, f"{name}.key")

    def file(self, name: str) -> str:
        return os.path.join(self.made, name)

    def fresh(self) -> str:
        """Return a folder that is not there. Removing the one before would slow the next down."""
        self._restored += 1
        return self.file(f"restored-{os.getpid()}-{self._restored}")

    def last(self) -> str:
        return self.file(f"restored-{os.getpid()}-{self._restored}")

    def away(self, name: str) -> None:
        """Rename something away, for the same reason."""
        if os.path.lexists(self.file(name)):
            os.rename(self.file(name), self.fresh())

    def clear(self) -> None:
        """Make room for the next store, and let the disk come to rest."""
        self.clean()
        os.mkdir(self.made)
        os.sync()

    def clean(self) -> None:
        shutil.rmtree(self.made, ignore_errors=True)


def ours(*arguments: str) -> tuple[str, ...]:
    """Return the command as it is installed beside this Python."""
    return (os.path.join(os.path.dirname(sys.executable), "wmbackup"), *arguments)


BEFORE_PROGRAM: list[str] = []
"""Another wmbackup, such as an older one, that takes part as a tool of its own."""


def shell(script: str, *arguments: str) -> tuple[str, ...]:
    return ("sh", "-ec", script, "sh", *arguments)


def jobs(operation: str, tree: Tree, place: Place, tools: Sequence[str]) -> list[Job]:
    """Return what the tools that are installed do for an operation."""
    makers = {
        OURS: _ours,
        BASE: _base,
        BEFORE: _before,
        "restic": _restic,
        "borg": _borg,
        "tar + age": _age,
    }
    return [makers[tool](operation, tree, place) for tool in tools]


_NEEDS: Mapping[str, Sequence[str]] = {
    OURS: (),
    BASE: ("tar", "minisign"),
    "restic": ("restic",),
    "borg": ("borg",),
    "tar + age": ("tar", "age", "age-keygen"),
}


def installed() -> list[str]:
    found = [tool for tool, programs in _NEEDS.items() if all(map(shutil.which, programs))]
    return found[:1] + [BEFORE] * len(BEFORE_PROGRAM) + found[1:]


def missing() -> list[str]:
    return [tool for tool in _NEEDS if tool not in installed()]


def _ours(operation: str, tree: Tree, place: Place) -> Job:
    return _wmbackup(OURS, ours(), operation, tree, place)


def _before(operation: str, tree: Tree, place: Place) -> Job:
    return _wmbackup(BEFORE, BEFORE_PROGRAM, operation, tree, place)


def _wmbackup(tool: str, program: Sequence[str], operation: str, tree: Tree, place: Place) -> Job:
    archive = place.file("ours.tar" if tool == OURS else f"{tool}.tar")
    common = ("--quiet", "--no-notice")
    restore = ("restore", archive, "--yes", "--to")
    if operation == CREATE:
        more = ("-f", "--no-read-back", "--store", tree.path, "-o", archive)
        command = (*program, "backup", *common, *more)
        return Job(tool, lambda: command, lambda: _remove(archive))
    if operation == VERIFY:
        return Job(tool, lambda: (*program, "verify", *common, archive))
    if operation == LIST:
        return Job(tool, lambda: (*program, "list", *common, archive))
    chosen = ("--path", tree.some_file()) if operation == ONE else ()
    # The last phase is little more than bringing all to the disk.
    last = b'"phase":"applying"'
    return Job(tool, lambda: (*program, *restore, place.fresh(), "--json", *chosen), last=last)


def _base(operation: str, tree: Tree, place: Place) -> Job:
    archive, public, secret = place.file("base.tar"), place.key("public"), place.key("secret")
    store = ("-C", os.path.dirname(tree.path), os.path.basename(tree.path))
    verify = 'minisign -Vqm "$1" -p "$2"'
    if operation == CREATE:
        script = 'tar cf "$1" -C "$3" "$4"; minisign -Sm "$1" -s "$2"; sync "$1"'
        command = shell(script, archive, secret, *store[1:])
        return Job(BASE, lambda: command, lambda: _remove(archive))
    if operation == VERIFY:
        return Job(BASE, lambda: shell(f"exec {verify}", archive, public))
    if operation == LIST:
        return Job(BASE, lambda: ("tar", "tvf", archive))
    one = (f"{store[2]}/{tree.some_file()}",) if operation == ONE else ()
    extract = 'shift 3; tar xf "$archive" -C "$target" "$@"'
    script = f'{verify}; target=$3; mkdir "$target"; archive=$1; {extract}'
    return Job(BASE, lambda: shell(script, archive, public, place.fresh(), *one))


def _restic(operation: str, tree: Tree, place: Place) -> Job:
    common = ("restic", "--quiet", "--no-cache", "-r", place.file("restic"))

    def new() -> None:
        place.away("restic")
        subprocess.run((*common, "init"), env=place.environment, check=True)

    if operation == CREATE:
        return Job("restic", lambda: (*common, "backup", tree.path), new)
    if operation == VERIFY:
        return Job("restic", lambda: (*common, "check", "--read-data"))
    if operation == LIST:
        return Job("restic", lambda: (*common[:1], *common[2:], "ls", "-l", "latest"))
    one = ("--include", os.path.join(tree.path, tree.some_file())) if operation == ONE else ()
    return Job("restic", lambda: (*common, "restore", "latest", *one, "--target", place.fresh()))


def _borg(operation: str, tree: Tree, place: Place) -> Job:
    repository = place.file("borg")
    archive = f"{repository}::one"

    def new() -> None:
        place.away("borg")
        command = ("borg", "init", "-e", "repokey-blake2", repository)
        subprocess.run(command, env=place.environment, check=True, capture_output=True)

    if operation == CREATE:
        return Job("borg", lambda: ("borg", "create", archive, tree.path), new)
    if operation == VERIFY:
        return Job("borg", lambda: ("borg", "check", "--verify-data", repository))
    if operation == LIST:
        return Job("borg", lambda: ("borg", "list", archive))
    one = (os.path.join(tree.path, tree.some_file()).lstrip("/"),) if operation == ONE else ()
    script = 'mkdir "$1"; cd "$1"; shift; exec borg extract "$@"'
    return Job("borg", lambda: shell(script, place.fresh(), archive, *one))


def _age(operation: str, tree: Tree, place: Place) -> Job:
    archive, key = place.file("tar.age"), place.key("age")
    decrypt = 'age -d -i "$2" "$1"'
    if operation == CREATE:
        script = 'tar c -C "$3" "$4" | age -e -i "$2" -o "$1"; sync "$1"'
        store = (os.path.dirname(tree.path), os.path.basename(tree.path))
        return Job(
            "tar + age", lambda: shell(script, archive, key, *store), lambda: _remove(archive)
        )
    if operation == VERIFY:
        return Job("tar + age", lambda: shell(f"{decrypt} >/dev/null", archive, key))
    if operation == LIST:
        return Job("tar + age", lambda: shell(f"{decrypt} | tar tv", archive, key))
    one = (f"{os.path.basename(tree.path)}/{tree.some_file()}",) if operation == ONE else ()
    script = f'mkdir "$3"; {decrypt} | (target=$3; shift 3; tar x -C "$target" "$@")'
    return Job("tar + age", lambda: shell(script, archive, key, place.fresh(), *one))


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)
