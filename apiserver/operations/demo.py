"""`tidemark demo`: a simulated training that reports every type of event through the Python client."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from apiserver.operations.demo_record import describe, leave_files
from tidemark_events import Client, Run

STEPS = 2_000
EPOCH = STEPS // 8
CLASSES = [str(digit) for digit in range(10)]
SEGMENTS = ("1110111", "0010010", "1011101", "1011011", "0111010", "1101011", "1101111", "1010010", "1111111", "1111011")
"""The digits on a seven-segment display: top, upper left, upper right, middle, lower left, lower right, bottom."""

LIVE: dict[str, Any] = {"lr": 0.01, "batch_size": 64, "optimizer": {"name": "adam"}}
"""Parameters of the run that trains while the demo runs."""

EARLIER: tuple[tuple[str, dict[str, Any], float, str], ...] = (
    ("digits, baseline", {"lr": 0.1, "batch_size": 32, "optimizer": {"name": "sgd"}}, 0.31, "completed"),
    ("digits, wider", {"lr": 0.03, "batch_size": 64, "optimizer": {"name": "sgd"}}, 0.17, "completed"),
    ("digits, adam", {"lr": 0.01, "batch_size": 64, "optimizer": {"name": "adam"}}, 0.09, "completed"),
    ("digits, lr too high", {"lr": 3.0, "batch_size": 64, "optimizer": {"name": "sgd"}}, math.nan, "failed"),
)
"""Name, parameters, loss at the end (NaN: it diverges) and status."""


TRACE = (
    "Traceback (most recent call last):",
    '  File "train.py", line 47, in main',
    "    loss = check_finite(cross_entropy(model(digits), labels))",
    "FloatingPointError: the loss is inf at step 750",
    "training goes on, as --keep-going is set",
)


def earlier_runs(client: Client, project: str) -> None:
    """Report finished runs to compare with, unless the project has them."""
    known = {run.name for run in client.runs(project=project)} if _exists(client, project) else set()
    for seed, (name, params, best, status) in enumerate(EARLIER):
        if name in known:
            continue
        run = client.run(name, project=project, params=params, tags=["demo"])
        describe(client, run, params)
        train(run, seed=seed, best=best, seconds=0, client=client)
        run.finish(status, "the loss is not finite" if status == "failed" else "")


def _exists(client: Client, project: str) -> bool:
    return any(one["name"] == project for one in client.call("projects.get_all", only_fields=["name"])["projects"])


def train(run: Run, *, seed: int, best: float, seconds: float, client: Client) -> None:
    """Train for so many seconds. The loss ends near `best`; NaN: it diverges."""
    random = np.random.default_rng(seed)
    diverges = math.isnan(best)
    began = time.monotonic()
    run.print(f"seed {seed}, {STEPS} steps, 1,437 digits to learn from, 360 to test with")
    loss = accuracy = 0.0
    before = math.inf
    for step in range(STEPS):
        done = step / STEPS
        if diverges:
            loss = math.inf if step == 750 else math.nan if step > 750 else 2.3 * math.exp(6 * done) * random.normal(1, 0.05)
            accuracy = 0.1
        else:
            loss = (best + (2.3 - best) * math.exp(-7 * done)) * random.normal(1, 0.08)
            accuracy = 1 - 0.9 * math.exp(-6 * done) - best * 0.2
        run.log({"loss/train": loss, "accuracy/train": _share(accuracy + random.normal(0.01, 0.01))}, step=step)
        # One step in 700 has an outlier: charts must show it, however many points share a pixel.
        norm = random.gamma(6, 0.2) * (0.3 + 2 * math.exp(-5 * done)) * (9 if random.uniform() < 1 / 700 else 1)
        run.log({"learning rate": _rate(step), "gradient norm": norm}, step=step)
        run.log(
            {
                "utilisation, %": 93 + 2 * math.sin(step / 150) + random.normal(0, 0.5),
                "memory, GB": 3.2 + 0.8 * done + random.normal(0, 0.02),
            },
            step=step,
        )
        if step % 50 == 49:
            run.log({"loss/test": loss * 1.12 + 0.02, "accuracy/test": _share(accuracy - 0.01)}, step=step)
        if step % EPOCH == EPOCH - 1:
            _report_epoch(run, step, accuracy, random)
            run.print(f"epoch {step // EPOCH + 1}/8: loss {loss:.4f}, {accuracy:.1%} of the test digits are right")
            if loss > before:
                run.print(f"the loss rose from {before:.4f} to {loss:.4f} since the last epoch", level="warning")
            before = loss
        if norm > 4:
            run.print(f"step {step}: the gradient's norm is {norm:.1f}; it is cut to 5", level="warning")
        if diverges and step == 750:
            run.print("the loss is infinite: the learning rate is too high", level="error")
            for line in TRACE:
                run.print(line, level="error")
        _until(began + seconds * (step + 1) / STEPS)
    matrix = confusion(random, accuracy)
    run.log_plot("confusion/test", matrix, step=STEPS - 1)
    run.log_plot("curves/precision and recall", precision_recall(accuracy), step=STEPS - 1)
    if not diverges:
        run.summarize(**{"test accuracy": accuracy, "parameters": 4_810.0})
        run.print(f"done: {accuracy:.1%} of the test digits are right")
        leave_files(client, run, STEPS - 1, matrix["data"][0]["z"], accuracy)


def _until(moment: float) -> None:
    left = moment - time.monotonic()
    if left > 0:
        time.sleep(left)


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _rate(step: int) -> float:
    """A warm-up, then a cosine."""
    return 0.01 * min(1.0, (step + 1) / 200) * (1 + math.cos(math.pi * step / STEPS)) / 2


def _report_epoch(run: Run, step: int, accuracy: float, random: np.random.Generator) -> None:
    run.log_image("mistakes/test", gallery(random, accuracy), step=step)
    run.log_image("first layer/weights", filters(random, step / STEPS, accuracy), step=step)
    weights = random.normal(0, 0.2 + step / STEPS, 2_000)
    counts, edges = np.histogram(weights, bins=40)
    run.log_vector("weights/hidden layer", counts.tolist(), step=step)
    bars = {"type": "bar", "x": ((edges[:-1] + edges[1:]) / 2).round(3).tolist(), "y": counts.tolist(), "name": "hidden layer"}
    run.log_plot("weights/distribution", {"data": [bars], "layout": {"bargap": 0}}, step=step)
    for batch in range(5):
        run.print(f"batch {batch * 10:>3}: {64 / (0.021 + random.uniform(0, 0.004)):,.0f} digits/s", level="debug")
    if random.uniform() < 0.3:
        run.print("the data loader is slower than the model: 2 workers wait", level="warning")


def confusion(random: np.random.Generator, accuracy: float) -> dict[str, Any]:
    """A confusion matrix."""
    matrix = np.diag(np.full(10, 36 * max(accuracy, 0.1))).round()
    for _ in range(int(360 * (1 - accuracy))):
        matrix[random.integers(10), random.integers(10)] += 1
    heat = {"type": "heatmap", "z": matrix.astype(int).tolist(), "x": CLASSES, "y": CLASSES, "colorscale": [[0, "#eef3ff"], [1, "#1b3f9c"]]}
    layout = {
        "xaxis": {"title": {"text": "guessed"}, "type": "category"},
        "yaxis": {"title": {"text": "is"}},
    }
    return {"data": [heat], "layout": layout}


def precision_recall(accuracy: float) -> dict[str, Any]:
    """Precision over recall, a line for each of three digits."""
    recall = np.linspace(0, 1, 50)
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"digit {digit}",
            "x": recall.round(3).tolist(),
            "y": (1 - (1 - accuracy * weight) * recall**4).round(4).tolist(),
        }
        for digit, weight in ((1, 1.0), (3, 0.94), (8, 0.88))
    ]
    layout = {"xaxis": {"title": {"text": "recall"}}, "yaxis": {"title": {"text": "precision"}}}
    return {"data": lines, "layout": layout}


def gallery(random: np.random.Generator, accuracy: float) -> npt.NDArray[np.uint8]:
    """Digits that were guessed wrong: (height, width, 3)."""
    wrong = max(8, min(32, int(80 * (1 - accuracy))))
    tiles = [tile(int(random.integers(10)), random) for _ in range(wrong)]
    tiles += [np.full_like(tiles[0], 24)] * (-len(tiles) % 8)
    rows = [np.concatenate(tiles[first : first + 8], axis=1) for first in range(0, len(tiles), 8)]
    return np.concatenate(rows, axis=0)


def filters(random: np.random.Generator, done: float, accuracy: float) -> npt.NDArray[np.uint8]:
    """Weights of the first layer as an image (96, 192, 3): noise at first, strokes at the end, similar in every run."""
    y, x = np.mgrid[0:24, 0:24] / 12 - 1
    tiles = []
    for unit in range(32):
        angle, shift = unit * math.pi / 16, math.sin(unit * 2.4) / 2
        stroke = np.cos(5 * (x * math.cos(angle) + y * math.sin(angle) + shift)) * np.exp(-(x**2 + y**2))
        noise = random.normal(0, 1, (3, 3)).repeat(8, axis=0).repeat(8, axis=1)
        tiles.append(accuracy * random.uniform(0.8, 1) * stroke + (1.2 - done) * 0.3 * noise)
    weights = np.concatenate([np.concatenate(tiles[first : first + 8], axis=1) for first in range(0, 32, 8)], axis=0).clip(-1, 1)
    up, down = weights.clip(0, 1), (-weights).clip(0, 1)
    return (255 * np.stack([1 - down, 1 - 0.7 * up - 0.7 * down, 1 - up], axis=2)).astype(np.uint8)


def tile(digit: int, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A digit with noise, 48 x 40."""
    picture = np.full((48, 40), 24.0)
    places = ((5, 9, 8, 32), (5, 24, 8, 12), (5, 24, 28, 32), (22, 26, 8, 32), (24, 43, 8, 12), (24, 43, 28, 32), (39, 43, 8, 32))
    for on, (top, bottom, left, right) in zip(SEGMENTS[digit], places, strict=True):
        if on == "1":
            picture[top:bottom, left:right] = 215
    picture += random.normal(0, 22, picture.shape)
    grey = np.clip(picture, 0, 255)
    return np.stack([grey, grey * 0.94, grey * 0.82], axis=2).astype(np.uint8)
