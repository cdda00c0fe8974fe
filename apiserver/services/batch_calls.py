"""Calls that apply one operation to many objects independently: one failure does not affect the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apiserver.bll.registry.document_changes import in_parts
from apiserver.bll.registry.records import result
from apiserver.errors import TidemarkError
from apiserver.service_repo import Call
from apiserver.service_repo.errors import failure_of

Outcomes = Mapping[str, dict[str, Any] | TidemarkError]
"""By id: the answer, or the error."""


def for_all(call: Call, ids: Sequence[str], work: Callable[[Sequence[str]], Outcomes], **added: Any) -> dict[str, Any]:
    """Call `work` with some of the ids at a time and return `{succeeded: [{id, ...}], failed: [{id, error: {codes, msg, data}}]}`. `added`: fields of
    every success. Errors of the store are raised and fail the whole call."""
    succeeded: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for part in in_parts(list(dict.fromkeys(ids))):
        outcomes = work(part)
        for id in part:
            outcome = outcomes[id]
            if isinstance(outcome, TidemarkError):
                failure = failure_of(outcome, call.id)
                failed.append({"id": id, "error": {"codes": [failure.code, failure.subcode], "msg": failure.message, "data": failure.data}})
            else:
                succeeded.append({"id": id, **outcome, **added})
    return {"succeeded": succeeded, "failed": failed}


def for_one(id: str, work: Callable[[Sequence[str]], Outcomes]) -> dict[str, Any]:
    """The answer for one id; raises its error."""
    return result(work([id])[id])
