"""Events and registry on Elasticsearch 8 or 9."""

from __future__ import annotations

import time

from apiserver.settings import ElasticSettings
from apiserver.stores.base import EventStore, Registry, StoreBusy
from apiserver.stores.coordination import Coordination
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.events import ElasticEvents
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.registry.store import ElasticRegistry
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.options import WriteOptions

__all__ = ["ElasticEvents", "ElasticRegistry", "open_elastic"]

AGAIN_SECONDS = 1.0
DEFAULT_OPTIONS = WriteOptions()


def open_elastic(
    url: str, coordination: Coordination, settings: ElasticSettings, options: WriteOptions = DEFAULT_OPTIONS
) -> tuple[EventStore, Registry]:
    """The store at `http(s)://[user:pass@]host:9200[,host2:9200][?prefix=name]`. Puts templates and checks mappings.

    Raises StoreDamaged when an index has a mapping that is not ours, StoreUnavailable when Elasticsearch can't be reached.
    """
    client = ElasticClient(url, settings)
    layout = Layout(client, settings)
    try:
        layout.prepare()
    except StoreBusy:  # a cluster that has just come up, or many workers that start at once
        time.sleep(AGAIN_SECONDS)
        layout.prepare()
    visibility = Visibility(client, layout, coordination)
    events = ElasticEvents(client, layout, visibility, settings, options)
    return events, ElasticRegistry(client, layout, visibility, events.series_store)
