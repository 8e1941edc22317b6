"""Set up a fresh environment with the built wheel and run the tests against it.

The tests compare wmbackup with other programs, and fail where one is missing:
tar, bsdtar, 7z, sha256sum, ssh-keygen, openssl, age, restic, systemd-analyze, man and mandoc. They
run completions in bash (with and without bash-completion), zsh and fish; in PowerShell where it is
installed, and elsewhere its completion is held against a grammar of the language. As root on
Debian, as in a container, what is missing is installed; elsewhere it is named.
Arguments go to pytest: ``python3 tests/run.py tests/unit -k salvage``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.environment import BUILD, ROOT, Environment, run, say

# The program, or a file of it, and the package that has it on Debian.
ORACLES = {
    "tar": "tar",
    "bsdtar": "libarchive-tools",
    "7z": "p7zip-full",
    "sha256sum": "coreutils",
    "git": "git",
    "ssh-keygen": "openssh-client",
    "openssl": "openssl",
    "age": "age",
    "man": "man-db",
    "mandoc": "mandoc",
    "restic": "restic",
    "systemd-analyze": "systemd",
    "zsh": "zsh",
    "fish": "fish",
    "/usr/share/bash-completion/bash_completion": "bash-completion",
}


def provide() -> None:
    """Install what the tests compare with, where that can be done unasked; name the rest."""
    missing = _missing()
    apt_get = shutil.which("apt-get")
    if missing and apt_get is not None and hasattr(os, "geteuid") and os.geteuid() == 0:
        say(f"installing {' '.join(missing)} …")
        install = ("install", "-y", "-qq", "--no-install-recommends", *missing)
        for arguments in (("update", "-qq"), install):
            subprocess.run(
                [apt_get, *arguments],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdout=subprocess.DEVNULL,
                check=False,
            )
        missing = _missing()
    if missing:
        say(f"missing, some tests will fail; on Debian: apt-get install {' '.join(missing)}")


def _missing() -> list[str]:
    def is_there(name: str) -> bool:
        return Path(name).exists() if name.startswith("/") else shutil.which(name) is not None

    return sorted(package for name, package in ORACLES.items() if not is_there(name))


def _absolute(argument: str) -> str:
    # A path is meant from where one stands, and pytest runs elsewhere.
    path, colons, test = argument.partition("::")
    return f"{Path(path).resolve()}{colons}{test}" if Path(path).exists() else argument


def main() -> None:
    """Set up and run the tests, with coverage when all of them run."""
    # A shell starts what runs in its background with Ctrl-C ignored, and the tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    provide()
    say("setting up build/test …")
    environment = Environment("test")
    environment.pip("--group", f"{ROOT / 'pyproject.toml'}:test")
    environment.install()
    # From another folder, so that the checkout cannot stand in for the installed package.
    work = BUILD / "test-work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    configuration = ROOT / "pyproject.toml"
    coverage = environment.program("coverage")
    pytest = ("-c", configuration, "--rootdir", ROOT, "-p", "no:cacheprovider")
    if len(sys.argv) > 1:
        run(environment.program("pytest"), *pytest, *map(_absolute, sys.argv[1:]), cwd=work)
        return
    rules = f"--rcfile={configuration}"
    tests = (environment.program("pytest"), *pytest, ROOT / "tests")
    try:
        run(coverage, "run", rules, *tests, cwd=work)
    finally:  # the figures are worth having also when a test has failed
        run(coverage, "combine", "--quiet", rules, cwd=work)
        # The generator of the manual reads the checkout; what counts is the installed package.
        run(coverage, "report", rules, "--include=*/site-packages/wmbackup/*", cwd=work)


if __name__ == "__main__":
    main()
