"""Requests and answers of clients that speak an old version of the API (what differs is in `bll.registry.legacy_forms`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver.bll.registry import legacy_forms
from apiserver.service_repo import Call
from apiserver.service_repo.versions import Version

Request = dict[str, Any]
Answer = dict[str, Any]

HYPERPARAMS = Version(2, 9)
"""The first version with `hyperparams` and `configuration`."""
SYSTEM_TAGS = Version(2, 3)
"""The first version with `system_tags`."""

_OLD_PARTS = ("execution.parameters", "execution.model_desc")


def modern_request(call: Call, request: Request) -> Request:
    """The request with today's names of fields, and with system tags apart."""
    if call.requested_version < SYSTEM_TAGS and isinstance(request.get("tags"), list) and not request.get("system_tags"):
        tags, system = legacy_forms.split_tags(request["tags"])
        # Without system tags too: the list of an old client replaces both. In a filter an empty list means nothing.
        request = {**request, "tags": tags, "system_tags": system}
    if call.requested_version < HYPERPARAMS:
        request = {legacy_forms.modern_path(name): value for name, value in request.items()}
        for name in ("_any_", "_all_"):
            search = request.get(name)
            if isinstance(search, dict) and isinstance(search.get("fields"), list):
                request[name] = {**search, "fields": [legacy_forms.modern_path(field) for field in search["fields"]]}
        if isinstance(request.get("filters"), dict):
            request["filters"] = {legacy_forms.modern_path(name): value for name, value in request["filters"].items()}
        if request.get("order_by"):
            request["order_by"] = [legacy_forms.modern_path(name) for name in _listed(request["order_by"])]
        if request.get("only_fields"):
            chosen = _listed(request["only_fields"])
            request["only_fields"] = [*chosen, *(legacy_forms.modern_path(name) for name in chosen if name.startswith(_OLD_PARTS))]
    return request


def old_answers(call: Call, answers: Sequence[Answer]) -> None:
    """Add the old forms to tasks, models or projects."""
    if call.requested_version >= HYPERPARAMS:
        return
    for answer in answers:
        if "hyperparams" in answer or "configuration" in answer:
            legacy_forms.show_execution(answer)
        if call.requested_version < SYSTEM_TAGS:
            legacy_forms.join_tags(answer)


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names
