"""Tasks as clients of API versions before 2.9 (parameters, model description) and 2.3 (tags) write and read them.

| old client | today | until |
|---|---|---|
| `execution.parameters {"a": "1", "TF_DEFINE/b": "2"}` | `hyperparams.Args.a`, `hyperparams.TF_DEFINE.b`, both of type "legacy" | 2.9 |
| `execution.model_desc {"design": "..."}` | `configuration.design`, of type "legacy" | 2.9 |
| system tags among `tags` | `system_tags` | 2.3 |

What is written in the old form is stored in today's form, whatever the version of the call; what is read gets the old form for old clients only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Body = dict[str, Any]

LEGACY = "legacy"
"""The type of parameters and configuration objects that came in the old form."""

DEFAULT_SECTION = "Args"
TF_DEFINE = "TF_DEFINE"

SYSTEM_TAGS = frozenset({"active", "archived", "dataset", "default", "development", "hidden", "pipeline", "shared"})
"""Tags that old clients write among `tags`."""


# --- parameters and model description


def take_execution(body: Body, execution: Mapping[str, Any]) -> Body:
    """`execution` as it is stored: what it says in the old form goes into the body's `hyperparams` and `configuration`, in place of what
    the old form said before."""
    kept = dict(execution)
    parameters, description = execution.get("parameters"), execution.get("model_desc")
    if isinstance(parameters, Mapping):
        params = {section: _modern(items) for section, items in (body.get("hyperparams") or {}).items()}
        for full_name, value in parameters.items():
            section, name = _section_and_name(full_name)
            params.setdefault(section, {})[name] = {"section": section, "name": name, "type": LEGACY, "value": _text(value)}
        body["hyperparams"] = {section: items for section, items in params.items() if items}
        if parameters:
            del kept["parameters"]
    if isinstance(description, Mapping):
        objects = _modern(body.get("configuration") or {})
        objects |= {name: {"name": name, "type": LEGACY, "value": _text(value)} for name, value in description.items()}
        body["configuration"] = objects
        if description:
            del kept["model_desc"]
    return kept


def show_execution(answer: Body) -> None:
    """Add the old forms to an answer (changed in place, its parts are not)."""
    parameters = {
        _full_name(section, name): item.get("value")
        for section, items in (answer.get("hyperparams") or {}).items()
        for name, item in items.items()
        if section in (DEFAULT_SECTION, TF_DEFINE) or item.get("type") == LEGACY
    }
    description = {name: item.get("value") for name, item in (answer.get("configuration") or {}).items() if item.get("type") == LEGACY}
    old = {name: value for name, value in (("parameters", parameters), ("model_desc", description)) if value}
    if old:
        answer["execution"] = {**(answer.get("execution") or {}), **old}


def modern_path(name: str) -> str:
    """The name of a field in a filter, an order or a choice of fields, as it is called today."""
    sign = "-" if name.startswith("-") else ""
    path = name.removeprefix("-")
    if path == "execution.parameters":
        return sign + "hyperparams"
    if path.startswith("execution.parameters."):
        section, parameter = _section_and_name(path.removeprefix("execution.parameters."))
        return f"{sign}hyperparams.{section}.{parameter}.value"
    if path == "execution.model_desc":
        return sign + "configuration"
    if path.startswith("execution.model_desc."):
        return f"{sign}configuration.{path.removeprefix('execution.model_desc.')}.value"
    return name


def _modern(items: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in items.items() if item.get("type") != LEGACY}


def _section_and_name(full_name: str) -> tuple[str, str]:
    section, slash, name = full_name.partition("/")
    return (TF_DEFINE, name) if section == TF_DEFINE and slash and name else (DEFAULT_SECTION, full_name)


def _full_name(section: str, name: str) -> str:
    return f"{section}/{name}" if section == TF_DEFINE else name


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


# --- tags


def split_tags(tags: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Tags of an old client as (tags, system tags); those of a filter may begin with "-"."""
    system = [tag for tag in tags if isinstance(tag, str) and tag.removeprefix("-") in SYSTEM_TAGS]
    return [tag for tag in tags if tag not in system], system


def join_tags(answer: Body) -> None:
    """Put the system tags among the tags of an answer."""
    if answer.get("system_tags") and "tags" in answer:
        tags = answer["tags"] or []
        answer["tags"] = [*tags, *(tag for tag in answer["system_tags"] if tag not in tags)]
