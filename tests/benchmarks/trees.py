"""The stores that are measured: made from a seed, the same on every machine, and kept.

Nothing in them is recognized as a license: what is measured is carrying files, not reading them.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

_SEED = 20061028
_MTIME = 1_161_993_600  # seconds; a day in 2006
_A_FOLDER = 500  # files in a folder
_SMALL = (500, 7900)  # bytes; 4.2 kB on average
_LARGE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Tree:
    """A store on disk."""

    label: str
    path: str
    files: int

    def some_file(self) -> str:
        """Return the path of one file in the middle of it, relative to the store."""
        return _name(self.files // 2)


def small(cache: str, files: int) -> Tree:
    """Return a store of so many small files, made where it is missing."""
    return _made(Tree(f"{files:,} files", os.path.join(cache, f"store-{files}"), files), _SMALL)


def large(cache: str, files: int = 200) -> Tree:
    """Return a store of files of 1 MiB each."""
    tree = Tree(f"{files} files of 1 MiB", os.path.join(cache, f"store-{files}-of-1-mib"), files)
    return _made(tree, (_LARGE, _LARGE))


def one_file(cache: str, size: int) -> Tree:
    """Return a store of one sparse file."""
    label = f"one file of {size // 1024**2:,} MiB"
    tree = Tree(label, os.path.join(cache, f"store-one-{size}"), 1)
    if not os.path.isdir(tree.path):
        with _draft(tree) as draft:
            path = os.path.join(draft, _name(0))
            os.makedirs(os.path.dirname(path))
            with open(path, "wb") as file:
                file.truncate(size)
    return tree


@contextlib.contextmanager
def _draft(tree: Tree) -> Iterator[str]:
    """Give a folder that becomes the store when it is whole, and vanishes otherwise."""
    draft = f"{tree.path}.new-{os.getpid()}"
    try:
        yield draft
        os.rename(draft, tree.path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _name(number: int) -> str:
    return f"folder-{number // _A_FOLDER:05d}/license-{number:07d}.lic"


def _made(tree: Tree, sizes: tuple[int, int]) -> Tree:
    if os.path.isdir(tree.path):
        return tree
    with _draft(tree) as draft:
        _fill(draft, tree.files, sizes)
    return tree


def _fill(draft: str, files: int, sizes: tuple[int, int]) -> None:
    chance = random.Random(_SEED)  # noqa: S311 - the same files every time are the point
    for number in range(files):
        path = os.path.join(draft, _name(number))
        if number % _A_FOLDER == 0:
            os.makedirs(os.path.dirname(path))
        # Digits compress to half, as licenses do, which are mostly base64. The line before them
        # says that this is none.
        size = chance.randint(*sizes)
        text = b"nothing that is known: %07d\n" % number
        with open(path, "wb", buffering=0) as file:
            file.write((text + chance.randbytes(size // 2).hex().encode())[:size])
        moment = (_MTIME + number) * 1_000_000_000 + number
        os.utime(path, ns=(moment, moment))
