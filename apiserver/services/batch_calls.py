"""Calls that apply one operation to many objects independently: one failure does not affect the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apiserver.common.fairness import give_way
from apiserver.errors import TidemarkError
from apiserver.service_repo import Call
from apiserver.service_repo.errors import failure_of


def for_each(call: Call, ids: Sequence[str], work: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """`{succeeded: [{id, ...}], failed: [{id, error: {codes, msg, data}}]}`. Trouble of the store still fails the whole call."""
    succeeded: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for id in dict.fromkeys(ids):
        give_way()
        try:
            succeeded.append({"id": id, **work(id)})
        except TidemarkError as error:
            failure = failure_of(error, call.id)
            failed.append({"id": id, "error": {"codes": [failure.code, failure.subcode], "msg": failure.message, "data": failure.data}})
    return {"succeeded": succeeded, "failed": failed}
