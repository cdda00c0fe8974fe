"""Finds what depends on tasks and models that are to be deleted. Each search reads a whole table, so it is made once for many of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from apiserver.bll.registry.document_changes import in_parts
from apiserver.bll.registry.records import Body
from apiserver.stores.registry import AnyOf, Condition, Document, Registry

PART = 500
"""Documents of users read at once."""


class NamedBy(NamedTuple):
    """The tasks that have each model as their input, and those that have it as their output."""

    users: dict[str, set[str]]
    makers: dict[str, set[str]]


class Relatives:
    """For some tasks of a company: their children, their output models, and who else uses these models and their files. `remove` notes deletions since
    the search."""

    def __init__(self, registry: Registry, company: str, tasks: Sequence[str]) -> None:
        self._gone: set[str] = set()
        self._children: dict[str, list[str]] = defaultdict(list)
        for child in registry.find("task", [company], [Condition("parent", "in", tasks)], fields=["parent"]):
            self._children[child.body["parent"]].append(child.id)
        self._named = {
            id: set(output_models(document.body)) for id, document in registry.get_many("task", company, tasks, fields=["models"]).items()
        }
        mine = [[Condition("task", "in", tasks)]]
        named = sorted(set().union(*self._named.values()))
        if named:
            mine.append([Condition("id", "in", named)])
        self._models = registry.find("model", [company], [AnyOf(mine)], fields=["task", "ready", "public", "uri"])
        self.models = [model.id for model in self._models]
        """The output models of all of the tasks."""
        self._named_by = named_by(registry, company, self.models)
        self._files = models_of_files(registry, company, {str(model.body.get("uri") or "") for model in self._models})

    def remove(self, id: str) -> None:
        """Note that a task or model was deleted."""
        self._gone.add(id)

    def reset(self, task: str, *, clear_all: bool) -> None:
        """A task names no model as its output any more; with `clear_all` none as its input either."""
        users, makers = self._named_by
        for tasks in (*makers.values(), *(users.values() if clear_all else ())):
            tasks.discard(task)

    def children(self, task: str) -> list[str]:
        """The tasks that name it as their parent."""
        return [child for child in self._children.get(task, ()) if child not in self._gone]

    def output_models(self, task: str) -> list[Document]:
        """The models that a task made, or that it names as its output."""
        named = self._named.get(task, ())
        return [model for model in self._models if (model.body.get("task") == task or model.id in named) and model.id not in self._gone]

    def is_used(self, model: str, besides: str) -> bool:
        """Whether other tasks name the model, as their input or output."""
        users, makers = self._named_by
        return bool((users.get(model, set()) | makers.get(model, set())) - self._gone - {besides})

    def needed(self, files: Collection[str]) -> set[str]:
        """Those of some files that a model has: a file may be registered more than once."""
        return {file for file in files if self._files.get(file, set()) - self._gone}


def output_models(body: Body) -> Iterator[str]:
    """The models that a task names as its output."""
    yield from (item["model"] for item in (body.get("models") or {}).get("output") or [] if item.get("model"))


def named_by(registry: Registry, company: str, models: Sequence[str]) -> NamedBy:
    """The tasks that name each model: in their lists of models, or as their input as clients before 2.13 do."""
    found = NamedBy(defaultdict(set), defaultdict(set))
    if not models:
        return found
    wanted = set(models)
    paths = ("models.input.model", "execution.model", "models.output.model")
    where = [AnyOf([[Condition(path, "in", list(models))] for path in paths])]
    tasks = [task.id for task in registry.find("task", [company], where, fields=["id"])]
    for part in in_parts(tasks, PART):
        for id, task in registry.get_many("task", company, part, fields=["models", "execution"]).items():
            used = {item.get("model") for item in (task.body.get("models") or {}).get("input") or []}
            used.add((task.body.get("execution") or {}).get("model"))
            for model in used & wanted:
                found.users[model].add(id)
            for model in wanted.intersection(output_models(task.body)):
                found.makers[model].add(id)
    return found


def models_of_files(registry: Registry, company: str, files: Collection[str]) -> dict[str, set[str]]:
    """The models of each file."""
    wanted = sorted(file for file in files if file)
    found: dict[str, set[str]] = defaultdict(set)
    if wanted:
        for model in registry.find("model", [company], [Condition("uri", "in", wanted)], fields=["uri"]):
            found[model.body["uri"]].add(model.id)
    return found
