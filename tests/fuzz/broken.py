"""Broken bodies: mutations of good batches, made from a seed, so that a failure can be repeated."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SCALAR = "training_stats_scalar"
MARK = "good line "

HUGE = [
    "1" + "0" * 400,
    "-1e400",
    "1e-400",
    "9" * 5000,
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1e308",
    "0.1e1000000000",
]
ODD_TEXT = [
    "\\ud800",
    "\\udfff\\ud800",
    "\\u0000",
    "\\uffff",
    "a" * 70_000,
    "\\n\\r\\t",
    "\\u202e",
    "\\ud83d\\ude00",
    "'",
    "%s%n",
    "{0}",
    "../..",
    "$where",
]
ODD_VALUE = [
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[[]]",
    '""',
    '"x"',
    "0",
    "-0",
    "1.5",
    "NaN",
    "Infinity",
    "-Infinity",
    '{"$ref": "#"}',
    "[null]",
]
FIELDS = [
    "type",
    "task",
    "metric",
    "variant",
    "iter",
    "value",
    "timestamp",
    "worker",
    "msg",
    "level",
    "key",
    "url",
    "plot_str",
    "values",
    "model_event",
]
FIELDS += [
    "allow_locked",
    "model",
    "x_axis_label",
    "ts",
    "@timestamp",
    "_id",
    "seq",
    "_cursor",
    "extra",
    "__class__",
    "company",
    "plot_len",
    "self",
    "",
]
BYTES = [
    b"\xff",
    b"\xfe\xff",
    b"\x00",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf5\x80\x80\x80",
    b"\xe2\x82",
    b"\xef\xbb\xbf",
    b"\x1f\x8b",
    b"\x80",
    b"\x0b",
    b"\x85",
    b"\xe2\x80\xa8",
]


@dataclass
class Case:
    """A body, and what must come of it: texts of log lines that are whole and must be stored, in order."""

    body: bytes
    task: str
    good: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


def good_line(task: str, number: int) -> bytes:
    return json.dumps({"type": "log", "task": task, "msg": f"{MARK}{number}", "timestamp": 1000 + number}).encode()


def event(rng: random.Random, task: str) -> dict[str, Any]:
    """A good event of any type."""
    iter = rng.choice([0, 1, -1, 7, 2**40, -(2**31), 2**63 - 1])
    base = {
        "task": task,
        "metric": rng.choice(["m", "", "ä"]),
        "variant": rng.choice(["v", ""]),
        "iter": iter,
        "timestamp": rng.choice([1, 1_700_000_000_000]),
    }
    return rng.choice(
        [
            {**base, "type": SCALAR, "value": rng.random()},
            {**base, "type": "training_stats_vector", "values": [1, 2.5]},
            {**base, "type": "training_debug_image", "url": "http://f/1", "key": "k"},
            {**base, "type": "plot", "plot_str": '{"data": []}'},
            {"type": "log", "task": task, "msg": "text", "level": "info"},
        ]
    )


def wrong_type(rng: random.Random, task: str) -> bytes:
    line = event(rng, task)
    name = rng.choice([name for name in FIELDS if name != "msg"])
    line.pop(name, None)
    text = json.dumps(line)[:-1]
    value = rng.choice([*ODD_VALUE, *HUGE, *(f'"{text}"' for text in ODD_TEXT)])
    return f'{text}, "{name}": {value}}}'.encode()


def missing_field(rng: random.Random, task: str) -> bytes:
    line = event(rng, task)
    del line[rng.choice(list(line))]
    return json.dumps(line).encode()


def truncated(rng: random.Random, task: str) -> bytes:
    line = json.dumps(event(rng, task)).encode()
    return line[: rng.randrange(1, len(line))]


def bad_bytes(rng: random.Random, task: str) -> bytes:
    line = json.dumps(event(rng, task), ensure_ascii=False).encode()
    at = rng.randrange(len(line))
    return line[:at] + rng.choice(BYTES) + line[at + rng.randrange(2) :]


def nested(rng: random.Random, task: str) -> bytes:
    depth = rng.choice([50, 200, 1000, 5000, 100_000])
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
    inner = opening * depth + rng.choice(["1", ""]) + closing * rng.choice([depth, depth - 1, 0])
    return f'{{"type": "log", "task": "{task}", "extra": {inner}}}'.encode()


def duplicate_keys(rng: random.Random, task: str) -> bytes:
    name = rng.choice(FIELDS)
    text = json.dumps(event(rng, task))[:-1]
    return f'{text}, "{name}": {rng.choice(ODD_VALUE)}, "{name}": {rng.choice(ODD_VALUE)}}}'.encode()


def no_object(rng: random.Random, task: str) -> bytes:
    return rng.choice(
        ODD_VALUE + HUGE + ["nonsense", "{", "}", "]", '"', "\\", "<html>", "{'a': 1}", "[1,2", "tru", "//", "{,}", '{"a" 1}']
    ).encode()


def shuffled(rng: random.Random, task: str) -> bytes:
    line = bytearray(json.dumps(event(rng, task)).encode())
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(line))
        line[at] = rng.choice(b'{}[]",:0123456789eE+-.\\ntfu ')
    return bytes(line)


def odd_keys(rng: random.Random, task: str) -> bytes:
    text = json.dumps(event(rng, task))[:-1]
    more = ", ".join(f'"{rng.choice([*ODD_TEXT[:4], "k"])}{i}": {rng.choice(ODD_VALUE)}' for i in range(rng.randrange(1, 200)))
    return f"{text}, {more}}}".encode()


def long_names(rng: random.Random, task: str) -> bytes:
    line = event(rng, task)
    line[rng.choice(["metric", "variant", "key", "url", "worker", "level", "task"])] = rng.choice(["x", "ä"]) * rng.choice(
        [256, 257, 512, 1024, 1025, 40_000]
    )
    return json.dumps(line).encode()


LINES: list[Callable[[random.Random, str], bytes]] = [
    wrong_type,
    wrong_type,
    wrong_type,
    missing_field,
    truncated,
    bad_bytes,
    nested,
    duplicate_keys,
    no_object,
    shuffled,
    odd_keys,
    long_names,
]


def batch(seed: int) -> Case:
    """A batch of good log lines with broken lines between them."""
    rng = random.Random(seed)
    task = uuid.UUID(int=rng.getrandbits(128)).hex
    lines, good = [], []
    for number in range(rng.randrange(1, 12)):
        if rng.random() < 0.5:
            lines.append(good_line(task, number))
            good.append(f"{MARK}{number}")
        else:
            line = rng.choice(LINES)(rng, task)
            lines.append(line.replace(b"\n", b" ").replace(b"\r", b" "))
    return Case(b"\n".join(lines), task, good)


def whole_body(seed: int) -> Case:
    """A body that is broken as a whole; nothing of it must be stored, except where it happens to be fine."""
    rng = random.Random(seed)
    task = uuid.UUID(int=rng.getrandbits(128)).hex
    body = b"\n".join(good_line(task, number) for number in range(rng.randrange(1, 5)))
    kind = rng.randrange(6)
    if kind == 0:
        return Case(rng.randbytes(rng.choice([1, 10, 1000, 100_000])), task)
    if kind == 1:
        return Case(b"[" * rng.choice([1, 1000, 1_000_000]), task)
    if kind == 2:
        return Case(body.replace(b"\n", b"\x00"), task)
    if kind == 3:
        return Case(body.decode().encode(rng.choice(["utf-16", "utf-32", "utf-16-be"])), task)
    if kind == 4:
        return Case(rng.randbytes(200), task, headers={"Content-Encoding": "gzip"})
    return Case(body[: rng.randrange(len(body))] + rng.choice(BYTES) * rng.randrange(1, 50), task)
