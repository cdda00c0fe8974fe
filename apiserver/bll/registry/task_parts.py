"""Edits parts of a task: parameters, configuration, artifacts, models. All functions change the body in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apiserver.errors import ValidationFailed

Body = dict[str, Any]
Item = Mapping[str, Any]

DELETED_PREFIX = "__DELETED__"
"""In front of the id of a deleted model, in the lists of tasks that keep its entry."""


PARAMETER_FIELDS = ("section", "name", "value", "type", "description")
CONFIGURATION_FIELDS = ("name", "value", "type", "description")
"""The stored fields of a parameter or configuration object. Web applications also send state of their screens (`id`, `isMaximize` ...)."""

PROPERTIES = "properties"
"""The section that users may edit at any time."""


def text_of(value: Any) -> str:
    """Parameters are texts; numbers and booleans are converted."""
    return value if isinstance(value, str) else "" if value is None else str(value)


# --- hyper parameters


def sections(value: Mapping[str, Any]) -> dict[str, dict[str, Body]]:
    """`{section: {name: parameter}}` with section, name and value in every parameter."""
    found: dict[str, dict[str, Body]] = {}
    for section, parameters in value.items():
        if not isinstance(parameters, dict):
            raise ValidationFailed(f"hyperparams.{section}", "an object of parameters by name", parameters)
        found[section] = {name: _parameter(section, name, item) for name, item in parameters.items()}
    return found


def _parameter(section: str, name: str, item: Any) -> Body:
    fields = _only(PARAMETER_FIELDS, item)
    return {**fields, "section": section, "name": name, "value": text_of(fields.get("value"))}


def _only(names: Sequence[str], item: Any) -> Body:
    return {name: value for name, value in item.items() if name in names} if isinstance(item, Mapping) else {"value": item}


def properties_only(items: Sequence[Item]) -> bool:
    """Whether all of these parameters are user properties."""
    return all(item["section"] == PROPERTIES for item in items)


def fixed_at_start(body: Body) -> tuple[Body, Body]:
    """The part that is fixed once a task has started: its parameters without user properties and empty sections, and its configuration."""
    params = {section: items for section, items in (body.get("hyperparams") or {}).items() if items and section != PROPERTIES}
    return params, dict(body.get("configuration") or {})


def edit_hyper_params(body: Body, items: Sequence[Item], replace: str) -> None:
    """Set parameters; `replace` "none" keeps the others, "section" those of other sections, "all" none."""
    params: dict[str, dict[str, Body]] = {} if replace == "all" else {s: dict(p) for s, p in (body.get("hyperparams") or {}).items()}
    if replace == "section":
        for section in {item["section"] for item in items}:
            params[section] = {}
    for item in items:
        params.setdefault(item["section"], {})[item["name"]] = _parameter(item["section"], item["name"], dict(item))
    body["hyperparams"] = params


def delete_hyper_params(body: Body, items: Sequence[Item]) -> int:
    """Remove parameters, or whole sections where no name is given; returns how many were removed."""
    params: dict[str, dict[str, Body]] = {section: dict(parameters) for section, parameters in (body.get("hyperparams") or {}).items()}
    removed = 0
    for item in items:
        section = params.get(item["section"], {})
        if not item.get("name"):
            removed += len(section)
            params.pop(item["section"], None)
        elif section.pop(item["name"], None) is not None:
            removed += 1
            if not section:
                del params[item["section"]]
    body["hyperparams"] = params
    return removed


def listed_hyper_params(body: Body) -> list[Body]:
    """All parameters in the order of section and name."""
    params = body.get("hyperparams") or {}
    return [parameter for _, section in sorted(params.items()) for _, parameter in sorted(section.items())]


# --- configuration objects


def configurations(value: Mapping[str, Any]) -> dict[str, Body]:
    """`{name: object}` with the name in every object."""
    found = {}
    for name, item in value.items():
        fields = _only(CONFIGURATION_FIELDS, item)
        found[name] = {**fields, "name": name, "value": text_of(fields.get("value"))}
    return found


def edit_configuration(body: Body, items: Sequence[Item], *, replace: bool) -> None:
    """Set configuration objects; `replace` drops the others."""
    kept = {} if replace else dict(body.get("configuration") or {})
    kept.update(configurations({item["name"]: item for item in items}))
    body["configuration"] = kept


def delete_configuration(body: Body, names: Iterable[str]) -> int:
    """Remove configuration objects; returns how many were there."""
    kept = dict(body.get("configuration") or {})
    removed = sum(kept.pop(name, None) is not None for name in set(names))
    body["configuration"] = kept
    return removed


# --- artifacts


def add_artifacts(body: Body, artifacts: Sequence[Item]) -> None:
    """Add artifacts; one with the same key and mode is replaced where it stands."""
    execution = dict(body.get("execution") or {})
    by_key = {_artifact_key(item): dict(item) for item in execution.get("artifacts") or []}
    for item in artifacts:
        by_key[_artifact_key(item)] = {"mode": "output", **item}
    execution["artifacts"] = list(by_key.values())
    body["execution"] = execution


def delete_artifacts(body: Body, wanted: Sequence[Item]) -> int:
    """Remove artifacts by key (and mode, output if not said); returns how many were there."""
    execution = dict(body.get("execution") or {})
    present = execution.get("artifacts") or []
    gone = {_artifact_key(item) for item in wanted}
    execution["artifacts"] = [item for item in present if _artifact_key(item) not in gone]
    body["execution"] = execution
    return len(present) - len(execution["artifacts"])


def _artifact_key(item: Item) -> tuple[str, str]:
    return item["key"], item.get("mode") or "output"


# --- models


def model_lists(value: Mapping[str, Any]) -> dict[str, list[Body]]:
    """`{input: [...], output: [...]}`, both present."""
    return {side: [dict(item) for item in value.get(side) or []] for side in ("input", "output")}


def add_model(body: Body, side: str, name: str, model: str, iteration: int | None = None) -> None:
    """Put a model into a task's list; the entry of the same name is replaced where it stands."""
    lists = model_lists(body.get("models") or {})
    entry: Body = {"name": name, "model": model}
    if iteration is not None:
        entry["iteration"] = iteration
    for number, item in enumerate(lists[side]):
        if item.get("name") == name:
            lists[side][number] = entry
            break
    else:
        lists[side].append(entry)
    body["models"] = lists


def remove_models(body: Body, wanted: Sequence[Item]) -> int:
    """Take models out of a task's lists by name and type; returns how many were there."""
    lists = model_lists(body.get("models") or {})
    gone = {(item.get("type") or "input", item["name"]) for item in wanted}
    kept = {side: [item for item in items if (side, item.get("name")) not in gone] for side, items in lists.items()}
    body["models"] = kept
    return sum(len(lists[side]) - len(kept[side]) for side in lists)


def drop_model(body: Body, side: str, model: str) -> None:
    """Take a model out of one of a task's lists."""
    lists = model_lists(body.get("models") or {})
    body["models"] = {**lists, side: [item for item in lists[side] if item.get("model") != model]}


def mark_model_deleted(body: Body, model: str) -> None:
    """Mark the entries of a model as deleted."""
    lists = model_lists(body.get("models") or {})
    for item in (*lists["input"], *lists["output"]):
        if item.get("model") == model:
            item["model"] = f"{DELETED_PREFIX}{model}"
    body["models"] = lists


def artifact_urls(body: Body) -> list[str]:
    """Where the files of a task's output artifacts are."""
    items = (body.get("execution") or {}).get("artifacts") or []
    return [item["uri"] for item in items if item.get("uri") and item.get("mode") != "input"]
