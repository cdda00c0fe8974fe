"""MLflow's file store: `mlruns/<experiment>/<run>/` with meta.yaml, metrics/, params/, tags/ and artifacts/."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from apiserver.operations.transfer.adapters.rows import (
    PARAMETERS,
    NamedColumns,
    counted,
    guarded,
    milliseconds,
    small_file,
    whole,
    yaml_object,
)
from apiserver.operations.transfer.pieces import Damaged, Facts, FoundRun, Picture, Piece, printable

_STATUS = {1: "running", 2: "running", 3: "finished", 4: "failed", 5: "interrupted"}
_WORDS = {"RUNNING": 1, "SCHEDULED": 2, "FINISHED": 3, "FAILED": 4, "KILLED": 5}
IMAGE = re.compile(r"(.+?)[%+]step[%+](\d+)[%+]timestamp[%+](\d+)[%+].*\.(png|jpe?g|webp)$")
"""File names of `mlflow.log_image(key=, step=)`: key, step, time in ms, extension."""
LOGGED_IMAGES = "mlflow.loggedImages"
"""The tag of a run that called `log_image`."""


_Point = tuple[int, float, int]
"""Time in ms, value, step."""
_SORTED = 1_000_000


class MlflowFiles:
    """Reads runs in an mlruns folder."""

    tool = "MLflow"

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        if "meta.yaml" not in files or not {"metrics", "params", "tags"} & set(folders):
            return
        meta = yaml_object(folder / "meta.yaml")
        id = meta.get("run_id") or meta.get("run_uuid")
        if not isinstance(id, str):
            if "artifact_location" in meta:  # an experiment that has tags
                return
            if "model_id" not in meta:
                raise ValueError("meta.yaml names no run")
        folders.clear()
        if not isinstance(id, str) or meta.get("lifecycle_stage") == "deleted":
            return
        files.remove("meta.yaml")
        name = meta.get("run_name") if isinstance(meta.get("run_name"), str) else None
        size = sum(path.stat().st_size for path in files_below(folder / "metrics"))
        yield FoundRun(self, folder, size=size, name=printable(name or id), project=_experiment(folder.parent), id=printable(id))

    def read(self, run: FoundRun) -> Iterator[Piece]:
        meta = yaml_object(run.path / "meta.yaml")
        damage: list[Piece] = []
        tags = dict(_texts(run.path / "tags", damage))
        params = dict(_texts(run.path / "params", damage))
        yield from damage
        yield Facts(run_facts(meta.get("status"), meta.get("start_time"), meta.get("end_time"), tags, params))
        columns = NamedColumns()
        for path in files_below(run.path / "metrics"):
            name = path.relative_to(run.path / "metrics").as_posix()
            for found in _read_metric(path):
                if not isinstance(found, list):
                    yield found
                    continue
                # Of two points of a step, MLflow shows the one with the greater (time, value), wherever in the file it is.
                for time, value, step in sorted(found):
                    columns.add(name, step, value, time)
                    if columns.full:
                        yield from columns.take()
        yield from columns.take()
        yield from artifacts_in([run.path / "artifacts"], tags, str(meta.get("artifact_uri") or run.path))
        yield from counted(
            Counter({"datasets and models of runs": len(list(files_below(run.path / "inputs")))} if (run.path / "inputs").is_dir() else {})
        )


def run_facts(status: Any, start: Any, end: Any, tags: dict[str, str], params: dict[str, str]) -> dict[str, Any]:
    """A run's facts from MLflow's status, times (ms), tags and parameters. Tags are hyper-parameters: the user's in section `tags`, MLflow's own in `mlflow`."""
    number = _WORDS.get(status, 0) if isinstance(status, str) else status
    facts: dict[str, Any] = {"status": _STATUS.get(number, "finished")}
    started, ended = milliseconds(start), milliseconds(end)
    if started is not None:
        facts |= {"created_at": started / 1000, "started_at": started / 1000}
    if ended is not None and facts["status"] != "running":
        facts["ended_at"] = ended / 1000
    own = {name: text for name, text in tags.items() if not name.startswith("mlflow.")}
    sections = {PARAMETERS: params, "tags": own, "mlflow": {n: t for n, t in tags.items() if n not in own and n != "mlflow.runName"}}
    facts["hyperparams"] = {section: values for section, values in sections.items() if values}
    return facts


def _read_metric(path: Path) -> Iterator[Piece | list[_Point]]:
    """The points of a metric's file, a million together, and its damage."""
    points: list[_Point] = []
    line_number = 0
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line_number, line in enumerate(file, 1):
                if not line.endswith("\n"):
                    yield Damaged(path, f"the line is cut off: {line[:60]!r}", line_number)
                    continue
                point = _point(line)
                if point is not None:
                    points.append(point)
                    if len(points) >= _SORTED:
                        yield points
                        points = []
                elif line.strip():
                    yield Damaged(path, f"not a metric: {line.strip()[:60]!r}", line_number)
    except OSError as error:
        yield guarded(path, error)
    else:
        if not line_number:
            yield Damaged(path, "the file is empty")
    yield points


def _point(line: str) -> _Point | None:
    """The point of a line `timestamp value [step [dataset digest]]`; None for another line."""
    parts = line.split()
    if len(parts) not in (2, 3, 5):
        return None
    try:
        value = float(parts[1])
    except ValueError:
        return None
    time = whole(parts[0])
    step = whole(parts[2]) if len(parts) > 2 else 0
    if time is None or step is None or not 0 <= time <= 253_402_300_799_999:
        return None
    return time, value, step


def _experiment(folder: Path) -> str:
    """The name of an experiment folder, from its meta.yaml, else the folder's name."""
    try:
        name = yaml_object(folder / "meta.yaml").get("name")
    except (OSError, ValueError):
        name = None
    return printable(name).strip("/ ") if isinstance(name, str) and name.strip("/ ") else printable(folder.name)


def _texts(folder: Path, damage: list[Piece]) -> Iterator[tuple[str, str]]:
    """(relative path, content) of the files below a folder; those that can't be read are added to `damage`."""
    for path in files_below(folder):
        try:
            text = small_file(path).decode("utf-8", "replace")
        except (OSError, ValueError) as error:
            damage.append(guarded(path, error))
            continue
        yield printable(path.relative_to(folder).as_posix()), text


def artifacts_in(folders: Iterable[Path], tags: Mapping[str, str], stored: str) -> Iterator[Piece]:
    """Images of `log_image` in the folders of a run's artifacts; other files are counted. `stored`: where the run says that its artifacts are."""
    kinds: Counter[str] = Counter()
    numbers: Counter[tuple[str, int]] = Counter()
    for path in (path for folder in folders for path in files_below(folder)):
        found = IMAGE.match(path.name)
        if found is None or path.parent.name != "images":
            kinds["artifacts (files)"] += 1
        elif found[4] == "webp":
            continue  # MLflow's thumbnail of an image
        else:
            place = image_key(found[1]), int(found[2])
            yield Picture(printable(place[0]), place[1], int(found[3]), path, found[4], numbers[place])
            numbers[place] += 1
    if not numbers and tags.get(LOGGED_IMAGES, "").lower() == "true":
        yield Damaged(stored, "the images of the run are kept here, which is not beside the run or its database, and were not read")
    yield from counted(kinds)


def image_key(name: str) -> str:
    """The key of an image from its file's name, in which MLflow writes `#` (newer versions `~`) for a slash."""
    return name.replace("#", "/").replace("~", "/")


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, sorted by name."""
    for here, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            yield Path(here) / name
