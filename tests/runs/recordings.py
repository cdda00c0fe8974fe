"""The recordings of Runicorn's viewer (tests/goldens/runicorn): where they are, which run is which, and the folders they were made from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

GOLDENS = Path(__file__).resolve().parent.parent / "goldens" / "runicorn"
INPUTS = GOLDENS / "inputs"
V06, V04 = GOLDENS / "v0.6.0", GOLDENS / "v0.4.1-v2"

RUNS = {
    "20251014_120000_aaaaaa": "seedsample",
    "20251014_120000_bbbbbb": "odd",
    "20251014_120000_cccccc": "nofiles",
    "20251014_120000_dddddd": "lttb1000",
    "20251014_120000_eeeeee": "mixedtype",
    "20251014_120000_ffffff": "aftertime",
    "20251014_120001_aaaaaa": "emptyfile",
    "20251014_120001_bbbbbb": "stepless",
    "20251014_120001_cccccc": "sparse",
    "20251014_120001_dddddd": "longlog",
}
SDK_RUN = "20261121_192121_edb26e"
SDK_RUN_V04 = "20261121_192201_23ca51"


def recording(path: Path) -> dict[str, Any]:
    """The request and response of a recorded call."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def make_root(root: Path) -> None:
    """A storage root with the folders that the recordings were made from."""
    for run, name in RUNS.items():
        folder = root / "runs" / "p" / "n" / run
        folder.mkdir(parents=True)
        for kind in ("events.jsonl", "logs.txt"):
            if (INPUTS / f"{name}.{kind}").exists():
                shutil.copy(INPUTS / f"{name}.{kind}", folder / kind)
        (folder / "meta.json").write_text(json.dumps({"id": run, "path": "p/n", "created_at": 1760443200.0, "pid": 1}))
        (folder / "status.json").write_text(json.dumps({"status": "finished", "started_at": 1760443200.0}))
    for run in (SDK_RUN, SDK_RUN_V04):
        folder = root / "runs" / "vision" / "resnet" / run
        folder.mkdir(parents=True)
        for kind in ("events.jsonl", "logs.txt", "meta.json", "status.json", "summary.json"):
            shutil.copy(V06 / f"sdk_run.{kind}", folder / kind)


def cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the cells that say nothing: absent and null are the same here, and numbers are doubles."""
    return {name: _value(value) for name, value in row.items() if value is not None}


def _value(value: Any) -> Any:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
