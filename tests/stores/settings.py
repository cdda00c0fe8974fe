"""Settings of stores that tests open without a server."""

from __future__ import annotations

from apiserver.settings import ElasticSettings, RedisSettings

ELASTIC = ElasticSettings(
    ca_file="",
    verify=True,
    timeout=30,
    connect_timeout=3,
    pool=32,
    bulk_bytes=10_000_000,
    shards=1,
    replicas=0,
    generation_documents=200_000_000,
    generation_bytes=50_000_000_000,
    generation_days=30.0,
    tiers=(),
    prefix="",
)
REDIS = RedisSettings(ca_file="", timeout=3, prefix="tidemark:")
