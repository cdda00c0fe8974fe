"""The parts of a task that are never absent in answers: clients index them without looking (docs/clearml.md, "Fields that are always there")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Body = dict[str, Any]

SCRIPT: Mapping[str, Any] = {
    "binary": "python",
    "repository": "",
    "tag": "",
    "branch": "",
    "version_num": "",
    "entry_point": "",
    "working_dir": ".",
    "requirements": {},
    "diff": "",
}
"""Defaults of a task's script."""


def complete(answer: Body) -> None:
    """Add the fields that clients index to an answer; its parts are replaced, not changed, because bodies may be shared."""
    if "script" in answer:
        answer["script"] = {**SCRIPT, "requirements": {}, **_given(answer["script"])}
    execution = answer["execution"]
    answer["execution"] = {**execution, "artifacts": artifacts(execution.get("artifacts") or [])}


def artifacts(items: list[Mapping[str, Any]]) -> list[Body]:
    """By key, then input before output; each with `mode` and `display_data`."""
    found = [{"mode": "output", "display_data": [], **_given(item)} for item in items]
    return sorted(found, key=lambda item: (str(item.get("key", "")), str(item["mode"])))


def _given(part: Mapping[str, Any]) -> Body:
    """A part without its nulls, which mean the same as absent fields."""
    return {name: value for name, value in part.items() if value is not None}
