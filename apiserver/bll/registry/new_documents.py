"""The bodies of new tasks, models and projects. Times are integer milliseconds since the epoch."""

from __future__ import annotations

import hashlib
import time
import uuid
from typing import Any

TASK_TYPES = (
    "training",
    "testing",
    "inference",
    "data_processing",
    "application",
    "monitor",
    "controller",
    "report",
    "optimizer",
    "service",
    "qc",
    "custom",
    "annotation",
    "annotation_manual",
    "dataset_import",
)

DEFAULT_PROJECT = "Unsorted"
"""The project of tasks that were registered by their first event."""


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """32 hex digits."""
    return uuid.uuid4().hex


def project_id(company: str, name: str) -> str:
    """The id of a new project, derived from its name: two hosts that create it at once get a conflict in the registry."""
    return hashlib.md5(f"{len(company)}:{company}:project:{name}".encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def default_project_id(company: str) -> str:
    """The id of the project DEFAULT_PROJECT."""
    return project_id(company, DEFAULT_PROJECT)


def new_task(id: str, company: str, user: str, now: int, fields: dict[str, Any]) -> dict[str, Any]:
    """The body of a task in status `created`; `fields` win."""
    body: dict[str, Any] = {
        "id": id,
        "name": id,
        "type": "training",
        "user": user,
        "company": company,
        "status": "created",
        "status_reason": "",
        "status_message": "",
        "status_changed": now,
        "comment": "",
        "created": now,
        "project": None,
        "parent": None,
        "tags": None,
        "system_tags": None,
        "hyperparams": {},
        "configuration": {},
        "runtime": {},
        "script": {},
        "execution": {},
        "output": {},
        "container": {},
        "models": {"input": [], "output": []},
        "last_iteration": 0,
        "last_update": now,
        "last_change": now,
        "last_changed_by": user,
    }
    return {**body, **fields}


def new_model(id: str, company: str, user: str, now: int, fields: dict[str, Any]) -> dict[str, Any]:
    """The body of a model that is not published; `fields` win."""
    body: dict[str, Any] = {
        "id": id,
        "name": id,
        "user": user,
        "company": company,
        "created": now,
        "comment": "",
        "framework": None,
        "uri": "",
        "labels": {},
        "design": {},
        "metadata": {},
        "ready": False,
        "project": None,
        "parent": None,
        "task": None,
        "tags": None,
        "system_tags": None,
        "last_iteration": 0,
        "last_update": now,
        "last_change": now,
        "last_changed_by": user,
    }
    return {**body, **fields}


def new_project(
    id: str, company: str, user: str, now: int, name: str, parent: str | None, path: list[str], fields: dict[str, Any]
) -> dict[str, Any]:
    """The body of a project: `name` is its full path with `/`, `path` the ids of the projects above it, topmost first."""
    body: dict[str, Any] = {
        "id": id,
        "name": name,
        "basename": name.rsplit("/", 1)[-1],
        "description": "",
        "user": user,
        "company": company,
        "created": now,
        "last_update": now,
        "tags": None,
        "system_tags": None,
        "default_output_destination": None,
        "parent": parent,
        "path": path,
    }
    return {**body, **fields}
