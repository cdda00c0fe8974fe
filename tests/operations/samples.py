"""`GET /metrics`, read."""

from __future__ import annotations

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.process import Server

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(server: Server) -> Samples:
    """(name, labels) -> value."""
    text = requests.get(f"{server.url}/metrics", timeout=30).text
    families = text_string_to_metric_families(text)
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}
