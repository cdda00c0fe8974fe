"""Aim: a repository (`.aim/`) has two RocksDBs per run, one for facts and one for sequences, and the runs' names in `run_metadata.sqlite`.

A key is a path: its parts are texts, or integers (0xFE and eight bytes), each ended by 0xFE. The first byte of a value is its type; large values are stored
below `BLOBS`. A sequence is three lists (`step`, `val`, `time`) whose keys are hashes of the step, in older versions the step itself.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from apiserver.common.words import many
from apiserver.operations.transfer.adapters.rows import PARAMETERS, NamedColumns, counted, flat, milliseconds, number, whole
from apiserver.operations.transfer.board_plots import histogram_figure
from apiserver.operations.transfer.board_tensors import Histogram, suffix_of
from apiserver.operations.transfer.databases import opened
from apiserver.operations.transfer.pieces import Damaged, Facts, Figure, FoundRun, Picture, Piece, Text, printable

_END = 0xFE
_NONE, _BOOL, _INT, _FLOAT, _STRING, _BYTES, _ARRAY, _OBJECT, _CUSTOM = 0, 1, 2, 3, 4, 5, 6, 7, 15
_BLOBS = b"BLOBS\xfe"
_MAX_BINS = 100_000
_SYSTEM = "__system__"
_LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
"""Levels of log records, as Python's logging has them."""

Path_ = tuple["str | int", ...]


class _Made(NamedTuple):
    """The start of an object of one of Aim's classes; its fields follow."""

    kind: str


class Aim:
    """Reads Aim repositories with the RocksDB library in the package `aimrocks`."""

    tool = "Aim"

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, tuple[str, str, dict[str, Any]]]] = {}
        """Results of `_read_names` by repository; it reads the names of all runs at once."""

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        if ".aim" not in folders:
            return
        folders.remove(".aim")
        repository = folder / ".aim"
        hashes = sorted(path.name for path in (repository / "meta" / "chunks").glob("*") if path.is_dir())
        if not hashes:
            return
        try:
            import_module("aimrocks")
        except ImportError:
            raise ValueError(
                f"{many(len(hashes), 'run')} in .aim: the package aimrocks is needed (pip install 'tidemark-events[aim]')"
            ) from None
        names, problem = self._names.setdefault(repository, {}), ""
        names.clear()
        try:
            _read_names(repository, names)
        except ValueError as error:  # runs are read without their names
            problem = str(error)
        for hash in hashes:
            name, experiment, _ = names.get(hash, ("", "", {}))
            size = sum(path.stat().st_size for path in (repository / "seqs" / "chunks" / hash).glob("*.sst"))
            project = printable(experiment).strip("/ ") or printable(folder.name)
            yield FoundRun(self, repository, key=hash, size=size, name=printable(name or hash), project=project, id=printable(hash))
        if problem:
            raise ValueError(problem)

    def read(self, run: FoundRun) -> Iterator[Piece]:
        meta, damage = run.path / "meta" / "chunks" / run.key, list[str]()
        found: dict[Any, Any] = {}
        try:
            with _database(meta, damage) as database:
                _fill(found, _entries(database, meta, ("meta", "chunks", run.key)))
        except ValueError as error:
            damage.append(str(error))
        if found:
            yield from self._facts(run, found)
        contexts = {index: values for index, values in _branches(found.get("contexts")) if isinstance(values, dict)}
        names = _series_names(found.get("traces"), contexts)
        columns, kinds = NamedColumns(), Counter[str]()
        folder = run.path / "seqs" / "chunks" / run.key
        missing = set(names)
        try:
            for sequence, lists in _all_sequences(folder, run.key, damage):
                missing.discard(sequence)
                # Without an entry in `names` the context is unknown: its number keeps two contexts of a name apart.
                name = names.get(sequence) or printable(str(sequence[-1]) + (f"/{sequence[0]}" if damage else ""))
                yield from _points(run, name, lists, columns, kinds)
                if columns.full:
                    yield from columns.take()
        except ValueError as error:
            damage.append(str(error))
        yield from columns.take()
        yield from (Damaged(run.path, problem) for problem in dict.fromkeys(damage))
        if missing:  # RocksDB opens a folder with lost files without an error
            yield Damaged(folder, f"{many(len(missing), 'sequence')} of the run missing, such as {names[min(missing, key=str)]}")
        yield from counted(kinds)

    def _facts(self, run: FoundRun, found: dict[Any, Any]) -> Iterator[Piece]:
        _, _, known = self._names.get(run.path, {}).get(run.key, ("", "", {}))
        facts = dict(known)
        end = milliseconds(found.get("end_time"))
        facts["status"] = "finished" if end is not None else "running"
        if end is not None:
            facts["ended_at"] = end / 1000
        attributes = found.get("attrs")
        attributes = attributes if isinstance(attributes, dict) else {}
        own = {str(name): value for name, value in attributes.items() if not str(name).startswith("__")}
        system = {str(name).strip("_"): value for name, value in attributes.items() if str(name).startswith("__")}
        if "description" in facts:
            system["description"] = facts.pop("description")
        sections = {PARAMETERS: own, "aim": system}
        facts["hyperparams"] = {section: values for section, values in sections.items() if values}
        yield Facts(facts)


# --- names and contexts


def _read_names(repository: Path, found: dict[str, tuple[str, str, dict[str, Any]]]) -> None:
    """Adds (name, experiment, facts) of the runs in `run_metadata.sqlite` to `found`. Raises ValueError after reading what is not damaged."""
    path = repository / "run_metadata.sqlite"
    if not path.is_file():
        return
    statement = """SELECT r.hash, r.name, r.description, r.created_at, e.name, r.id, r.is_archived FROM run r
        LEFT JOIN experiment e ON e.id = r.experiment_id"""
    with opened(path) as database:
        if not {"run", "experiment"} <= database.tables:
            database.check()
            return
        tags: dict[Any, list[str]] = {}
        if {"run_tag", "tag"} <= database.tables:
            for id, tag in database.rows("SELECT rt.run_id, t.name FROM run_tag rt JOIN tag t ON t.id = rt.tag_id ORDER BY t.name"):
                tags.setdefault(id, []).append(str(tag))
        for hash, name, description, created, experiment, id, _ in database.rows(statement):
            facts: dict[str, Any] = {}
            moment = milliseconds(created)
            if moment is not None:
                facts |= {"created_at": moment / 1000, "started_at": moment / 1000}
            if tags.get(id):
                facts["tags"] = tags[id]
            if description:
                facts["description"] = str(description)
            found[str(hash)] = (str(name or ""), "" if experiment in (None, "default") else str(experiment), facts)
        database.check()


def _series_names(traces: Any, contexts: dict[Any, dict[Any, Any]]) -> dict[tuple[Any, Any], str]:
    """Metric names for sequences: name and values of the context (`loss/train`); with keys (`loss/subset=train`) if two would be equal."""
    short: dict[tuple[Any, Any], str] = {}
    long: dict[tuple[Any, Any], str] = {}
    for index, of_context in _branches(traces):
        context = sorted((name, str(value)) for name, value in flat(contexts.get(index, {})))
        for name, _ in _branches(of_context):
            plain = printable(str(name))
            plain = "system/" + plain.removeprefix(_SYSTEM) if plain.startswith(_SYSTEM) else plain
            short[index, name] = "/".join([plain, *(printable(value) for _, value in context)])
            long[index, name] = plain + ("/" + ",".join(printable(f"{key}={value}") for key, value in context) if context else "")
    count = Counter(short.values())
    return {key: name if count[name] == 1 else long[key] for key, name in short.items()}


def _branches(tree: Any) -> list[tuple[Any, Any]]:
    return list(tree.items()) if isinstance(tree, dict) else []


# --- sequences


_Sequence = tuple[tuple[Any, Any], dict[str, dict[Any, Any]]]
"""(context, name) of a sequence, and its lists `val`, `time`, `step`, each by the key of the point."""


def _all_sequences(folder: Path, run: str, damage: list[str]) -> Iterator[_Sequence]:
    """The sequences of a run's database, of both layouts. Sequences that can't be read are noted in `damage`. Raises ValueError if it can't be opened."""
    if not folder.is_dir():
        return
    with _database(folder, damage) as database:
        for prefix in (("seqs", "chunks", run), ("seqs", "v2", "chunks", run)):
            try:
                yield from _sequences(_entries(database, folder, prefix))
            except ValueError as error:
                damage.append(str(error))


def _sequences(entries: Iterator[tuple[Path_, Any]]) -> Iterator[_Sequence]:
    current: tuple[Any, Any] | None = None
    lists: dict[str, dict[Any, Any]] = {}
    problem = ""
    try:
        for path, value in entries:
            if len(path) < 4:
                continue
            sequence = (path[0], path[1])
            if sequence != current:
                if current is not None:
                    yield current, lists
                current, lists = sequence, {}
            column = lists.setdefault(str(path[2]), {})
            if len(path) == 4:
                column[path[3]] = value
            else:
                _put(column, path[3:], value)
    except ValueError as error:  # the part of the last sequence that was read is valid
        problem = str(error)
    if current is not None:
        yield current, lists
    if problem:
        raise ValueError(problem)


def _points(run: FoundRun, name: str, lists: dict[str, dict[Any, Any]], columns: NamedColumns, kinds: Counter[str]) -> Iterator[Piece]:
    steps, times = lists.get("step", {}), lists.get("time", {})
    epochs = sum(epoch is not None for epoch in lists.get("epoch", {}).values())
    if epochs:
        kinds["epochs of points"] += epochs
    texts: list[tuple[int, int, Any]] = []
    for key, value in lists.get("val", {}).items():
        step, time = whole(steps.get(key, key)), milliseconds(times.get(key))
        if step is None or time is None:
            kinds["points without step or time"] += 1
            continue
        plain = number(value) if isinstance(value, (bool, int, float)) else None
        if plain is not None:
            columns.add(name, step, plain, time)
            continue
        items = (
            [item for _, item in sorted(value.items()) if isinstance(item, dict)]
            if isinstance(value, dict) and "" not in value
            else [value]
        )
        for place, item in enumerate(items):
            kind = item.get("") if isinstance(item, dict) else None
            if kind in ("aim.text", "aim.log_line", "aim.log_record"):
                texts.append((step, time, item))
            else:
                yield from _object(run, name, step, time, place, item, kind, kinds)
    for step, time, item in sorted(texts, key=lambda text: text[0]):
        words = item.get("data", item.get("message", ""))
        line = words if isinstance(words, str) else str(words)
        yield Text(line if item[""] != "aim.text" else f"{name} [{step}]: {line}", time, _LEVELS.get(item.get("log_level")))


def _object(run: FoundRun, name: str, step: int, time: int, place: int, item: Any, kind: Any, kinds: Counter[str]) -> Iterator[Piece]:
    data = item.get("data") if isinstance(item, dict) else None
    if kind == "aim.image" and isinstance(data, bytes):
        yield Picture(name, step, time, data, suffix_of(data), place, str(item.get("caption") or ""))
    elif kind == "aim.distribution" and isinstance(data, bytes):
        try:
            counts = np.frombuffer(data, np.dtype(str(item.get("dtype"))))
            low, high = (float(item["range"][end]) for end in (0, 1))
            if len(counts) > _MAX_BINS:
                raise ValueError("too many bins")
            edges = np.linspace(low, high, len(counts) + 1)
            yield Figure(name, name, step, time, histogram_figure(Histogram(edges[:-1], edges[1:], counts)))
        except (TypeError, ValueError, KeyError) as error:
            yield Damaged(run.path, f"{name}: the distribution of step {step} can't be read: {error}")
    elif kind == "aim.figure" and isinstance(data, (str, bytes)):
        try:
            figure = json.loads(data)
            if not isinstance(figure, dict):
                raise ValueError("not an object")
            yield Figure(name, name, step, time, figure)
        except (ValueError, RecursionError) as error:
            yield Damaged(run.path, f"{name}: the figure of step {step} can't be read: {error}")
    else:
        kinds[str(kind).removeprefix("aim.") + "s" if kind else "values of other types"] += 1


# --- databases


def _entries(database: Any, path: Path, prefix: Path_) -> Iterator[tuple[Path_, Any]]:
    """The entries of a database below `prefix`, in key order, with paths relative to it. Raises ValueError when the rest can't be read."""
    start = b"".join(_key(part) for part in prefix)
    iterator = database.iteritems()
    try:
        iterator.seek(start)
        for key, value in iterator:
            if not key.startswith(start):
                return
            if not value:  # a large value, stored below _BLOBS
                value = database.get(_BLOBS + key) or bytes((_NONE,))
            yield _path(key[len(start) :]), _value(value)
    except _broken() as error:
        raise ValueError(f"{path}: {_words(error)}") from None
    finally:
        del iterator  # aimrocks crashes if an iterator outlives its database


@contextmanager
def _database(path: Path, damage: list[str]) -> Iterator[Any]:
    """A RocksDB opened read-only, its log in a temporary folder. If its manifest is damaged, a repaired copy is opened instead and noted in `damage`.
    Raises ValueError."""
    rocks = import_module("aimrocks")
    broken = _broken()
    with tempfile.TemporaryDirectory() as logs:

        def opened_at(path: str) -> Any:  # Options can't be reused, not even after a failed open
            return rocks.DB(path, rocks.Options(create_if_missing=False, db_log_dir=logs, max_open_files=100), read_only=True)

        try:
            try:
                database = opened_at(str(path))
            except broken as error:
                copy = f"{logs}/copy"
                shutil.copytree(path, copy)
                rocks.repair_db(copy, rocks.Options(db_log_dir=logs))
                database = opened_at(copy)
                damage.append(f"{path}: {_words(error)}; read from a repaired copy")
        except broken as error:
            raise ValueError(f"{path}: {_words(error)}") from None
        yield database


def _broken() -> tuple[type[Exception], ...]:
    """What RocksDB raises for files that are damaged."""
    known = import_module("aimrocks").errors
    return (known.Corruption, known.RocksIOError, known.InvalidArgument, known.NotSupported, known.NotFound, known.Incomplete)


def _words(error: Exception) -> str:
    text = error.args[0] if error.args else type(error).__name__
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _key(part: str | int) -> bytes:
    return (part.encode() if isinstance(part, str) else b"\xfe" + part.to_bytes(8, "big", signed=True)) + b"\xfe"


def _path(key: bytes) -> Path_:
    found: list[str | int] = []
    at = 0
    while at < len(key):
        if key[at] == _END:
            found.append(int.from_bytes(key[at + 1 : at + 9], "big", signed=True))
            at += 10
        else:
            end = key.find(b"\xfe", at)
            end = len(key) if end < 0 else end
            found.append(key[at:end].decode("utf-8", "replace"))
            at = end + 1
    return tuple(found)


def _value(data: bytes) -> Any:
    kind, content = data[0], data[1:]
    if kind == _BOOL:
        return bool(content[:1] != b"\0")
    if kind == _INT and len(content) == 8:
        return int.from_bytes(content, "little", signed=True)
    if kind == _FLOAT and len(content) == 8:
        return float(struct.unpack("<d", content)[0])
    if kind == _STRING:
        return content.decode("utf-8", "replace")
    if kind == _BYTES:
        return content
    if kind in (_ARRAY, _OBJECT):
        return {}
    return _Made(content.decode("utf-8", "replace")) if kind == _CUSTOM else None


def _fill(tree: dict[Any, Any], entries: Iterator[tuple[Path_, Any]]) -> None:
    """Build nested dicts from entries. Lists become dicts with integer keys; the class of an object is under the empty key."""
    for path, value in entries:
        if path:
            _put(tree, path, value)


def _put(tree: dict[Any, Any], path: Path_, value: Any) -> None:
    for part in path[:-1]:
        below = tree.get(part)
        if not isinstance(below, dict):
            below = tree[part] = {"": below.kind} if isinstance(below, _Made) else {}
        tree = below
    tree[path[-1]] = value
