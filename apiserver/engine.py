"""The engine behind the server: store, registry, state and bus, chosen by URL. Adapters are imported only when they are chosen."""

from __future__ import annotations

from dataclasses import dataclass

from apiserver.common.addresses import without_password
from apiserver.errors import StartupError, StoreNotReady
from apiserver.settings import Settings
from apiserver.stores.base import EventStore, Health
from apiserver.stores.coordination import Coordination
from apiserver.stores.errors import StoreDamaged, StoreError
from apiserver.stores.options import StateLimits, WriteOptions
from apiserver.stores.registry import Registry
from apiserver.stores.state import Bus, State


@dataclass(frozen=True, slots=True)
class Engine:
    """The ports that `bll` works with."""

    events: EventStore
    registry: Registry
    state: State
    bus: Bus

    def check(self) -> dict[str, Health]:
        """Whether store and state answer, by name."""
        return {"store": self.events.check(), "state": self.state.check()}

    def close(self) -> None:
        """Close all connections."""
        self.events.close()
        self.state.close()
        self.bus.close()


def open_engine(settings: Settings) -> Engine:
    """Open what the settings name. Raises StartupError with a sentence for the operator, StoreNotReady when it may work later. Called after the fork: no connection is shared."""
    try:
        state, bus, coordination = _open_state(settings)
    except StoreDamaged as error:
        raise StartupError(str(error)) from error
    try:
        events, registry = _open_store(settings, coordination)
    except StoreError as error:
        state.close()
        bus.close()
        if isinstance(error, StoreDamaged):
            raise StartupError(str(error)) from error
        raise StoreNotReady(f"{without_password(settings.store_url)}: {error}") from error
    return Engine(events, registry, state, bus)


def _open_state(settings: Settings) -> tuple[State, Bus, Coordination | None]:
    """The coordination is None for a state in memory: one process has nobody to coordinate with."""
    limits = StateLimits(settings.engine.state_bytes, settings.engine.company_state_bytes)
    if settings.state_url.startswith("memory:"):
        from apiserver.stores.memory import MemoryBus, MemoryState

        return MemoryState(limits), MemoryBus(), None
    from apiserver.stores.redis import open_redis

    return open_redis(settings.state_url, settings.redis, limits)


def _open_store(settings: Settings, coordination: Coordination | None) -> tuple[EventStore, Registry]:
    events = settings.events
    options = WriteOptions(events.plot_compression_threshold, events.retry_window, events.max_task_series, events.max_company_series)
    if settings.store_url.startswith("sqlite:"):
        from apiserver.stores.sqlite import open_sqlite

        return open_sqlite(sqlite_path(settings.store_url), options)
    if coordination is None:
        raise StoreDamaged("TIDEMARK_STATE: an Elasticsearch store needs Redis beside it, for example redis://127.0.0.1:6379/0")
    from apiserver.stores.elastic import open_elastic

    return open_elastic(settings.store_url, coordination, settings.elastic, options)


def sqlite_path(url: str) -> str:
    """The file of a sqlite:/// URL: a relative path after three slashes, an absolute one after four, as SQLAlchemy has it."""
    path = url.removeprefix("sqlite:").removeprefix("//").removeprefix("/")
    if not path:
        raise StartupError(f'TIDEMARK_STORE: "{url}" names no file; it looks like sqlite:///path/to/tidemark.db')
    return path
