"""Documents of another server as they are stored here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from apiserver.bll.registry.new_documents import new_model, new_project, new_task, now_ms
from apiserver.bll.registry.projection import TIMES

_NOT_STORED = (
    "last_metrics",
    "unique_metrics",
    "metric_stats",
    "last_change",
    "stats",
    "sub_projects",
    "dataset_stats",
    "own_tasks",
    "own_models",
)
"""Fields that answers compute."""


def stored_task(answer: Mapping[str, Any], company: str, project: str | None) -> dict[str, Any]:
    """The body of a task from an answer of tasks.get_all."""
    return {**new_task(str(answer["id"]), company, "", 0, _fields(answer)), "company": company, "project": project}


def stored_model(answer: Mapping[str, Any], company: str, project: str | None) -> dict[str, Any]:
    """The body of a model from an answer of models.get_all."""
    fields = _fields(answer)
    fields.pop("public", None)
    return {**new_model(str(answer["id"]), company, "", 0, fields), "company": company, "project": project}


def stored_project(answer: Mapping[str, Any], company: str, parent: str | None, path: list[str]) -> dict[str, Any]:
    """The body of a project from an answer of projects.get_all_ex."""
    body = new_project(str(answer["id"]), company, "", 0, str(answer["name"]), parent, path, {})
    return {**body, **_fields(answer), "basename": body["basename"], "company": company, "parent": parent, "path": path}


def stored_user(answer: Mapping[str, Any], company: str) -> dict[str, Any]:
    """The body of a user from an answer of users.get_all, with the rights of a plain user."""
    body: dict[str, Any] = {name: answer[name] for name in ("given_name", "family_name", "avatar") if isinstance(answer.get(name), str)}
    name, created = str(answer.get("name") or answer["id"]), milliseconds(answer.get("created"))
    return {**body, "id": answer["id"], "company": company, "name": name, "role": "user", "created": created or now_ms()}


def is_own(answer: Mapping[str, Any]) -> bool:
    """Whether a document belongs to the company: public ones have none, or one without an id."""
    return bool(id_of(answer.get("company")))


def id_of(reference: Any) -> str:
    """The id of a reference, which is an id or an object; "" where there is none."""
    found = reference.get("id") if isinstance(reference, Mapping) else reference
    return found if isinstance(found, str) else ""


def milliseconds(value: Any) -> int | None:
    """An ISO time (UTC where it names no zone) in ms."""
    if not isinstance(value, str):
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    try:
        moment = datetime.fromisoformat(value)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _fields(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of an answer: times as numbers, empty lists of tags as null, references as ids."""
    body = {name: value for name, value in answer.items() if name not in _NOT_STORED}
    for name in TIMES & body.keys():
        body[name] = milliseconds(body[name])
    for name in ("tags", "system_tags"):
        body[name] = body.get(name) or None
    for name in ("project", "parent", "user", "task", "company"):
        if isinstance(body.get(name), Mapping):
            body[name] = id_of(body[name]) or None
    return body
