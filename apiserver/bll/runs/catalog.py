"""Runs as Runicorn's clients list them. A run is a task; fields that only Runicorn has are stored in the task's `runtime.runicorn`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.bll.registry import task_parts, task_status
from apiserver.bll.registry.directory import Owner, TaskDirectory
from apiserver.bll.registry.new_documents import default_project_id, new_task, now_ms, project_id
from apiserver.bll.registry.projects import Projects, clean_name
from apiserver.bll.registry.records import Records, checked
from apiserver.common.fairness import give_way
from apiserver.common.joined_names import leaves, named
from apiserver.errors import InvalidTask
from apiserver.stores.registry import Document, Sort

MAX_ID = 256
SLICE = 200
"""Runs described before yielding to other requests."""

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
_MOVED_BY_RUNS = frozenset(("created", "queued", *_TASK_STATUS.values()))
"""Statuses that a run's own status.json may change."""
_FIELDS = ("name", "status", "created", "started", "completed", "tags", "project", "runtime", "public")
_KEPT = ("pid", "path", "alias", "project", "name", "run_dir", "hostname", "python", "platform", "best_metric_value", "best_metric_name")


class UnknownRun(Exception):
    """No such run, or the caller may not read it."""


def possible_id(run: str) -> bool:
    """Whether a text can be the id of a run: 1 to 256 bytes of UTF-8 without control characters, and neither `.` nor `..`, which URLs
    normalise away."""
    if (
        not {".", ".."}.isdisjoint(run.split("/"))
        or "\ufffd" in run
        or any(ord(character) < 32 or ord(character) == 127 for character in run)
    ):
        return False
    try:
        return 0 < len(run.encode()) <= MAX_ID
    except UnicodeEncodeError:
        return False


class RunCatalog:
    """Looks runs up, lists and describes them, and stores the contents of meta.json, status.json and summary.json."""

    def __init__(self, records: Records, directory: TaskDirectory, projects: Projects, *, register_unknown: bool) -> None:
        """`register_unknown`: an unknown run that reports is registered; else it is refused."""
        self._records = records
        self._registry = records.registry
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
        """The run, registered when it is unknown. Raises UnknownRun (bad id, registration is off, or deleted within the hour),
        TaskNotWritable and NoWritePermission."""
        return self._permitted(company, run) or self._directory.register(company, [run], user=user)[run]

    def _permitted(self, company: str, run: str) -> Owner | None:
        """As `writable`; None for an unknown run, which may be registered."""
        if not possible_id(run):
            raise UnknownRun(run)
        own = self._directory.own(company, run)
        if own is not None:
            return self._directory.unlocked(company, own)
        # Names of runs are chosen by people: another company's public run of this name must not block this one.
        if not self._register or self._directory.was_deleted(company, [run]):
            raise UnknownRun(run)
        return None

    def runs(self, company: str, offset: int, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` runs of the company, newest first, from the `offset`th on."""
        found = self._registry.find("task", [company], order=[Sort("created", descending=True)], fields=_FIELDS, offset=offset, limit=limit)
        runs: list[dict[str, Any]] = []
        for start in range(0, len(found), SLICE):
            some = found[start : start + SLICE]
            projects = self._projects(company, some)
            runs += [self._described(document, projects) for document in some]
            give_way()
        return runs

    def detail(self, run: Owner) -> dict[str, Any]:
        """One run with its times and its summary. Raises UnknownRun when it was deleted meanwhile."""
        documents = self._registry.get_many("task", run.company, [run.id], fields=_FIELDS)
        if run.id not in documents:
            raise UnknownRun(run.id)
        document = documents[run.id]
        body, known = document.body, _runicorn(document.body)
        start, end = _seconds(body.get("started") or body.get("created")), _seconds(body.get("completed"))
        return {
            **self._described(document, self._projects(run.company, [document])),
            "start_time": start,
            "duration": end - start if start is not None and end is not None else None,
            "summary": known.get("summary") or {},
        }

    def document(self, run: Owner) -> tuple[dict[str, Any], str]:
        """The task of a run as it is stored, and the name of its project. Raises UnknownRun when it was deleted meanwhile."""
        found = self._registry.get("task", run.company, run.id)
        if found is None:
            raise UnknownRun(run.id)
        return found.body, self._projects(run.company, [found]).get(str(found.body.get("project")), "")

    def describe(self, company: str, user: str, run: str, facts: Mapping[str, Any]) -> Owner:
        """Store the contents of meta.json, status.json and summary.json, given as one object. Unknown fields are ignored; an unknown run is registered.

        Repeated facts change nothing, nor do refused ones. Raises as `writable`, and ValidationFailed, InvalidProjectName.
        """
        owner = self._permitted(company, run)
        project_name = _project_name(facts)
        imagined = new_task(run, company, user, now_ms(), {"status": "in_progress"})
        try:
            body = imagined if owner is None else self._records.own("task", company, run).body
            project = project_name and project_id(company, project_name)
            if not _take_facts(body, facts, project, user) and owner is not None:
                return owner
            checked(body)  # what is wrong with the facts is found before a run or project is made
            if project_name is not None:
                project = self._project_index.find_or_create(company, user, project_name)[0]
            owner = owner or self._directory.register(company, [run], user=user)[run]
            self._records.change("task", company, run, lambda body: _take_facts(body, facts, project, user))
        except InvalidTask:
            raise UnknownRun(run) from None
        return owner

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


def _project_name(facts: Mapping[str, Any]) -> str | None:
    """The name of the project that a run's path, or its project and name, lead to. Raises InvalidProjectName."""
    parts = [facts["path"]] if isinstance(facts.get("path"), str) else [facts.get("project"), facts.get("name")]
    name = "/".join(part for part in parts if isinstance(part, str))
    return clean_name(name) if name.strip("/ ") else None


def _take_facts(body: dict[str, Any], facts: Mapping[str, Any], project: str | None, user: str) -> bool:
    """Apply the facts to a task's body; returns whether anything changed. A project or name that a user gave stays."""
    before = dict(body)
    runtime = dict(body.get("runtime") or {})
    runtime["runicorn"] = known = {**_runicorn(body), **{name: facts[name] for name in _KEPT if facts.get(name) is not None}}
    if isinstance(facts.get("summary"), Mapping):
        known["summary"] = dict(facts["summary"])
        known.update({name: known["summary"][name] for name in ("best_metric_value", "best_metric_name") if name in known["summary"]})
    body["runtime"] = runtime
    if project is not None and body.get("project") in (None, default_project_id(body["company"])):
        body["project"] = project
    if body.get("name") == body["id"] and isinstance(known.get("alias"), str):
        body["name"] = known["alias"]
    if isinstance(facts.get("tags"), list):
        body["tags"] = list(dict.fromkeys([*(body.get("tags") or []), *(tag for tag in facts["tags"] if isinstance(tag, str) and tag)]))
    if isinstance(facts.get("hyperparams"), Mapping):
        task_parts.edit_hyper_params(body, list(_parameters(facts["hyperparams"])), "none")
    _take_status(body, facts, user)
    _take_times(body, facts)
    if body == before:
        return False
    body["last_changed_by"] = user
    return True


def _parameters(sections: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """`{section: {name: value}}` as items; the parts of an object have their path as a name."""
    for section, values in sections.items():
        if not isinstance(values, Mapping) or not section:
            continue
        for name, value in named(leaves(values)):
            if name:
                text = value if isinstance(value, str) else json.dumps(value) if isinstance(value, (list, dict)) else str(value)
                yield {"section": section, "name": name, "value": text, "type": type(value).__name__}


def _take_status(body: dict[str, Any], facts: Mapping[str, Any], user: str) -> None:
    """The status of the run, by the status machine of tasks. What a user has closed or published stays."""
    status = _TASK_STATUS.get(str(facts.get("status")))
    if status is None or body.get("status") == status or body.get("status") not in _MOVED_BY_RUNS:
        return
    reason = facts.get("exit_reason")
    # By force: steps in between (created -> running -> finished) may never have been reported.
    task_status.step(body, status, reason=reason if isinstance(reason, str) else "", user=user, force=True)


def _take_times(body: dict[str, Any], facts: Mapping[str, Any]) -> None:
    """The run's own times replace those of the report."""
    for name, field in (("created_at", "created"), ("started_at", "started"), ("ended_at", "completed")):
        moment = facts.get(name)
        if isinstance(moment, (int, float)) and not isinstance(moment, bool) and 0 < moment < 253_402_300_799:
            body[field] = round(moment * 1000)
    if body.get("status") in task_status.ENDED and body.get("started") and body.get("completed"):
        body["active_duration"] = max(0, body["completed"] - body["started"]) // 1000


def _runicorn(body: Mapping[str, Any]) -> dict[str, Any]:
    known = (body.get("runtime") or {}).get("runicorn")
    return dict(known) if isinstance(known, Mapping) else {}


def _seconds(milliseconds: Any) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, (int, float)) else None
