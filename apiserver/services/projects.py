"""The projects service."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.filter_values import FilterValues
from apiserver.bll.registry.project_list import ProjectList
from apiserver.bll.registry.project_removal import ProjectRemoval
from apiserver.bll.registry.project_views import ProjectViews
from apiserver.bll.registry.projects import Projects
from apiserver.service_repo import Call, endpoint
from apiserver.services.old_clients import modern_request, old_answers

Request = dict[str, Any]
Answer = dict[str, Any]

_FIELDS = ("description", "tags", "system_tags", "default_output_destination")


class ProjectsService:
    """Handlers of `projects.*`."""

    def __init__(
        self, projects: Projects, listed: ProjectList, views: ProjectViews, removal: ProjectRemoval, filter_values: FilterValues
    ) -> None:
        self._projects = projects
        self._list = listed
        self._views = views
        self._removal = removal
        self._filter_values = filter_values

    @endpoint("projects.create")
    def create(self, call: Call, request: Request) -> Answer:
        given = modern_request(call, request)
        fields = {name: given[name] for name in _FIELDS if name in given}
        return {"id": self._projects.create(call.company, call.user, request["name"], fields)}

    @endpoint("projects.get_by_id")
    def get_by_id(self, call: Call, request: Request) -> Answer:
        project = self._list.get(call.company, request["project"])
        old_answers(call, [project])
        return {"project": project}

    @endpoint("projects.get_all")
    def get_all(self, call: Call, request: Request) -> Answer:
        return self._found(call, request, expand=False)

    @endpoint("projects.get_all_ex")
    def get_all_ex(self, call: Call, request: Request) -> Answer:
        return self._found(call, request, expand=True)

    @endpoint("projects.update")
    def update(self, call: Call, request: Request) -> Answer:
        fields = self._list.update(call.company, call.user, request["project"], modern_request(call, request))
        old_answers(call, [fields])
        return {"updated": 1, "fields": fields}

    @endpoint("projects.save_view")
    def save_view(self, call: Call, request: Request) -> Answer:
        return {"views": self._views.save(call.company, call.user, request["project"], request["name"], request["query"])}

    @endpoint("projects.delete_view")
    def delete_view(self, call: Call, request: Request) -> Answer:
        return {"views": self._views.delete(call.company, request["project"], request["name"])}

    @endpoint("projects.move")
    def move(self, call: Call, request: Request) -> Answer:
        return {"moved": self._list.move(call.company, call.user, request["project"], request["new_location"])}

    @endpoint("projects.merge")
    def merge(self, call: Call, request: Request) -> Answer:
        entities, projects = self._list.merge(call.company, call.user, request["project"], request["destination_project"])
        return {"moved_entities": entities, "moved_projects": projects}

    @endpoint("projects.validate_delete")
    def validate_delete(self, call: Call, request: Request) -> Answer:
        return self._removal.contents(call.company, request["project"])

    @endpoint("projects.delete")
    def delete(self, call: Call, request: Request) -> Answer:
        force, contents = request["force"], request["delete_contents"]
        return self._removal.delete(call.company, request["project"], force=force, delete_contents=contents)

    # --- what is in use

    @endpoint("projects.get_unique_metric_variants")
    def get_unique_metric_variants(self, call: Call, request: Request) -> Answer:
        projects = [request["project"]] if request.get("project") else None
        found = self._filter_values.metric_variants(
            call.company,
            "model" if request["model_metrics"] else "task",
            projects,
            request.get("ids"),
            subprojects=request["include_subprojects"],
        )
        return {"metrics": found}

    @endpoint("projects.get_hyper_parameters")
    def get_hyper_parameters(self, call: Call, request: Request) -> Answer:
        projects = [request["project"]] if request.get("project") else None
        found = self._filter_values.hyper_parameters(call.company, projects, subprojects=request["include_subprojects"])
        page, size = request["page"], request["page_size"]
        shown = found[page * size : (page + 1) * size]
        return {"parameters": shown, "remaining": max(0, len(found) - (page + 1) * size), "total": len(found)}

    @endpoint("projects.get_hyperparam_values")
    def get_hyperparam_values(self, call: Call, request: Request) -> Answer:
        found = self._filter_values.hyperparam_values(
            call.company,
            request.get("projects"),
            request["section"],
            request["name"],
            subprojects=request["include_subprojects"],
            pattern=request.get("pattern"),
        )
        return {"total": len(found), "values": found}

    @endpoint("projects.get_model_metadata_keys")
    def get_model_metadata_keys(self, call: Call, request: Request) -> Answer:
        projects = [request["project"]] if request.get("project") else None
        found = self._filter_values.metadata_keys(call.company, projects, subprojects=request["include_subprojects"])
        return {"keys": found, "remaining": 0, "total": len(found)}

    @endpoint("projects.get_user_names")
    def get_user_names(self, call: Call, request: Request) -> Answer:
        ids = self._filter_values.user_ids(
            call.company, request["entity"], request.get("projects"), subprojects=request["include_subprojects"]
        )
        return {"users": self._filter_values.user_names(call.company, ids)}

    @endpoint("projects.get_task_tags")
    def get_task_tags(self, call: Call, request: Request) -> Answer:
        return self._tags(call, request, "task")

    @endpoint("projects.get_model_tags")
    def get_model_tags(self, call: Call, request: Request) -> Answer:
        return self._tags(call, request, "model")

    @endpoint("projects.get_project_tags")
    def get_project_tags(self, call: Call, request: Request) -> Answer:
        return self._tags(call, request, "project")

    @endpoint("projects.get_task_parents")
    def get_task_parents(self, call: Call, request: Request) -> Answer:
        found = self._filter_values.parents(
            call.company,
            request.get("projects"),
            request.get("tasks_state"),
            subprojects=request["include_subprojects"],
            name=request.get("task_name"),
        )
        return {"parents": found}

    def _found(self, call: Call, request: Request, *, expand: bool) -> Answer:
        page = self._list.find(call.company, modern_request(call, request), expand=expand)
        old_answers(call, page.rows)
        return page.answer("projects")

    def _tags(self, call: Call, request: Request, kind: Any) -> Answer:
        found = {"tags": self._filter_values.tags(call.company, kind, request.get("projects"), request.get("filter"))}
        if request["include_system"]:
            found["system_tags"] = self._filter_values.system_tags(call.company, kind, request.get("projects"))
        return found
