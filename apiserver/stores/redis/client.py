"""The connection to Redis: pool, scripts, behaviour while it is unavailable."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ConnectionError, NoScriptError, RedisError, ResponseError, TimeoutError
from redis.retry import Retry

from apiserver.common import tracing
from apiserver.common.addresses import quoted
from apiserver.common.metrics import STATE_SECONDS
from apiserver.common.outages import Outages
from apiserver.settings import RedisSettings
from apiserver.stores.base import Health
from apiserver.stores.errors import StateUnavailable, StoreDamaged

_SCRIPTS = files(__package__) / "scripts"
TROUBLES = ("an outage", "a refusal", "a refused login")
PAUSE = 0.5
"""Seconds between attempts while Redis does not answer, so that requests that can do without it are not delayed."""


class RedisClient:
    """Commands and scripts under a key prefix. Everything raises StateUnavailable when Redis can't be reached or refuses to write.

    `?prefix=` in the URL overrides the configured prefix.
    """

    def __init__(self, url: str, settings: RedisSettings) -> None:
        parts = urlsplit(quoted(url))
        query = dict(parse_qsl(parts.query))
        prefix = query.pop("prefix", "")
        self.prefix = f"{prefix}:" if prefix else settings.prefix
        self.timeout = settings.timeout
        options: dict[str, Any] = {
            "socket_timeout": settings.timeout,
            "socket_connect_timeout": settings.timeout,
            "socket_keepalive": True,
            "protocol": 2,
            # The library gives up at 100; every request of a worker may need one.
            "max_connections": 100_000,
            # One immediate retry: Redis may have closed an idle connection.
            "retry": Retry(NoBackoff(), 1),
        }
        if settings.ca_file and parts.scheme == "rediss":
            options["ssl_ca_certs"] = settings.ca_file
        try:
            self.redis = redis.Redis.from_url(urlunsplit(parts._replace(query=urlencode(query))), **options)
        except (ValueError, RedisError) as error:
            raise StoreDamaged(f"TIDEMARK_STATE: {error}") from error
        self._idle: list[Any] = []
        self._unavailable_until = 0.0
        self._outages = Outages("Redis")
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def call(self, command: Callable[[], Any]) -> Any:
        """The result of a command; StateUnavailable when there is none."""
        if time.monotonic() < self._unavailable_until:
            raise StateUnavailable("Redis does not answer", PAUSE)
        try:
            with tracing.span("redis"), STATE_SECONDS.time():
                result = command()
        except (ConnectionError, TimeoutError, OSError) as error:
            self._unavailable_until = time.monotonic() + PAUSE
            raise self._unavailable(error) from error
        except ResponseError as error:  # out of memory (noeviction), read-only replica, loading its data, missing rights
            raise self._unavailable(error) from error
        if self._outages:
            self._outages.ended(*TROUBLES)
        return result

    def command(self, *words: str | int | float | bytes) -> Any:
        """The answer to one command, on a kept connection."""
        return self.call(lambda: self._ask(*words))

    def script(self, source: str, **constants: str | int) -> Callable[..., Any]:
        """A Lua script as a function of its arguments. `constants`, and the key prefix as PREFIX, stand before it as locals of those names."""
        named = {"PREFIX": self.prefix, **constants}
        text = "".join(f"local {name} = {_lua(value)}\n" for name, value in named.items()) + source
        digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()  # the name that Redis gives it

        def attempt(*args: str | int | float | bytes) -> Any:
            try:
                return self._ask("EVALSHA", digest, 0, *args)
            except NoScriptError:  # Redis was restarted, or never saw it
                return self._ask("EVAL", text, 0, *args)

        def run(*args: str | int | float | bytes) -> Any:
            return self.call(lambda: attempt(*args))

        return run

    def _ask(self, *command: str | int | float | bytes) -> Any:
        """The answer to a command on a connection that is kept between calls.

        Every batch runs three scripts: through the library's pool each took 300 µs of CPU, of which the command and its answer are 140 (measured).
        """
        while True:
            try:
                connection, kept = self._idle.pop(), True
            except IndexError:
                connection, kept = self.connection(), False
                connection.connect()
            try:
                connection.send_packed_command(connection.pack_command(*command), check_health=False)
                answer = connection.read_response()
            except ResponseError:
                self._idle.append(connection)
                raise
            except (ConnectionError, OSError):
                connection.disconnect()
                # It may be one that Redis closed while it lay idle, and so may be the others: the last try is made on a new one.
                if not kept:
                    raise
                continue
            except BaseException:
                connection.disconnect()
                raise
            self._idle.append(connection)
            return answer

    def check(self) -> Health:
        """Calls without the pause between attempts."""
        try:
            self.redis.ping()
        except (RedisError, OSError) as error:
            return Health(False, str(self._unavailable(error)))
        self._unavailable_until = 0.0
        if self._outages:
            self._outages.ended(*TROUBLES)
        return Health(True, "Redis answers")

    def connection(self) -> Any:
        """A connection of one's own, not connected yet. The pool knows nothing of it: it would count it for ever, also when it is lost."""
        pool = self.redis.connection_pool
        return pool.connection_class(**pool.connection_kwargs)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().disconnect()
        self.redis.close()
        self.redis.connection_pool.disconnect()

    def _unavailable(self, error: Exception) -> StateUnavailable:
        if isinstance(error, AuthenticationError):
            kind, reason = "a refused login", f"Redis refuses our login: {error}; correct the password in TIDEMARK_STATE"
        elif isinstance(error, ResponseError):
            kind, reason = "a refusal", f"Redis refuses: {error}"
        else:
            kind, reason = "an outage", f"Redis does not answer: {error}"
        self._outages.began(kind, f"{self._shown}: {reason}; events are stored and read without it, galleries and scrolls answer 503")
        return StateUnavailable(reason, 1.0)


def scripts(*names: str) -> str:
    """The text of the files `scripts/<name>.lua`, one after the other: a later one sees the locals of an earlier one."""
    return "".join((_SCRIPTS / f"{name}.lua").read_text("utf-8") for name in names)


def _lua(value: str | int) -> str:
    """A constant as Lua writes it."""
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def pairs(flat: Sequence[bytes]) -> dict[str, str]:
    """The reply of HGETALL inside a script."""
    texts = [item.decode() for item in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
