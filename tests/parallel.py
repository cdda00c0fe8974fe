"""How the tests are dealt out to the worker processes of `pytest -n N` (pytest-xdist): the long ones first, so that all workers end together.

What a worker takes at once is a file on one engine, so that fixtures of a module serve all of it; tests that take long and have servers of their
own are taken one by one. Plain `pytest`, without `-n`, runs everything in one process and in the usual order.
"""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.servers import shared
from tests.supervised import end_with_parent

ALONE = (
    "tests/clients/",
    "tests/servers/",
    "tests/soak/",
    "tests/behaviour/test_start.py",
)
"""Tests that share nothing but the servers of the session (beginnings of their ids)."""

_SECONDS: dict[str, float] = {
    "tests/cluster/test_faults.py": 150,
    "tests/cluster/test_nodes.py": 140,
    "tests/web/test_views.py": 100,
    "tests/fuzz/test_broken_batches.py elastic": 80,
    "tests/stores/test_elastic.py": 65,
    "tests/packaging/": 60,
    "tests/cluster/": 50,
    "tests/clients/test_sdk_outage.py": 50,
    "tests/web/": 40,
    "tests/identity/": 35,
    "tests/clients/test_sdk_faults.py": 30,
    "tests/runs/": 30,
    "tests/fuzz/": 30,
    "tests/security/": 25,
    "tests/clients/": 20,
    "tests/soak/": 15,
    " elastic": 10,
}
"""What takes longest; first match counts. Only the order depends on it."""


def unit_of(nodeid: str) -> str:
    """What a worker takes together with this test."""
    file, _, test = nodeid.partition("::")
    if nodeid.startswith(ALONE):
        return nodeid
    engine = re.search(r"[\[-](sqlite|elastic|large bulks|bulks of [\d,]+ bytes)[\]-]", test)
    return f"{file} {engine[1]}" if engine else file


def seconds_of(unit: str) -> float:
    return next((seconds for name, seconds in _SECONDS.items() if name in unit), 0.0)


class Scheduler(LoadScopeScheduling):
    """Deals out units in the order of the collection, which `sort` has made."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def sort(items: list[pytest.Item]) -> None:
    """Units that take long come first; the rest keeps its order."""
    items.sort(key=lambda item: -seconds_of(unit_of(item.nodeid)))


def is_controller(config: pytest.Config) -> bool:
    return bool(config.getoption("numprocesses", 0)) and not is_worker(config)


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


class Plugin:
    """The hooks of a parallel run."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        sort(items)

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Scheduler:
        config.option.loadscopereorder = False
        return Scheduler(config, log)

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        if is_controller(config):
            shared.end()


def configure(config: pytest.Config) -> None:
    """Prepare a run with `-n`; any run that is told to end takes its servers along, as with Ctrl-C."""
    if not is_worker(config):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    if is_worker(config):
        end_with_parent()  # a killed controller takes its workers along, and they their servers
    if is_controller(config):
        shared.begin()
    if is_controller(config) or is_worker(config):
        config.pluginmanager.register(Plugin(), "tidemark-parallel")
