"""Runs of pipelines: the controller tasks of a pipeline's project."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver.bll.registry.public import find_readable
from apiserver.bll.registry.records import Records
from apiserver.errors import CannotRemoveAllRuns
from apiserver.stores.registry import Condition


class PipelineRuns:
    """Rules for the runs of a pipeline."""

    def __init__(self, records: Records) -> None:
        self._registry = records.registry

    def check_some_stay(self, company: str, ids: Sequence[str], project: str | None = None) -> None:
        """Raise CannotRemoveAllRuns when these tasks are all runs of a pipeline (`project`; None: of any pipeline they belong to)."""
        chosen = [Condition("id", "in", list(ids)), *self._in(project)]
        projects = [id for (id,) in self._registry.tally("task", [company], chosen, ["project"]) if id]
        for id in projects:
            runs = [Condition("project", "in", (id,))]
            controllers = [*runs, Condition("type", "in", ("controller",))]
            if self._registry.count("task", [company], controllers):
                runs = controllers
            if not self._registry.count("task", [company], [*runs, Condition("id", "in", list(ids), negate=True)]):
                raise CannotRemoveAllRuns("at least one must stay; delete the pipeline's project instead", project=id)

    def outside(self, company: str, ids: Sequence[str], project: str | None) -> set[str]:
        """Those of the tasks that are in another project than this one (None: any will do)."""
        if not project:
            return set()
        found = find_readable(self._registry, "task", company, ids, fields=["project"])
        return {id for id, task in found.items() if task.body.get("project") != project}

    def _in(self, project: str | None) -> list[Condition]:
        return [Condition("project", "in", (project,))] if project else []
