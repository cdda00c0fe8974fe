"""Calls that apply one operation to many objects independently: one failure does not affect the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from apiserver.bll.registry.relatives import in_parts
from apiserver.common.fairness import give_way
from apiserver.errors import TidemarkError
from apiserver.service_repo import Call
from apiserver.service_repo.errors import failure_of

T = TypeVar("T")

Outcomes = dict[str, dict[str, Any] | TidemarkError]
"""By id: the answer, or the error."""


def for_each(call: Call, ids: Sequence[str], work: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Call `work` for each id and return `{succeeded: [{id, ...}], failed: [{id, error: {codes, msg, data}}]}`. Errors of the store are raised and fail
    the whole call."""
    return for_each_with(call, ids, lambda some: None, lambda id, _: work(id))


def for_each_with(
    call: Call, ids: Sequence[str], look_up: Callable[[Sequence[str]], T], work: Callable[[str, T], dict[str, Any]]
) -> dict[str, Any]:
    """As `for_each`, but ids are looked up several at a time (one search costs as much for a group as for one id): `work` gets an id and what
    `look_up` returned for its group."""

    def each(part: Sequence[str]) -> Outcomes:
        known, outcomes = look_up(part), Outcomes()
        for id in part:
            give_way()
            try:
                outcomes[id] = work(id, known)
            except TidemarkError as error:
                outcomes[id] = error
        return outcomes

    return for_parts(call, ids, each)


def for_parts(call: Call, ids: Sequence[str], work: Callable[[Sequence[str]], Outcomes]) -> dict[str, Any]:
    """As `for_each`, but `work` gets several ids at once, and returns the answer or the error of each."""
    succeeded: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for part in in_parts(list(dict.fromkeys(ids))):
        for id, outcome in work(part).items():
            if isinstance(outcome, TidemarkError):
                failure = failure_of(outcome, call.id)
                failed.append({"id": id, "error": {"codes": [failure.code, failure.subcode], "msg": failure.message, "data": failure.data}})
            else:
                succeeded.append({"id": id, **outcome})
    return {"succeeded": succeeded, "failed": failed}
