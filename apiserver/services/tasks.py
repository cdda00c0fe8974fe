"""The tasks service: creating, reading and editing. Status changes and removal: `tasks_status`."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry import task_parts as parts
from apiserver.bll.registry.filter_values import FilterValues
from apiserver.bll.registry.paging import DocumentPage
from apiserver.bll.registry.task_clone import TaskClone
from apiserver.bll.registry.tasks import ANY_STATUS, NOT_PUBLISHED, NOT_STARTED, Tasks
from apiserver.service_repo import Call, endpoint
from apiserver.services.old_clients import modern_request, old_answers

Request = dict[str, Any]
Answer = dict[str, Any]


class TasksService:
    """Handlers of `tasks.*` that do not change a task's status."""

    def __init__(self, tasks: Tasks, clones: TaskClone, filter_values: FilterValues) -> None:
        self._tasks = tasks
        self._clones = clones
        self._filter_values = filter_values

    @endpoint("tasks.create")
    def create(self, call: Call, request: Request) -> Answer:
        return {"id": self._tasks.create(call.company, call.user, modern_request(call, request))}

    @endpoint("tasks.clone")
    def clone(self, call: Call, request: Request) -> Answer:
        id, project = self._clones.clone(call.company, call.user, request["task"], request)
        return {"id": id, "new_project": project} if project else {"id": id}

    # --- reading

    @endpoint("tasks.get_by_id")
    def get_by_id(self, call: Call, request: Request) -> Answer:
        task = self._tasks.get(call.company, request["task"])
        old_answers(call, [task])
        return {"task": task}

    @endpoint("tasks.get_all")
    def get_all(self, call: Call, request: Request) -> Answer:
        return self._find(call, request, expand=False).answer("tasks")

    @endpoint("tasks.get_all_ex")
    def get_all_ex(self, call: Call, request: Request) -> Answer:
        return self._find(call, request, expand=True).answer("tasks") | self._tasks.counts(call.company, modern_request(call, request))

    @endpoint("tasks.get_by_id_ex")
    def get_by_id_ex(self, call: Call, request: Request) -> Answer:
        if not request["id"]:
            return {"tasks": []}
        wanted = {"id": request["id"], "only_fields": request.get("only_fields")}
        return self._find(call, wanted, expand=True).answer("tasks")

    @endpoint("tasks.get_types")
    def get_types(self, call: Call, request: Request) -> Answer:
        return {"types": self._filter_values.task_types(call.company, request.get("projects"))}

    @endpoint("tasks.get_hyper_params")
    def get_hyper_params(self, call: Call, request: Request) -> Answer:
        bodies = self._tasks.some(call.company, request["tasks"], ["hyperparams"])
        return {"params": [{"task": body["id"], "hyperparams": parts.listed_hyper_params(body)} for body in bodies]}

    @endpoint("tasks.get_configurations")
    def get_configurations(self, call: Call, request: Request) -> Answer:
        names = request.get("names")
        found = []
        for body in self._tasks.some(call.company, request["tasks"], ["configuration"]):
            items = sorted((body.get("configuration") or {}).items())
            found.append({"task": body["id"], "configuration": [item for name, item in items if not names or name in names]})
        return {"configurations": found}

    @endpoint("tasks.get_configuration_names")
    def get_configuration_names(self, call: Call, request: Request) -> Answer:
        found = []
        for body in self._tasks.some(call.company, request["tasks"], ["configuration"]):
            items = sorted((body.get("configuration") or {}).items())
            found.append({"task": body["id"], "names": [name for name, item in items if item.get("value") or not request["skip_empty"]]})
        return {"configurations": found}

    # --- editing

    @endpoint("tasks.edit")
    def edit(self, call: Call, request: Request) -> Answer:
        fields = modern_request(call, request)
        return _updated(self._tasks.edit(call.company, call.user, request["task"], fields, force=request["force"]))

    @endpoint("tasks.update")
    def update(self, call: Call, request: Request) -> Answer:
        allowed = ("name", "tags", "system_tags", "comment", "project")
        given = modern_request(call, request)
        fields = {name: given[name] for name in allowed if name in given}
        return _updated(self._tasks.update(call.company, call.user, request["task"], fields))

    @endpoint("tasks.update_tags")
    def update_tags(self, call: Call, request: Request) -> Answer:
        add, remove = request["add_tags"], request["remove_tags"]
        return {"updated": self._tasks.update_tags(call.company, call.user, request["ids"], add, remove)}

    @endpoint("tasks.edit_hyper_params")
    def edit_hyper_params(self, call: Call, request: Request) -> Answer:
        items, replace = request["hyperparams"], request["replace_hyperparams"]
        allowed = ANY_STATUS if replace != "all" and parts.properties_only(items) else NOT_STARTED
        self._part(call, request, lambda body: parts.edit_hyper_params(body, items, replace), allowed)
        return {"updated": 1}

    @endpoint("tasks.delete_hyper_params")
    def delete_hyper_params(self, call: Call, request: Request) -> Answer:
        items = request["hyperparams"]
        allowed = ANY_STATUS if parts.properties_only(items) else NOT_STARTED
        return {"deleted": self._part(call, request, lambda body: parts.delete_hyper_params(body, items), allowed)}

    @endpoint("tasks.edit_configuration")
    def edit_configuration(self, call: Call, request: Request) -> Answer:
        items, replace = request["configuration"], request["replace_configuration"]
        self._part(call, request, lambda body: parts.edit_configuration(body, items, replace=replace), NOT_STARTED)
        return {"updated": 1}

    @endpoint("tasks.delete_configuration")
    def delete_configuration(self, call: Call, request: Request) -> Answer:
        names = request["configuration"]
        return {"deleted": self._part(call, request, lambda body: parts.delete_configuration(body, names), NOT_STARTED)}

    @endpoint("tasks.add_or_update_artifacts")
    def add_or_update_artifacts(self, call: Call, request: Request) -> Answer:
        self._part(call, request, lambda body: parts.add_artifacts(body, request["artifacts"]))
        return {"updated": 1}

    @endpoint("tasks.delete_artifacts")
    def delete_artifacts(self, call: Call, request: Request) -> Answer:
        return {"deleted": self._part(call, request, lambda body: parts.delete_artifacts(body, request["artifacts"]))}

    @endpoint("tasks.add_or_update_model")
    def add_or_update_model(self, call: Call, request: Request) -> Answer:
        self._tasks.add_model(call.company, call.user, request["task"], request)
        return {"updated": 1}

    @endpoint("tasks.delete_models")
    def delete_models(self, call: Call, request: Request) -> Answer:
        gone = self._part(call, {**request, "force": True}, lambda body: parts.remove_models(body, request["models"]))
        return {"updated": int(gone > 0)}

    @endpoint("tasks.set_requirements")
    def set_requirements(self, call: Call, request: Request) -> Answer:
        return _updated(self._tasks.set_requirements(call.company, call.user, request["task"], request["requirements"]))

    @endpoint("tasks.ping")
    def ping(self, call: Call, request: Request) -> Answer:
        self._tasks.ping(call.company, request["task"])
        return {}

    @endpoint("tasks.move")
    def move(self, call: Call, request: Request) -> Answer:
        project, name = request.get("project"), request.get("project_name")
        return {"project_id": self._tasks.move(call.company, call.user, request["ids"], project, name)}

    @endpoint("tasks.make_public")
    def make_public(self, call: Call, request: Request) -> Answer:
        return {"updated": self._tasks.make_public(call.company, request["ids"], public=True)}

    @endpoint("tasks.make_private")
    def make_private(self, call: Call, request: Request) -> Answer:
        return {"updated": self._tasks.make_public(call.company, request["ids"], public=False)}

    def _find(self, call: Call, request: Request, *, expand: bool) -> DocumentPage:
        page = self._tasks.find(call.company, modern_request(call, request), expand=expand)
        old_answers(call, page.rows)
        return page

    def _part(self, call: Call, request: Request, change: Any, allowed: frozenset[str] = NOT_PUBLISHED) -> Any:
        return self._tasks.change_part(call.company, call.user, request["task"], change, force=request["force"], allowed=allowed)


def _updated(fields: Answer) -> Answer:
    return {"updated": 1, "fields": fields}
