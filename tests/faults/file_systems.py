"""The file systems on which the faults are tried, one mounted after the other."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_SIZE = 192 * 1024 * 1024  # bytes; btrfs takes no less than 109 MiB


class Refused(Exception):
    """This machine does not mount it."""

    def __init__(self, tried: str, answer: str) -> None:
        """Keep what was tried, and what came back."""
        super().__init__(f"{tried}: {answer}")
        self.tried = tried
        self.answer = answer


def _run(*command: str | Path) -> str:
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    except FileNotFoundError:
        raise Refused(" ".join(words), f"there is no program {words[0]}") from None
    if done.returncode:
        answer = " ".join((done.stderr + done.stdout).split()) or f"exit {done.returncode}"
        raise Refused(" ".join(words), answer)
    return done.stdout.strip()


@contextlib.contextmanager
def mounted(name: str, work: Path) -> Iterator[Path]:
    """Mount a file system below an empty folder; yield where. Raises Refused."""
    with contextlib.ExitStack() as stack:
        mount = work / "mount"
        mount.mkdir()
        NAMES[name](work, mount, stack)
        yield mount


_Mount = Callable[[Path, Path, contextlib.ExitStack], None]


def _memory(_work: Path, _mount: Path, _stack: contextlib.ExitStack) -> None:
    """Mount nothing: the folder is in memory already, where /dev/shm is."""


def _image(work: Path) -> Path:
    image = work / "image"
    with image.open("wb") as file:
        file.truncate(_SIZE)
    return image


def _unmount(mount: Path) -> None:
    for _ in range(50):
        with contextlib.suppress(Refused):
            _run("umount", mount)
            return
        time.sleep(0.1)  # a FUSE process may still be writing
    _run("umount", "--lazy", mount)


def _in_kernel(make: tuple[str, ...], kind: str) -> _Mount:
    def mount_it(work: Path, mount: Path, stack: contextlib.ExitStack) -> None:
        image = _image(work)
        _run(*make, image)
        _run("mount", "-t", kind, "-o", "loop", image, mount)
        stack.callback(_unmount, mount)

    return mount_it


def _by_fuse(make: tuple[str, ...], program: str, *options: str) -> _Mount:
    def mount_it(work: Path, mount: Path, stack: contextlib.ExitStack) -> None:
        image = _image(work)
        _run(*make, image)
        device = _run("losetup", "--find", "--show", image)
        stack.callback(_run, "losetup", "--detach", device)
        _run(program, *options, device, mount)
        stack.callback(_unmount, mount)

    return mount_it


def _tmpfs(_work: Path, mount: Path, stack: contextlib.ExitStack) -> None:
    _run("mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", mount)
    stack.callback(_unmount, mount)


def _bindfs(work: Path, mount: Path, stack: contextlib.ExitStack) -> None:
    below = work / "below"
    below.mkdir()
    options = ("--perms=a+rwX", "--chmod-ignore", "--chown-ignore")
    _run("bindfs", *options, below, mount)
    stack.callback(_unmount, mount)


def _overlay(work: Path, mount: Path, stack: contextlib.ExitStack) -> None:
    folders = {name: work / name for name in ("lower", "upper", "work")}
    for folder in folders.values():
        folder.mkdir()
    options = "lowerdir={lower},upperdir={upper},workdir={work}".format(**folders)
    _run("mount", "-t", "overlay", "-o", options, "overlay", mount)
    stack.callback(_unmount, mount)
    stack.callback(shutil.rmtree, folders["work"], ignore_errors=True)


NAMES: dict[str, _Mount] = {
    "memory": _memory,
    "tmpfs": _tmpfs,
    "ext4": _in_kernel(("mkfs.ext4", "-q", "-F"), "ext4"),
    "ext2": _in_kernel(("mkfs.ext2", "-q", "-F"), "ext2"),
    "btrfs": _in_kernel(("mkfs.btrfs", "-q", "-f"), "btrfs"),
    "vfat": _in_kernel(("mkfs.vfat",), "vfat"),
    "ntfs-3g": _by_fuse(("mkfs.ntfs", "-Q", "-q", "-F"), "ntfs-3g"),
    "exfat-fuse": _by_fuse(("mkfs.exfat",), "mount.exfat-fuse"),
    "bindfs": _bindfs,
    "overlay": _overlay,
}
