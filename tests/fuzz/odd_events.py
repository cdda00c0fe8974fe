"""Events at the edges of what is accepted: the greatest numbers, the first and the last iteration and time, names that somebody might join or parse."""

from __future__ import annotations

import math
import random
import sys

from tests.client import Event, image, log, plot, scalar, vector

LARGEST, SMALLEST = sys.float_info.max, 5e-324
VALUES = [LARGEST, -LARGEST, LARGEST / 2, 1e200, -1e200, SMALLEST, -SMALLEST, -0.0, 1.0, 2.0**53 + 2, math.nan, math.inf, -math.inf, None]
ITERATIONS = [-(2**63), -(2**63) + 1, -(2**53) - 1, -(2**31), -1, 0, 1, 7, 2**31, 2**53 + 1, 2**63 - 2, 2**63 - 1]
TIMES = [-62_135_596_800_000, -1, 0, 1_700_000_000_000, 253_402_300_799_999]
NAMES = [
    "loss",
    "a/b",
    "a",
    "b/c",
    "a.b",
    "$where",
    "%2F",
    "a%2Fb",
    'q"uote',
    "back\\slash",
    "\x00",
    "\u2028",
    "é",
    "\U0001f600",
    " ",
    "x" * 1_000,
]
NAMES += ["__proto__", "constructor", ":monitor:gpu", "time", "global_step", "stage", "epoch", "@", "_all", "*", "a,b", "<b>", "=1+1"]
PLOTS = ["{}", '{"data": [NaN, Infinity]}', "[" * 400, '{"a": 1e999}', '{"data": [{"x": [1e308]}]}', "", "not json", '{"a": "\\ud800"}']
LEVELS = ["info", "", "é", "x" * 900, "WARNING"]


def odd_events(seed: int, task: str, *, model: bool = False) -> list[Event]:
    """Some of each kind, for one task or model: another choice for each seed."""
    rng = random.Random(seed)
    more = {"model_event": True} if model else {}
    series = [(rng.choice(NAMES), rng.choice(NAMES)) for _ in range(4)]
    found = []
    for metric, variant in series:
        for iteration in rng.sample(ITERATIONS, rng.randint(1, len(ITERATIONS))):
            at = rng.choice(TIMES)
            found.append(scalar(task, metric, variant, iter=iteration, value=rng.choice(VALUES), timestamp=at, **more))
    metric, variant = series[0]
    for iteration in rng.sample(ITERATIONS, 3):
        url = rng.choice(["http://f/1.png", "", "data:,x", "../../x", "http://f/%00", "s3://b/" + "k" * 900])
        found.append(image(task, metric, variant, iter=iteration, url=url, timestamp=rng.choice(TIMES), **more))
        found.append(plot(task, metric, variant, iter=iteration, plot_str=rng.choice(PLOTS), timestamp=rng.choice(TIMES), **more))
        found.append(vector(task, [value for value in VALUES[:10] if value is not None], metric, variant, iter=iteration, **more))
    found.append(scalar(task, metric, variant, iter=None, value=rng.choice(VALUES), **more))
    if not model:
        texts = ["", "\x00", "\r\n\r\n", "\u2028", "\x1b[31mred\x1b[0m", "x" * 40_000, "é" * 100]
        found += [
            log(task, rng.choice(texts), timestamp=rng.choice(TIMES), level=level, metric=metric, iter=rng.choice(ITERATIONS))
            for level in LEVELS
        ]
    return found
