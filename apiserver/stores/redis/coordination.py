"""What the workers of an Elasticsearch store tell each other through Redis: arrival numbers, batches under way, which index has writes
that no search sees yet, and a revision for every task.

Every key carries Redis' own run id: after a restart, even one that brings back an old snapshot, nothing of before is believed. A missing
key means "not known", never "clean". Tasks expire after a day without writes; by then every index has refreshed itself many times.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from apiserver.stores.records import DOCUMENT, SEQ_SHIFT
from apiserver.stores.redis.client import RedisClient, pairs

TASK_SECONDS = 86_400
FINISHED_SECONDS = 30
"""How long a finished batch stays listed: a delete that began before it was finished must still find it."""
CHANGES = 20_000
"""Documents of a company of which it is remembered when they were changed last."""
UNSEEN = 500
"""Documents of statistics of one task that are listed until searches see them; more are worth a refresh."""
FLIGHT_SECONDS = 900
"""A batch that is not finished by then died with its worker."""

_RUN = "local R = P .. string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') .. ':'\n"

# ARGV: company, now (ms), lines, tasks... Answers {ms, offset, generation or false of each task}. Lua's numbers are doubles: the two
# halves of an arrival number are kept apart.
_BEGIN = (
    _RUN
    + """
local now, lines = tonumber(ARGV[2]), tonumber(ARGV[3])
local last = redis.call('HMGET', R .. 'seq', 'ms', 'off')
local ms, off = tonumber(last[1] or 0), tonumber(last[2] or 0)
if now > ms then ms, off = now, 0 end
if off + lines > 1048576 then ms, off = ms + 1, 0 end
local next = off + lines
redis.call('HSET', R .. 'seq', 'ms', string.format('%.0f', ms + math.floor(next / 1048576)), 'off', string.format('%.0f', next % 1048576))
local token = string.format('%.0f:%.0f:%.0f', ms, off, lines)
redis.call('HSET', R .. 'flying:' .. ARGV[1], token, redis.call('TIME')[1])
local answer = {string.format('%.0f', ms), string.format('%.0f', off)}
for i = 4, #ARGV do answer[#answer + 1] = redis.call('HGET', R .. 'task:' .. ARGV[1] .. ':' .. ARGV[i], 'g') end
return answer
"""
)

# ARGV: company, token or '', random, JSON [[task, indices...], ...], JSON [index, ...], index of statistics, JSON {task: [document, ...]}.
# unseen:company:task holds document -> number of its last write, '#' -> the last number in it, '*' -> up to which it is not complete.
_FINISH = (
    _RUN
    + """
local time = redis.call('TIME')
if ARGV[2] ~= '' then
  local flight, done = R .. 'flying:' .. ARGV[1], R .. 'done:' .. ARGV[1]
  redis.call('HDEL', flight, ARGV[2])
  redis.call('ZADD', done, time[1] .. '.' .. string.format('%06d', time[2]), ARGV[2])
  redis.call('ZREMRANGEBYSCORE', done, '-inf', time[1] - FINISHED)
  redis.call('EXPIRE', done, TASK)
  if redis.call('HLEN', flight) > 100 then
    local all = redis.call('HGETALL', flight)
    for i = 1, #all, 2 do
      if tonumber(all[i + 1]) + FLIGHT < tonumber(time[1]) then redis.call('HDEL', flight, all[i]) end
    end
  end
end
local changes = R .. 'changes:' .. ARGV[1]
local function changed(task)
  local number = redis.call('INCR', changes .. ':last')
  redis.call('ZADD', changes, number, task)
  redis.call('EXPIRE', changes, TASK)
  local extra = redis.call('ZCARD', changes) - CHANGES
  if extra > 0 then
    redis.call('SET', changes .. ':lost', redis.call('ZRANGE', changes, extra - 1, extra - 1, 'WITHSCORES')[2])
    redis.call('ZREMRANGEBYRANK', changes, 0, extra - 1)
  end
end
local numbers = {}
local function raised(index)
  if not numbers[index] then numbers[index] = string.format('%.0f', redis.call('INCR', R .. 'dirty:' .. index)) end
  return numbers[index]
end
local listed = cjson.decode(ARGV[7])
local function note(task, number)
  local key = R .. 'unseen:' .. ARGV[1] .. ':' .. task
  local last, clean = redis.call('HGET', key, '#'), redis.call('GET', R .. 'clean:' .. ARGV[6])
  if last and clean and tonumber(clean) >= tonumber(last) then redis.call('DEL', key) end
  local documents = listed[task]
  if documents and redis.call('HLEN', key) + #documents <= UNSEEN then
    for _, document in ipairs(documents) do redis.call('HSET', key, document, number) end
    redis.call('HSET', key, '#', number)
  else
    redis.call('DEL', key)
    redis.call('HSET', key, '*', number, '#', number)
  end
  redis.call('EXPIRE', key, TASK)
end
for _, entry in ipairs(cjson.decode(ARGV[4])) do
  local key = R .. 'task:' .. ARGV[1] .. ':' .. entry[1]
  redis.call('HSETNX', key, 'r', ARGV[3])
  redis.call('HINCRBY', key, 'r', 1)
  for i = 2, #entry do
    if entry[i] == 'DOCUMENT' then
      redis.call('HSETNX', key, 'd', ARGV[3])
      redis.call('HINCRBY', key, 'd', 1)
      changed(entry[1])
    else
      redis.call('HSET', key, 'n' .. entry[i], raised(entry[i]))
      if entry[i] == ARGV[6] then note(entry[1], raised(entry[i])) end
    end
  end
  redis.call('EXPIRE', key, TASK)
end
for _, index in ipairs(cjson.decode(ARGV[5])) do raised(index) end
return 1
""".replace("DOCUMENT", DOCUMENT)
    .replace("UNSEEN", str(UNSEEN))
    .replace("CHANGES", str(CHANGES))
    .replace("FINISHED", str(FINISHED_SECONDS))
    .replace("FLIGHT", str(FLIGHT_SECONDS))
    .replace("TASK", str(TASK_SECONDS))
)

# ARGV: random, company, tasks... A task that is not known gets a revision, so that what is cached for it can be used again.
_REVISIONS = (
    _RUN
    + """
local answer = {R}
for i = 3, #ARGV do
  local key = R .. 'task:' .. ARGV[2] .. ':' .. ARGV[i]
  if redis.call('HSETNX', key, 'r', ARGV[1]) + redis.call('HSETNX', key, 'd', ARGV[1]) > 0 then redis.call('EXPIRE', key, TASK) end
  local found = redis.call('HMGET', key, 'r', 'd')
  answer[2 * i - 4], answer[2 * i - 3] = found[1], found[2]
end
return answer
""".replace("TASK", str(TASK_SECONDS))
)

# ARGV: company, tasks...
_PEEK = _RUN + "local a = {R}\nfor i = 2, #ARGV do a[i] = redis.call('HGETALL', R .. 'task:' .. ARGV[1] .. ':' .. ARGV[i]) end\nreturn a"

# ARGV: company, index of statistics, tasks...
_UNSEEN = _RUN + "local a = {R, redis.call('GET', R .. 'clean:' .. ARGV[2]) or ''}\n"
_UNSEEN += "for i = 3, #ARGV do a[i] = redis.call('HGETALL', R .. 'unseen:' .. ARGV[1] .. ':' .. ARGV[i]) end\nreturn a"

_READ = _RUN + "local a = {R}\nfor i = 1, #ARGV do a[2 * i] = redis.call('GET', R .. 'dirty:' .. ARGV[i]) or '0'\n"
_READ += "a[2 * i + 1] = redis.call('GET', R .. 'clean:' .. ARGV[i]) or '' end\nreturn a"

# ARGV: company, number
_CHANGED = (
    _RUN
    + """
local changes = R .. 'changes:' .. ARGV[1]
local last = redis.call('GET', changes .. ':last') or '0'
if tonumber(ARGV[2]) < tonumber(redis.call('GET', changes .. ':lost') or '0') then return {R, last, false} end
return {R, last, redis.call('ZRANGEBYSCORE', changes, '(' .. ARGV[2], '+inf')}
"""
)

# ARGV: run, then index, number ...
_CLEANED = (
    _RUN
    + """
if ARGV[1] ~= R then return 0 end
for i = 2, #ARGV, 2 do
  local key = R .. 'clean:' .. ARGV[i]
  local now = redis.call('GET', key)
  if not now or tonumber(now) < tonumber(ARGV[i + 1]) then redis.call('SET', key, ARGV[i + 1]) end
end
return 1
"""
)

_GENERATIONS = (
    _RUN
    + """
for i = 2, #ARGV, 2 do
  local key = R .. 'task:' .. ARGV[1] .. ':' .. ARGV[i]
  if ARGV[i + 1] == '' then redis.call('HDEL', key, 'g') else redis.call('HSET', key, 'g', ARGV[i + 1]) end
  redis.call('HSETNX', key, 'r', math.random(1000000000))
  redis.call('EXPIRE', key, TASK)
end
return 1
""".replace("TASK", str(TASK_SECONDS))
)

_CLOCK = "local t = redis.call('TIME')\nreturn t[1] .. '.' .. string.format('%06d', t[2])"

# ARGV: company, time. The batches that are under way, and those that were finished since then.
_FLIGHT = _RUN + "local a = redis.call('HKEYS', R .. 'flying:' .. ARGV[1])\n"
_FLIGHT += (
    "for _, token in ipairs(redis.call('ZRANGEBYSCORE', R .. 'done:' .. ARGV[1], ARGV[2], '+inf')) do a[#a + 1] = token end\nreturn a"
)


class Begun(NamedTuple):
    """A batch under way: its first arrival number, its entry in the list, and the generations of the tasks as far as they are known."""

    seq: int
    token: str
    generations: list[int | None]


class TaskMarks(NamedTuple):
    """What is known of a task: its generation, and per index the number of its last write."""

    generation: int | None
    written: dict[str, int]


class Revisions(NamedTuple):
    """The run id; by task, in the order asked for, a number that changes with its events, and one that changes with its document."""

    run: str
    events: tuple[int, ...]
    documents: tuple[int, ...]


class Changes(NamedTuple):
    """Documents of a company that were changed since a number: the run id, the number up to which they are named, and their ids (None: too many to
    be remembered)."""

    run: str
    number: int
    ids: list[str] | None


class RedisMarks:
    """All methods raise StateUnavailable while Redis is away."""

    def __init__(self, client: RedisClient) -> None:
        self._begin = client.script(_BEGIN)
        self._finish = client.script(_FINISH)
        self._peek = client.script(_PEEK)
        self._revisions = client.script(_REVISIONS)
        self._read = client.script(_READ)
        self._unseen = client.script(_UNSEEN)
        self._changed = client.script(_CHANGED)
        self._cleaned = client.script(_CLEANED)
        self._generations = client.script(_GENERATIONS)
        self._clock = client.script(_CLOCK)
        self._flight = client.script(_FLIGHT)

    def begin(self, company: str, now: int, lines: int, tasks: Sequence[str]) -> Begun:
        """Arrival numbers for `lines` events that no other batch gets, greater than all before."""
        ms, offset, *generations = self._begin(company, now, max(lines, 1), *tasks)
        token = f"{ms.decode()}:{offset.decode()}:{max(lines, 1)}"
        return Begun((int(ms) << SEQ_SHIFT) + int(offset), token, [int(number) if number else None for number in generations])

    def finish(
        self,
        company: str,
        token: str,
        tasks: Mapping[str, Collection[str]],
        indices: Collection[str],
        statistics: str,
        documents: Mapping[str, Sequence[str]],
    ) -> None:
        """Something is stored: its tasks have a new revision, its indices writes that no search sees yet.

        `tasks`: the indices that each was written to, and `DOCUMENT` if what the registry knows of it was changed. `documents`: by task, all
        that was written to the index `statistics`; left out where it is not known, or too much.
        """
        entries = orjson.dumps([[task, *touched] for task, touched in tasks.items()])
        listed = orjson.dumps(documents)
        self._finish(company, token, secrets.randbelow(2**40), entries, orjson.dumps(list(indices)), statistics, listed)

    def unseen(self, company: str, statistics: str, needed: Mapping[str, int]) -> list[str] | None:
        """The documents of statistics of these tasks that searches may not see yet; None: not known, or too many.

        `needed`: by task, the number of its last write to the index `statistics`.
        """
        _, clean, *hashes = self._unseen(company, statistics, *needed)
        seen = int(clean) if clean else -1
        found: list[str] = []
        for number, flat in zip(needed.values(), hashes, strict=True):
            noted = {document: int(written) for document, written in pairs(flat).items()}
            if seen < number:
                if noted.pop("#", -1) < number or noted.pop("*", -1) > seen:
                    return None
                found += [document for document, written in noted.items() if written > seen]
        return found if len(found) <= UNSEEN else None

    def peek(self, company: str, tasks: Sequence[str]) -> tuple[str, list[TaskMarks]]:
        """The run id, and what is known of each task."""
        run, *hashes = self._peek(company, *tasks)
        return run.decode(), [_task_marks(pairs(flat)) for flat in hashes]

    def revisions(self, company: str, tasks: Sequence[str]) -> Revisions:
        """How often each task was changed."""
        run, *numbers = self._revisions(secrets.randbelow(2**40), company, *tasks)
        return Revisions(run.decode(), tuple(map(int, numbers[::2])), tuple(map(int, numbers[1::2])))

    def read(self, indices: Sequence[str]) -> tuple[str, dict[str, tuple[int, int | None]]]:
        """The run id, and per index the number of its last write and of the last write that searches see (None: not known)."""
        run, *numbers = self._read(*indices)
        found = zip(indices, numbers[::2], numbers[1::2], strict=True)
        return run.decode(), {index: (int(dirty), int(clean) if clean else None) for index, dirty, clean in found}

    def changed(self, company: str, since: int) -> Changes:
        """Which documents were changed (`DOCUMENT` in `finish`) since the number of an earlier answer of the same run; 0: all that are remembered."""
        run, number, ids = self._changed(company, since)
        return Changes(run.decode(), int(number), None if ids is None else [id.decode() for id in ids])

    def cleaned(self, run: str, numbers: Mapping[str, int]) -> None:
        """Searches of these indices see every write up to these numbers, which were read in the run `run`."""
        self._cleaned(run, *(item for pair in numbers.items() for item in pair))

    def set_generations(self, company: str, generations: Mapping[str, int | None]) -> None:
        """Remember, or with None forget, the generations of tasks."""
        if generations:
            flat: list[Any] = [item for task, number in generations.items() for item in (task, "" if number is None else number)]
            self._generations(company, *flat)

    def clock(self) -> float:
        """Redis' time, which all hosts share."""
        return float(self._clock())

    def under_way(self, company: str, since: float) -> list[tuple[int, int]]:
        """Arrival numbers (first, last) of the batches that were not finished at the time `since` (of `clock`)."""
        ranges = []
        for token in self._flight(company, f"{since:.6f}"):
            ms, offset, lines = (int(part) for part in token.split(b":"))
            first = (ms << SEQ_SHIFT) + offset
            ranges.append((first, first + lines - 1))
        return ranges


def _task_marks(fields: dict[str, str]) -> TaskMarks:
    written = {name[1:]: int(value) for name, value in fields.items() if name.startswith("n")}
    return TaskMarks(int(fields["g"]) if "g" in fields else None, written)
