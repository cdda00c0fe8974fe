"""Models: the results of training. Scalars, plots and images can be reported to them too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from apiserver.bll.registry.last_metrics import LastMetricsReader
from apiserver.bll.registry.new_documents import new_id, new_model, now_ms
from apiserver.bll.registry.paging import DocumentPage, DocumentPages
from apiserver.bll.registry.projection import Projector, Tree, iso, top_fields, tree_of
from apiserver.bll.registry.projects import Projects
from apiserver.bll.registry.query import MODELS, Where, conditions, list_conditions, sorts
from apiserver.bll.registry.records import Body, Records, each_result, result
from apiserver.bll.registry.relatives import named_by
from apiserver.bll.registry.tags import set_archived, with_tags
from apiserver.bll.registry.task_parts import add_model, drop_model, mark_model_deleted
from apiserver.bll.registry.task_removal import TaskRemoval
from apiserver.bll.registry.task_runs import TaskRuns
from apiserver.bll.registry.task_status import PUBLISHED
from apiserver.errors import (
    InvalidModel,
    InvalidTask,
    ModelCreatingTaskPublished,
    ModelInUse,
    ModelIsReady,
    NoWritePermission,
    TidemarkError,
    ValidationFailed,
)
from apiserver.stores.base import EventStore
from apiserver.stores.batch import EventBatch, Touch
from apiserver.stores.registry import Document, Sort

_PLAIN = ("name", "uri", "comment", "framework", "labels", "tags", "system_tags", "ready")
_ALWAYS_READ = ("public", "company", "labels")
_NEEDS_UNPUBLISHED = frozenset({"uri", "framework", "design", "labels"})


class Models:
    """Creates, reads, edits, publishes and deletes models."""

    def __init__(
        self,
        records: Records,
        events: EventStore,
        last_metrics: LastMetricsReader,
        pages: DocumentPages,
        projects: Projects,
        removal: TaskRemoval,
        runs: TaskRuns,
    ) -> None:
        self._records = records
        self._events = events
        self._last_metrics = last_metrics
        self._projects = projects
        self._removal = removal
        self._runs = runs
        self._pages = pages

    def create(self, company: str, user: str, fields: Mapping[str, Any]) -> str:
        """Create a new model; returns its id. Raises InvalidProject, InvalidTask, InvalidModel (parent) for unknown references."""
        self._check_references(company, fields)
        body = new_model(new_id(), company, user, now_ms(), {})
        _set_fields(body, fields)
        if fields.get("task") and not fields.get("framework"):
            task = self._records.readable("task", company, fields["task"], fields=["execution"])
            body["framework"] = (task.body.get("execution") or {}).get("framework") or None
        self._records.create("model", company, body["id"], body)
        if fields.get("public"):
            self._records.publish_to_all("model", company, [body["id"]], True)
        return str(body["id"])

    # --- reading

    def get(self, company: str, id: str) -> Body:
        """One model as clients see it."""
        return self._shown([self._records.readable("model", company, id)], {}, company, expand=False)[0]

    def of_task(self, company: str, task: str) -> Body:
        """The newest output model of a task, else its newest input model. Raises InvalidTask, InvalidModel."""
        document = self._records.readable("task", company, task)
        lists = document.body.get("models") or {}
        for side in ("output", "input"):
            for item in reversed(lists.get(side) or []):
                try:
                    return self.get(company, item.get("model") or "")
                except InvalidModel:
                    continue
        raise InvalidModel([], "the task has none")

    def find(self, company: str, request: Mapping[str, Any], *, expand: bool) -> DocumentPage:
        """One page of models: filters, order, paging and chosen fields as the request says."""
        tree = tree_of(request.get("only_fields"))
        companies, where = self._records.scope("model", company)
        where += self.filters(company, request)
        order = sorts(request.get("order_by"), [Sort("created")])
        page = self._pages.read("model", companies, where, order, request, top_fields(tree, _ALWAYS_READ), scope=company)
        labels = [len(document.body.get("labels") or {}) for document in page.documents]
        rows = self._shown(page.documents, tree, company, expand=expand)
        if request.get("include_stats"):
            for row, count in zip(rows, labels, strict=True):
                row["stats"] = {"labels_count": count}
        return page.with_rows(rows)

    def filters(self, company: str, request: Mapping[str, Any]) -> Where:
        """The conditions of a request."""
        wanted = dict(request)
        where: Where = []
        projects = request.get("project") or []
        if projects and request.get("include_subprojects"):
            del wanted["project"]
            names = [item for item in ([projects] if isinstance(projects, str) else projects) if isinstance(item, str)]
            where += list_conditions("project", self._projects.with_descendants(company, names))
        return where + conditions(wanted, MODELS)

    def _shown(self, documents: Sequence[Document], tree: Tree, company: str, *, expand: bool) -> list[Body]:
        bodies = [document.body for document in documents]
        if not tree or "last_metrics" in tree:
            self._last_metrics.add(documents, tree.get("last_metrics") or {})
        return Projector(self._records.registry, "model", company, expand=expand).project(bodies, tree)

    # --- editing

    def edit(self, company: str, user: str, id: str, fields: Mapping[str, Any]) -> Body:
        """Replace fields; returns the changed fields for the answer. Raises ModelIsReady when the file of a published model would change.

        An `iteration` raises last_iteration of the model and of the task that created it.
        """
        self._check_references(company, fields)

        def change(body: Body) -> None:
            if body.get("ready") and any(name in fields and fields[name] != body.get(name) for name in _NEEDS_UNPUBLISHED):
                raise ModelIsReady("it is published, only its name, comment, tags and project can change", id=id)
            _set_fields(body, fields)
            body["last_changed_by"] = user

        body = self._records.change("model", company, id, change)[1]
        self._raise_iteration(company, fields.get("iteration"), id, body.get("task"))
        told = {name: body.get(name) for name in _PLAIN if name in fields}
        return {**told, "last_update": iso(body["last_update"])}

    def update(self, company: str, user: str, id: str, fields: Mapping[str, Any]) -> Body:
        """As `edit`, but a public model counts as unknown. Raises InvalidModel."""
        try:
            return self.edit(company, user, id, fields)
        except NoWritePermission:
            raise InvalidModel(id, "it is public") from None

    def update_tags(self, company: str, user: str, ids: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> int:
        """Add and remove tags of models; returns how many models there were. Raises InvalidModel when one is unknown, before any changes."""
        self._records.check_own("model", company, ids)

        def change(body: Body) -> None:
            body.update(tags=with_tags(body.get("tags"), add, remove), last_changed_by=user)

        self._records.change_all("model", company, ids, change)
        return len(set(ids))

    def _raise_iteration(self, company: str, iteration: int | None, model: str, task: str | None) -> None:
        if iteration is None:
            return
        touches = {model: Touch(iteration, is_model=True)}
        if task and self._records.registry.get_many("task", company, [task], fields=["id"]):
            touches[task] = Touch(iteration)
        self._events.append(company, EventBatch(now_ms(), "", touches=touches))

    def update_for_task(self, company: str, user: str, task: str, request: Mapping[str, Any]) -> tuple[str, bool, Body]:
        """Create or change the output model of a task; returns its id, whether it is new, and the changed fields."""
        document = self._records.own("task", company, task)
        fields = {name: request[name] for name in ("uri", "name", "comment", "tags", "system_tags", "iteration") if name in request}
        id = request.get("override_model_id")
        if id:
            source = self._records.readable("model", company, id).body
            fields.setdefault("uri", source.get("uri") or "")
        outputs = (document.body.get("models") or {}).get("output") or []
        model = outputs[-1].get("model") if outputs and not id else id
        created = not model
        told: Body = {}
        if created:
            if not fields.get("uri"):
                raise ValidationFailed("uri", "given when the task has no model yet")
            fields.setdefault("name", document.body.get("name") or task)
            execution = document.body.get("execution") or {}
            fields |= {"task": task, "project": document.body.get("project"), "labels": execution.get("model_labels") or {}}
            fields["ready"] = document.body.get("status") in PUBLISHED
            model = self.create(company, user, fields)
            self._raise_iteration(company, request.get("iteration"), model, task)
        else:
            told = self.edit(company, user, str(model), fields)
        name = fields.get("name") or document.body.get("name") or task
        self._records.change("task", company, task, lambda body: add_model(body, "output", name, str(model), request.get("iteration")))
        return str(model), created, told

    def archive_many(self, company: str, user: str, ids: Sequence[str], *, archived: bool) -> dict[str, bool | TidemarkError]:
        """Archive or unarchive models; for each whether that changed anything, or the error."""
        changed = self._records.change_many("model", company, ids, lambda body: set_archived(body, archived, user))
        return each_result(dict(changed), itemgetter(0))

    def publish_many(
        self, company: str, user: str, ids: Sequence[str], *, publish_task: bool = True, force_task: bool = False
    ) -> dict[str, Body | TidemarkError | None]:
        """Make models read-only, and before them the tasks that created them (unless `publish_task` is false). For each the task if it was published
        for it, or the error.

        ModelIsReady when the model is published already, InvalidTaskStatus when the task has not ended (without `force_task`).
        """
        outcomes: dict[str, Body | TidemarkError | None] = {}
        left: dict[str, str] = {}
        for id, model in self._records.own_many("model", company, ids, ("ready", "task")).items():
            if isinstance(model, TidemarkError):
                outcomes[id] = model
            elif model.body.get("ready"):
                outcomes[id] = ModelIsReady("it is published already", id=id)
            else:
                left[id] = model.body.get("task") or ""
        wanted = list(dict.fromkeys(task for task in left.values() if task)) if publish_task else []
        tasks = self._publish_tasks(company, user, wanted, force=force_task)
        for id, task in left.items():
            outcomes[id] = tasks.get(task)
            if not isinstance(outcomes[id], TidemarkError):
                tasks.pop(task, None)  # only the first of its models published it
        ready = [id for id in left if not isinstance(outcomes[id], TidemarkError)]
        changed = self._records.change_many("model", company, ready, lambda body: body.update(ready=True, last_changed_by=user))
        return outcomes | {id: outcome for id, outcome in changed if isinstance(outcome, TidemarkError)}

    def _publish_tasks(self, company: str, user: str, tasks: Sequence[str], *, force: bool) -> dict[str, Body | TidemarkError]:
        """Those of the tasks that were published, with what changed, and the errors of those that can't be. The others are published already, or are
        none that this company can change."""
        found = self._records.own_many("task", company, tasks, ("status",))
        some = [id for id, task in found.items() if not isinstance(task, TidemarkError) and task.body.get("status") not in PUBLISHED]
        published: dict[str, Body | TidemarkError] = {}
        for id, outcome in self._runs.publish_many(company, user, some, force=force, models=False).items():
            if not isinstance(outcome, TidemarkError):
                published[id] = {"id": id, "data": {"updated": 1, "fields": outcome}}
            elif not isinstance(outcome, InvalidTask | NoWritePermission):
                published[id] = outcome
        return published

    def delete_many(self, company: str, ids: Sequence[str], *, force: bool) -> dict[str, str | TidemarkError | None]:
        """Delete models with their events; for each the URL of its file, or the error of a model that stays.

        Unless forced, ModelInUse when tasks have it as their input, ModelCreatingTaskPublished when the task that created it is published. The
        entry of a task that keeps one becomes `__DELETED__<id>`; a task that is not published loses its output entry.
        """
        models = self._records.own_many("model", company, ids, ("task", "uri"))
        names = named_by(self._records.registry, company, ids)
        creators = {model.body.get("task") or "" for model in models.values() if isinstance(model, Document)} - {""}
        tasks = self._records.registry.get_many("task", company, creators, fields=("status",))
        published = {id for id, task in tasks.items() if task.body.get("status") in PUBLISHED}
        outcomes: dict[str, str | TidemarkError | None] = {}
        holders: dict[str, list[str]] = defaultdict(list)
        for id, model in models.items():
            try:
                body = result(model).body
                users = names.users.get(id, ())
                if users and not force:
                    raise ModelInUse("tasks use it as their input; use force", id=id, tasks=len(users))
                if body.get("task") in published and not force:
                    raise ModelCreatingTaskPublished("it is published; use force", id=id, task=body["task"])
                outcomes[id] = body.get("uri") or None
                for task in (*users, *names.makers.get(id, ())):
                    holders[task].append(id)
            except TidemarkError as error:
                outcomes[id] = error
        self._removal.remove_models(company, [id for id, outcome in outcomes.items() if not isinstance(outcome, TidemarkError)])
        for task, outcome in self._records.change_many("task", company, holders, lambda body: _forget_models(body, holders[body["id"]])):
            # Deleted meanwhile, or public: nothing to do, or read-only.
            if isinstance(outcome, TidemarkError) and not isinstance(outcome, InvalidTask | NoWritePermission):
                outcomes |= dict.fromkeys(holders[task], outcome)
        return outcomes

    def move(self, company: str, user: str, ids: Sequence[str], project: str | None, project_name: str | None) -> str | None:
        """Move models into a project, by id, or by name (created if it does not exist), or, with neither, out of any; returns the project's id."""
        target = project
        self._records.check_own("model", company, ids)
        if target:
            self._check_references(company, {"project": target})
        elif project_name:
            target = self._projects.find_or_create(company, user, project_name)[0]
        self._records.change_all("model", company, ids, lambda body: body.update(project=target, last_changed_by=user))
        return target

    def make_public(self, company: str, ids: Sequence[str], *, public: bool) -> int:
        """Let every company read models, or only their own again; returns how many changed. Raises InvalidModel for unknown ids, and for private ones
        that should become private."""
        return self._records.share("model", company, ids, public=public)

    def frameworks(self, company: str, projects: Iterable[str] | None) -> list[str]:
        """The frameworks of all models, or of those in some projects and below, in order."""
        wanted = list(projects or ())
        where: Where = list_conditions("project", self._projects.with_descendants(company, wanted)) if wanted else []
        found = self._records.registry.tally("model", [company], where, ["framework"])
        return sorted(name for (name,) in found if name)

    # --- metadata

    def set_metadata(self, company: str, id: str, items: Sequence[Mapping[str, Any]], *, replace: bool) -> None:
        """Set entries of a model's metadata; `replace` drops the others."""

        def change(body: Body) -> None:
            kept = {} if replace else dict(body.get("metadata") or {})
            kept.update(_metadata(items))
            body["metadata"] = kept

        self._records.change("model", company, id, change)

    def delete_metadata(self, company: str, id: str, keys: Iterable[str]) -> int:
        """Remove entries of a model's metadata; returns how many were there."""

        def change(body: Body) -> int:
            kept = dict(body.get("metadata") or {})
            removed = sum(kept.pop(key, None) is not None for key in set(keys))
            body["metadata"] = kept
            return removed

        return self._records.change("model", company, id, change)[0]

    def _check_references(self, company: str, fields: Mapping[str, Any]) -> None:
        for name, kind in (("project", "project"), ("task", "task"), ("parent", "model")):
            if fields.get(name):
                self._records.readable(kind, company, fields[name], fields=["public"])  # type: ignore[arg-type]


def _forget_models(body: Body, models: Iterable[str]) -> None:
    for model in models:
        if body.get("status") not in PUBLISHED:
            drop_model(body, "output", model)
        mark_model_deleted(body, model)


def _set_fields(body: Body, fields: Mapping[str, Any]) -> None:
    if "name" in fields and not fields["name"].strip():
        raise ValidationFailed("name", "a name", fields["name"])
    body.update({name: fields[name] for name in _PLAIN if name in fields})
    for name in ("project", "task", "parent"):
        if name in fields:
            body[name] = fields[name] or None
    if "design" in fields:
        body["design"] = fields["design"]
    if "metadata" in fields:
        body["metadata"] = _metadata(fields["metadata"])


def _metadata(items: Any) -> dict[str, Body]:
    """`{key: {key, type, value}}`, from that or from a list of such entries."""
    if isinstance(items, Mapping):
        items = [{**item, "key": key} if isinstance(item, Mapping) else {"key": key, "value": str(item)} for key, item in items.items()]
    return {item["key"]: dict(item) for item in items}
