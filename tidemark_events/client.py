"""The connection, the table of runs, new runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from tidemark_events import arguments, frames, html
from tidemark_events.errors import CallRefused, NotFound, ServerUnavailable
from tidemark_events.run import FIELDS, Run, document_of
from tidemark_events.wire import ATTEMPTS, Wire, address_from
from tidemark_events.writer import QUEUE

PAGE = 500
ROWS_SHOWN = 30
ENDS = {"last": "value", "min": "min_value", "max": "max_value"}


def connect(
    url: str | None = None, key: str | None = None, secret: str | None = None, *, check: bool = True, attempts: int = ATTEMPTS
) -> Client:
    """A connection to a server.

    `url`: else TIDEMARK_URL, else CLEARML_API_HOST, else http://127.0.0.1:8008. `key`, `secret`: else TIDEMARK_ACCESS_KEY and
    TIDEMARK_SECRET_KEY, else CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY, else none (a server on a loopback address wants none).
    `check`: ask the server now, so that a wrong address or key is found here. `attempts`: how often a call is tried while the server is
    unavailable.
    Raises ServerUnavailable, LoginRefused, and InvalidArgument for an argument of a wrong type.
    """
    for name, value in (("url", url), ("key", key), ("secret", secret)):
        if value is not None:
            arguments.text(name, value)
    wire = Wire(*address_from(url, key, secret, os.environ), arguments.integer("attempts", attempts, 1))
    client = Client(wire)
    if check:
        try:
            client.info()
        except CallRefused as error:
            raise ServerUnavailable(
                f'"{wire.url}" is not the address of a Tidemark server ({error}): write it as http://host:8008, without a path (TIDEMARK_URL)'
            ) from None
    return client


class Client:
    """One server, one login."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def url(self) -> str:
        """The server's address."""
        return self._wire.url

    def info(self) -> dict[str, Any]:
        """Facts about the server: `version`, `api_version`, limits."""
        found = self._wire.call("server.page", {})
        self._wire.file_prefixes = [f"{self.url}/files/", *(prefix.rstrip("/") + "/" for prefix in found["files"])]
        return found

    def health(self) -> dict[str, Any]:
        """Whether the server can work: `status` (ok, degraded or unavailable), and of each part whether it is ok."""
        return self._wire.health()

    def call(self, endpoint: str, /, **fields: Any) -> dict[str, Any]:
        """Any call of the API by its name (`events.get_task_metrics`); `data` of its answer."""
        return self._wire.call(endpoint, fields)

    # --- runs that are there

    def runs(
        self,
        *,
        project: str | None = None,
        name: str | None = None,
        status: str | Sequence[str] = (),
        tags: str | Sequence[str] = (),
        where: Mapping[str, Any] | None = None,
        order_by: str | Sequence[str] = "-started",
        limit: int | None = 1_000,
    ) -> RunTable:
        """The runs that match all of these, as a table.

        `project`: of this project and those below it. `name`: an RE2 pattern, matched anywhere. `status`: running, completed, failed, stopped, …
        `tags`: all of them; `-old` means without. `where`: filters by dotted field as in docs/tasks.md ("Finding tasks, models, projects").
        `order_by`: fields, with `-` descending. `limit`: at most so many; None: all.

        An unknown project is NotFound; an unknown field, status or option InvalidArgument. A tag, an id or a parameter that no run has gives no run.
        """
        body: dict[str, Any] = arguments.filters(where or {}) | {"only_fields": list(FIELDS), "order_by": arguments.order(order_by)}
        if limit is not None:
            limit = arguments.integer("limit", limit, 0)
        if project is not None:
            body |= {"project": [self._project(arguments.text("project", project))], "include_subprojects": True}
        if name is not None:
            body["name"] = arguments.text("name", name)
        if status:
            body["status"] = [arguments.status(one) for one in arguments.texts("status", status)]
        if tags:
            body["tags"] = ["__$and", *arguments.texts("tags", tags)]
        found: list[dict[str, Any]] = []
        for page in range(1_000_000):
            size = PAGE if limit is None else min(PAGE, limit - page * PAGE)
            part = self._wire.call("tasks.get_all_ex", {**body, "page": page, "page_size": PAGE})["tasks"] if size > 0 else []
            found += part[:size]
            if len(part) < PAGE or size < PAGE:
                break
        return RunTable([Run(self._wire, document) for document in found])

    def get(self, id: str) -> Run:
        """One run by its id. Raises NotFound."""
        return Run(self._wire, document_of(self._wire, arguments.text("id", id), FIELDS))

    # --- a new run

    def run(
        self,
        name: str,
        *,
        project: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: str | Sequence[str] = (),
        comment: str = "",
        queue: int = QUEUE,
    ) -> Run:
        """Start a new run:

            with tm.run("baseline", project="vision", params={"lr": 0.1}) as r:
                r.log({"loss": 0.3}, step=1)

        Left by an exception it is marked failed, by Ctrl-C stopped, else completed. Without `with`, `r.finish()` or the end of the program ends it.
        `params` may be nested one level: `{"optimizer": {"lr": 0.1}}` is the section `optimizer`. `queue`: how many rows wait at most while the
        server is unavailable.
        """
        labels = arguments.texts("tags", tags)
        queue = arguments.integer("queue", queue, 1)
        body: dict[str, Any] = {"name": arguments.text("name", name), "type": "training", "tags": labels, "comment": comment}
        if params:
            body["hyperparams"] = _sections(arguments.mapping("params", params))
        if project:
            body["project"] = self._made_project(arguments.text("project", project))
        id = self._wire.call("tasks.create", body, again=False)["id"]
        document = {"id": id, "name": name, "project": {"name": project or ""}, "tags": labels}
        return Run(self._wire, document, queue=queue).start()

    def _project(self, name: str) -> str:
        found = self._find_project(name)
        if found is None:
            raise NotFound(f'no project "{name}" on {self.url}; the page lists them: {self.url}/projects')
        return found

    def _find_project(self, name: str) -> str | None:
        body = {"name": f"^{re.escape(name)}$", "only_fields": ["id", "name"], "search_hidden": True}
        return next((str(one["id"]) for one in self._wire.call("projects.get_all", body)["projects"] if one["name"] == name), None)

    def _made_project(self, name: str) -> str:
        known = self._find_project(name)
        if known is not None:
            return known
        try:
            return str(self._wire.call("projects.create", {"name": name, "description": ""}, again=False)["id"])
        except CallRefused as error:
            if error.code != 400 or error.subcode != 801:
                raise
            return self._project(name)  # another process has just created it

    def __repr__(self) -> str:
        return f"<Tidemark at {self.url}>"

    def _repr_html_(self) -> str:
        return html.table(("Tidemark", ""), [("", (self.url, self.url)), ("version", str(self.info().get("version")))])


class RunTable(Sequence[Run]):
    """An ordered list of runs. `table.frame()` is a table with parameters and values."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = list(runs)
        for run in self._runs:
            run.among(self._runs)

    @overload
    def __getitem__(self, key: int) -> Run: ...
    @overload
    def __getitem__(self, key: slice) -> RunTable: ...
    def __getitem__(self, key: int | slice) -> Run | RunTable:
        return RunTable(self._runs[key]) if isinstance(key, slice) else self._runs[key]

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def frame(self, library: str | None = None) -> Any:
        """A row for each run with id, name, project, status, started, last_step, tags, `params.<name>` and `<series>.last`, `.min`, `.max`;
        of pandas, polars or pyarrow."""
        rows = [self._row(run) for run in self._runs]
        names = list(dict.fromkeys(name for row in rows for name in row))
        return frames.table({name: [row.get(name) for row in rows] for name in names}, library)

    @staticmethod
    def _row(run: Run) -> dict[str, Any]:
        row: dict[str, Any] = {
            "id": run.id,
            "name": run.name,
            "project": run.project,
            "status": run.status,
            "started": run.started,
            "last_step": run.last_step,
            "tags": ",".join(run.tags),
        }
        row |= {f"params.{name}": value for name, value in run.params.items()}
        for name, one in run.statistics.items():
            row |= {f"{name}.{word}": one.get(field) for word, field in ENDS.items()}
        return row

    def __repr__(self) -> str:
        names = ", ".join(run.name for run in self._runs[:5]) + (", …" if len(self) > 5 else "")
        return f"<{len(self)} run{'' if len(self) == 1 else 's'}{': ' if names else ''}{names}>"

    def _repr_html_(self) -> str:
        shown = self._runs[:ROWS_SHOWN]
        values = list(dict.fromkeys(name for run in shown for name in run.summary))[:4]
        rows: list[tuple[html.Cell, ...]] = [
            (
                (run.name, run.url),
                run.project,
                run.status,
                run.started,
                f"{run.last_step:,}",
                *(f"{run.summary[name]:.5g}" if name in run.summary else "" for name in values),
            )
            for run in shown
        ]
        more = len(self) - len(shown)
        return html.table(("run", "project", "status", "started", "step", *values), rows, f"and {more:,} more" if more else "")


def _sections(params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Parameters as sections; those that stand alone are in General."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in params.items():
        inner = value if isinstance(value, Mapping) else {name: value}
        section = str(name) if isinstance(value, Mapping) else "General"
        for key, one in inner.items():
            found.setdefault(section, {})[str(key)] = {
                "section": section,
                "name": str(key),
                "value": str(one),
                "type": type(one).__name__,
                "description": "",
            }
    return found
