"""What depends on tasks and models that are about to go. Each of these searches reads a whole table, so it is made once for many of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from apiserver.bll.registry.records import Body
from apiserver.stores.registry import AnyOf, Condition, Document, Registry

PART = 500
"""Documents of users read at once."""


class Relatives:
    """Of some tasks of a company: their children, their output models, who else uses these and their files. `remove` takes out what went since."""

    def __init__(self, registry: Registry, company: str, tasks: Sequence[str]) -> None:
        self.tasks = frozenset(tasks)
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
        self._users = users_of(registry, company, [model.id for model in self._models])
        self._makers = makers_of(registry, company, [model.id for model in self._models])
        self._files = models_of_files(registry, company, {str(model.body.get("uri") or "") for model in self._models})

    def remove(self, id: str) -> None:
        """A task or model is gone."""
        self._gone.add(id)

    def reset(self, task: str, *, clear_all: bool) -> None:
        """A task names no model as its output any more; with `clear_all` none as its input either."""
        for tasks in (*self._makers.values(), *(self._users.values() if clear_all else ())):
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
        return bool((self._users.get(model, set()) | self._makers.get(model, set())) - self._gone - {besides})

    def needed(self, files: Collection[str]) -> set[str]:
        """Those of some files that a model has: a file may be registered more than once."""
        return {file for file in files if self._files.get(file, set()) - self._gone}


def output_models(body: Body) -> Iterator[str]:
    """The models that a task names as its output."""
    yield from (item["model"] for item in (body.get("models") or {}).get("output") or [] if item.get("model"))


def users_of(registry: Registry, company: str, models: Sequence[str]) -> dict[str, set[str]]:
    """The tasks that use each model as their input: in their list of models, or as clients before 2.13 name it."""
    return _naming(registry, company, models, "input", older=True)


def makers_of(registry: Registry, company: str, models: Sequence[str]) -> dict[str, set[str]]:
    """The tasks that name each model as their output."""
    return _naming(registry, company, models, "output", older=False)


def models_of_files(registry: Registry, company: str, files: Collection[str]) -> dict[str, set[str]]:
    """The models of each file."""
    wanted = sorted(file for file in files if file)
    found: dict[str, set[str]] = defaultdict(set)
    if wanted:
        for model in registry.find("model", [company], [Condition("uri", "in", wanted)], fields=["uri"]):
            found[model.body["uri"]].add(model.id)
    return found


def _naming(registry: Registry, company: str, models: Sequence[str], side: str, *, older: bool) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    if not models:
        return found
    wanted = set(models)
    paths = [f"models.{side}.model", *(["execution.model"] if older else ())]
    where = [AnyOf([[Condition(path, "in", list(models))] for path in paths])]
    tasks = iter([task.id for task in registry.find("task", [company], where, fields=["id"])])
    while part := list(islice(tasks, PART)):
        for id, task in registry.get_many("task", company, part, fields=["models", "execution"]).items():
            names = {item.get("model") for item in (task.body.get("models") or {}).get(side) or []}
            if older:
                names.add((task.body.get("execution") or {}).get("model"))
            for model in names & wanted:
                found[model].add(id)
    return found
