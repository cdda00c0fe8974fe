"""A running MLflow server, through its REST API."""

from __future__ import annotations

import base64
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

from apiserver.operations.http_calls import NoAnswer, send
from apiserver.operations.transfer.adapters.mlflow_database import GREATEST
from apiserver.operations.transfer.adapters.mlflow_files import IMAGE, image_key, run_facts
from apiserver.operations.transfer.adapters.rows import NamedColumns, counted, json_object, number, whole
from apiserver.operations.transfer.pieces import Damaged, Facts, FoundRun, Picture, Piece, printable

PAGE_RUNS, PAGE_POINTS = 1_000, 25_000
MAX_FOLDERS = 10_000
"""Most artifact folders that are listed for a run."""
_API = "/api/2.0/mlflow/"


class MlflowServer:
    """Reads the runs of a server. Credentials come from its URL (`https://user:password@host`), or from the environment variables of MLflow's own client.
    All methods raise ValueError with a message when the server can't be reached or does not answer as MLflow does."""

    tool = "MLflow"

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        if parts.username:
            user, password = unquote(parts.username), unquote(parts.password or "")
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        self._headers: dict[str, str] = {}
        if user:
            self._headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()
        elif token:
            self._headers["Authorization"] = f"Bearer {token}"

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        """Finds nothing: a server is not in a folder."""
        yield from ()

    def runs(self) -> Iterator[FoundRun]:
        """All active runs, by experiment."""
        for experiment in self._pages("experiments/search", "experiments", view_type="ACTIVE_ONLY", max_results=PAGE_RUNS):
            id, name = str(experiment.get("experiment_id")), str(experiment.get("name") or "")
            project = printable(name).strip("/ ") or id
            wanted = {"experiment_ids": [id], "run_view_type": "ACTIVE_ONLY", "max_results": PAGE_RUNS}
            for found in self._pages("runs/search", "runs", **wanted):
                info = found.get("info") or {}
                run = str(info.get("run_id") or info.get("run_uuid"))
                named = printable(str(info.get("run_name") or run))
                origin = f"{self.url}/#/experiments/{id}/runs/{run}"
                yield FoundRun(self, Path(), key=run, name=named, project=project, id=printable(run), origin=origin)

    def read(self, run: FoundRun) -> Iterator[Piece]:
        found = self._call(f"runs/get?{urlencode({'run_id': run.key})}").get("run") or {}
        info, data = found.get("info") or {}, found.get("data") or {}
        yield Facts(
            run_facts(
                info.get("status"),
                whole(info.get("start_time")),
                whole(info.get("end_time")),
                *map(_texts, (data.get("tags"), data.get("params"))),
            )
        )
        columns, other = NamedColumns(), Counter[str]()
        for metric in data.get("metrics") or []:
            for point in self._history(run.key, str(metric.get("key"))):
                value, step, moment = number(point.get("value", 0.0)), whole(point.get("step", 0)), whole(point.get("timestamp", 0))
                if value is None or step is None or moment is None:
                    other["metrics that are not numbers"] += 1
                    continue
                if abs(value) >= GREATEST:  # MLflow's databases store infinity as this value
                    value = math.copysign(math.inf, value)
                columns.add(str(metric.get("key")), step, value, max(0, moment))
                if columns.full:
                    yield from columns.take()
        yield from columns.take()
        yield from self._artifacts(run)
        inputs = found.get("inputs") or {}
        other["datasets and models of runs"] = sum(len(inputs.get(kind) or []) for kind in ("dataset_inputs", "model_inputs"))
        yield from counted(+other)

    def _history(self, run: str, metric: str) -> Iterator[dict[str, Any]]:
        where = {"run_id": run, "metric_key": metric, "max_results": str(PAGE_POINTS)}
        yield from self._listed("metrics/get-history", "metrics", where)

    def _artifacts(self, run: FoundRun) -> Iterator[Piece]:
        """The images of `mlflow.log_image`; other files are skipped and counted."""
        kinds, numbers = Counter[str](), Counter[tuple[str, int]]()
        folders = [""]
        for folder in folders:
            try:
                where = {"run_id": run.key, "path": folder} if folder else {"run_id": run.key}
                listed = list(self._listed("artifacts/list", "files", where))
            except ValueError as error:  # the server can't reach the storage of its artifacts
                yield Damaged(run.origin, f"artifacts can't be listed: {error}")
                return
            for file in listed:
                path = str(file.get("path") or "")
                if file.get("is_dir"):
                    if len(folders) < MAX_FOLDERS:
                        folders.append(path)
                    continue
                image = IMAGE.match(path.rpartition("/")[2])
                if image is None or folder != "images":
                    kinds["artifacts (files)"] += 1
                elif image[4] != "webp":  # MLflow's thumbnail of an image
                    place = image_key(image[1]), int(image[2])
                    try:
                        content = self._send(f"/get-artifact?{urlencode({'run_uuid': run.key, 'path': path})}", None)
                        yield Picture(printable(place[0]), place[1], int(image[3]), content, image[4], numbers[place])
                    except ValueError as error:
                        yield Damaged(run.origin, str(error))
                    numbers[place] += 1
        yield from counted(kinds)

    # --- one call

    def _pages(self, call: str, name: str, **request: Any) -> Iterator[dict[str, Any]]:
        """The items `name` of all pages of a POST search with the body `request`."""
        return _paged(name, lambda page: self._call(call, request | page))

    def _listed(self, call: str, name: str, where: dict[str, str]) -> Iterator[dict[str, Any]]:
        """The items `name` of all pages of a GET call with the query `where`."""
        return _paged(name, lambda page: self._call(f"{call}?{urlencode(where | page)}"))

    def _call(self, call: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        return json_object(self._send(_API + call, None if request is None else json.dumps(request).encode()))

    def _send(self, path: str, body: bytes | None) -> bytes:
        """The body of an answer. Raises ValueError."""
        try:
            answer = send(self.url + path, body, {"Content-Type": "application/json", **self._headers})
        except NoAnswer as error:
            raise ValueError(f"the server at {self.url} can't be reached: {error}") from None
        if answer.status != 200:
            raise ValueError(f"{unquote(path.partition('?')[0])}: {answer.beginning or 'no reason given'} ({answer.status})")
        return answer.body


def _paged(name: str, ask: Callable[[dict[str, str]], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The items `name` of all pages. `ask` fetches a page; its argument has the page token, and is empty for the first page."""
    page: dict[str, str] = {}
    while True:
        answer = ask(page)
        yield from answer.get(name) or []
        token = str(answer.get("next_page_token") or "")
        if not token or token == page.get("page_token"):
            return
        page = {"page_token": token}


def _texts(pairs: Any) -> dict[str, str]:
    return {printable(str(pair.get("key"))): str(pair.get("value", "")) for pair in pairs or [] if isinstance(pair, dict)}
