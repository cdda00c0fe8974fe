"""Progress notes of a job that can be interrupted and repeated."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Notes:
    """A JSON object in its own file, replaced atomically."""

    def __init__(self, folder: Path, job: str) -> None:
        """`job`: what distinguishes this job from others that keep their notes in the same folder."""
        self._path = folder / (hashlib.sha256(job.encode()).hexdigest()[:16] + ".json")
        self._written = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since they were written, or since the job began."""
        return time.monotonic() - self._written

    def read(self) -> dict[str, Any]:
        """The notes; empty if missing or unreadable: then everything is done again, which does no harm."""
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, done: Mapping[str, Any]) -> None:
        """Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(done))
        draft.replace(self._path)
        self._written = time.monotonic()
