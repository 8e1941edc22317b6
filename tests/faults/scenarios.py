"""What is tried: for each scenario how things stand before, and what they may be afterwards."""

from __future__ import annotations

import os
import re
import shutil
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from preload import Call
from running import FAULTS, Fault, Ran, run

from wmbackup.engine import open_archive, verify
from wmbackup.errors import WmbackupError
from wmbackup.history import records
from wmbackup.trust import Policy, keys, read_policy

KILL_BEFORE = next(fault for fault in FAULTS if fault.name == "kill before")

LEDGER = "home/.local/state/wmbackup/ledger.json"
"""What a run may leave as it was, make, or replace, and never leave in part."""

LARGE = bytes(range(256)) * 5000
"""More than is kept in memory (1 MiB), so that temporary files reach the disk."""

CARRIED: dict[str, bytes] = {
    "same": b"same",
    "changed": b"new",
    "sub/changed": b"new too",
    "sub/added": b"added",
    "far/below/added": b"x" * 3000,
    "a space at the end ": b"an item",
    "large": LARGE,
}
OLD = {"same": b"same", "changed": b"old", "sub/changed": b"old too", "own": b"stays"}
_PAST = 1_000_000_000  # seconds; what was there before is told by its time as well


class Entry(NamedTuple):
    """A file or a folder, as it was found."""

    mode: int
    data: bytes | None
    mtime_ns: int

    @property
    def is_folder(self) -> bool:
        """Whether it is one."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_open_to_others(self) -> bool:
        """Whether its mode lets other users in."""
        return bool(self.mode & 0o077)


Scene = dict[str, Entry]


def look(root: Path) -> Scene:
    """Return everything below a folder."""
    found: Scene = {}
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}".lstrip("/")
                status = os.lstat(root / path)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(path)
                    found[path] = Entry(status.st_mode, None, 0)
                elif stat.S_ISREG(status.st_mode):
                    data = (root / path).read_bytes()
                    found[path] = Entry(status.st_mode, data, status.st_mtime_ns)
                else:
                    found[path] = Entry(status.st_mode, b"", 0)
    return found


def restage(root: Path, scene: Scene) -> None:
    """Make everything below a folder what it was."""
    now = look(root)
    for path in sorted(now, reverse=True):
        if path not in scene or scene[path].is_folder != now[path].is_folder:
            whole = root / path
            os.chmod(whole.parent, 0o700)
            whole.rmdir() if now[path].is_folder else whole.unlink()
    for path, entry in sorted(scene.items()):
        whole = root / path
        if path in now and now[path] == entry:
            continue
        if entry.is_folder:
            whole.mkdir(exist_ok=True)
        elif entry.data is not None:
            # Never through the file that is there: an archive under it may have a second name.
            whole.unlink(missing_ok=True)
            whole.write_bytes(entry.data)
            os.utime(whole, ns=(entry.mtime_ns, entry.mtime_ns))
        os.chmod(whole, stat.S_IMODE(entry.mode))


def fill(root: Path, files: Mapping[str, bytes]) -> None:
    """Write files of long ago below a folder."""
    for path, data in files.items():
        whole = root / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(data)
        os.utime(whole, (_PAST, _PAST))


Check = Callable[[Entry | None], str | None]
"""Says what is wrong with what a run made; None where nothing is."""


@dataclass(frozen=True, slots=True)
class State:
    """How things stand: ``name`` is old, new, partial or half."""

    name: str
    leftovers: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in one line."""
        parts = [self.name, *self.wrong]
        if self.leftovers:
            parts.append(f"left over: {', '.join(self.leftovers)}")
        return "; ".join(parts)


class Scenario(ABC):
    """A run, and what it may leave; see the classes below."""

    name: str
    next_run_ends = frozenset({0})
    next_run_locks = True
    """Whether such a run takes the locks again, and with that removes what was left of them."""
    """What a run that nothing disturbs may end with, after a disturbed one."""
    kept = frozenset({f"tmp/wmbackup-{os.getuid()}", f"tmp/wmbackup-{os.getuid()}/locks", LEDGER})
    """What a first run makes for all that follow."""
    resumes = False
    """Whether it may fail half-way, because the next run goes on from there."""

    def __init__(self, case: Path) -> None:
        """Lay out everything below an empty folder."""
        self.case = case
        self.home = case / "home"
        self.store = case / "store"
        self.out = case / "out"
        self.config = self.home / ".config" / "wmbackup"
        for folder in (self.home, self.store, self.out, case / "tmp"):
            folder.mkdir()
        os.environ.update(HOME=str(self.home), TMPDIR=str(case / "tmp"))
        self.prepare()
        # Locks come and go, and the folders that hold them stay.
        (self.home / ".local/state/wmbackup/locks").mkdir(parents=True, exist_ok=True)
        self.keeps_modes = stat.S_IMODE(os.stat(self._probe()).st_mode) == stat.S_IRUSR
        self.scene = look(case)

    def _probe(self) -> Path:
        probe = self.case / "tmp" / "probe"
        probe.touch()
        probe.chmod(stat.S_IRUSR)
        self.case.joinpath("tmp").chmod(0o755)
        return probe

    def plainly(self, *arguments: str, ends: int = 0) -> None:
        """Run something undisturbed, to get ready."""
        done = run(arguments)
        if done.code != ends:
            raise AssertionError(f"{arguments} ended with {done.code}: {done.stderr}")

    @abstractmethod
    def prepare(self) -> None:
        """Make what is there before."""

    @property
    @abstractmethod
    def arguments(self) -> Sequence[str]:
        """What is run."""

    @property
    def again(self) -> Sequence[str]:
        """What is run after it was cut off; it has to come to the new state."""
        return self.arguments

    @property
    def looks(self) -> Sequence[str] | None:
        """What puts the old state back after it was cut off in between, where that is promised."""
        return None

    @abstractmethod
    def made(self) -> Mapping[str, Check]:
        """Return what a run makes or changes, with what says whether it is right."""

    def reset(self) -> Scene:
        """Bring everything back to the beginning; return what is there."""
        restage(self.case, self.scene)
        return look(self.case)

    def state(self, before: Scene, after: Scene) -> State:
        """Say how things stand."""
        made = self.made()
        lost = [
            f"{path} was {'lost' if path not in after else 'changed'}"
            for path, entry in before.items()
            if path not in made and path not in self.kept and after.get(path) != entry
        ]
        known = before.keys() | made.keys() | self.kept
        leftovers = tuple(path for path in after if path not in known)
        if lost:
            return State("half", leftovers, tuple(lost))
        if all(before.get(path) == after.get(path) for path in made):
            return State("old", leftovers)
        found = {path: check(after.get(path)) for path, check in made.items()}
        wrong = tuple(f"{path}: {what}" for path, what in found.items() if what is not None)
        if not wrong:
            return State("new", leftovers)
        if all("partial" in what for what in wrong):
            return State("partial", leftovers, wrong)
        return State("half", leftovers, wrong)

    def open_to_others(self, before: Scene, after: Scene) -> list[str]:
        """Return the new files that others can reach and use."""
        if not self.keeps_modes:
            return []
        found = []
        for path, entry in after.items():
            if path in before or not entry.is_open_to_others or self.may_be_open(path):
                continue
            above = [str(parent) for parent in Path(path).parents][:-1]
            if all(after[folder].is_open_to_others for folder in above if folder in after):
                found.append(f"{path} has mode {stat.S_IMODE(entry.mode):o}")
        return found

    def may_be_open(self, path: str) -> bool:
        """Whether a new file is one that the user's umask decides on."""
        return False


def is_folder(entry: Entry | None) -> str | None:
    """Check a folder."""
    return None if entry is not None and entry.is_folder else "is no folder"


def has(data: bytes) -> Check:
    """Check a file for its bytes."""

    def check(entry: Entry | None) -> str | None:
        if entry is None:
            return "is missing"
        return None if entry.data == data else "has other bytes"

    return check


class _WithKey(Scenario):
    """Begins with a signing key that is trusted."""

    def prepare(self) -> None:
        self.plainly("key", "create")
        fill(self.store, CARRIED)

    @property
    def policy(self) -> Policy:
        return read_policy(str(self.config / "allowed_signers"))


class Backup(_WithKey):
    """A backup to a place where nothing is."""

    name = "backup"

    def prepare(self) -> None:
        """Make a store."""
        super().prepare()
        self.archive = self.out / "a.wmbackup.tar"
        self.held = self.policy

    @property
    def arguments(self) -> Sequence[str]:
        """Back up without replacing anything."""
        return ("backup", "--store", f"folder:{self.store}", "-o", str(self.archive))

    @property
    def again(self) -> Sequence[str]:
        """Back up, whatever is there."""
        return (*self.arguments, "--force")

    def made(self) -> Mapping[str, Check]:
        """Return the archive."""
        return {"out/a.wmbackup.tar": self._check}

    def _check(self, entry: Entry | None) -> str | None:
        if entry is None:
            return "is missing"
        try:
            with open_archive(str(self.archive)) as source:
                files = verify(source, self.held).info.files
        except WmbackupError as error:
            return f"does not verify: {error}"
        return None if files == len(CARRIED) else f"is partial: {files} of {len(CARRIED)}"


class BackupOver(Backup):
    """A backup that replaces an archive."""

    name = "backup-over"

    def prepare(self) -> None:
        """Make an older archive, of other files."""
        super().prepare()
        older = self.case / "older"
        fill(older, OLD)
        self.plainly("backup", "--store", f"folder:{older}", "-o", str(self.archive))

    @property
    def arguments(self) -> Sequence[str]:
        """Back up over it."""
        return (*super().arguments, "--force")

    @property
    def again(self) -> Sequence[str]:
        """Do so once more."""
        return self.arguments


class RestoreNew(_WithKey):
    """A restore into a folder that is missing, as is the one above it."""

    name = "restore-new"
    target = "parent/some/target"
    existing: Mapping[str, bytes] = {}
    kept = _WithKey.kept | {"home/.local/state/wmbackup/restore_secret"}

    def prepare(self) -> None:
        """Make an archive, and what is there already."""
        super().prepare()
        self.archive = self.out / "a.wmbackup.tar"
        self.plainly("backup", "--store", f"folder:{self.store}", "-o", str(self.archive))
        (self.case / "parent").mkdir()
        fill(self.case / self.target, self.existing)
        if not self.existing:
            shutil.rmtree(self.case / self.target, ignore_errors=True)

    @property
    def arguments(self) -> Sequence[str]:
        """Restore everything."""
        to = f"folder:{self.case / self.target}"
        return ("restore", str(self.archive), "--yes", "--on-conflict", "replace", "--to", to)

    @property
    def looks(self) -> Sequence[str] | None:
        """Look what would be restored, which puts back first what was there."""
        return (*self.arguments, "--dry-run")

    def made(self) -> Mapping[str, Check]:
        """Return the files, and the folders that they are in."""
        files = {f"{self.target}/{path}": has(data) for path, data in CARRIED.items()}
        folders = {str(above) for path in files for above in Path(path).parents}
        return {path: is_folder for path in folders if path.startswith("parent/")} | files

    def may_be_open(self, path: str) -> bool:
        """Say that of what was restored."""
        return path in self.made()


class RestoreInto(RestoreNew):
    """A restore into a folder that has files, of which some are replaced."""

    name = "restore-into"
    target = "parent/target"
    existing = OLD

    def made(self) -> Mapping[str, Check]:
        """Leave out what stays as it is."""
        kept = {f"{self.target}/same"}
        return {path: check for path, check in super().made().items() if path not in kept}


class Undo(RestoreInto):
    """The next run after a restore was cut off when all files were in their places."""

    name = "undo"
    resumes = True
    cut = re.compile(r"unlink(at)?$"), re.compile(r"/journal$")

    def prepare(self) -> None:
        """Find the call at which to cut it off."""
        super().prepare()
        scene = look(self.case)
        calls = run(super().arguments, str(self.case)).calls
        restage(self.case, scene)
        self.cut_at = self._find(calls)

    def _find(self, calls: Sequence[Call]) -> int:
        name, path = self.cut
        return next(c.number for c in calls if name.match(c.plain_name) and path.search(c.path))

    @property
    def arguments(self) -> Sequence[str]:
        """Look only, which undoes all the same."""
        return (*super().arguments, "--dry-run")

    @property
    def looks(self) -> Sequence[str] | None:
        """Nothing more is needed."""
        return None

    def reset(self) -> Scene:
        """Restore, and be killed."""
        self.original = super().reset()
        cut = run(super().arguments, str(self.case), KILL_BEFORE, self.cut_at)
        if not cut.killed:
            raise AssertionError(f"the restore was not cut off: {cut}")
        return look(self.case)

    def state(self, before: Scene, after: Scene) -> State:
        """Say whether the original is back."""
        differs = [
            path
            for path in (before.keys() | self.original.keys()) - self.kept
            if before.get(path) != after.get(path)
        ]
        leftovers = tuple(path for path in after if path not in self.original.keys() | self.kept)
        wrong = [path for path, entry in self.original.items() if after.get(path) != entry]
        # What the restore made is undone as well; the rest is what it needed for itself.
        wrong += [path for path in leftovers if path.startswith(self.target) and "/.wm" not in path]
        if not wrong:
            return State("new", leftovers)
        leftovers = tuple(path for path in after if path not in before.keys() | self.kept)
        if not differs:
            return State("old", leftovers)
        return State("half", leftovers, tuple(f"{path} is not yet what it was" for path in wrong))


class UndoHalf(Undo):
    """The same, cut off when the second file had been put in its place."""

    name = "undo-half"

    def _find(self, calls: Sequence[Call]) -> int:
        journal = super()._find(calls)
        moves = [c for c in calls if c.number < journal and c.name.startswith(("link", "rename"))]
        return moves[-2].number


class KeyCreate(Scenario):
    """The first signing key of a user, who has no configuration yet."""

    name = "key-create"
    next_run_ends = frozenset({0, 1})  # where it was complete, there is a key already
    next_run_locks = False
    resumes = True

    def prepare(self) -> None:
        """Nothing is there."""

    @property
    def arguments(self) -> Sequence[str]:
        """Make a key."""
        return ("key", "create")

    def made(self) -> Mapping[str, Check]:
        """Return the key, its public file and the file of trusted keys."""
        base = "home/.config"
        return {
            base: is_folder,
            f"{base}/wmbackup": is_folder,
            f"{base}/wmbackup/signing_key": self._check_key,
            f"{base}/wmbackup/signing_key.pub": self._check_public,
            f"{base}/wmbackup/allowed_signers": self._check_trust,
        }

    def _check_key(self, _entry: Entry | None) -> str | None:
        try:
            keys.load(str(self.config / "signing_key"))
        except WmbackupError as error:
            return str(error)
        return None

    def _check_public(self, entry: Entry | None) -> str | None:
        if entry is None or entry.data is None:
            return "is missing"
        if self._check_key(None) is not None:
            return "its key is missing"
        key = keys.load(str(self.config / "signing_key"))
        words = entry.data.decode().split()
        from wmbackup.archive import sshsig

        same = words[:2] == sshsig.public_line(key.public).split()
        return None if same and entry.data.endswith(b"\n") else "is of another key"

    def _check_trust(self, entry: Entry | None) -> str | None:
        if entry is None:
            return "is missing"
        if self._check_key(None) is not None:
            return "its key is missing"
        key = keys.load(str(self.config / "signing_key"))
        try:
            trusted = read_policy(str(self.config / "allowed_signers")).signers
        except WmbackupError as error:
            return str(error)
        return None if any(s.key == key.public for s in trusted) else "does not trust the key"

    def state(self, before: Scene, after: Scene) -> State:
        """Folders alone are nothing."""
        found = super().state(before, after)
        files = [path for path in self.made() if path in after and not after[path].is_folder]
        return State("old", found.leftovers) if not files else found


class KeyTrust(_WithKey):
    """One more trusted key."""

    name = "key-trust"
    next_run_locks = False

    def prepare(self) -> None:
        """Make another key."""
        super().prepare()
        own = self.config.parent
        moved = own.with_name("moved")
        own.rename(moved)
        self.plainly("key", "create")
        other = (self.config / "signing_key.pub").read_text()
        shutil.rmtree(own)
        moved.rename(own)
        self.line = f"other {' '.join(other.split()[:2])}"
        (self.case / "other.pub").write_text(self.line + "\n")
        self.old = (self.config / "allowed_signers").read_bytes()

    @property
    def arguments(self) -> Sequence[str]:
        """Trust it."""
        return ("key", "trust", str(self.case / "other.pub"))

    def made(self) -> Mapping[str, Check]:
        """Return the file of trusted keys."""
        return {"home/.config/wmbackup/allowed_signers": self._check}

    def _check(self, entry: Entry | None) -> str | None:
        if entry is None or entry.data is None or not entry.data.startswith(self.old):
            return "has lost who was trusted"
        added = entry.data.removeprefix(self.old).decode().split()
        name, *_options, kind, key = added or [""] * 3
        return None if [name, kind, key] == self.line.split() else f"says {added}"


SCENARIOS: tuple[type[Scenario], ...] = (
    Backup,
    BackupOver,
    RestoreNew,
    RestoreInto,
    Undo,
    UndoHalf,
    KeyCreate,
    KeyTrust,
)


@dataclass
class Verdict:
    """What one fault led to."""

    outcome: str
    problems: list[str] = field(default_factory=list)


_SAYS_DONE = re.compile(
    r"complete|in (its|their) place|was restored|were restored|was put back|could not put them back"
)
_LET_BE = "another machine, and was not undone"
_ERROR = re.compile(r"^wmbackup: error: \S", re.MULTILINE)
_MACHINE = {"ENOSPC", "EIO", "EMFILE", "EDQUOT", "EINTR"}


def _is_ledger(entry: Entry) -> bool:
    """Whether a ledger is whole: it is replaced at once, whatever happens."""
    try:
        records.parse(entry.data or b"")
    except ValueError:
        return False
    return True


def judge(  # noqa: C901, PLR0912 - one rule after the other
    scenario: Scenario, fault: Fault, call: Call, done: Ran, before: Scene, after: Scene
) -> Verdict:
    """Hold a disturbed run against what it promises."""
    state = scenario.state(before, after)
    problems: list[str] = []
    verdict = Verdict("", problems)
    problems += [f"open to others: {what}" for what in scenario.open_to_others(before, after)]
    if LEDGER in after and not _is_ledger(after[LEDGER]):
        problems.append("the ledger cannot be read any more")
    if "Traceback" in done.stderr or "this is a bug" in done.stderr:
        problems.append("it calls it a bug")
    if done.killed and fault.kills:
        verdict.outcome = f"killed: {state.name}"
        return verdict
    if done.code is None:
        verdict.outcome = f"ended by signal {done.signal}"
        problems.append("it hangs" if done.signal == 14 else "it died")
        return verdict
    verdict.outcome = f"exit {done.code}: {state.name}"
    # What was there before, and will be gone when the next run has gone on, is no news.
    new = [
        path
        for path in state.leftovers
        if path not in before or (done.code == 0 and not path.endswith(".lock"))
    ]
    unnamed = [path for path in new if not _is_named(path, done.stderr)]
    if unnamed:
        problems.append(f"left over and not named: {', '.join(unnamed)}")
    if done.code == 0:
        # What may not be opened is somebody else's, where the file system keeps no owners. It is
        # named, and the next run that may open it puts everything back.
        let_be = not scenario.keeps_modes and fault.name == "EACCES" and _LET_BE in done.stderr
        if state.name != "new" and not let_be:
            problems.append(f"exit 0, and {state}")
        return verdict
    if fault.must_succeed(call):
        problems.append("a call that is made again, or a short one, ended the run")
    if done.code == 3:
        if state.name not in {"partial", "new"}:
            problems.append(f"exit 3, and {state}")
        if fault.name != "EACCES":
            problems.append("skips files for trouble of the machine")
        return verdict
    if not _ERROR.search(done.stderr):
        problems.append("no error was reported")
    allowed = {1} if fault.name.split()[0] in _MACHINE else {1, 2, 7}
    if done.code not in allowed:
        problems.append(f"exit {done.code} for {fault.name}")
    if state.name == "new" and not _SAYS_DONE.search(done.stderr):
        problems.append("failed, and does not say that the new state is in place")
    if state.name in {"half", "partial"} and not (fault.lasting or scenario.resumes):
        problems.append(f"half done: {state}")
    return verdict


def _is_named(path: str, stderr: str) -> bool:
    """Whether a file is reported, or a folder of ours that it is in."""
    parts = Path(path).parts
    return parts[-1] in stderr or any(".wmbackup-" in part and part in stderr for part in parts)


def try_again(scenario: Scenario, before: Scene) -> list[str]:
    """Go on after a disturbed run, undisturbed; return what is wrong then."""
    problems = []
    if scenario.looks is not None:
        done = run(scenario.looks)
        state = scenario.state(before, look(scenario.case))
        left = [path for path in state.leftovers if not path.startswith("home/")]
        if done.code != 0 or state.name not in {"old", "new"} or left:
            problems.append(f"the next look ends with {done.code}: {state}: {done.stderr.strip()}")
    done = run(scenario.again)
    state = scenario.state(before, look(scenario.case))
    # An empty lock stays until somebody needs it, which is not where nothing is left to be done,
    # and so does the file beside it by which a run found out whether modes are kept.
    locks = scenario.next_run_locks
    left = [path for path in state.leftovers if locks or "/locks/" not in path]
    if done.code not in scenario.next_run_ends or state.name != "new" or left:
        problems.append(f"the next run ends with {done.code}: {state}: {done.stderr.strip()}")
    return problems
