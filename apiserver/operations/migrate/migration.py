"""The whole of a server, step by step: users, projects, models and tasks, then the events and files of each, then a comparison.

It can be repeated and resumed: documents and events replace themselves; unchanged tasks are skipped; a task whose
copy was interrupted is copied again, its log from the start.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Full, Queue
from typing import Any, NamedTuple

import orjson

from apiserver.common.words import many
from apiserver.operations.migrate.documents import id_of, is_own, milliseconds, stored_model, stored_project, stored_task, stored_user
from apiserver.operations.migrate.file_moves import FileMoves
from apiserver.operations.migrate.remote import COUNTED_LINES, TYPES, Remote, RemoteFailed
from apiserver.operations.migrate.target import Target, line_of, worker_of
from apiserver.operations.notes import Notes

SAVE_SECONDS = 5.0
_WITH_FILES = ("training_debug_image", "plot")
ACTIVITY = ("last_iteration", "last_update", "last_change")


@dataclass(frozen=True, slots=True)
class Selection:
    """What is migrated: `project` and those below it (None: all), and what changed since a time in ms (None: ever)."""

    project: str | None = None
    since: int | None = None


@dataclass(slots=True)
class Outcome:
    """Counts of a migration. `public`: tasks and models without a company, which are not copied. `differences`: what differs between the servers at the end.
    `counts`: events by type, as the other server says."""

    projects: int = 0
    users: int = 0
    tasks: int = 0
    models: int = 0
    unchanged: int = 0
    public: int = 0
    events: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class _Owner(NamedTuple):
    """A task or model with its activity, as the server has it."""

    id: str
    model: bool
    activity: dict[str, int]

    @property
    def key(self) -> str:
        return f"{'model' if self.model else 'task'}:{self.id}"


class _Page(NamedTuple):
    owner: _Owner
    type: str
    total: int
    lines: bytes
    size: int
    worker: str


class _End(NamedTuple):
    """`whole`: all its files were copied; else it is copied again next time."""

    owner: _Owner
    problem: str
    whole: bool


Progress = Callable[[int, int, int], None]
"""Called with (tasks and models done, tasks and models in total, events stored)."""


class Migration:
    """Copies from a server into a target."""

    def __init__(self, remote: Remote, target: Target, files: FileMoves, notes: Path, selection: Selection, parallel: int) -> None:
        self._remote, self._target, self._files = remote, target, files
        self._notes = Notes(notes, f"{remote.url} {target.company}")
        self._selection, self._parallel = selection, parallel
        self._done: dict[str, dict[str, int]] = self._notes.read()
        self._projects: dict[str, str] = {}
        self._missed: set[str] = set()
        self._public: dict[str, dict[str, Any]] = {}
        own = target.registry.find("project", [target.company], fields=["name"])
        self._own_projects = {str(one.body["name"]): one.id for one in own}
        self._stop = threading.Event()
        self.outcome = Outcome()

    def run(self, progress: Progress) -> Outcome:
        """Copy everything. Raises RemoteFailed when the server does not answer at all; problems of single tasks are collected."""
        self._users()
        wanted = self._projects_of()
        owners = [*self._models(wanted), *self._tasks(wanted)]
        changed = [owner for owner in owners if self._done.get(owner.key) != owner.activity]
        self.outcome.unchanged = len(owners) - len(changed)
        self._events(changed, progress)
        self._notes.write(self._done)
        self.outcome.problems += self._files.problems
        return self.outcome

    # --- documents

    def _users(self) -> None:
        try:
            for user in self._remote.documents("users"):
                if self._target.registry.get("user", self._target.company, user["id"]) is None:
                    # Nobody can log in as this user before the administrator gives it keys.
                    self._target.put("user", stored_user(user, self._target.company))
                    self.outcome.users += 1
        except RemoteFailed as error:  # the key's role may not be allowed to list users
            self.outcome.problems.append(f"users were not copied: {error}")

    def _projects_of(self) -> list[str] | None:
        """Store the projects; the ids of those whose tasks are wanted, None for all."""
        found = sorted(self._remote.documents("projects"), key=lambda project: str(project["name"]).count("/"))
        name = self._selection.project
        inside = _inside(found, name)
        if name is not None:
            above = {project["id"] for project in found if name.startswith(f"{project['name']}/")}
            found = [project for project in found if project["id"] in inside | above]
        for project in found:
            if is_own(project):
                self._put_project(project)
            else:  # a public one is copied with the first of our tasks in it
                self._public[project["id"]] = project
        return sorted(inside) if name is not None else None

    def _put_project(self, project: Mapping[str, Any]) -> None:
        own, name = self._own_projects, str(project["name"])
        if name not in own:
            parent = own.get(name.rpartition("/")[0])
            path = [own[part] for part in _above(name) if part in own]
            self._target.put("project", stored_project(project, self._target.company, parent, path))
            own[name] = str(project["id"])
            self.outcome.projects += 1
        self._projects[project["id"]] = own[name]

    def _tasks(self, projects: list[str] | None) -> list[_Owner]:
        found = []
        for task in self._remote.documents("tasks", **({"project": projects} if projects is not None else {})):
            self.outcome.public += not is_own(task)
            if not is_wanted(task, self._selection):
                continue
            owner = _Owner(str(task["id"]), False, _activity(task))
            if self._done.get(owner.key) != owner.activity:
                task = self._with_files(owner, task)
                self._target.put("task", self._kept("task", stored_task(task, self._target.company, self._project(task))))
            found.append(owner)
            self.outcome.tasks += 1
        return found

    def _models(self, projects: list[str] | None) -> list[_Owner]:
        found = []
        for model in self._remote.documents("models", **({"project": projects} if projects is not None else {})):
            self.outcome.public += not is_own(model)
            if not is_wanted(model, self._selection):
                continue
            owner = _Owner(str(model["id"]), True, _activity(model))
            if self._done.get(owner.key) != owner.activity:
                model = self._with_files(owner, model)
                self._target.put("model", self._kept("model", stored_model(model, self._target.company, self._project(model))))
            found.append(owner)
            self.outcome.models += 1
        return found

    def _kept(self, kind: Any, body: dict[str, Any]) -> dict[str, Any]:
        """The body with the stored values of the fields that events set."""
        known = self._target.registry.get(kind, self._target.company, str(body["id"]))
        if known is not None:
            body.update({name: known.body[name] for name in ACTIVITY if name in known.body})
        return body

    def _project(self, document: Mapping[str, Any]) -> str | None:
        id = id_of(document.get("project"))
        if id in self._public:
            self._put_project(self._public.pop(id))
        return self._projects.get(id, id) if id else None

    def _with_files(self, owner: _Owner, document: dict[str, Any]) -> dict[str, Any]:
        missed: list[str] = []
        made = orjson.loads(self._files.rewritten(orjson.dumps(document), missed))
        if missed:
            self._missed.add(owner.key)
        return dict(made)

    # --- events

    def _events(self, owners: list[_Owner], progress: Progress) -> None:
        """Fetch in several threads, store in this one."""
        queue: Queue[_Page | _End] = Queue(2 * self._parallel)
        pool = ThreadPoolExecutor(self._parallel)
        for owner in owners:
            pool.submit(self._fetch, owner, queue)
        totals: dict[str, dict[str, int]] = {}
        failed: set[str] = set()
        started: set[str] = set()
        ended = 0
        progress(0, len(owners), 0)
        try:
            while ended < len(owners):
                item = queue.get()
                key = item.owner.key
                if isinstance(item, _End):
                    ended += 1
                    if item.problem or key in failed:
                        self.outcome.problems += [f"{key}: {item.problem}"] if item.problem else []
                    else:
                        self._finish(item.owner, totals.pop(key, {}), item.whole)
                    progress(ended, len(owners), self.outcome.events)
                    continue
                if key not in started and not item.owner.model:
                    self._target.clear_log(item.owner.id)
                started.add(key)
                totals.setdefault(key, {})[item.type] = item.total
                if item.size:
                    refused = self._target.add(item.lines, item.worker)
                    self.outcome.events += item.size
                    if refused:
                        failed.add(key)
                        self.outcome.problems += [f"{key}: {reason}" for reason in refused[:10]]
                progress(ended, len(owners), self.outcome.events)
        finally:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, owner: _Owner, queue: Queue[_Page | _End]) -> None:
        problems, missed = [], list[str]()
        for kind in types_of(owner.model):
            try:
                for page in self._remote.events(owner.id, kind, model=owner.model):
                    if self._stop.is_set():
                        return
                    worker = worker_of(page.events)
                    lines = b"\n".join([line_of(event, worker, model=owner.model) for event in page.events])
                    if page.type in _WITH_FILES:
                        lines = self._files.rewritten(lines, missed)
                    self._hand_over(queue, _Page(owner, page.type, page.total, lines, len(page.events), worker))
            except RemoteFailed as error:  # the other types come all the same
                problems.append(f"{kind}: {error}")
            except Exception as error:  # in a thread: nothing else would report it
                problems.append(f"{kind}: {type(error).__name__}: {error}")
        self._hand_over(queue, _End(owner, "; ".join(problems), not missed and owner.key not in self._missed))

    def _hand_over(self, queue: Queue[_Page | _End], item: _Page | _End) -> None:
        while not self._stop.is_set():
            with suppress(Full):
                queue.put(item, timeout=1)
                return

    def _finish(self, owner: _Owner, totals: dict[str, int], same: bool) -> None:
        """Compare both sides, give the task its own activity again, and note that it is done."""
        for type, total in totals.items():
            self.outcome.counts[type] += total
            stored = self._target.count(owner.id, type) if total else 0
            if stored != total:
                same = False
                self.outcome.differences.append(f"{owner.key}: {many(total, 'event')} of the type {type} there, {stored:,} here")
        self._target.registry.touch("model" if owner.model else "task", self._target.company, owner.id, **owner.activity)
        if same:
            self._done[owner.key] = owner.activity
        if self._notes.age >= SAVE_SECONDS:
            self._notes.write(self._done)


def dry_run(remote: Remote, selection: Selection) -> Outcome:
    """Count what would be copied."""
    outcome = Outcome()
    try:
        outcome.users = sum(1 for _ in remote.documents("users"))
    except RemoteFailed as error:
        outcome.problems.append(f"users can't be copied: {error}")
    projects = list(remote.documents("projects"))
    inside = _inside(projects, selection.project)
    used = {one["id"] for one in projects if is_own(one) and one["id"] in inside}
    for service in ("models", "tasks"):
        for document in remote.documents(service, **({"project": sorted(inside)} if selection.project is not None else {})):
            outcome.public += not is_own(document)
            if not is_wanted(document, selection):
                continue
            setattr(outcome, service, getattr(outcome, service) + 1)
            used.add(id_of(document.get("project")))
            for type in types_of(service == "models"):
                found = remote.count(document["id"], type, model=service == "models")
                outcome.counts[type] += found
                if type == "log" and found == COUNTED_LINES:
                    outcome.counts[f"logs of {COUNTED_LINES:,} lines or more"] += 1
            for artifact in (document.get("execution") or {}).get("artifacts") or []:
                outcome.counts["bytes of artifacts"] += int(artifact.get("content_size") or 0)
    outcome.projects = len(used & inside)
    return outcome


def is_wanted(document: Mapping[str, Any], selection: Selection) -> bool:
    """Whether a task or model is the company's own and changed lately enough."""
    changed = milliseconds(document.get("last_update")) or milliseconds(document.get("created")) or 0
    return is_own(document) and (selection.since is None or changed >= selection.since)


def types_of(model: bool) -> tuple[str, ...]:
    """The types of events that a model, or a task, has."""
    return tuple(type for type in TYPES if not model or type != "log")


def _inside(projects: Iterable[Mapping[str, Any]], name: str | None) -> set[str]:
    """The ids of a project and those below it; None: of all. Raises RemoteFailed where there is no such project."""
    found = {str(one["id"]) for one in projects if name is None or f"{one['name']}/".startswith(f"{name}/")}
    if name is not None and not found:
        raise RemoteFailed(f'there is no project "{name}"')
    return found


def _activity(document: Mapping[str, Any]) -> dict[str, int]:
    moments = {name: milliseconds(document.get(name)) for name in ACTIVITY}
    return {name: moment for name, moment in moments.items() if moment is not None}


def _above(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]
