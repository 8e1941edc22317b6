"""Set up a fresh environment with the built wheel and run the tests against it.

The tests compare wmbackup with other programs, and fail where one is missing:
tar, bsdtar, 7z, sha256sum, ssh-keygen, openssl, man and mandoc. They run the completions in bash
(with and without bash-completion), zsh and fish; in PowerShell where it is installed, and elsewhere
its completion is held against a grammar of the language.
Arguments go to pytest.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.environment import BUILD, ROOT, Environment, run, say

# The program, and the package that has it on Debian.
ORACLES = {
    "tar": "tar",
    "bsdtar": "libarchive-tools",
    "7z": "p7zip-full",
    "sha256sum": "coreutils",
    "ssh-keygen": "openssh-client",
    "openssl": "openssl",
    "man": "man-db",
    "mandoc": "mandoc",
    "zsh": "zsh",
    "fish": "fish",
}


def main() -> None:
    """Set up and run the tests, with coverage when all of them run."""
    missing = sorted(package for name, package in ORACLES.items() if shutil.which(name) is None)
    if missing:
        say(f"missing, some tests will fail; on Debian: apt-get install {' '.join(missing)}")
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
        run(environment.program("pytest"), *pytest, *sys.argv[1:], cwd=work)
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
