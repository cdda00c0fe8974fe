"""Calls that apply one operation to many objects independently: one failure does not affect the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from apiserver.bll.registry.relatives import in_parts, looked_up
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
            failed.append(_failed(call, id, error))
    return {"succeeded": succeeded, "failed": failed}


def for_parts(
    call: Call, ids: Sequence[str], work: Callable[[Sequence[str]], Mapping[str, dict[str, Any] | TidemarkError]]
) -> dict[str, Any]:
    """As `for_each`; `work` does it to some of them at once, and says of each what came of it, or why it failed."""
    succeeded: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for part in in_parts(list(dict.fromkeys(ids))):
        for id, came in work(part).items():
            if isinstance(came, TidemarkError):
                failed.append(_failed(call, id, came))
            else:
                succeeded.append({"id": id, **came})
    return {"succeeded": succeeded, "failed": failed}


def _failed(call: Call, id: str, error: TidemarkError) -> dict[str, Any]:
    failure = failure_of(error, call.id)
    return {"id": id, "error": {"codes": [failure.code, failure.subcode], "msg": failure.message, "data": failure.data}}
