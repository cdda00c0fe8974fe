"""Calls that apply one operation to many objects independently: one failure does not affect the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from apiserver.bll.registry.relatives import looked_up
from apiserver.errors import TidemarkError
from apiserver.service_repo import Call
from apiserver.service_repo.errors import failure_of

T = TypeVar("T")


def for_each(call: Call, ids: Sequence[str], work: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Call `work` for each id and return `{succeeded: [{id, ...}], failed: [{id, error: {codes, msg, data}}]}`. Errors of the store are raised and fail
    the whole call."""
    return for_each_with(call, ids, lambda some: None, lambda id, _: work(id))


def for_each_with(
    call: Call, ids: Sequence[str], look_up: Callable[[Sequence[str]], T], work: Callable[[str, T], dict[str, Any]]
) -> dict[str, Any]:
    """As `for_each`, but ids are looked up several at a time: `work` gets an id and what `look_up` returned for its group (see `looked_up`)."""
    succeeded: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for id, known in looked_up(list(dict.fromkeys(ids)), look_up):
        try:
            succeeded.append({"id": id, **work(id, known)})
        except TidemarkError as error:
            failure = failure_of(error, call.id)
            failed.append({"id": id, "error": {"codes": [failure.code, failure.subcode], "msg": failure.message, "data": failure.data}})
    return {"succeeded": succeeded, "failed": failed}
