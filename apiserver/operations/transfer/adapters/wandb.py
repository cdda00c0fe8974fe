"""W&B: folders of offline and synced runs, `wandb/[offline-]run-<date>-<id>/` with `run-<id>.wandb` and `files/`; a resumed run has several."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from apiserver.operations.transfer import wire
from apiserver.operations.transfer.adapters.rows import (
    PARAMETERS,
    NamedColumns,
    counted,
    file_below,
    flat,
    guarded,
    json_object,
    number,
    small_file,
    summary_of,
    whole,
)
from apiserver.operations.transfer.pieces import Damaged, Facts, Figure, FoundRun, Picture, Piece, Text, printable
from apiserver.operations.transfer.wandb_records import Bad, records

T = TypeVar("T")
_RUN, _EXIT, _HISTORY, _SUMMARY, _CONFIG, _STATS, _OUTPUT, _RAW, _FILES = 17, 18, 2, 3, 5, 7, 4, 13, 6
_OTHER = {8: "artifacts", 9: "TensorBoard folders", 10: "alerts", 25: "used artifacts"}
_ABOUT = {6: "group", 7: "job_type", 9: "notes", 12: "sweep"}
"""Fields of a run's record that become parameters of the section `wandb`."""
_OWN_FILES = (
    "requirements.txt",
    "conda-environment.yaml",
    "wandb-metadata.json",
    "wandb-summary.json",
    "config.yaml",
    "output.log",
    "diff.patch",
)
_OWN_FOLDERS = ("media/", "logs/", "artifact/")
"""Files that W&B writes into `files/` by itself."""
_OWN = ("_step", "_timestamp", "_runtime", "_wandb")
"""Names in rows and summaries that W&B adds."""
_OVERLAYS = ("masks", "boxes", "all_masks", "all_boxes")
_DATE = re.compile(r"\d{8}_\d{6}")
_IMAGES = ("image-file", "images/separated", "images")
SILENT = 86_400.0
"""A run without an exit record that has not written for this many seconds counts as interrupted."""
MAX_LINE = 1 << 16
"""Most characters that are kept of an incomplete console line."""


class Wandb:
    """Reads .wandb files."""

    tool = "W&B"

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        for name in sorted(files):
            if name.startswith("run-") and name.endswith(".wandb"):
                files.remove(name)
                folders[:] = [other for other in folders if other not in ("files", "logs", "tmp")]
                yield self._run(folder / name)

    def _run(self, path: Path) -> FoundRun:
        """The run of a file. Its id is made from project and W&B id, because a resumed run has several folders."""
        id, name, project = path.stem.removeprefix("run-"), "", ""
        try:
            for record in records(path):
                fields = {} if isinstance(record, Bad) else dict(wire.fields(record))
                if _RUN in fields:
                    run = _texts(wire.message(fields[_RUN]))
                    id, name, project = run.get(1, id), run.get(8, ""), "/".join(filter(None, (run.get(2), run.get(3))))
                    break
        except (OSError, ValueError):
            pass  # reported when it is read
        digest = hashlib.sha256(f"{project}/{id}".encode()).hexdigest()[:16]
        size = path.stat().st_size
        return FoundRun(
            self,
            path,
            size=size,
            name=printable(name or id),
            project=printable(project) or "W&B",
            id=f"{printable(id)[:100]}~{digest}",
            files=[path],
        )

    def read(self, run: FoundRun) -> Iterator[Piece]:
        return _Reader(run).read()


def joined(runs: Iterable[T]) -> list[T]:
    """The runs, with all files of a resumed W&B run in one, by the dates in their folders' names: steps, samples and log lines continue. Of copies of a
    folder, the largest counts."""
    found: list[T] = []
    known: dict[str, FoundRun] = {}
    for run in runs:
        if not isinstance(run, FoundRun) or not isinstance(run.adapter, Wandb) or run.id not in known:
            found.append(run)
            if isinstance(run, FoundRun) and isinstance(run.adapter, Wandb):
                known[run.id] = run
            continue
        first = known[run.id]
        by_date = {_date(path) or str(path): path for path in sorted([*first.files, *run.files], key=lambda path: path.stat().st_size)}
        first.files = [path for _, path in sorted(by_date.items())]
        first.path, first.size = first.files[0], sum(path.stat().st_size for path in first.files)
    return found


def _date(path: Path) -> str:
    found = _DATE.search(path.parent.name)
    return found[0] if found else ""


class _Reader:
    def __init__(self, run: FoundRun) -> None:
        self._run = run
        self._path = run.path
        self._columns = NamedColumns()
        self._kinds: Counter[str] = Counter()
        self._config: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}
        self._facts: dict[str, Any] = {}
        self._time = 0
        self._row = self._sample = 0
        self._line = ""
        self._others: set[str] = set()
        """Names in rows that had lists or media, which the summary repeats."""

    def read(self) -> Iterator[Piece]:
        for path in self._run.files:
            self._path, self._facts["status"] = path, "running"
            yield from self._records()
            if self._line:
                yield Text(self._line, self._time)
                self._line = ""
        yield from self._columns.take()
        yield from self._described()
        yield from counted(+self._kinds)

    def _records(self) -> Iterator[Piece]:
        try:
            for record in records(self._path):
                if isinstance(record, Bad):
                    yield Damaged(self._path, f"data from offset {record.offset:,} on are lost: {record.reason}")
                    continue
                try:
                    for kind, value in wire.fields(record):
                        yield from self._take(kind, value)
                except ValueError as error:
                    yield Damaged(self._path, f"a record can't be read: {error}")
                if self._columns.full:
                    yield from self._columns.take()
        except (OSError, ValueError) as error:
            yield guarded(self._path, error)

    def _take(self, kind: int, value: Any) -> Iterator[Piece]:
        if kind == _HISTORY:
            yield from self._history(wire.message(value))
        elif kind in (_OUTPUT, _RAW):
            yield from self._output(wire.message(value))
        elif kind == _RUN:
            self._described_by(wire.message(value))
        elif kind in (_CONFIG, _SUMMARY):
            into = self._config if kind == _CONFIG else self._summary
            for number_, item in wire.fields(wire.message(value)):
                if number_ == 1:
                    _put(into, *_item(wire.message(item)))
                elif number_ == 2:
                    _remove(into, _item(wire.message(item))[0])
        elif kind == _STATS:
            self._stats(wire.message(value))
        elif kind == _EXIT:
            codes = [code for number_, code in wire.fields(wire.message(value)) if number_ == 1]
            self._facts["status"] = "failed" if any(codes) else "finished"
        elif kind == _FILES:
            self._saved(wire.message(value))
        elif kind in _OTHER:
            self._kinds[_OTHER[kind]] += 1

    def _saved(self, data: bytes) -> None:
        """Count the files of `wandb.save`; media are read with their rows."""
        for number_, item in wire.fields(data):
            path = _texts(wire.message(item)).get(1, "") if number_ == 1 else ""
            self._kinds["files"] += bool(path) and path not in _OWN_FILES and not path.startswith(_OWN_FOLDERS)

    def _described_by(self, data: bytes) -> None:
        tags = []
        for number_, value in wire.fields(data):
            if number_ == 4:
                for field, item in wire.fields(wire.message(value)):
                    if field == 1:
                        _put(self._config, *_item(wire.message(item)))
            elif number_ == 10:
                tags.append(wire.text(value))
            elif number_ == 17:
                start = _moment(wire.message(value)) / 1000
                self._facts = {"started_at": start, "created_at": start, **self._facts}
                self._time = self._time or _moment(wire.message(value))
            elif number_ in _ABOUT:
                self._config.setdefault("_wandb", {})[_ABOUT[number_]] = wire.text(value)
        if tags:
            self._facts["tags"] = tags

    def _described(self) -> Iterator[Piece]:
        own = self._config.pop("_wandb", None)
        sections = {PARAMETERS: self._config}
        about = {name: text for name, text in (own or {}).items() if name in _ABOUT.values() and text}
        if about:
            sections["wandb"] = about
        if self._facts["status"] == "running" and self._path.stat().st_mtime < time.time() - SILENT:
            self._facts["status"] = "interrupted"  # it has no exit record
        if self._facts["status"] != "running" and self._time:
            self._facts["ended_at"] = self._time / 1000
        values = dict(flat({name: value for name, value in self._summary.items() if name not in _OWN}))
        logged = {name for name, value in values.items() if name in self._others and isinstance(value, (dict, list))}
        summary, left_out = summary_of({name: value for name, value in values.items() if name not in logged})
        self._kinds.update(left_out)
        yield Facts({**self._facts, "hyperparams": {name: values for name, values in sections.items() if values}, "summary": summary})

    # --- metrics and media

    def _history(self, data: bytes) -> Iterator[Piece]:
        row: dict[str, Any] = {}
        step: int | None = None
        for number_, value in wire.fields(data):
            if number_ == 1:
                _put(row, *_item(wire.message(value)))
            elif number_ == 2:
                step = sum(wire.signed(part) for field, part in wire.fields(wire.message(value)) if field == 1)
        step = step if step is not None else whole(row.get("_step"))
        step = self._row if step is None else step
        self._row = step + 1
        moment = number(row.get("_timestamp"))
        if moment is not None and 0 < moment < 253_402_300_799:
            self._time = round(moment * 1000)
        for name, value in flat({name: value for name, value in row.items() if name not in _OWN}):
            found = number(value)
            if found is not None:
                self._columns.add(name, step, found, self._time)
            elif isinstance(value, dict) and "_type" in value:
                self._others.add(name)
                yield from self._media(printable(name), step, value)
            elif value is not None:
                self._others.add(name)
                self._kinds["texts in rows" if isinstance(value, str) else "lists in rows"] += 1

    def _media(self, name: str, step: int, value: dict[str, Any]) -> Iterator[Piece]:
        kind = str(value["_type"])
        try:
            if kind in _IMAGES:
                self._kinds["masks and boxes of images"] += any(value.get(name) for name in _OVERLAYS)
                paths = value.get("filenames") or [value.get("path")]
                captions = value.get("captions") or [value.get("caption")]
                for place, path in enumerate(paths if isinstance(paths, list) else []):
                    caption = captions[place] if isinstance(captions, list) and place < len(captions) else None
                    text = caption if isinstance(caption, str) else ""
                    yield Picture(name, step, self._time, self._file(path), Path(str(path)).suffix[1:] or "png", place, text)
            elif kind == "histogram":
                yield Figure(name, name, step, self._time, _histogram(value))
            elif kind == "plotly-file":
                yield Figure(name, name, step, self._time, json_object(small_file(self._file(value.get("path")))))
            else:
                self._kinds[f"media of the type {kind}"] += 1
        except (OSError, ValueError) as error:
            yield guarded(self._path, ValueError(f"{name} at step {step}: {error}"))

    def _file(self, path: Any) -> Path:
        """A file in the run's `files/`. Raises ValueError."""
        return file_below(self._path.parent / "files", path)

    def _stats(self, data: bytes) -> None:
        moment, values = self._time, []
        for number_, value in wire.fields(data):
            if number_ == 2:
                moment = _moment(wire.message(value))
            elif number_ == 3:
                values.append(_item(wire.message(value)))
        for path, value in values:
            found = number(value)
            if found is not None:
                self._columns.add("system/" + "/".join(path), self._sample, found, moment)
        self._sample += 1

    # --- the console

    def _output(self, data: bytes) -> Iterator[Piece]:
        text, moment = "", self._time
        for number_, value in wire.fields(data):
            if number_ == 2:
                moment = _moment(wire.message(value))
            elif number_ == 3:
                text = wire.text(value)
        lines = re.split(r"\r?\n", self._line + text)
        self._line = lines.pop()[-MAX_LINE:]
        for line in lines:
            if line.strip():
                yield Text(line, moment)
        self._time = max(self._time, moment)


def _item(data: bytes) -> tuple[list[str], Any]:
    """The key of an item, as a path, and its value. Raises ValueError."""
    path: list[str] = []
    value: Any = None
    for number_, part in wire.fields(data):
        if number_ in (1, 2):
            path.append(wire.text(part))
        elif number_ == 16:
            try:
                value = json.loads(wire.message(part))
            except (ValueError, RecursionError):
                raise ValueError("a value is not JSON") from None
    return path, value


def _put(into: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        inner = into.get(name)
        if not isinstance(inner, dict):
            inner = into[name] = {}
        into = inner
    if path:
        into[path[-1]] = value


def _remove(of: dict[str, Any], path: list[str]) -> None:
    for name in path[:-1]:
        of = of.get(name, {})
        if not isinstance(of, dict):
            return
    if path:
        of.pop(path[-1], None)


def _texts(data: bytes) -> dict[int, str]:
    return {kind: value.decode("utf-8", "replace") for kind, value in wire.fields(data) if isinstance(value, bytes)}


def _moment(data: bytes) -> int:
    """A google.protobuf.Timestamp in ms."""
    parts = {kind: wire.signed(value) for kind, value in wire.fields(data) if isinstance(value, int)}
    return min(max(0, parts.get(1, 0) * 1000 + parts.get(2, 0) // 1_000_000), 253_402_300_799_999)


def _histogram(value: dict[str, Any]) -> dict[str, Any]:
    edges, counts = value.get("bins"), value.get("values")
    if not isinstance(edges, list) or not isinstance(counts, list) or len(edges) != len(counts) + 1 or None in map(number, edges):
        raise ValueError("a histogram without bins")
    pairs = list(itertools.pairwise(edges))
    bars = {"type": "bar", "x": [(low + high) / 2 for low, high in pairs], "y": counts, "width": [high - low for low, high in pairs]}
    return {"data": [bars], "layout": {"bargap": 0, "xaxis": {"title": {"text": "value"}}, "yaxis": {"title": {"text": "count"}}}}
