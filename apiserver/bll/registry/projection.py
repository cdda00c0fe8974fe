"""The form of documents in answers: ISO times, chosen fields (nested), referenced objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from apiserver.bll.registry import task_shape
from apiserver.bll.registry.query import field_path
from apiserver.common.fairness import paced
from apiserver.stores.records import iso_time
from apiserver.stores.registry import Kind, Registry

GIVE_WAY = 200
"""Rows processed before yielding to other requests: a list without paging may have ten thousand."""

Body = dict[str, Any]
Tree = dict[str, Any]
"""Chosen fields: {name: {name: {}}}; an empty tree takes everything below."""

TIMES = {
    "created",
    "started",
    "completed",
    "published",
    "last_update",
    "last_change",
    "status_changed",
    "last_worker_report",
    "last_used",
}

OBJECTS: dict[Kind, tuple[str, ...]] = {
    "task": ("runtime", "script", "execution", "configuration", "container", "hyperparams", "output", "models"),
    "model": ("labels", "design", "metadata"),
}
"""Fields that are never absent: {} when there is nothing in them."""

LISTS = ("tags", "system_tags")
"""Lists that are never absent in answers. They are stored as null when they are empty, so that "without tags" can be asked for."""

REFERENCES: dict[Kind, dict[tuple[str, ...], Kind]] = {
    "task": {
        ("project",): "project",
        ("user",): "user",
        ("company",): "company",
        ("parent",): "task",
        ("models", "input", "model"): "model",
        ("models", "output", "model"): "model",
        ("execution", "queue"): "queue",
    },
    "model": {("project",): "project", ("user",): "user", ("company",): "company", ("task",): "task", ("parent",): "model"},
    "project": {("user",): "user", ("company",): "company", ("parent",): "project"},
}
"""Fields that hold the id of another object. Lists along the path are traversed."""


def tree_of(only_fields: str | Sequence[str] | None) -> Tree:
    """The chosen fields as a tree; empty for "all". `id` is always in it."""
    tree: Tree = {}
    for name in [only_fields] if isinstance(only_fields, str) else only_fields or ():
        node = tree
        path = field_path(name)
        for number, part in enumerate(path):
            if part in node and not node[part] and number < len(path) - 1:
                break  # all of it is chosen already
            node = node.setdefault(part, {})
        else:
            node.clear()
    if tree:
        tree.setdefault("id", {})
    return tree


def top_fields(tree: Tree, also: Iterable[str] = ()) -> list[str] | None:
    """The top-level names that a store has to read; None: all."""
    return sorted({*tree, *also}) if tree else None


def iso(value: Any) -> Any:
    """Milliseconds as ISO text; anything else as it is."""
    return iso_time(value).replace("Z", "+00:00") if isinstance(value, int) and not isinstance(value, bool) else value


def shown(kind: Kind, body: Body) -> Body:
    """A body with times as text and without absent fields. The company of a public object is "", as clients expect."""
    answer = {name: iso(value) if name in TIMES else value for name, value in body.items() if value is not None and name != "public"}
    if body.get("public"):
        answer["company"] = ""
    if kind == "model":
        answer["public"] = bool(body.get("public"))
    for name in OBJECTS.get(kind, ()):  # clients index these without checking
        answer.setdefault(name, {})
    if kind in REFERENCES:
        for name in LISTS:
            answer.setdefault(name, [])
    if kind == "task":
        if "script" in body and body["script"] is None:  # cleared by a reset
            del answer["script"]
        task_shape.complete(answer)
    return answer


class Projector:
    """Cuts documents of one kind to the chosen fields and joins what they refer to."""

    def __init__(self, registry: Registry, kind: Kind, company: str, *, expand: bool) -> None:
        """`expand`: references are objects ({id, ...}) also where only the id was chosen, as in the `_ex` endpoints."""
        self._registry = registry
        self._references = REFERENCES.get(kind, {})
        self._kind = kind
        self._company = company
        self._expand = expand

    def project(self, bodies: Sequence[Body], tree: Tree) -> list[Body]:
        """The answers for `bodies` (with times as numbers still)."""
        shapes = {path: _below(tree, path) for path in self._references}
        wanted = {path: node for path, node in shapes.items() if node is not None}
        joined = self._join([(body, path) for body in bodies for path, node in wanted.items() if node], wanted)
        answers = []
        for body in paced(bodies, GIVE_WAY):
            complete = shown(self._kind, body)
            answer = _cut(complete, tree) if tree else dict(complete)
            if self._kind == "task":
                answer["runtime"] = answer.get("runtime") or {}
            for path, node in wanted.items():
                if node or self._expand:
                    _replace(answer, path, self._object(self._references[path], node, joined))
            answers.append(answer)
        return answers

    def _object(self, kind: Kind, node: Tree, joined: Mapping[Kind, Mapping[str, Body]]) -> Callable[[Any], Any]:
        def expand(id: Any) -> Any:
            if not isinstance(id, str):
                return id
            found = joined.get(kind, {}).get(id)
            if found is None:
                return {"id": id, "name": id} if kind == "user" and "name" in node else {"id": id}
            return {"id": id, **_cut(shown(kind, found), node)}

        return expand

    def _join(self, places: Sequence[tuple[Body, tuple[str, ...]]], wanted: Mapping[tuple[str, ...], Tree]) -> dict[Kind, dict[str, Body]]:
        """The objects that the answers name fields of, one look-up per kind."""
        ids: dict[Kind, set[str]] = {}
        fields: dict[Kind, set[str]] = {}
        for body, path in places:
            kind = self._references[path]
            ids.setdefault(kind, set()).update(value for value in _values(body, path) if isinstance(value, str) and value)
            fields.setdefault(kind, set()).update(wanted[path], ("public",))
        joined: dict[Kind, dict[str, Body]] = {}
        for kind, some in ids.items():
            joined[kind] = {
                id: document.body for id, document in self._registry.get_many(kind, self._company, some, fields=fields[kind]).items()
            }
        return joined


def _below(tree: Tree, path: tuple[str, ...]) -> Tree | None:
    """What is chosen below a path: {} for all of it or nothing in particular, None when the path itself is not chosen."""
    node = tree
    for part in path:
        if not node:
            return {}
        if part not in node:
            return None
        node = node[part]
    return node


def _cut(value: Any, tree: Tree) -> Any:
    """A copy with the chosen fields only; lists item by item."""
    if not tree:
        return value
    if isinstance(value, list):
        return [_cut(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _cut(value[name], node) for name, node in tree.items() if name in value}


def _values(value: Any, path: tuple[str, ...]) -> list[Any]:
    if isinstance(value, list):
        return [found for item in value for found in _values(item, path)]
    if not path:
        return [value]
    return _values(value.get(path[0]), path[1:]) if isinstance(value, dict) else []


def _replace(value: Any, path: tuple[str, ...], change: Callable[[Any], Any]) -> None:
    """Change the value at a path; the containers on the way are copied, because bodies may be shared."""
    if isinstance(value, list):
        for item in value:
            _replace(item, path, change)
        return
    if not isinstance(value, dict) or path[0] not in value:
        return
    if len(path) == 1:
        value[path[0]] = change(value[path[0]])
        return
    inner = value[path[0]]
    value[path[0]] = (
        [dict(item) if isinstance(item, dict) else item for item in inner]
        if isinstance(inner, list)
        else dict(inner)
        if isinstance(inner, dict)
        else inner
    )
    _replace(value[path[0]], path[1:], change)
