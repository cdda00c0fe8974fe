"""MLflow's SQLite database (`mlflow.db`): experiments, runs, metrics, params and tags."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apiserver.operations.transfer.adapters.mlflow_files import artifacts_in, run_facts
from apiserver.operations.transfer.adapters.rows import NamedColumns, counted
from apiserver.operations.transfer.databases import ForeignDatabase, opened, runs_of_databases
from apiserver.operations.transfer.pieces import Facts, FoundRun, Piece, printable

_TABLES = {"experiments", "runs", "metrics", "params", "tags"}
GREATEST = 1.7976931348623157e308
"""MLflow stores this value for infinity."""
ARTIFACTS = ("mlruns", "mlartifacts")
"""Folders beside a database in which MLflow keeps artifacts: without a server, and with one."""


class MlflowDatabase:
    """Reads MLflow's SQLite database."""

    tool = "MLflow"

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        return runs_of_databases(folder, files, self._runs)

    def _runs(self, path: Path, database: ForeignDatabase) -> Iterator[FoundRun] | None:
        known = database.tables >= _TABLES and "run_uuid" in database.columns("runs")
        return self._listed(path, database) if known else None

    def _listed(self, path: Path, database: ForeignDatabase) -> Iterator[FoundRun]:
        statement = """SELECT r.run_uuid, r.name, e.name FROM runs r LEFT JOIN experiments e ON e.experiment_id = r.experiment_id
            WHERE r.lifecycle_stage IS NOT 'deleted' ORDER BY r.start_time, r.run_uuid"""
        for id, name, experiment in database.rows(statement):
            project = printable(str(experiment or "")).strip("/ ")
            yield FoundRun(self, path, key=str(id), name=printable(str(name or id)), project=project, id=printable(str(id)))

    def read(self, run: FoundRun) -> Iterator[Piece]:
        with opened(run.path) as database:
            yield from self._read(run.path.parent, database, run.key)

    def _read(self, root: Path, database: ForeignDatabase, id: str) -> Iterator[Piece]:
        params = _texts(database, "params", id)
        tags = _texts(database, "tags", id)
        folders: list[Path] = []
        stored = ""
        statement = "SELECT status, start_time, end_time, experiment_id, artifact_uri FROM runs WHERE run_uuid = ?"
        for status, start, end, experiment, uri in database.rows(statement, id):
            folders = [root / store / str(experiment) / id / "artifacts" for store in ARTIFACTS]
            stored = str(uri or root)
            yield Facts(run_facts(status, start, end, tags, params))
        columns = NamedColumns()
        other: Counter[str] = Counter()
        statement = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY timestamp, value"
        for key, value, time, step, is_nan in database.rows(statement, id):
            if not isinstance(value, (int, float)) or not isinstance(step, int) or not isinstance(time, int):
                other["metrics that are not numbers"] += 1
                continue
            if is_nan:
                value = math.nan
            elif abs(value) >= GREATEST:
                value = math.copysign(math.inf, value)
            columns.add(str(key), step, float(value), max(0, time))
            if columns.full:
                yield from columns.take()
        yield from columns.take()
        yield from artifacts_in([folder for folder in folders if folder.resolve().is_relative_to(root)], tags, stored)
        if "inputs" in database.tables:
            ((count,),) = database.rows("SELECT count(*) FROM inputs WHERE destination_id = ?", id)
            other["datasets and models of runs"] = count
        yield from counted(+other)


def _texts(database: ForeignDatabase, table: str, id: str) -> dict[str, Any]:
    statement = f"SELECT key, value FROM {table} WHERE run_uuid = ?"  # noqa: S608 - one of two names in this file
    return {printable(str(key)): str(value) for key, value in database.rows(statement, id)}
