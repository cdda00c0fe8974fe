"""Part of `make lint`: no file of the repository holds a private key or a token of a known service."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRETS = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60,}|\bglpat-[\w-]{20}\b"
    rb"|\bxox[abprs]-[\w-]{10,}|\bsk_live_[A-Za-z0-9]{20,}|\bAIza[\w-]{35}\b|\bpypi-AgEI[\w-]{50,}|\bnpm_[A-Za-z0-9]{36}\b"
)


def secrets_in(content: bytes) -> list[int]:
    """The lines, from 1 on, with something that looks like a secret."""
    return [content.count(b"\n", 0, found.start()) + 1 for found in SECRETS.finditer(content)]


def main() -> int:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.split(b"\0")
    found = [
        f"{name.decode()}:{line}: looks like a secret"
        for name in names
        if name and (ROOT / name.decode()).is_file()
        for line in secrets_in((ROOT / name.decode()).read_bytes())
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
