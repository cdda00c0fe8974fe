"""Counters for `GET /metrics`: summed over the worker processes of a host by prometheus-client's multiprocess mode.

Label values come from fixed lists (endpoints, codes, kinds), never from what a client sends: the number of series does not grow with use. Nothing is
counted per event: a batch adds its sums.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The folder of the workers' counters; set by the master before the fork."""
_CALL_BUCKETS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_REQUEST_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)

CALLS = Counter("tidemark_calls", "Calls answered", ["endpoint", "code"])
CALL_SECONDS = Histogram(
    "tidemark_call_seconds", "Time until the answer, for a stream until it begins", ["endpoint"], buckets=_CALL_BUCKETS
)
RECEIVED_BYTES = Counter("tidemark_received_bytes", "Bytes of request bodies as sent")
SENT_BYTES = Counter("tidemark_sent_bytes", "Bytes of answers whose length is known before they are sent")
UNAVAILABLE = Counter("tidemark_unavailable", "Calls answered with 503", ["cause"])
EVENTS = Counter("tidemark_events", "Events stored", ["type"])
EVENT_BYTES = Counter("tidemark_event_bytes", "Bytes of event batches, unpacked")
REFUSED = Counter("tidemark_refused_events", "Events refused", ["reason"])
RETRIED = Counter("tidemark_retried_batches", "Batches whose log lines had been stored before")
CACHE = Counter("tidemark_answer_cache", "Answers of charts and tables that a cache was asked for", ["result"])
STORE_SECONDS = Histogram("tidemark_store_seconds", "Requests to Elasticsearch", ["kind"], buckets=_REQUEST_BUCKETS)
STATE_SECONDS = Histogram("tidemark_state_seconds", "Commands to Redis", buckets=_REQUEST_BUCKETS)
REFRESHES = Counter("tidemark_refreshes", "Refreshes that readers asked Elasticsearch for")
BULK_WAITING = Gauge("tidemark_bulk_waiting", "Small batches that wait for the bulk request before theirs", multiprocess_mode="livesum")
SOCKETS = Gauge("tidemark_sockets", "Open WebSockets", multiprocess_mode="livesum")
LIVE_LAG = Gauge(
    "tidemark_live_log_lag_seconds", "Age of the newest log line that was handed to a live reader", multiprocess_mode="livemax"
)
WORKERS = Gauge("tidemark_workers", "Worker processes that answer calls", multiprocess_mode="livesum")

REFUSALS = (
    "invalid task id",
    "invalid model id",
    "was deleted",
    "too long",
    "log of a model",
    "not utf-8",
    "not json",
    "not an object",
    "not unicode",
    "names no task",
    "no type",
    "too many series",
    "refused by the store",
)
"""Kinds of refusals, as the label `reason` names them; a kind of `errors_info` that holds none of them is "other"."""


def count_refused(kinds: Mapping[str, int]) -> None:
    """Count refused events by what `errors_info` says."""
    for kind, count in kinds.items():
        text = kind.lower()
        REFUSED.labels(next((reason for reason in REFUSALS if reason in text), "other")).inc(count)
