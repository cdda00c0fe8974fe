"""The models service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.bll.registry.models import Models
from apiserver.bll.registry.records import each_result
from apiserver.service_repo import Call, endpoint
from apiserver.services.batch_calls import Outcomes, for_all, for_one
from apiserver.services.old_clients import modern_request, old_answers

Request = dict[str, Any]
Answer = dict[str, Any]


class ModelsService:
    """Handlers of `models.*`."""

    def __init__(self, models: Models) -> None:
        self._models = models

    @endpoint("models.create")
    def create(self, call: Call, request: Request) -> Answer:
        return {"id": self._models.create(call.company, call.user, modern_request(call, request)), "created": True}

    @endpoint("models.update_for_task")
    def update_for_task(self, call: Call, request: Request) -> Answer:
        id, created, fields = self._models.update_for_task(call.company, call.user, request["task"], modern_request(call, request))
        old_answers(call, [fields])
        return {"id": id, "created": created, "updated": int(not created), "fields": fields}

    # --- reading

    @endpoint("models.get_by_id")
    def get_by_id(self, call: Call, request: Request) -> Answer:
        return self._one(call, self._models.get(call.company, request["model"]))

    @endpoint("models.get_by_task_id")
    def get_by_task_id(self, call: Call, request: Request) -> Answer:
        return self._one(call, self._models.of_task(call.company, request["task"]))

    @endpoint("models.get_all")
    def get_all(self, call: Call, request: Request) -> Answer:
        return self._found(call, request, expand=False)

    @endpoint("models.get_all_ex")
    def get_all_ex(self, call: Call, request: Request) -> Answer:
        return self._found(call, request, expand=True)

    @endpoint("models.get_by_id_ex")
    def get_by_id_ex(self, call: Call, request: Request) -> Answer:
        if not request["id"]:
            return {"models": []}
        wanted = {"id": request["id"], "only_fields": request.get("only_fields")}
        return self._found(call, wanted, expand=True)

    @endpoint("models.get_frameworks")
    def get_frameworks(self, call: Call, request: Request) -> Answer:
        return {"frameworks": self._models.frameworks(call.company, request.get("projects"))}

    # --- changing

    @endpoint("models.edit")
    def edit(self, call: Call, request: Request) -> Answer:
        return _updated(call, self._models.edit(call.company, call.user, request["model"], modern_request(call, request)))

    @endpoint("models.update")
    def update(self, call: Call, request: Request) -> Answer:
        return _updated(call, self._models.update(call.company, call.user, request["model"], modern_request(call, request)))

    @endpoint("models.update_tags")
    def update_tags(self, call: Call, request: Request) -> Answer:
        return {"updated": self._models.update_tags(call.company, call.user, request["ids"], request["add_tags"], request["remove_tags"])}

    @endpoint("models.add_or_update_metadata")
    def add_or_update_metadata(self, call: Call, request: Request) -> Answer:
        self._models.set_metadata(call.company, request["model"], request["metadata"], replace=request["replace_metadata"])
        return {"updated": 1}

    @endpoint("models.delete_metadata")
    def delete_metadata(self, call: Call, request: Request) -> Answer:
        return {"updated": int(self._models.delete_metadata(call.company, request["model"], request["keys"]) > 0)}

    @endpoint("models.move")
    def move(self, call: Call, request: Request) -> Answer:
        project, name = request.get("project"), request.get("project_name")
        return {"project_id": self._models.move(call.company, call.user, request["ids"], project, name)}

    @endpoint("models.make_public")
    def make_public(self, call: Call, request: Request) -> Answer:
        return {"updated": self._models.make_public(call.company, request["ids"], public=True)}

    @endpoint("models.make_private")
    def make_private(self, call: Call, request: Request) -> Answer:
        return {"updated": self._models.make_public(call.company, request["ids"], public=False)}

    @endpoint("models.set_ready")
    def set_ready(self, call: Call, request: Request) -> Answer:
        return for_one(request["model"], lambda ids: self._publish(call, ids, request))

    @endpoint("models.publish")
    def publish(self, call: Call, request: Request) -> Answer:
        return for_one(request["model"], lambda ids: self._publish(call, ids, request))

    @endpoint("models.delete")
    def delete(self, call: Call, request: Request) -> Answer:
        return for_one(request["model"], lambda ids: self._delete(call, ids, request))

    # --- many at once

    @endpoint("models.publish_many")
    def publish_many(self, call: Call, request: Request) -> Answer:
        return for_all(call, request["ids"], lambda ids: self._publish(call, ids, request))

    @endpoint("models.archive_many")
    def archive_many(self, call: Call, request: Request) -> Answer:
        return for_all(call, request["ids"], lambda ids: self._archive(call, ids, archived=True))

    @endpoint("models.unarchive_many")
    def unarchive_many(self, call: Call, request: Request) -> Answer:
        return for_all(call, request["ids"], lambda ids: self._archive(call, ids, archived=False))

    @endpoint("models.delete_many")
    def delete_many(self, call: Call, request: Request) -> Answer:
        return for_all(call, request["ids"], lambda ids: self._delete(call, ids, request))

    def _one(self, call: Call, model: Answer) -> Answer:
        old_answers(call, [model])
        return {"model": model}

    def _found(self, call: Call, request: Request, *, expand: bool) -> Answer:
        page = self._models.find(call.company, modern_request(call, request), expand=expand)
        old_answers(call, page.rows)
        return page.answer("models")

    def _publish(self, call: Call, ids: Sequence[str], request: Request) -> Outcomes:
        publish_task, force = request["publish_task"], request["force_publish_task"]
        found = self._models.publish_many(call.company, call.user, ids, publish_task=publish_task, force_task=force)
        return _answered(found, "published_task", updated=1)

    def _archive(self, call: Call, ids: Sequence[str], *, archived: bool) -> Outcomes:
        found = self._models.archive_many(call.company, call.user, ids, archived=archived)
        field = "archived" if archived else "unarchived"
        return each_result(found, lambda moved: {field: moved})

    def _delete(self, call: Call, ids: Sequence[str], request: Request) -> Outcomes:
        return _answered(self._models.delete_many(call.company, ids, force=request["force"]), "url", deleted=True)


def _answered(outcomes: Mapping[str, Any], field: str, **answer: Any) -> Outcomes:
    """The answers; what there is of each outcome in a field."""
    return each_result(outcomes, lambda found: {**answer, **({field: found} if found else {})})


def _updated(call: Call, fields: Answer) -> Answer:
    old_answers(call, [fields])
    return {"updated": 1, "fields": fields}
