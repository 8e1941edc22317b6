"""Change the program in small ways, one at a time, and look whether a test notices.

    python tests/faults/mutate.py                        archive, trust and journal, for hours
    python tests/faults/mutate.py --share 0.1 --seed 3   a tenth of it
    python tests/faults/mutate.py --minutes 40 --seed 3  some, by chance
    python tests/faults/mutate.py --module trust/policy.py

A change that no test notices survives. Those of which that is known to be right are in
survivors.txt, with the reason. See README.md here.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import json
import math
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import begin
from forks import forked

MODULES = ("archive/*.py", "trust/*.py", "stores/journal.py")
TESTS = ("tests/unit", "tests/property", "tests/vectors", "tests/contract")
_KNOWN = Path(__file__).with_name("survivors.txt")
_BUDGET = 60.0
"""The seconds of tests that one change is tried with, the quickest first."""
_HANGS = 4  # times that, and it counts as noticed

_COMPARED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_CALCULATED: Mapping[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed module. ``where`` is a function, ``what`` says the change, without line numbers."""

    path: str
    line: int
    where: str
    what: str
    source: str

    @property
    def name(self) -> str:
        """What it is known by."""
        return f"{self.path}: {self.where}: {self.what}"


def mutants(path: str, text: str) -> Iterator[Mutant]:
    """Yield every small change of a module."""
    tree = ast.parse(text)
    nodes = [node for node in ast.walk(tree) if not _is_inert(node)]
    functions = _functions(tree)
    left_out = [node for node in ast.walk(tree) if _is_inert(node)]
    left_out += [node for owner in ast.walk(tree) if (node := _annotation(owner)) is not None]
    inert = {id(inner) for node in left_out for inner in ast.walk(node)}
    for node in nodes:
        if id(node) in inert:
            continue
        for changed in _changes(node):
            new = _Swap(node, changed).visit(copy_of(tree, node))
            old_text, new_text = ast.unparse(node), ast.unparse(changed)
            line: int = getattr(node, "lineno", 0)
            what = f"{_short(old_text)} -> {_short(new_text)}"
            where = functions.get(id(node), "module")
            yield Mutant(path, line, where, what, ast.unparse(ast.fix_missing_locations(new)))


def _functions(tree: ast.Module) -> dict[int, str]:
    """Return for each node in a function, by its identity, what the innermost one is called."""
    return {
        id(inner): node.name
        for node in ast.walk(tree)  # from the outside to the inside
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
    }


def copy_of(tree: ast.Module, node: ast.AST) -> ast.Module:
    """Copy a tree in which one node stays the same object, so that it is found again."""
    return copy.deepcopy(tree, {id(node): node})


class _Swap(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old = old
        self._new = new

    def visit(self, node: ast.AST) -> Any:
        """Replace the one node."""
        return self._new if node is self._old else self.generic_visit(node)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else line[:87] + "..."


def _is_inert(node: ast.AST) -> bool:
    """Whether nothing that runs depends on it: docstrings, imports, and what is for types."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.Import | ast.ImportFrom)


def _annotation(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.FunctionDef):
        return node.returns
    return node.annotation if isinstance(node, ast.AnnAssign | ast.arg) else None


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a node may be changed to."""
    yield from _changed_expression(node)
    match node:
        case ast.If(test=test) if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield ast.If(ast.UnaryOp(ast.Not(), test), node.body, node.orelse)
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Continue():
            yield ast.Pass()
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield ast.Return(ast.Constant(None))


def _changed_expression(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARED:
            yield ast.Compare(node.left, [_COMPARED[type(op)]()], node.comparators)
        case ast.BoolOp():
            for left_out in range(len(node.values)):
                rest = [value for at, value in enumerate(node.values) if at != left_out]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.BinOp(op=op) if type(op) in _CALCULATED:
            yield ast.BinOp(node.left, _CALCULATED[type(op)](), node.right)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads a changed module in place of the installed one."""

    def __init__(self, name: str, file: str, source: str) -> None:
        self._name = name
        self._file = file
        self._source = source

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        """Say that it is found here."""
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._file, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source."""
        exec(compile(self._source, self._file, "exec"), module.__dict__)  # noqa: S102 - that is it


def _pytest(
    tests: Sequence[str], *more: str, plugins: Sequence[object] = (), budget: float | None = None
) -> int:
    import pytest

    if budget is not None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(budget) + 30)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    quiet = ("-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", *more)
    where = ("-c", str(begin.ROOT / "pyproject.toml"), "--rootdir", str(begin.ROOT))
    return int(pytest.main([*where, *quiet, *tests], plugins=[*plugins]))


class Recorder:
    """Notes for each test how long it takes and which lines of the modules it runs."""

    def __init__(self, package: str) -> None:
        """Watch the modules of a package."""
        import coverage

        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self.coverage = coverage.Coverage(
            data_file=None, include=[f"{package}/*"], config_file=False
        )
        self.coverage.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Begin with a test."""
        self._began = time.monotonic()
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """End with it."""
        self.seconds[nodeid] = time.monotonic() - self._began

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Leave out what fails as things are: it would notice everything."""
        if report.failed:
            self.failed.append(report.nodeid)

    def lines(self) -> dict[str, dict[str, list[str]]]:
        """Return for each file and line the tests that run it."""
        self.coverage.stop()
        data = self.coverage.get_data()
        return {
            file: {str(line): tests for line, tests in data.contexts_by_lineno(file).items()}
            for file in data.measured_files()
        }


def _record(package: Path, tests: Sequence[str]) -> dict[str, Any]:
    recorder = Recorder(str(package))
    _pytest([str(begin.ROOT / path) for path in tests], plugins=[recorder])
    return {"failed": recorder.failed, "seconds": recorder.seconds, "lines": recorder.lines()}


def _try(mutant: Mutant, package: Path, tests: Sequence[str]) -> str:
    """Run tests against a changed module; return what came of it."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            name = "wmbackup." + mutant.path.removesuffix(".py").replace("/", ".")
            name = name.removesuffix(".__init__")
            sys.meta_path.insert(0, _Loader(name, str(package / mutant.path), mutant.source))
            code = _pytest(tests, "-x", budget=_BUDGET * _HANGS)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "hangs" if os.WTERMSIG(status) == signal.SIGALRM else "noticed"
    return "survives" if os.WEXITSTATUS(status) == 0 else "noticed"


def _within_budget(tests: Sequence[str], seconds: Mapping[str, float]) -> list[str]:
    chosen = []
    left = _BUDGET
    for test in sorted(tests, key=lambda test: seconds[test]):
        left -= seconds[test]
        if left < 0:
            break
        chosen.append(str(begin.ROOT / test))
    return chosen


def _part(
    chosen: Sequence[Mutant],
    package: Path,
    record: Mapping[str, Any],
    part: int,
    options: argparse.Namespace,
) -> dict[str, Any]:
    until = time.monotonic() + options.minutes * 60 if options.minutes else math.inf
    import pytest  # noqa: F401 - so that no child has to load it

    outcomes: dict[str, int] = {}
    survivors = []
    for mutant in chosen[part :: options.jobs]:
        if time.monotonic() > until:
            break
        lines = record["lines"].get(str(package / mutant.path), {})
        tests = [test for test in lines.get(str(mutant.line), []) if test in record["seconds"]]
        if not tests and str(mutant.line) in lines:  # it runs when the module is loaded
            tests = [*record["seconds"].keys() & {test for some in lines.values() for test in some}]
        outcome = "not run" if not tests else ""
        outcome = outcome or _try(mutant, package, _within_budget(tests, record["seconds"]))
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if outcome in {"survives", "not run"}:
            survivors.append([outcome, mutant.line, mutant.name])
            print(f"{outcome}: line {mutant.line}: {mutant.name}", file=sys.stderr, flush=True)  # noqa: T201
    return {"outcomes": outcomes, "survivors": survivors}


def known() -> dict[str, str]:
    """Return the survivors that are right, with the reasons."""
    found = {}
    reason = ""
    for line in _KNOWN.read_text().splitlines() if _KNOWN.exists() else []:
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            found[line.strip()] = reason
    return found


def main() -> int:
    """Do it; return the exit code."""
    begin.in_environment("pytest")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--module", action="append", help="a module, such as trust/policy.py")
    parser.add_argument("--tests", action="append", help="a file or folder of tests; repeats")
    parser.add_argument("--share", type=float, default=1.0, help="of all changes, from 0 to 1")
    parser.add_argument("--minutes", type=float, help="stop after so many; the order is by chance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    spec = importlib.util.find_spec("wmbackup")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    files = sorted(
        {file for pattern in options.module or MODULES for file in package.glob(pattern)}
    )
    chance = random.Random(options.seed)  # noqa: S311 - a choice of tests
    chosen = [
        mutant
        for file in files
        for mutant in mutants(str(file.relative_to(package)), file.read_text())
        if chance.random() < options.share
    ]
    if options.minutes:
        chance.shuffle(chosen)
    with tempfile.TemporaryDirectory(prefix="mutate-") as work:
        os.chdir(work)
        (record,) = forked(lambda _part: _record(package, options.tests or TESTS), 1)
        for test in record["failed"]:
            record["seconds"].pop(test, None)
            print(f"left out, since it fails as things are: {test}", file=sys.stderr)  # noqa: T201
        parts = forked(lambda part: _part(chosen, package, record, part, options), options.jobs)
    outcomes: dict[str, int] = {}
    survivors = []
    for found in parts:
        survivors += found["survivors"]
        for outcome, count in found["outcomes"].items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    tried = sum(outcomes.values())
    reasons = known()
    rows = [
        {"outcome": outcome, "line": line, "change": name, "reason": reasons.get(name)}
        for outcome, line, name in sorted(survivors, key=lambda row: row[2])
    ]
    if options.json:
        report = {"changes": len(chosen), "tried": tried, "outcomes": outcomes, "survivors": rows}
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
    else:
        lines = [f"{tried:,} of {len(chosen):,} changes: {outcomes}"]
        for row in rows:
            reason = row["reason"] or "NO REASON IS KNOWN"
            lines.append(f"{row['outcome']}: line {row['line']}: {row['change']}: {reason}")
        sys.stdout.write("\n".join(lines) + "\n")
    return 1 if any(row["reason"] is None for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
