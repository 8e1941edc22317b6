"""Write the manual pages of section 1 and the completions, from the live command tree.

With --check nothing is written: what is out of date, missing or surplus is named, and the exit
code is 1 where anything is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# The tree is that of the files beside this one, whatever is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from man import model, pages, shells

ROOT = Path(__file__).resolve().parent.parent
# Where generated files live, and which files there are generated.
_GENERATED = (("man", "*.1"), ("completions", "*"))


def every() -> dict[str, str]:
    """Return every generated file by its path below the root of the project."""
    program = model.read()
    files = {f"man/{name}": text for name, text in pages.every(program).items()}
    files |= {f"completions/{name}": text for name, text in shells.every(program).items()}
    return files


def wrong(root: Path, files: dict[str, str]) -> list[str]:
    """Return what is to be said of files that are not what would be written."""
    there = {
        path.relative_to(root).as_posix()
        for folder, pattern in _GENERATED
        for path in (root / folder).glob(pattern)
    }
    found = [f"{name} is surplus" for name in there - set(files)]
    for name, text in files.items():
        if name not in there:
            found.append(f"{name} is missing")
        elif (root / name).read_bytes() != text.encode():
            found.append(f"{name} is out of date")
    return sorted(found)


def write(root: Path, files: dict[str, str]) -> None:
    """Write the files, and remove those that nothing stands for any more."""
    for folder, pattern in _GENERATED:
        (root / folder).mkdir(exist_ok=True)
        for path in (root / folder).glob(pattern):
            if path.relative_to(root).as_posix() not in files:
                path.unlink()
    for name, text in files.items():
        (root / name).write_bytes(text.encode())


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say what would change")
    parser.add_argument("--root", type=Path, default=ROOT, help="another folder than the project's")
    given = parser.parse_args()
    files = every()
    if not given.check:
        write(given.root, files)
        return 0
    found = wrong(given.root, files)
    for line in found:
        print(line)  # noqa: T201 - a script for people
    if found:
        print("write them anew with: python man/generate.py")  # noqa: T201 - as above
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
