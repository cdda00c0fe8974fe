"""trackio: an SQLite database per project (`<project>.db`), with rows of metrics as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apiserver.operations.transfer.adapters.rows import (
    MEDIA,
    PARAMETERS,
    NamedColumns,
    counted,
    file_below,
    flat,
    json_object,
    milliseconds,
    number,
    whole,
)
from apiserver.operations.transfer.databases import ForeignDatabase, opened, runs_of_databases
from apiserver.operations.transfer.pieces import Damaged, Facts, FoundRun, Picture, Piece, printable

_COUNTED = {
    "alerts": "alerts",
    "traces": "traces",
    "run_artifact_links": "artifacts",
    "external_run_artifact_links": "artifacts",
}
"""Tables with rows of runs that are counted."""
_NEEDED = {"run_name", "step", "metrics", "timestamp"}


class Trackio:
    """Reads trackio's databases."""

    tool = "trackio"

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        return runs_of_databases(folder, files, self._runs)

    def _runs(self, path: Path, database: ForeignDatabase) -> Iterator[FoundRun] | None:
        known = {"metrics", "configs"} <= database.tables and database.columns("metrics") >= _NEEDED
        return self._listed(path, database) if known else None

    def _listed(self, path: Path, database: ForeignDatabase) -> Iterator[FoundRun]:
        column = _id_column(database)
        tables = ("metrics", "system_metrics", "configs")
        rows = " UNION ALL ".join(
            f"SELECT {column} AS run, run_name, {place} AS place, id FROM {table}"  # noqa: S608
            for place, table in enumerate(tables)
            if {column, "run_name", "id"} <= database.columns(table)
        )
        for id, run in database.rows(f"SELECT run, max(run_name) FROM ({rows}) GROUP BY run ORDER BY min(place), min(id)"):  # noqa: S608
            yield FoundRun(self, path, key=str(id), name=printable(str(run)), project=printable(path.stem))

    def read(self, run: FoundRun) -> Iterator[Piece]:
        with opened(run.path) as database:
            column = _id_column(database)
            facts: dict[str, Any] = {"status": "finished"}
            for (config,) in database.rows(f"SELECT config FROM configs WHERE {column} = ?", run.key):  # noqa: S608
                try:
                    params = {name: value for name, value in json_object(config).items() if not str(name).startswith("_")}
                    facts["hyperparams"] = {PARAMETERS: params}
                except (ValueError, TypeError) as error:
                    yield Damaged(run.path, f"the configuration of {run.name}: {error}")
            columns, kinds = NamedColumns(), Counter[str]()
            statement = f"SELECT id, timestamp, step, metrics FROM metrics WHERE {column} = ? ORDER BY id"  # noqa: S608
            for id, time, step, metrics in database.rows(statement, run.key):
                yield from self._row(run, columns, kinds, id, milliseconds(time), whole(step), metrics)
            if "system_metrics" in database.tables:
                statement = f"SELECT id, timestamp, metrics FROM system_metrics WHERE {column} = ? ORDER BY id"  # noqa: S608
                for step, (id, time, metrics) in enumerate(database.rows(statement, run.key)):
                    yield from self._row(run, columns, kinds, id, milliseconds(time), step, metrics, "system/")
            yield from columns.take()
            if columns.first is not None and columns.last is not None:
                facts |= {"created_at": columns.first / 1000, "started_at": columns.first / 1000, "ended_at": columns.last / 1000}
            yield Facts(facts)
            for table, kind in _COUNTED.items():
                if column in database.columns(table):
                    ((count,),) = database.rows(f"SELECT count(*) FROM {table} WHERE {column} = ?", run.key)  # noqa: S608
                    kinds[kind] += count
            yield from counted(+kinds)

    def _row(
        self,
        run: FoundRun,
        columns: NamedColumns,
        kinds: Counter[str],
        id: Any,
        time: int | None,
        step: int | None,
        metrics: Any,
        prefix: str = "",
    ) -> Iterator[Piece]:
        try:
            values = json_object(metrics)
        except (ValueError, TypeError) as error:
            yield Damaged(run.path, f"the metrics of row {id}: {error}")
            return
        if step is None or time is None:
            yield Damaged(run.path, f"row {id} has no step or no time")
            return
        for name, value in flat(values):
            found = number(value)
            if found is not None:
                columns.add(prefix + name, step, found, time)
            elif isinstance(value, dict) and value.get(MEDIA) == "trackio.image":
                yield _image(run, prefix + name, step, time, value)
            elif value is not None:
                kinds[_kind(value)] += 1
        if columns.full:
            yield from columns.take()


def _image(run: FoundRun, name: str, step: int, time: int, value: dict[str, Any]) -> Piece:
    """The image of a row; its file is in `media/` beside the database."""
    try:
        path = file_below(run.path.parent / "media", value.get("file_path"))
    except ValueError as error:
        return Damaged(run.path, f"{name} at step {step}: {error}")
    return Picture(printable(name), step, time, path, path.suffix[1:] or "png", caption=str(value.get("caption") or ""))


def _id_column(database: ForeignDatabase) -> str:
    """The column that identifies a run: its id; in older versions its name."""
    return "run_id" if "run_id" in database.columns("metrics") else "run_name"


def _kind(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("_type"), str):
        return str(value["_type"])
    return "texts in rows" if isinstance(value, str) else "lists in rows"
