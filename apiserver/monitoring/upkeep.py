"""Background maintenance of a worker process: of the store, of free memory, and of keys that could not be written at start."""

from __future__ import annotations

import logging

import gevent

from apiserver.bll.answer_cache import expire_answers
from apiserver.common import patience
from apiserver.common.memory import FreeMemory
from apiserver.common.metrics import WORKERS
from apiserver.common.outages import is_first
from apiserver.credentials import Credentials
from apiserver.engine import Engine
from apiserver.errors import StartupError
from apiserver.identities import Identities
from apiserver.settings import Settings
from apiserver.stores.errors import StoreError

log = logging.getLogger("tidemark")

TICK_SECONDS = 1.0


class Upkeep:
    """Maintenance in one greenlet of a worker process."""

    def __init__(self, settings: Settings, engine: Engine, identities: Identities) -> None:
        self._settings, self._engine, self._identities = settings, engine, identities
        self._has_lost_registry = False
        self._memory = FreeMemory()

    def start(self) -> None:
        """Start maintenance."""
        gevent.spawn(self._run)

    def _run(self) -> None:
        patience.end()
        WORKERS.set(1)
        self._engine.state.check()  # a wrong password is logged before the first call that needs it
        while True:
            gevent.sleep(TICK_SECONDS)
            self._memory.give_back(expire_answers())
            try:
                self.look()
            except StoreError as error:
                log.debug("store maintenance is not possible now: %s", error)
            except Exception as error:
                if is_first(f"upkeep {error}", 600.0):
                    log.exception("store maintenance failed")

    def look(self) -> None:
        """One round of maintenance. Raises StoreError if the store can't be reached; the next round tries again."""
        self._has_lost_registry |= self._engine.events.look_after()
        if self._has_lost_registry:
            self._keep_keys()
            self._identities.is_configured = False
            self._has_lost_registry = False
        if not self._identities.is_configured:
            self._identities.configure()

    def _keep_keys(self) -> None:
        """Write the first keys and the signing secret from their file into a registry that was recreated."""
        if self._settings.shared_store:
            try:
                Credentials(self._settings, self._engine.registry)
            except StartupError as error:
                log.error("the keys are not in the new registry: %s", error)
