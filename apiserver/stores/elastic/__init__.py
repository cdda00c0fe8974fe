"""Events and registry on Elasticsearch 8 or 9."""

from __future__ import annotations

import apiserver.stores.elastic.without_arrow  # noqa: F401  # first: before the others import the client
from apiserver.settings import ElasticSettings
from apiserver.stores.base import EventStore
from apiserver.stores.coordination import Coordination
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.events import ElasticEvents
from apiserver.stores.elastic.installation import Installation
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.registry.store import ElasticRegistry
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.errors import StoreError
from apiserver.stores.options import WriteOptions
from apiserver.stores.registry import Registry

__all__ = ["ElasticEvents", "ElasticRegistry", "open_elastic"]

DEFAULT_OPTIONS = WriteOptions()


def open_elastic(
    url: str, coordination: Coordination, settings: ElasticSettings, options: WriteOptions = DEFAULT_OPTIONS
) -> tuple[EventStore, Registry]:
    """The store at `http(s)://[user:pass@]host:9200[,host2:9200][?prefix=name]`. Puts templates and checks mappings.

    Raises StoreDamaged when an index has a mapping that is not ours, StoreUnavailable when Elasticsearch can't be reached.
    """
    client = ElasticClient(url, settings)
    layout = Layout(client, settings)
    installation = Installation(client, layout)
    try:
        installation.prepare()
    except StoreError:
        client.close()
        raise
    visibility = Visibility(client, layout, coordination)
    events = ElasticEvents(client, layout, installation, visibility, settings, options)
    return events, ElasticRegistry(client, layout, visibility, events.series_store)
