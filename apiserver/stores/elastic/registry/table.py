"""Columns of the tasks and models of a company, kept by a worker, for filters and orders that Elasticsearch can't evaluate.

A pattern means RE2, and a table can be sorted by any field, also by one of ten thousand parameter names: reading every candidate's document for
that took a second with 10,000 tasks. So a worker keeps the documents (without the large fields, compressed, about half a kilobyte each) and makes
a column of a field when it is asked for first. Before each use it asks Redis which documents were changed since, and reads those; their activity,
which every batch moves, is not kept. A worker that dies after its write and before Redis lists it leaves an unacknowledged change that
the table lacks until all of it is read again, after `MAX_AGE`.
"""

from __future__ import annotations

import heapq
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import orjson
from cachetools import LRUCache

from apiserver.common.fairness import paced
from apiserver.stores.conditions import ACTIVITY_KINDS, BULK_FIELDS, Path, conditions_in, path_of, simplified
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.registry.documents import document_id
from apiserver.stores.elastic.registry.query import is_statistic, predicate, sort_key, value_at
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.patterns import PatternTime
from apiserver.stores.registry import ACTIVITY_FIELDS, AnyOf, Condition, Document, Kind, Sort

MAX_AGE = 900.0
"""Seconds. Shorter than Redis keeps the list of changes (a day)."""
MAX_BYTES = 96 * 1024 * 1024
"""Compressed documents of all tables of a worker."""
MAX_COLUMNS = 24
MAX_CHANGES = 5_000
"""Most changed documents that are read one by one; with more, the table is read again."""
PAGE = 2_000
GIVE_WAY = 250
"""Documents processed before yielding to other requests."""

Statistic = Callable[[str, Path], Mapping[str, Any]]
"""A statistic of one series by task: (company, path) -> values."""


class TableRow(NamedTuple):
    """A document that passed, with its values at the requested paths (None: absent)."""

    id: str
    company: str
    values: tuple[Any, ...]


class DocumentTable:
    """One company's documents of one kind. Every method is to be called under `lock`."""

    def __init__(self, company: str) -> None:
        self.company = company
        self.lock = threading.RLock()
        self.run, self.number, self.made = "", 0, -MAX_AGE
        self.size = 0
        self.too_large = False
        self._bodies: dict[str, bytes] = {}
        # Not an LRUCache: a changed document is put into every column, which would count as a use of each.
        self._columns: OrderedDict[Path, dict[str, Any]] = OrderedDict()
        self._lists: dict[tuple[Any, ...], list[Any]] = {}

    def __len__(self) -> int:
        return len(self._bodies)

    def clear(self) -> None:
        self._bodies, self._columns, self._lists, self.size = {}, OrderedDict(), {}, 0

    def put(self, id: str, body: str) -> None:
        """Add or replace a document, given as JSON."""
        self.remove(id)
        packed = self._bodies[id] = zlib.compress(body.encode(), 1)
        self.size += len(packed)
        if self._columns:
            content = orjson.loads(body)
            for path, column in self._columns.items():
                value = self._shared(value_at(content, path))
                if value is not None:
                    column[id] = value

    def remove(self, id: str) -> None:
        """Remove a document that no longer exists."""
        self.size -= len(self._bodies.pop(id, b""))
        for column in self._columns.values():
            column.pop(id, None)

    def snapshot(self, paths: Collection[Path]) -> DocumentTable:
        """A copy with the columns of these paths, to be used without the lock."""
        self._prepare(paths)
        copy = DocumentTable(self.company)
        copy._bodies, copy._lists = dict(self._bodies), dict(self._lists)
        copy._columns = OrderedDict((path, dict(column)) for path, column in self._columns.items() if path in paths)
        return copy

    def select(
        self,
        where: Sequence[Condition | AnyOf],
        paths: Sequence[Path],
        statistics: Mapping[Path, Mapping[str, Any]],
        allowed: PatternTime,
    ) -> list[TableRow]:
        """The documents that pass all conditions, in no order. Raises PatternTooSlow."""
        named = {path_of(condition.path) for condition in conditions_in(where)}
        self._prepare([path for path in {*named, *paths} if path not in statistics])

        def column(path: Path) -> Mapping[str, Any]:
            if path in statistics:
                return statistics[path]
            if path == ("id",):
                return {id: id for id in self._bodies}
            if path == ("company",):
                return dict.fromkeys(self._bodies, self.company)
            return self._columns[path]

        found = set(self._bodies)
        for item in where:
            groups = item.groups if isinstance(item, AnyOf) else [[item]]
            passed: set[str] = set()
            for group in groups:
                these = found
                for condition in group:
                    these = _passing(condition, column(path_of(condition.path)), these, allowed)
                passed |= these
            found = passed
        columns = [column(path) for path in paths]
        return [TableRow(id, self.company, tuple([one.get(id) for one in columns])) for id in found]

    def documents(self, rows: Sequence[TableRow], fields: Collection[str]) -> list[Document]:
        """The documents of rows, with the fields only (and the id)."""
        wanted = {"id", *fields}
        found = []
        for row in paced(rows, GIVE_WAY):
            body: dict[str, Any] = {"id": row.id}
            if len(wanted) > 1:
                content = orjson.loads(zlib.decompress(self._bodies[row.id]))
                body = {name: value for name, value in content.items() if name in wanted}
            found.append(Document(row.id, row.company, body, None))
        return found

    def _shared(self, value: Any) -> Any:
        """Equal lists of texts as one object: conditions decide each once."""
        if type(value) is list and all(type(item) is str for item in value):
            return self._lists.setdefault(tuple(value), value)
        return value

    def _prepare(self, paths: Collection[Path]) -> None:
        """Build the columns that are missing."""
        missing = []
        for path in paths:
            if path in self._columns:
                self._columns.move_to_end(path)
            elif path not in (("id",), ("company",)):
                missing.append(path)
        if not missing:
            return
        made: list[dict[str, Any]] = [{} for _ in missing]
        for id, packed in paced(self._bodies.items(), GIVE_WAY):
            body = orjson.loads(zlib.decompress(packed))
            for path, column in zip(missing, made, strict=True):
                value = self._shared(value_at(body, path))
                if value is not None:
                    column[id] = value
        self._columns.update(zip(missing, made, strict=True))
        while len(self._columns) > max(MAX_COLUMNS, len(paths)):
            self._columns.popitem(last=False)


class DocumentTables:
    """The tables of a worker, brought up to date before each use."""

    def __init__(self, client: ElasticClient, layout: Layout, visibility: Visibility, statistic: Statistic) -> None:
        self._client, self._layout, self._visibility, self._statistic = client, layout, visibility, statistic
        self._lock = threading.Lock()
        self._tables: LRUCache[tuple[Kind, str], DocumentTable] = LRUCache(MAX_BYTES, getsizeof=attrgetter("size"))

    def select(
        self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf], paths: Sequence[str | tuple[str, ...]]
    ) -> list[TableRow] | None:
        """All documents that pass, in no order, with their values at `paths`, including every acknowledged write.

        None when the table can't decide: conditions or paths on activity or large fields, coordination unavailable, too many documents.
        """
        rows: list[TableRow] = []
        allowed = PatternTime()
        for table, statistics in self._fresh(kind, companies, where, paths):
            if table is None:
                return None
            rows += table.select(where, [path_of(path) for path in paths], statistics, allowed)
        return rows

    def documents(
        self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf], order: Sequence[Sort], fields: Collection[str]
    ) -> list[Document] | None:
        """All documents that pass, in order, with some top-level fields, for reading only. None as in `select`."""
        paths = [sort.path for sort in order]
        rows: list[TableRow] = []
        found: dict[tuple[str, str], Document] = {}
        allowed = PatternTime()
        for table, statistics in self._fresh(kind, companies, where, paths, fields):
            if table is None:
                return None
            mine = table.select(where, [path_of(path) for path in paths], statistics, allowed)
            found |= {(document.company, document.id): document for document in table.documents(mine, fields)}
            rows += mine
        return [found[row.company, row.id] for row in ordered(rows, order)]

    def _fresh(
        self,
        kind: Kind,
        companies: Sequence[str],
        where: Sequence[Condition | AnyOf],
        paths: Sequence[str | tuple[str, ...]],
        fields: Collection[str] = (),
    ) -> Iterator[tuple[DocumentTable | None, dict[Path, Mapping[str, Any]]]]:
        """The tables, up to date and locked, or snapshots of them where patterns may take long, with the statistics that the conditions and paths
        name; None when the table can't be used. `fields`: top-level fields that are read of the documents that pass."""
        conditions = conditions_in(where)
        named = {path_of(path) for path in [*paths, *(condition.path for condition in conditions)]}
        has_patterns = any(simplified(condition).op == "matches" for condition in conditions)
        if kind not in ACTIVITY_KINDS or any(
            name in ACTIVITY_FIELDS or name in BULK_FIELDS[kind] for name in [*fields, *(path[0] for path in named)]
        ):
            yield None, {}
            return
        for company in dict.fromkeys(companies):
            statistics = {path: self._statistic(company, path) for path in named if is_statistic(path)}
            table = self._table(kind, company)
            with table.lock:
                shown = table if self._refresh(kind, table) else None
                if shown is None or not has_patterns:
                    yield shown, statistics
                    continue
                snapshot = shown.snapshot(named - statistics.keys())
            yield snapshot, statistics

    def _table(self, kind: Kind, company: str) -> DocumentTable:
        with self._lock:
            return self._tables.setdefault((kind, company), DocumentTable(company))

    def _refresh(self, kind: Kind, table: DocumentTable) -> bool:
        """Read what was changed. False when the changes are not known, or the table would be too large."""
        changes = self._visibility.changed_documents(table.company, table.number)
        if changes is None:
            return False
        now = time.monotonic()
        renewed = changes.run != table.run or changes.ids is None or len(changes.ids) > MAX_CHANGES
        if not renewed and now - table.made < MAX_AGE:
            if table.too_large:
                return False
            self._read(kind, table, changes.ids or ())
            table.number = changes.number
            return True
        if table.too_large and now - table.made < MAX_AGE:
            return False
        table.made, table.run, table.number = now, changes.run, changes.number
        try:
            table.too_large = not self._read_all(kind, table)
        except BaseException:
            table.made = -MAX_AGE  # a table must be complete
            raise
        return not table.too_large

    def _read(self, kind: Kind, table: DocumentTable, ids: Collection[str]) -> None:
        stored_ids = {document_id(kind, table.company, id): id for id in ids}
        found = self._client.get_many(self._layout.registry(kind), list(stored_ids), ["body"]) if stored_ids else {}
        for stored_id, id in stored_ids.items():
            if stored_id in found:
                table.put(id, found[stored_id]["_source"]["body"])
            else:
                table.remove(id)

    def _read_all(self, kind: Kind, table: DocumentTable) -> bool:
        index = self._layout.registry(kind)
        self._visibility.make_all_visible([index])
        table.clear()
        query = {"bool": {"filter": [{"term": {"kind": kind}}, {"term": {"company": table.company}}]}}
        for hits in self._client.scan(index, {"query": query, "sort": ["id"], "_source": ["id", "body"]}, PAGE):
            for hit in hits:
                table.put(hit["_source"]["id"], hit["_source"]["body"])
            if not self._keep(kind, table):
                table.clear()
                return False
        return True

    def _keep(self, kind: Kind, table: DocumentTable) -> bool:
        """Count a table that has grown, and drop the least recently used ones when all are too large together; False when this one alone is."""
        with self._lock:
            try:
                self._tables[kind, table.company] = table
            except ValueError:
                return False
        return True


def first(rows: list[TableRow], sorts: Sequence[Sort], stop: int | None) -> list[TableRow]:
    """The first `stop` rows of `ordered`; of many rows, only candidates for these are sorted."""
    if sorts and stop is not None and 0 < stop < len(rows) // 4:
        keys = [(sort_key(row.values[0], sorts[0].numeric), number) for number, row in enumerate(rows) if row.values[0] is not None]
        if len(keys) >= stop:
            last = (heapq.nlargest if sorts[0].descending else heapq.nsmallest)(stop, keys)[-1][0]
            rows = [rows[number] for key, number in keys if (key >= last if sorts[0].descending else key <= last)]
    return ordered(rows, sorts)[:stop]


def ordered(rows: list[TableRow], sorts: Sequence[Sort]) -> list[TableRow]:
    """Rows sorted by their values, then by id and company; absent values come last in both directions."""
    rows.sort(key=lambda row: (row.id.encode(), row.company.encode()))
    for column in range(len(sorts) - 1, -1, -1):
        there = [row for row in rows if row.values[column] is not None]
        absent = [row for row in rows if row.values[column] is None]
        there.sort(key=_key_at(column, sorts[column].numeric), reverse=sorts[column].descending)
        rows = there + absent
    return rows


def _key_at(column: int, numeric: bool) -> Callable[[TableRow], tuple[int, Any]]:
    return lambda row: sort_key(row.values[column], numeric)


def _passing(condition: Condition, column: Mapping[str, Any], ids: set[str], allowed: PatternTime) -> set[str]:
    """The ids that meet a condition. Equal texts and lists are evaluated once."""
    holds = predicate(simplified(condition), allowed)
    negate = condition.negate
    texts: dict[Any, bool] = {None: holds(None) != negate}
    lists: dict[int, bool] = {}  # by identity: see DocumentTable._shared
    passed = set()
    for document in ids:
        value = column.get(document)
        kind = type(value)
        if kind is str or value is None:
            answer = texts.get(value)
            if answer is None:
                answer = texts[value] = holds(value) != negate
        elif kind is list:
            answer = lists.get(id(value))
            if answer is None:
                answer = lists[id(value)] = holds(value) != negate
        else:
            answer = holds(value) != negate
        if answer:
            passed.add(document)
    return passed
