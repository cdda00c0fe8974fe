"""`GET /metrics`: counters of the worker processes and health of store and state, in Prometheus' text format."""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from apiserver import __version__
from apiserver.common import metrics
from apiserver.monitoring.health import HealthWatch
from apiserver.stores.base import EventStore
from apiserver.stores.errors import StoreError

__all__ = ["CONTENT_TYPE", "Exporter"]

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Exporter:
    """Renders all metrics as text."""

    def __init__(self, watch: HealthWatch, events: EventStore) -> None:
        self._watch, self._events = watch, events

    def text(self) -> bytes:
        """The metrics of all worker processes of this host, and of the store and state that they share."""
        registry = CollectorRegistry()
        if metrics.FOLDER in os.environ:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:  # one process without a master, as in tests
            registry.register(REGISTRY)
        registry.register(self)
        return generate_latest(registry)

    def describe(self) -> Iterator[Metric]:
        """Part of prometheus-client's interface. Empty, because registering must not query the store, as `collect` does."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """For prometheus-client: gauges that are read at the time of the request."""
        info = GaugeMetricFamily("tidemark_info", "The version of the server", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        parts = GaugeMetricFamily("tidemark_part_ok", "Whether a part works: store, state, templates, disk", labels=["part"])
        for name, part in self._watch.report().parts.items():
            parts.add_metric([name], float(part.ok))
        yield parts
        try:
            usage = self._events.usage()
        except StoreError:
            return
        disks = GaugeMetricFamily("tidemark_disk_used_ratio", "Part of a disk of the store that is used", labels=["node"])
        for node, used in usage.disks.items():
            disks.add_metric([node], used)
        yield disks
        yield GaugeMetricFamily("tidemark_read_only_indices", "Indices that take no writes", value=usage.read_only)
        yield GaugeMetricFamily(
            "tidemark_generations", "Generations of indices that are not dropped, of all companies", value=usage.generations
        )
