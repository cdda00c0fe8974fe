"""Filters of the lists of tasks, models, projects and users: every form of the query language, with values that fit, and odd ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from apiserver.stores.records import name_hash
from tests.fuzz.generated import ODD, Pool

LISTS = (
    "tasks.get_all",
    "tasks.get_all_ex",
    "models.get_all",
    "models.get_all_ex",
    "projects.get_all",
    "projects.get_all_ex",
    "users.get_all",
    "users.get_all_ex",
    "reports.get_all_ex",
    "organization.get_entities_count",
)
COUNTED = ("projects", "tasks", "models", "datasets", "dataset_versions", "pipelines", "pipeline_runs", "reports")
VERSIONS = ("2.2", "2.8", "2.20", "2.34", "2.34", "999.0")

LAST = f"last_metrics.{name_hash('loss')}.{name_hash('train')}"
FIELDS = (
    "id",
    "name",
    "comment",
    "description",
    "basename",
    "type",
    "status",
    "project",
    "parent",
    "user",
    "tags",
    "system_tags",
    "framework",
    "uri",
    "task",
)
TIMES = ("created", "started", "completed", "last_update", "last_change", "status_changed", "published")
NUMBERS = ("last_iteration", "active_duration", "ready")
PATHS = (
    "hyperparams.General.lr.value",
    "hyperparams.Args.a.b%2Ec.value",
    "hyperparams",
    "configuration.c.value",
    "execution.queue",
    "execution.parameters.lr",
    "models.output.model",
    "runtime.progress",
    "script.branch",
    "metadata.k.value",
    f"{LAST}.value",
    f"{LAST}.max_value",
    f"{LAST}.nothing",
    "last_metrics.x.y.value",
    "project.name",
    "user.name",
    "parent.name",
    "no.such.field",
    "a" * 300,
    ".".join("abc" * 20),
)
PATTERNS = (
    "",
    "a",
    "^task",
    "fuzz.*[0-9]$",
    "ä|é",
    r"\bx\b",
    "(",
    "(?i)TASK",
    "[[:alpha:]]+",
    r"\pL",
    "a{3}",
    "%",
    "_",
    "*",
    "\x00",
    "x" * 3000,
)
WORDS = (
    "__$not",
    "__$and",
    "__$or",
    "__$all",
    "__$any",
    "-a",
    "-",
    "a",
    "archived",
    "pipeline",
    "",
    "created",
    "in_progress",
    None,
    0,
    1.5,
    True,
    "ä",
)
MOMENTS = (
    "2026-01-01T00:00:00",
    "2026-11-30T12:00:00+14:00",
    "2026-01-01",
    "9999-12-31T23:59:59",
    "0001-01-01",
    1_700_000_000,
    1_700_000_000_000,
    "soon",
    "",
)


class Filters:
    """Makes calls of the lists. `pool`: ids that exist."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.forms: list[Callable[[random.Random], dict[str, Any]]] = [
            self._list,
            self._list,
            self._pattern,
            self._range,
            self._range,
            self._search,
            self._operators,
            self._dotted,
            self._dotted,
            self._odd,
        ]

    def call(self, seed: int) -> tuple[str, str, dict[str, Any]]:
        """Endpoint, version and body of the call with this number."""
        rng = random.Random(seed)
        body: dict[str, Any] = {}
        for _ in range(rng.choice([0, 1, 1, 2, 4])):
            body |= rng.choice(self.forms)(rng)
        body |= self._page(rng)
        name = LISTS[seed % len(LISTS)]
        if name == "organization.get_entities_count":
            body = dict.fromkeys(rng.sample(COUNTED, rng.choice([1, 2, 8])), body)
        return name, rng.choice(VERSIONS), body

    def _word(self, rng: random.Random) -> Any:
        return rng.choice([*WORDS, *self.pool.tasks[-3:], *self.pool.projects, *self.pool.models[-2:]])

    def _list(self, rng: random.Random) -> dict[str, Any]:
        values = [self._word(rng) for _ in range(rng.choice([0, 1, 2, 5, 40]))]
        return {rng.choice(FIELDS): values if rng.random() < 0.9 else self._word(rng)}

    def _pattern(self, rng: random.Random) -> dict[str, Any]:
        pattern = rng.choice(PATTERNS)
        return {rng.choice(("name", "comment", "basename", "description", "status_message")): rng.choice([pattern, [pattern, "a"]])}

    def _bounds(self, rng: random.Random, values: tuple[Any, ...]) -> Any:
        def bound() -> Any:
            value = rng.choice(values)
            return rng.choice([value, None, f"{rng.choice(['>=', '<=', '>', '<', '==', '=', '=>'])}{value}"])

        return rng.choice([bound(), [bound()], [bound(), bound()], [bound(), bound(), bound()]])

    def _range(self, rng: random.Random) -> dict[str, Any]:
        if rng.random() < 0.5:
            return {rng.choice(TIMES): self._bounds(rng, MOMENTS)}
        return {rng.choice((*NUMBERS, f"{LAST}.value")): self._bounds(rng, (0, 1, -1, 0.5, 2**63 - 1, 2**63, 1e308, "x"))}

    def _search(self, rng: random.Random) -> dict[str, Any]:
        fields = [rng.choice(FIELDS + TIMES + PATHS) for _ in range(rng.choice([0, 1, 2, 8]))]
        value = {"pattern": rng.choice(PATTERNS)} if rng.random() < 0.6 else {"datetime": self._bounds(rng, MOMENTS)}
        return {rng.choice(("_any_", "_all_")): {**value, "fields": fields}}

    def _operators(self, rng: random.Random) -> dict[str, Any]:
        def part() -> dict[str, Any]:
            return {
                word: [self._word(rng) for _ in range(rng.choice([0, 1, 3]))]
                for word in rng.sample(("include", "exclude"), rng.choice([1, 2]))
            }

        item = {key: part() for key in rng.sample(("any", "all"), rng.choice([1, 2]))}
        return {"filters": {rng.choice(FIELDS + PATHS): {**item, **rng.choice([{}, {"op": "or"}, {"op": "and"}, {"op": "xor"}])}}}

    def _dotted(self, rng: random.Random) -> dict[str, Any]:
        path = rng.choice(PATHS)
        return {path: rng.choice([[self._word(rng)], self._word(rng), self._bounds(rng, (0, 1.5, -3)), {"a": 1}, [["a"]]])}

    def _odd(self, rng: random.Random) -> dict[str, Any]:
        return {
            rng.choice((*FIELDS, *TIMES, *NUMBERS, *PATHS, "_any_", "_all_", "filters", "order_by", "only_fields", "page")): rng.choice(ODD)
        }

    def _page(self, rng: random.Random) -> dict[str, Any]:
        found: dict[str, Any] = {}
        names = FIELDS + TIMES + NUMBERS + PATHS
        if rng.random() < 0.5:
            found["order_by"] = [rng.choice(["", "-", "+"]) + rng.choice(names) for _ in range(rng.choice([1, 1, 3]))]
        if rng.random() < 0.5:
            found["only_fields"] = [rng.choice((*names, "last_metrics", LAST)) for _ in range(rng.choice([1, 3]))]
        if rng.random() < 0.5:
            found |= {"page": rng.choice([0, 0, 1, 2**40]), "page_size": rng.choice([1, 10, 500])}
        elif rng.random() < 0.3:
            found |= {
                "size": rng.choice([1, 5]),
                "scroll_id": rng.choice([None, "x", *self.pool.scrolls[-5:]]),
                "refresh_scroll": rng.random() < 0.3,
            }
        for flag in (
            "search_hidden",
            "include_subprojects",
            "include_stats",
            "check_own_contents",
            "shallow_search",
            "count_total",
            "allow_public",
        ):
            if rng.random() < 0.1:
                found[flag] = True
        if rng.random() < 0.1:
            found["facets"] = [rng.choice(FIELDS)]
        return found
