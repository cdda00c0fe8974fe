"""Tasks: creating, reading, editing. Status changes are in `task_status`, removal in `task_removal`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from apiserver.bll.registry import task_parts as parts
from apiserver.bll.registry.facets import facet_path, listed_facet
from apiserver.bll.registry.last_metrics import LastMetricsReader
from apiserver.bll.registry.legacy_forms import take_execution
from apiserver.bll.registry.new_documents import new_id, new_task, now_ms
from apiserver.bll.registry.paging import DocumentPage, DocumentPages
from apiserver.bll.registry.projection import TIMES, Projector, Tree, iso, top_fields, tree_of
from apiserver.bll.registry.projects import Projects
from apiserver.bll.registry.public import find_readable
from apiserver.bll.registry.query import TASKS, Where, conditions, list_conditions, sorts
from apiserver.bll.registry.records import Records, each_result
from apiserver.bll.registry.tags import set_archived, with_tags
from apiserver.bll.registry.task_status import PUBLISHED, STATUSES, active_duration, require, step
from apiserver.errors import InvalidTask, TidemarkError, ValidationFailed
from apiserver.stores.registry import Condition, Document, Sort

Body = dict[str, Any]

EDITABLE = frozenset({"created", "queued", "in_progress"})
NOT_STARTED = frozenset({"created"})
ANY_STATUS = frozenset(STATUSES)
NOT_PUBLISHED = ANY_STATUS - PUBLISHED

_PLAIN = ("name", "type", "comment", "tags", "system_tags", "script", "container", "runtime", "report")
_ALWAYS_READ = ("status", "started", "active_duration", "public", "company")


class Tasks:
    """All operations on tasks that do not change their status."""

    def __init__(self, records: Records, last_metrics: LastMetricsReader, pages: DocumentPages, projects: Projects) -> None:
        self._records = records
        self._last_metrics = last_metrics
        self._projects = projects
        self._pages = pages

    # --- creating

    def create(self, company: str, user: str, fields: Mapping[str, Any]) -> str:
        """Create a new task; returns its id. Raises InvalidProject and InvalidTask (parent) for unknown references."""
        return self.store(self.prepare(company, user, fields))

    def prepare(self, company: str, user: str, fields: Mapping[str, Any]) -> Body:
        """The body of a new task, not stored yet, with references looked up. Raises as `create`."""
        self._check_references(company, fields)
        body = new_task(new_id(), company, user, now_ms(), {})
        set_fields(body, fields)
        return body

    def store(self, body: Body) -> str:
        """Register the task; returns its id."""
        company = body["company"]
        self._records.create("task", company, body["id"], body)
        if body["project"]:
            self._projects.note_use(company, body["project"])
        return str(body["id"])

    # --- reading

    def get(self, company: str, id: str) -> Body:
        """One task as clients see it, with last_metrics."""
        document = self._records.readable("task", company, id)
        return self._shown([document], {}, company, expand=False)[0]

    def find(self, company: str, request: Mapping[str, Any], *, expand: bool) -> DocumentPage:
        """One page of tasks: filters, order, paging and chosen fields as the request says."""
        tree = tree_of(request.get("only_fields"))
        companies, where = self._records.scope("task", company)
        where += self.filters(company, request)
        order = sorts(request.get("order_by"), [Sort("created")])
        page = self._pages.read("task", companies, where, order, request, top_fields(tree, _ALWAYS_READ), scope=company)
        return page.with_rows(self._shown(page.documents, tree, company, expand=expand))

    def counts(self, company: str, request: Mapping[str, Any]) -> Body:
        """Totals over all tasks that match, not only the page: `total`, and the values of its `facets` with the number
        of tasks that have each, the most frequent first."""
        found: Body = {}
        if not request.get("count_total") and not request.get("facets"):
            return found
        companies, where = self._records.scope("task", company)
        where += self.filters(company, request)
        registry = self._records.registry
        if request.get("count_total"):
            found["total"] = registry.count("task", companies, where)
        if request.get("facets"):
            limit = request["facet_values"]
            paths = {name: facet_path(name) for name in request["facets"]}
            found["facets"] = {name: listed_facet(registry.tally("task", companies, where, [path]), limit) for name, path in paths.items()}
        return found

    def filters(self, company: str, request: Mapping[str, Any]) -> Where:
        """The conditions of a request, sub-projects and hidden tasks taken into account."""
        projects = request.get("project") or []
        wanted = dict(request)
        where: Where = []
        if projects and request.get("include_subprojects"):
            del wanted["project"]
            names = [item for item in ([projects] if isinstance(projects, str) else projects) if isinstance(item, str)]
            where += list_conditions("project", self._projects.with_descendants(company, names))
        where += conditions(wanted, TASKS)
        if not request.get("search_hidden") and not request.get("id") and "hidden" not in str(request.get("system_tags")):
            where.append(Condition("system_tags", "in", ("hidden",), negate=True))
        return where

    def steps_of(self, company: str, ids: Sequence[str]) -> dict[str, list[Body]]:
        """`id` and `status` of the steps of pipeline runs: the tasks that name them as their parent. No entry for other tasks."""
        registry = self._records.registry
        found = registry.get_many("task", company, ids, fields=["type", "system_tags"])
        runs = [
            id for id, task in found.items() if task.body.get("type") == "controller" or "pipeline" in (task.body.get("system_tags") or ())
        ]
        steps: dict[str, list[Body]] = {id: [] for id in runs}
        if runs:
            children = [Condition("parent", "in", runs)]
            for step in registry.find("task", [company], children, order=[Sort("created")], fields=["status", "parent"]):
                steps[step.body["parent"]].append({"id": step.id, "status": step.body.get("status") or "created"})
        return steps

    def count(self, company: str, where: Where) -> int:
        """How many of the company's own tasks match."""
        return self._records.registry.count("task", [company], where)

    def some(self, company: str, ids: Sequence[str], fields: Sequence[str]) -> list[Body]:
        """The bodies of readable tasks, in order. Raises InvalidTask with all ids when one is unknown."""
        found = find_readable(self._records.registry, "task", company, ids, fields=fields)
        if len(found) < len(set(ids)):
            raise InvalidTask(ids)
        return [found[id].body for id in dict.fromkeys(ids)]

    def _shown(self, documents: Sequence[Document], tree: Tree, company: str, *, expand: bool) -> list[Body]:
        bodies = [document.body for document in documents]
        for body in bodies:
            duration = active_duration(body)
            if duration is not None:
                body["active_duration"] = duration
        if not tree or "last_metrics" in tree:
            self._last_metrics.add(documents, tree.get("last_metrics") or {})
        return Projector(self._records.registry, "task", company, expand=expand).project(bodies, tree)

    # --- editing

    def edit(self, company: str, user: str, id: str, fields: Mapping[str, Any], *, force: bool) -> Body:
        """Replace top-level fields as a whole; `status` is a step as of `TaskRuns.move`. Without `force` only before and during a run, and parameters
        (but user properties) and configuration only before it.

        Raises InvalidTaskStatus.
        """
        self._check_references(company, fields)

        def change(body: Body) -> Body:
            require(body, EDITABLE, force=force, doing="editing")
            before = parts.fixed_at_start(body)
            set_fields(body, fields)
            if parts.fixed_at_start(body) != before:
                require(body, NOT_STARTED, force=force, doing="changing parameters or configuration")
            return step(body, fields["status"], user=user, force=force) if "status" in fields else {}

        return self._change(company, user, id, change)

    def update(self, company: str, user: str, id: str, fields: Mapping[str, Any]) -> Body:
        """Change name, tags, comment or project, in any status."""
        self._check_references(company, fields)
        return self._change(company, user, id, lambda body: set_fields(body, fields))

    def check_own(self, company: str, ids: Sequence[str]) -> None:
        """To be called before several tasks are changed: raises InvalidTask if one is unknown, NoWritePermission if one is public."""
        self._records.check_own("task", company, ids)

    def update_tags(self, company: str, user: str, ids: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> int:
        """Add tags to tasks and remove others, in any status; returns how many tasks there were. Raises InvalidTask when one is unknown."""
        self.check_own(company, ids)

        def change(body: Body) -> None:
            body["tags"] = with_tags(body.get("tags"), add, remove)

        self._records.change_all("task", company, ids, _noted(user, change))
        return len(set(ids))

    def change_part(
        self, company: str, user: str, id: str, change: Callable[[Body], Any], *, force: bool, allowed: frozenset[str] = NOT_PUBLISHED
    ) -> Any:
        """Change a part of a task in one of the `allowed` statuses (or with `force`); what `change` returned. Raises InvalidTaskStatus."""

        def guarded(body: Body) -> Any:
            require(body, allowed, force=force, doing="changing this part of a task")
            body["last_changed_by"] = user
            return change(body)

        return self._records.change("task", company, id, guarded)[0]

    def add_model(self, company: str, user: str, id: str, request: Mapping[str, Any]) -> None:
        """Put a model into the task's lists, in any status. The model need not exist yet."""

        def change(body: Body) -> None:
            parts.add_model(body, request["type"], request["name"], request["model"], request.get("iteration"))

        self._change(company, user, id, change)

    def set_requirements(self, company: str, user: str, id: str, requirements: Mapping[str, Any]) -> Body:
        """The Python packages of the task's script."""

        def change(body: Body) -> None:
            body["script"] = {**(body.get("script") or {}), "requirements": dict(requirements)}

        return self._change(company, user, id, change)

    def ping(self, company: str, id: str) -> None:
        """Note that the task is alive: changes only last_update."""
        self._records.own("task", company, id)
        self._records.registry.touch("task", company, id, last_update=now_ms())

    def archive_many(
        self, company: str, user: str, ids: Sequence[str], *, archived: bool, reason: str = "", message: str = ""
    ) -> dict[str, bool | TidemarkError]:
        """Archive or unarchive tasks; for each whether that changed anything, or the error."""

        def change(body: Body) -> bool:
            if reason or message:
                body.update(status_reason=reason, status_message=message)
            return set_archived(body, archived, user)

        changed = self._records.change_many("task", company, ids, change)
        return each_result(dict(changed), itemgetter(0))

    def move(self, company: str, user: str, ids: Sequence[str], project: str | None, project_name: str | None) -> str | None:
        """Move tasks into a project, by id, or by name (created if it does not exist), or, with neither, out of any; returns the project's id."""
        target = project
        self._records.check_own("task", company, ids)
        if target:
            self._check_references(company, {"project": target})
        elif project_name:
            target = self._projects.find_or_create(company, user, project_name)[0]
        self._records.change_all("task", company, ids, _noted(user, lambda body: body.update(project=target)))
        return target

    def make_public(self, company: str, ids: Sequence[str], *, public: bool) -> int:
        """Let every company read tasks, or only their own again; returns how many changed. Raises InvalidTask for unknown ids, and for private ones
        that should become private."""
        return self._records.share("task", company, ids, public=public)

    def _change(self, company: str, user: str, id: str, change: Callable[[Body], Body | None]) -> Body:
        """Apply `change`; returns for the answer the fields that it returned and the times of the change."""
        told, body = self._records.change("task", company, id, _noted(user, change))
        fields = {**(told or {}), "last_update": body["last_update"], "last_change": body["last_change"]}
        return {name: iso(value) if name in TIMES else value for name, value in fields.items()}

    def _check_references(self, company: str, fields: Mapping[str, Any]) -> None:
        if fields.get("project"):
            self._records.readable("project", company, fields["project"], fields=["public"])
        if fields.get("parent"):
            self._records.readable("task", company, fields["parent"], fields=["public"])


def _noted(user: str, change: Callable[[Body], Body | None]) -> Callable[[Body], Body | None]:
    """The change, which also stores who made it."""

    def noted(body: Body) -> Body | None:
        told = change(body)
        body["last_changed_by"] = user
        return told

    return noted


def set_fields(body: Body, fields: Mapping[str, Any]) -> None:
    """Replace the fields that a request gives, each as a whole. Raises ValidationFailed for an empty name."""
    if "name" in fields and not fields["name"].strip():
        raise ValidationFailed("name", "a name", fields["name"])
    body.update({name: fields[name] for name in _PLAIN if name in fields})
    for name in ("project", "parent"):
        if name in fields:
            body[name] = fields[name] or None
    if "output_dest" in fields:
        body["output"] = {**(body.get("output") or {}), "destination": fields["output_dest"]}
    if "hyperparams" in fields:
        body["hyperparams"] = parts.sections(fields["hyperparams"])
    if "configuration" in fields:
        body["configuration"] = parts.configurations(fields["configuration"])
    if "execution" in fields:  # after these two: its old form adds to them
        body["execution"] = take_execution(body, fields["execution"])
    if "models" in fields:
        body["models"] = parts.model_lists(fields["models"])
