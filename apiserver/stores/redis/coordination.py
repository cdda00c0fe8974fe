"""`stores.coordination.Coordination` in Redis; the scripts are in `scripts/`.

Every key carries the id of Redis' run: after a restart, even one that brings back an old snapshot, nothing of before is believed. A missing
key means "not known", never "visible". Tasks expire after a day without writes; by then every index has refreshed itself many times.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from apiserver.stores.coordination import BatchStart, ChangedDocuments, Revisions, TaskState, WriteCounter
from apiserver.stores.records import DOCUMENT, SEQ_SHIFT
from apiserver.stores.redis.client import RedisClient, pairs, scripts

TASK_SECONDS = 86_400
FINISHED_SECONDS = 30
"""Seconds that a finished batch stays listed: a delete that began before it finished must still find it."""
MAX_CHANGES = 20_000
"""Changed documents of a company that are listed."""
MAX_PENDING = 500
"""Documents of statistics of one task that are listed until searches see them; for more, a refresh is cheaper."""
MAX_TASKS = 100
"""Tasks of a pending batch that are kept; one with more counts as a batch of every task."""
BATCH_SECONDS = 900
"""A batch that is still pending by then died with its worker."""
_WRITTEN = "written:"


class RedisCoordination:
    """Each method is one script: one round trip, and nothing of another worker comes between its steps."""

    def __init__(self, client: RedisClient) -> None:
        self._begin_batch = client.script(scripts("run", "begin_batch"), SEQS_PER_MS=1 << SEQ_SHIFT, MAX_TASKS=MAX_TASKS)
        self._record_writes = client.script(
            scripts("run", "record_writes"),
            DOCUMENT=DOCUMENT,
            MAX_PENDING=MAX_PENDING,
            MAX_CHANGES=MAX_CHANGES,
            FINISHED_SECONDS=FINISHED_SECONDS,
            BATCH_SECONDS=BATCH_SECONDS,
            TASK_SECONDS=TASK_SECONDS,
        )
        self._pending_batches = client.script(scripts("run", "pending_batches"))
        self._pending_batches_of = client.script(scripts("run", "pending_batches_of"))
        self._clock = client.script(scripts("clock"))
        self._write_counters = client.script(scripts("run", "write_counters"))
        self._record_visible = client.script(scripts("run", "record_visible"))
        self._pending_documents = client.script(scripts("run", "pending_documents"))
        self._task_states = client.script(scripts("run", "task_states"))
        self._revisions = client.script(scripts("run", "revisions"), TASK_SECONDS=TASK_SECONDS)
        self._changed_documents = client.script(scripts("run", "changed_documents"))
        self._remember_generations = client.script(scripts("run", "remember_generations"), TASK_SECONDS=TASK_SECONDS)

    # --- batches

    def begin_batch(self, company: str, now: int, lines: int, tasks: Sequence[str]) -> BatchStart:
        ms, offset, *generations = self._begin_batch(_key_part(company), now, max(lines, 1), *tasks)
        token = f"{ms.decode()}:{offset.decode()}:{max(lines, 1)}"
        return BatchStart((int(ms) << SEQ_SHIFT) + int(offset), token, [int(number) if number else None for number in generations])

    def record_writes(
        self,
        company: str,
        token: str,
        tasks: Mapping[str, Collection[str]],
        indices: Collection[str],
        statistics: str,
        documents: Mapping[str, Sequence[str]],
    ) -> None:
        entries = orjson.dumps([[task, *written] for task, written in tasks.items()])
        others, listed = orjson.dumps(list(indices)), orjson.dumps(documents)
        self._record_writes(_key_part(company), token, secrets.randbelow(2**40), entries, others, statistics, listed)

    def pending_batches(self, company: str, since: float) -> list[tuple[int, int]]:
        return list(map(_arrivals, self._pending_batches(_key_part(company), f"{since:.6f}")))

    def pending_batches_of(self, company: str, tasks: Collection[str]) -> list[tuple[int, int]]:
        return list(map(_arrivals, self._pending_batches_of(_key_part(company), *tasks)))

    def clock(self) -> float:
        return float(self._clock())

    # --- what searches see

    def write_counters(self, indices: Sequence[str]) -> tuple[str, dict[str, WriteCounter]]:
        run, *numbers = self._write_counters(*indices)
        found = zip(indices, numbers[::2], numbers[1::2], strict=True)
        return run.decode(), {index: WriteCounter(int(written), int(visible) if visible else None) for index, written, visible in found}

    def record_visible(self, run: str, counters: Mapping[str, int]) -> None:
        self._record_visible(run, *(item for pair in counters.items() for item in pair))

    def pending_documents(self, company: str, statistics: str, needed: Mapping[str, int]) -> list[str] | None:
        _, counter, *hashes = self._pending_documents(_key_part(company), statistics, *needed)
        visible = int(counter) if counter else -1
        found: list[str] = []
        for number, flat in zip(needed.values(), hashes, strict=True):
            written = {document: int(text) for document, text in pairs(flat).items()}
            if visible < number:
                if written.pop("#", -1) < number or written.pop("*", -1) > visible:
                    return None
                found += [document for document, written_at in written.items() if written_at > visible]
        return found if len(found) <= MAX_PENDING else None

    # --- tasks and their documents

    def task_states(self, company: str, tasks: Sequence[str]) -> tuple[str, list[TaskState]]:
        run, *hashes = self._task_states(_key_part(company), *tasks)
        return run.decode(), [_task_state(pairs(flat)) for flat in hashes]

    def revisions(self, company: str, tasks: Sequence[str]) -> Revisions:
        run, *numbers = self._revisions(secrets.randbelow(2**40), _key_part(company), *tasks)
        return Revisions(run.decode(), tuple(map(int, numbers[::2])), tuple(map(int, numbers[1::2])))

    def changed_documents(self, company: str, since: int) -> ChangedDocuments:
        run, number, ids = self._changed_documents(_key_part(company), since)
        return ChangedDocuments(run.decode(), int(number), None if ids is None else [id.decode() for id in ids])

    def remember_generations(self, company: str, generations: Mapping[str, int | None]) -> None:
        if generations:
            flat: list[Any] = [item for task, number in generations.items() for item in (task, "" if number is None else number)]
            self._remember_generations(_key_part(company), *flat)


def _key_part(company: str) -> str:
    """A company in the names of keys: with its length, so that (a, b:c) and (a:b, c) are two tasks."""
    return f"{len(company)}:{company}"


def _arrivals(token: bytes) -> tuple[int, int]:
    """The first and last arrival number of a batch."""
    ms, offset, lines = (int(part) for part in token.split(b":"))
    first = (ms << SEQ_SHIFT) + offset
    return first, first + lines - 1


def _task_state(fields: dict[str, str]) -> TaskState:
    """Of the fields of a task's hash; see `record_writes.lua`."""
    written = {name.removeprefix(_WRITTEN): int(value) for name, value in fields.items() if name.startswith(_WRITTEN)}
    return TaskState(int(fields["generation"]) if "generation" in fields else None, written)
