"""Events and registry on Elasticsearch 8 or 9."""

from __future__ import annotations

import time

from apiserver.settings import ElasticSettings
from apiserver.stores.base import EventStore, Registry, State, StoreBusy, StoreDamaged
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.events import ElasticEvents
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.registry.store import ElasticRegistry
from apiserver.stores.elastic.visibility import Freshness

__all__ = ["ElasticEvents", "ElasticRegistry", "open_elastic"]

AGAIN_SECONDS = 1.0


def open_elastic(url: str, state: State, settings: ElasticSettings) -> tuple[EventStore, Registry]:
    """The store at `http(s)://[user:pass@]host:9200[,host2:9200][?prefix=name]`. Puts templates and checks mappings.

    `state` must be one in Redis: its marks tell the workers what the others wrote. Raises StoreDamaged when an index has a mapping that is not
    ours, StoreUnavailable when Elasticsearch can't be reached.
    """
    marks = getattr(state, "marks", None)
    if marks is None:
        raise StoreDamaged("TIDEMARK_STATE: an Elasticsearch store needs Redis beside it, for example redis://127.0.0.1:6379/0")
    client = ElasticClient(url, settings)
    layout = Layout(client, settings)
    try:
        layout.prepare()
    except StoreBusy:  # a cluster that has just come up, or many workers that start at once
        time.sleep(AGAIN_SECONDS)
        layout.prepare()
    freshness = Freshness(client, layout, marks)
    events = ElasticEvents(client, layout, freshness, settings)
    return events, ElasticRegistry(client, layout, freshness, events.series_store)
