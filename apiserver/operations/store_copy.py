"""`tidemark copy`: every company, document, event and file of one installation into another, of any engine.

It can be stopped and repeated: a task that did not change since it was copied is skipped, any other is copied again. Both sides are read and
compared by digests, task by task, before a task counts as copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

from apiserver.bll.events.copying import Digest, Part, batch_of, events_of_part, log_of
from apiserver.common.addresses import without_password
from apiserver.engine import Engine, open_engine, sqlite_path
from apiserver.errors import StartupError
from apiserver.operations.backup import INCOMING, KEYS, all_files, copy_file, files_folder
from apiserver.operations.busy import retried
from apiserver.operations.notes import Notes
from apiserver.serving.serve import claim_data_folder
from apiserver.settings import Settings
from apiserver.stores.batch import EventBatch
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import LOG, rewound
from apiserver.stores.registry import ACTIVITY_FIELDS, Document, Kind

PAGE_DOCUMENTS = 500
SAVE_SECONDS = 5.0
_KINDS: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind != "generation")
"""Generations are Elasticsearch's own."""
_TYPES = [type.name for type in TYPES.values() if not type.is_lines]

Progress = Callable[[int, int, int], None]
"""Called with the tasks and models done, all of them, and the events stored."""


@dataclass(slots=True)
class Outcome:
    """Counts of a copy. `unchanged`: tasks and models that were copied before. `differences`: what is not the same on both sides."""

    companies: int = 0
    documents: int = 0
    owners: int = 0
    unchanged: int = 0
    events: int = 0
    files: int = 0
    differences: list[str] = field(default_factory=list)


@contextmanager
def opened(source: Settings, target: Settings) -> Iterator[tuple[Engine, Engine]]:
    """Both engines. Of a SQLite file a copy of this moment is read: its server goes on. The target's data folder is locked meanwhile."""
    if source.store_url == target.store_url and source.elastic.prefix == target.elastic.prefix:
        raise StartupError(f"{without_password(source.store_url)} is both source and target")
    target.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not target.shared_store:
        Path(sqlite_path(target.store_url)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(prefix=".copy-", dir=target.data) as folder, claim_data_folder(target):
        if not source.shared_store:
            from apiserver.stores.sqlite import backup

            file = Path(sqlite_path(source.store_url))
            if not file.is_file():
                raise StartupError(f"{file}: there is no database")
            backup.copy(file, Path(folder) / "source.db")
            source = replace(source, engine=replace(source.engine, store=f"sqlite:///{folder}/source.db"))
        engine = open_engine(source)
        try:
            other = open_engine(target)
            try:
                yield engine, other
            finally:
                other.close()
        finally:
            engine.close()


class StoreCopy:
    """Copies documents and events of an engine into another."""

    def __init__(self, source: Engine, target: Engine, notes: Path, name: str) -> None:
        """`notes`: the folder in which is noted what was copied; `name`: what is copied from where."""
        self._source, self._target = source, target
        self._notes = Notes(notes, name)
        self._done: dict[str, dict[str, int]] = self._notes.read()
        self.outcome = Outcome()

    def run(self, progress: Progress) -> Outcome:
        """Copy everything, and compare."""
        companies = sorted({*self._source.registry.companies(), *self._source.events.companies()})
        self.outcome.companies = len(companies)
        owners: list[tuple[Literal["task", "model"], Document]] = []
        for company in companies:
            for kind in _KINDS:
                for documents in self._documents(kind, company):
                    self._put(kind, company, documents)
                    if kind in ("task", "model"):
                        owners += [(kind, Document(one.id, company, {n: one.body.get(n) for n in ACTIVITY_FIELDS})) for one in documents]
        for done, (kind, document) in enumerate(owners):
            progress(done, len(owners), self.outcome.events)
            self._owner(kind, document)
        progress(len(owners), len(owners), self.outcome.events)
        self.outcome.owners = len(owners)
        self._notes.write(self._done)
        return self.outcome

    # --- documents

    def _documents(self, kind: Kind, company: str) -> Iterator[list[Document]]:
        offset = 0
        while True:
            found = self._source.registry.find(kind, [company], offset=offset, limit=PAGE_DOCUMENTS)
            if found:
                yield found
            if len(found) < PAGE_DOCUMENTS:
                return
            offset += len(found)

    def _put(self, kind: Kind, company: str, documents: list[Document]) -> None:
        registry = self._target.registry
        made = registry.create_many(kind, company, {one.id: one.body for one in documents})
        others = [one for one in documents if one.id not in made]
        known = registry.get_many(kind, company, [one.id for one in others])
        changed = []
        for one in others:
            there = known.get(one.id)
            if there is not None and _plain(there) != _plain(one):
                there.body = one.body
                changed.append(there)
        registry.replace_many(kind, company, changed)  # one that somebody changed meanwhile is a difference, which is named below
        again = registry.get_many(kind, company, [one.id for one in documents])
        for one in documents:
            if one.id not in again or _plain(again[one.id]) != _plain(one):
                self.outcome.differences.append(f"{kind} {one.id} of the company {company} differs between source and target")
        self.outcome.documents += len(documents)

    # --- events

    def _owner(self, kind: Literal["task", "model"], document: Document) -> None:
        company, id = document.company, document.id
        activity = {name: document.body[name] for name in ACTIVITY_FIELDS if isinstance(document.body.get(name), int)}
        name = f"{company} {kind} {id}"
        if self._done.get(name) == activity:
            self.outcome.unchanged += 1
            return
        same = True
        for owner in (id, rewound(id)):
            self._target.events.delete(company, owner)
            copied, stored = self._copied(company, owner, is_model=kind == "model"), Digest()
            for events in self._read(self._target, company, owner):
                stored.add(events)
            if copied.value != stored.value:
                same = False
                counts = f"{copied.count:,} in the source, {stored.count:,} in the target"
                self.outcome.differences.append(f"{name}: the events differ ({counts})")
        self._target.registry.touch(kind, company, id, **activity)
        if same:
            self._done[name] = activity
        if self._notes.age >= SAVE_SECONDS:
            self._notes.write(self._done)

    def _copied(self, company: str, owner: str, *, is_model: bool) -> Digest:
        labels = {
            one.key: one.statistics.x_axis_label
            for one in self._source.events.series(company, [owner], _TYPES)
            if one.statistics is not None and one.statistics.x_axis_label is not None
        }
        digest = Digest()
        for events in self._read(self._source, company, owner):
            digest.add(events)
            self._append(company, batch_of(events, owner, is_model=is_model, labels=labels))
            self.outcome.events += len(events)
        return digest

    def _read(self, engine: Engine, company: str, owner: str) -> Iterator[list[dict[str, Any]]]:
        series = engine.events.series(company, [owner], [*_TYPES, LOG])
        logs = [one for one in series if one.key.type == LOG]
        others = Part([one for one in series if one.key.type != LOG])
        return chain(events_of_part(engine.events, company, owner, others), log_of(engine.events, company, owner) if logs else ())

    def _append(self, company: str, batch: EventBatch) -> None:
        refusals = retried(lambda: self._target.events.append(company, batch).refusals)
        self.outcome.differences += [f"an event was refused: {one.reason}" for one in refusals[:10]]


def copy_files(source: Settings, target: Settings) -> int:
    """Copy uploads and, if the target has none, the keys; returns the number of files copied. Files that exist are not overwritten."""
    given, made = files_folder(source), files_folder(target)
    copied = 0
    for path in all_files(given) if given.exists() and given.resolve() != made.resolve() else ():
        name = path.relative_to(given)
        if name.parts[0] == INCOMING:
            continue
        there = made / name
        try:
            if there.exists():
                if there.stat().st_size == path.stat().st_size:
                    continue
                there.unlink()
            there.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            copy_file(path, there)
        except FileNotFoundError:
            continue  # deleted meanwhile
        copied += 1
    keys = source.data / KEYS
    if keys.exists() and not (target.data / KEYS).exists():
        copy_file(keys, target.data / KEYS, is_secret=True)
    return copied


def _plain(document: Document) -> dict[str, Any]:
    """The fields that are compared: without those that events set, which are copied later."""
    return {name: value for name, value in document.body.items() if name not in ACTIVITY_FIELDS and value is not None}
