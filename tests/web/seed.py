"""Runs as people have them: a few trainings with parameters, tags, curves; or thousands of small ones."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from tests.client import Client

RUNS: tuple[tuple[str, str, dict[str, str], tuple[str, ...], float], ...] = (
    ("resnet50-aug-7", "in_progress", {"lr": "0.001", "batch": "96", "augment": "randaug"}, ("baseline",), 0.21),
    ("resnet50-aug-6", "completed", {"lr": "0.001", "batch": "128", "augment": "randaug"}, ("baseline",), 0.22),
    ("resnet50-base", "completed", {"lr": "0.01", "batch": "128", "augment": "none"}, ("baseline", "paper"), 0.25),
    ("vit-small-2", "completed", {"lr": "0.0003", "batch": "256", "augment": "none"}, (), 0.28),
    ("vit-small-1", "failed", {"lr": "0.003", "batch": "256", "augment": "none"}, (), 0.61),
    ("mlp-sanity", "completed", {"lr": "0.1", "batch": "32", "augment": "none"}, ("sanity",), 0.49),
)


def curve(end: float, steps: int, seed: int) -> list[float]:
    """A loss that falls from 2 to about `end`, with noise."""
    noise = random.Random(seed)
    return [end + (2 - end) * math.exp(-5 * step / steps) + noise.gauss(0, 0.03) for step in range(steps)]


def trainings(server: Client, project: str = "vision/imagenet", *, steps: int = 200, runs: Sequence[Any] = RUNS) -> list[str]:
    """The runs of `RUNS`, newest first; their ids in that order. Each reports train/loss, val/loss and val/acc."""
    ids = []
    for number, (name, status, parameters, tags, end) in reversed(list(enumerate(runs))):
        given = {
            name: {"section": "General", "name": name, "value": value, "type": "str", "description": ""}
            for name, value in parameters.items()
        }
        task = server.call(
            "tasks.create",
            name=name,
            type="training",
            project=_project(server, project),
            tags=list(tags),
            hyperparams={"General": given},
            script={
                "repository": "https://example.org/vision.git",
                "version_num": f"{number:040x}",
                "entry_point": "train.py",
                "binary": "python",
            },
        )["id"]
        server.call("tasks.started", task=task)
        losses, accuracies = curve(end, steps, number), curve(0.0, steps, number + 100)
        events: list[dict[str, Any]] = []
        for step in range(steps):
            for metric, variant, value in (
                ("train", "loss", losses[step] * 1.05),
                ("val", "loss", losses[step]),
                ("val", "acc", 1 - accuracies[step] / 2.2),
            ):
                events.append(
                    {"type": "training_stats_scalar", "task": task, "metric": metric, "variant": variant, "iter": step * 40, "value": value}
                )
        server.add_batch(events)
        if status != "in_progress":
            server.call(f"tasks.{status}", task=task)
        ids.append(task)
    return ids[::-1]


def many(server: Client, count: int, prefix: str = "run") -> None:
    """`count` runs that are known by one log line each."""
    for first in range(0, count, 1000):  # events.max_batch_tasks
        numbers = range(first, min(first + 1000, count))
        server.add_batch(
            [{"type": "log", "task": f"{prefix}-{number:05}", "msg": "started", "level": "info", "worker": "w"} for number in numbers]
        )


def _project(server: Client, name: str) -> str:
    return (
        str(server.call("projects.get_all", name=f"^{name}$")["projects"][0]["id"])
        if _exists(server, name)
        else str(server.call("projects.create", name=name, description="")["id"])
    )


def _exists(server: Client, name: str) -> bool:
    return bool(server.call("projects.get_all", name=f"^{name}$")["projects"])
