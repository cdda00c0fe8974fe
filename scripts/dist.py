"""`make dist`: sdist and wheel in dist/, the same bytes for the same commit.

Built twice, from the checkout and from the unpacked sdist, and compared: what differs, or is missing from the sdist, stops the build.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(source: Path, target: Path, epoch: str) -> dict[str, str]:
    """Build both into `target`; name -> sha256 of the files. `epoch` (seconds) is the time that the archives' members get."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(target.resolve())]
    done = subprocess.run(command, cwd=source, env={**os.environ, "SOURCE_DATE_EPOCH": epoch}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(target.iterdir()) if path.suffix in (".gz", ".whl")}


def commit_time() -> str:
    """SOURCE_DATE_EPOCH if it is set, else the time of the newest commit."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return given
    return subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def make(target: Path) -> dict[str, str]:
    """Build into an emptied `target`, check that a second build gives the same; name -> sha256. SystemExit when it does not."""
    target.mkdir(parents=True, exist_ok=True)
    for path in (*target.glob("*.whl"), *target.glob("*.tar.gz")):
        path.unlink()
    epoch = commit_time()
    first = build(ROOT, target, epoch)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(next(target.glob("*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        second = build(next(Path(folder).iterdir()), Path(folder) / "again", epoch)
    if different := sorted(first.items() ^ second.items()):
        raise SystemExit(f"two builds differ: {', '.join(sorted({name for name, _ in different}))}")
    return first


if __name__ == "__main__":
    built = make(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist")
    for name, digest in built.items():
        print(f"{digest}  {name}")
