"""Runs as Runicorn's clients list them. A run is a task; what only Runicorn knows is kept in the task's `runtime.runicorn`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.bll.registry.directory import Owner, TaskDirectory
from apiserver.bll.registry.new_documents import default_project_id, now_ms
from apiserver.bll.registry.projects import Projects
from apiserver.errors import InvalidTask
from apiserver.stores.base import Conflict, Document, Registry, Sort

MAX_ID = 256

_STATUS = {
    "created": "created",
    "queued": "created",
    "in_progress": "running",
    "stopped": "interrupted",
    "failed": "failed",
    "completed": "finished",
    "closed": "finished",
    "published": "finished",
    "publishing": "finished",
}
_TASK_STATUS = {"running": "in_progress", "finished": "completed", "failed": "failed", "interrupted": "stopped"}
_FIELDS = ("name", "status", "created", "started", "completed", "tags", "project", "runtime", "public")
_KEPT = ("pid", "path", "alias", "project", "name", "run_dir", "hostname", "python", "platform", "best_metric_value", "best_metric_name")


class UnknownRun(Exception):
    """No such run, or not one that the caller may read."""


def possible_id(run: str) -> bool:
    """Whether a text can be the id of a run: 1 to 256 bytes of UTF-8 without control characters, and no dots that a path swallows."""
    if run in (".", "..") or "\ufffd" in run or any(ord(character) < 32 or ord(character) == 127 for character in run):
        return False
    try:
        return 0 < len(run.encode()) <= MAX_ID
    except UnicodeEncodeError:
        return False


class Catalog:
    """Looks runs up, lists and describes them, and takes over what meta.json and status.json say."""

    def __init__(self, registry: Registry, directory: TaskDirectory, projects: Projects, *, register_unknown: bool) -> None:
        self._registry = registry
        self._directory = directory
        self._project_index = projects
        self._register = register_unknown

    def find(self, company: str, run: str) -> Owner:
        """The run, owned by the company or public. Raises UnknownRun."""
        found = self._directory.resolve(company, [run]).get(run) if possible_id(run) else None
        if found is None:
            raise UnknownRun(run)
        return found

    def writable(self, company: str, user: str, run: str) -> Owner:
        """The run, made known when it is unknown. Raises UnknownRun (unknown runs are refused, or deleted within the hour), and
        InvalidTask's children for runs that may not change."""
        if not possible_id(run):
            raise UnknownRun(run)
        try:
            return self._directory.writable(company, run)
        except InvalidTask as error:
            if type(error) is not InvalidTask or not self._register or self._directory.was_deleted(company, [run]):
                if type(error) is InvalidTask:
                    raise UnknownRun(run) from None
                raise
        return self._directory.register(company, [run], user=user)[run]

    def runs(self, company: str) -> list[dict[str, Any]]:
        """Every run of the company, newest first."""
        found = self._registry.find("task", [company], order=[Sort("created", descending=True)], fields=_FIELDS)
        projects = self._projects(company, found)
        return [self._described(document, projects) for document in found]

    def detail(self, run: Owner) -> dict[str, Any]:
        """One run with its address and times."""
        documents = self._registry.get_many("task", run.company, [run.id], fields=_FIELDS)
        if run.id not in documents:
            raise UnknownRun(run.id)
        document = documents[run.id]
        body, known = document.body, _runicorn(document.body)
        start, end = _seconds(body.get("started") or body.get("created")), _seconds(body.get("completed"))
        return {
            **self._described(document, self._projects(run.company, [document])),
            "logs": f"/api/runs/{run.id}/logs/ws",
            "metrics": f"/api/runs/{run.id}/metrics",
            "metrics_step": f"/api/runs/{run.id}/metrics_step",
            "start_time": start,
            "duration": end - start if start is not None and end is not None else None,
            "summary": known.get("summary") or {},
        }

    def describe(self, run: Owner, facts: Mapping[str, Any], user: str = "") -> None:
        """Keep what a run folder says of its run: meta.json, status.json and summary.json in one object. Unknown fields are left out."""
        project = self._project_of(run.company, user, facts)
        while True:
            document = self._registry.get("task", run.company, run.id)
            if document is None:
                raise UnknownRun(run.id)
            body = dict(document.body)
            runtime = dict(body.get("runtime") or {})
            known = {**_runicorn(body), **{name: facts[name] for name in _KEPT if facts.get(name) is not None}}
            if isinstance(facts.get("summary"), Mapping):
                known["summary"] = dict(facts["summary"])
                known.update(
                    {name: known["summary"][name] for name in ("best_metric_value", "best_metric_name") if name in known["summary"]}
                )
            runtime["runicorn"] = known
            body["runtime"] = runtime
            _take_times(body, facts)
            if project is not None and body.get("project") in (None, default_project_id(run.company)):
                body["project"] = project
            if body.get("name") == run.id and isinstance(known.get("alias"), str):
                body["name"] = known["alias"]
            status = _TASK_STATUS.get(str(facts.get("status")))
            if (
                status is not None
                and body.get("status") in ("created", "queued", "in_progress", *_TASK_STATUS.values())
                and body["status"] != status
            ):
                body.update(status=status, status_changed=now_ms(), last_changed_by=user)
            if body == document.body:
                return
            document.body = body
            try:
                self._registry.replace(document)
                return
            except Conflict:
                continue  # somebody changed the task meanwhile: once more with what it is now

    def _project_of(self, company: str, user: str, facts: Mapping[str, Any]) -> str | None:
        """The project that a run's path, or its project and name, lead to; made when it is missing."""
        parts = [facts["path"]] if isinstance(facts.get("path"), str) else [facts.get("project"), facts.get("name")]
        name = "/".join(part for part in parts if isinstance(part, str))
        return self._project_index.find_or_create(company, user, name)[0] if name.strip("/ ") else None

    def _projects(self, company: str, documents: list[Document]) -> dict[str, str]:
        ids = {str(document.body["project"]) for document in documents if document.body.get("project")}
        found = self._registry.get_many("project", company, sorted(ids), fields=("name",))
        return {id: str(project.body.get("name") or id) for id, project in found.items()}

    def _described(self, document: Document, projects: Mapping[str, str]) -> dict[str, Any]:
        """The fields of every generation of Runicorn: `project` and `name`, and `path` and `alias` since 0.6."""
        body, known = document.body, _runicorn(document.body)
        project = str(known.get("project") or projects.get(body.get("project") or "", ""))
        name = str(known.get("name") or body.get("name") or document.id)
        return {
            "id": document.id,
            "run_dir": str(known.get("run_dir") or ""),
            "created_time": _seconds(body.get("created")),
            "status": _STATUS.get(str(body.get("status")), "running"),
            "pid": known.get("pid"),
            "best_metric_value": known.get("best_metric_value"),
            "best_metric_name": known.get("best_metric_name"),
            "project": project,
            "name": name,
            "path": str(known.get("path") or (f"{project}/{name}" if project else name)),
            "alias": known.get("alias"),
            "tags": list(body.get("tags") or ()),
            "assets_count": 0,
            "artifacts_created_count": 0,
            "artifacts_used_count": 0,
        }


def _take_times(body: dict[str, Any], facts: Mapping[str, Any]) -> None:
    for name, field in (("created_at", "created"), ("started_at", "started"), ("ended_at", "completed")):
        moment = facts.get(name)
        if isinstance(moment, (int, float)) and not isinstance(moment, bool) and 0 < moment < 253_402_300_799:
            body[field] = round(moment * 1000)


def _runicorn(body: Mapping[str, Any]) -> dict[str, Any]:
    known = (body.get("runtime") or {}).get("runicorn")
    return dict(known) if isinstance(known, Mapping) else {}


def _seconds(milliseconds: Any) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, (int, float)) else None
