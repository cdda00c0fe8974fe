"""The report of `/healthz` and `/readyz`: at most 1 s old if the parts answer, and ready after 2 s at the latest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import gevent

from apiserver.common import patience
from apiserver.common.outages import is_first
from apiserver.engine import Engine
from apiserver.stores.base import Health

log = logging.getLogger("tidemark")

FRESH_SECONDS = 1.0
WAIT_SECONDS = 2.0

Status = Literal["ok", "degraded", "unavailable"]


class Report(NamedTuple):
    """`status`: "ok"; "degraded": something does not work, but most calls do; "unavailable": the store does not answer. `parts` by name."""

    status: Status
    parts: dict[str, Health]

    @property
    def is_ready(self) -> bool:
        """Whether this server should get calls."""
        return self.status != "unavailable"


class HealthWatch:
    """Checks the parts of an engine. However many clients ask for the report, each part is checked at most once a second and never twice at a time."""

    def __init__(self, engine: Engine) -> None:
        self._checks: dict[str, Callable[[], dict[str, Health]]] = {
            "store": lambda: {"store": engine.events.check()},
            "state": lambda: {"state": engine.state.check()},
            "conditions": engine.events.conditions,
        }
        self._running: dict[str, gevent.Greenlet] = {}
        self._found: dict[str, tuple[float, dict[str, Health]]] = {}

    def report(self) -> Report:
        """The current health."""
        now = time.monotonic()
        for name in self._checks:
            at, _ = self._found.get(name, (float("-inf"), {}))
            if now - at >= FRESH_SECONDS and name not in self._running:
                self._running[name] = gevent.spawn(self._check, name)
        gevent.joinall(list(self._running.values()), timeout=WAIT_SECONDS)
        parts: dict[str, Health] = {}
        for name in self._checks:
            if name in self._running and name != "conditions":
                parts[name] = Health(False, f"no answer within {WAIT_SECONDS:g} s")
            elif name in self._found:
                parts |= self._found[name][1]
        store = parts["store"]
        if not store.ok and not store.degraded:
            return Report("unavailable", parts)
        return Report("ok" if all(part.ok for part in parts.values()) else "degraded", parts)

    def _check(self, name: str) -> None:
        patience.end()
        try:
            found = self._checks[name]()
        except Exception as error:  # a part whose check raises counts as unavailable
            if is_first(f"check of {name}: {error}", 600.0):
                log.exception("the check of %s failed", name)
            found = {name: Health(False, f"the check failed: {error}")}
        finally:
            del self._running[name]
        self._found[name] = time.monotonic(), found


def shown(report: Report, *, details: bool) -> dict[str, Any]:
    """The JSON of a report; callers without a login see the status only, no details."""
    parts = {name: {"ok": part.ok, "detail": part.detail} if details else {"ok": part.ok} for name, part in report.parts.items()}
    return {"status": report.status, **parts}
