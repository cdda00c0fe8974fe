"""Notes of a job that can be stopped and repeated: what it has done so far."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Notes:
    """A JSON object in a file of its own, which is always replaced as a whole."""

    def __init__(self, folder: Path, job: str) -> None:
        """`job`: what distinguishes this job from others that keep their notes in the same folder."""
        self._path = folder / (hashlib.sha256(job.encode()).hexdigest()[:16] + ".json")
        self._written = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since they were written, or since the job began."""
        return time.monotonic() - self._written

    def read(self) -> dict[str, Any]:
        """Empty when missing or unreadable: then all is done again, which changes nothing."""
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
