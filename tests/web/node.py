"""The tools that check the page's program: `npm ci` in tests/web, once, when package-lock.json is newer than what is installed."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
STAMP = MODULES / ".installed"
ROOT = HERE.parent.parent
LINTED = ("apiserver/web/static", "tests/web/js")


def installed() -> Path:
    """The folder node_modules with everything that package-lock.json names."""
    lock = HERE / "package-lock.json"
    if STAMP.is_file() and STAMP.stat().st_mtime >= lock.stat().st_mtime:
        return MODULES
    npm = shutil.which("npm")
    assert npm, "the page's checks need Node 20 or newer with npm: apt-get install nodejs npm"
    with (HERE / ".npm.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (STAMP.is_file() and STAMP.stat().st_mtime >= lock.stat().st_mtime):
            subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund"], cwd=HERE, check=True)
            STAMP.touch()
    return MODULES


def run(*command: str) -> int:
    """A tool of node_modules, from the root of the repository."""
    return subprocess.run([str(installed() / ".bin" / command[0]), *command[1:]], cwd=ROOT).returncode


def check() -> int:
    """Types and lint of the page's program."""
    return run("tsc", "-p", "tests/web") or run(
        "eslint", "--no-warn-ignored", "--no-error-on-unmatched-pattern", "--max-warnings=0", "--config=tests/web/eslint.config.js", *LINTED
    )


if __name__ == "__main__":
    sys.exit(check())
