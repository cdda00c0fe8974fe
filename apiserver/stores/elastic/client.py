"""The connection to Elasticsearch: the official client, its errors translated, and the few calls that the adapter makes."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
import orjson
from elastic_transport import ConnectionError as NoConnection
from elastic_transport import ConnectionTimeout, Serializer, TransportError
from elasticsearch import ApiError, Elasticsearch
from elasticsearch.serializer import OrjsonSerializer

from apiserver.common.addresses import split_login
from apiserver.common.outages import Outages
from apiserver.settings import ElasticSettings
from apiserver.stores.base import Health
from apiserver.stores.codec import decode_json
from apiserver.stores.elastic.node import connecting_within
from apiserver.stores.errors import StoreBusy, StoreDamaged, StoreReadOnly, StoreUnavailable

log = logging.getLogger(__name__)
logging.getLogger("elastic_transport").setLevel(logging.WARNING)  # it logs every request otherwise
# The client's own traces, made wherever OpenTelemetry is installed, would repeat those of node.py.
os.environ.setdefault("OTEL_PYTHON_INSTRUMENTATION_ELASTICSEARCH_ENABLED", "false")

_JSON = {"accept": "application/json", "content-type": "application/json"}
_LINES = {"accept": "application/json", "content-type": "application/x-ndjson"}
PAGE = 10_000
"""Largest page of a search (the default of `index.max_result_window`)."""
SEARCHES = 100
"""Searches in one msearch request."""
REFRESHES = 4
"""Tries of a refresh before a reader is told to come again."""
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1
"""Seconds between attempts at a write that conflicted with another worker's."""
_NO_ERRORS = b'{"errors":false,'
_BETWEEN = b"}},{"


class IndexGone(StoreBusy):
    """A write met no index: its generation was dropped, or Elasticsearch's data was removed."""


class SnapshotRunning(StoreBusy):
    """An index can't be removed while a snapshot of it is being taken."""


class BulkAnswer:
    """The answer of a bulk request, parsed only when needed: for most batches it repeats "created" 5,000 times."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._items: list[dict[str, Any]] | None = None

    def created(self) -> int:
        """How many actions made a new document."""
        return self._raw.count(b'"status":201')

    def last(self, count: int) -> list[dict[str, Any]]:
        """The entries of the last `count` actions."""
        start = self._raw.rsplit(_BETWEEN, count)
        if not count or len(start) <= count or not self._raw.startswith(_NO_ERRORS):  # errors hold objects of their own
            return self.items[len(self.items) - count :] if count else []
        tail = self._raw[len(start[0]) + len(_BETWEEN) - 1 : -1]
        return [next(iter(item.values())) for item in orjson.loads(b"[" + tail)]

    @property
    def items(self) -> list[dict[str, Any]]:
        """One entry per action, in order: status, and error, _seq_no, _primary_term as asked for."""
        if self._items is None:
            parsed = orjson.loads(self._raw)
            self._items = [next(iter(item.values())) for item in parsed["items"]]
        return self._items


class _Serializer(OrjsonSerializer):
    """Does not parse answers: the caller parses the parts that it needs."""

    def loads(self, data: bytes) -> Any:
        return data


class _Lines(Serializer):
    """Sends bodies of lines, which are bytes already, without a copy of them."""

    mimetype = "application/x-ndjson"

    def dumps(self, data: Any) -> bytes:
        return data  # type: ignore[no-any-return]

    def loads(self, data: bytes) -> Any:
        return data


class _Search(msgspec.Struct, gc=False):
    """The answer of one search among several, its aggregations not parsed."""

    status: int = 200
    error: Any = None
    _shards: dict[str, Any] = {}
    aggregations: msgspec.Raw = msgspec.Raw(b"")


class _Searches(msgspec.Struct, gc=False):
    responses: list[_Search] = []


_searches = msgspec.json.Decoder(_Searches).decode


class ElasticClient:
    """All calls raise StoreUnavailable (no connection, no answer in time) or StoreBusy (overload, read-only index, full disk)."""

    def __init__(self, url: str, settings: ElasticSettings) -> None:
        hosts, login, query = parse_url(url)
        self._hosts = len(hosts)
        self.shown = ", ".join(hosts)
        """The addresses, without the login."""
        self.outages = Outages("Elasticsearch")
        prefix = query.get("prefix") or settings.prefix
        self.prefix = f"{prefix}-" if prefix and not prefix.endswith("-") else prefix
        self.settings = settings
        options: dict[str, Any] = {}
        tls = hosts[0].startswith("https")
        if tls:
            options = {"verify_certs": settings.verify, "ssl_show_warn": False}
            if settings.ca_file:
                options["ca_certs"] = settings.ca_file
        if login:
            options["basic_auth"] = login
        serializer = _Serializer()
        try:
            self.elastic = Elasticsearch(
                hosts,
                request_timeout=settings.timeout,
                node_class=connecting_within(settings.connect_timeout, tls=tls),
                # A retry of ours on top of the client's would multiply the load just when there is too much of it.
                max_retries=0,
                retry_on_timeout=False,
                # The pool blocks when it is empty, and every greenlet may hold a connection.
                connections_per_node=settings.pool,
                serializers=dict.fromkeys(("application/json", "application/vnd.elasticsearch+json"), serializer)
                | dict.fromkeys(("application/x-ndjson", "application/vnd.elasticsearch+x-ndjson"), _Lines()),
                **options,
            )
        except ValueError as error:
            raise StoreDamaged(f"TIDEMARK_STORE: {error}") from error

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        timeout: float | None = None,
        lines: bool = False,
        decode: Callable[[bytes], Any] = decode_json,
    ) -> Any:
        """The answer as `decode` makes it. ApiError passes for what the caller can know better: 400, 404, 409."""
        client = self.elastic if timeout is None else self.elastic.options(request_timeout=timeout)
        try:
            answer = decode(self._send(client, method, path, body, lines))
        except ConnectionTimeout as error:
            raise self._failed(StoreUnavailable(f"Elasticsearch did not answer in {timeout or self.settings.timeout:g} s")) from error
        except (NoConnection, TransportError) as error:
            raise self._failed(StoreUnavailable(f"Elasticsearch can't be reached: {error.message}")) from error
        except ApiError as error:
            if isinstance(error.body, bytes):
                error.body = decode_json(error.body)
            busy = busy_reason(error.meta.status, error.body)
            if busy is None:
                raise
            raise self._failed(busy) from error
        if self.outages:
            self.outages.ended("an outage", "a refused login", "an overload")
        return answer

    def note_trouble(self, error: StoreBusy) -> None:
        """Log why an item of a bulk request failed."""
        self._failed(error)

    def _failed(self, error: StoreBusy) -> StoreBusy:
        """Log it, once per outage."""
        kind = "an outage" if isinstance(error, StoreUnavailable) else error.kind
        if kind:
            self.outages.began(kind, f"{self.shown}: {error}")
        return error

    def _send(self, client: Elasticsearch, method: str, path: str, body: Any, lines: bool) -> bytes:
        """A node that can't be connected to is left out for a while by the client: the next try goes to another one."""
        for attempt in range(self._hosts, 0, -1):
            try:
                answer = client.perform_request(method, path, headers=_LINES if lines else _JSON, body=body)
                return answer.body or b"{}"  # type: ignore[no-any-return]
            except ConnectionTimeout:  # it may have been executed: only the caller knows whether a repetition is harmless
                raise
            except NoConnection:
                if attempt == 1:
                    raise
        raise AssertionError

    # --- writing

    def bulk(self, body: bytes, index: str = "", *, details: bool = False) -> BulkAnswer:
        """Send prepared lines. Every index named in it must be an alias, except in deletes. `details`: with versions."""
        wanted = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"
        if details:
            wanted += ",items.*._seq_no,items.*._primary_term"
        path = f"/{quote(index)}/_bulk" if index else "/_bulk"
        answer: BulkAnswer = self.call("POST", f"{path}?require_alias=true&filter_path={wanted}", body, lines=True, decode=BulkAnswer)
        return answer

    def refresh(self, indices: Iterable[str]) -> None:
        """Make every write in these indices visible to searches; unknown ones are skipped. Raises StoreBusy when a shard did not do it."""
        path = f"/{quote(','.join(indices), safe=',')}/_refresh?ignore_unavailable=true&filter_path=_shards.failed,_shards.failures.reason.reason"
        shards: dict[str, Any] = {}
        for _ in attempts(REFRESHES):
            shards = self.call("POST", path).get("_shards", {})
            if not shards.get("failed"):
                return
        raise StoreBusy(f"Elasticsearch could not refresh {shards['failed']} shards: {str(shards.get('failures', ''))[:300]}", 1.0)

    # --- reading

    def get(self, index: str, id: str) -> dict[str, Any] | None:
        """A document as it is now (no refresh needed): `_source`, `_seq_no`, `_primary_term`; None when there is none."""
        return self.get_many(index, [id]).get(id)

    def get_many(
        self, index: str, ids: Sequence[str], fields: Sequence[str] | None = None, without: Sequence[str] = (), *, required: bool = False
    ) -> dict[str, dict[str, Any]]:
        """Documents as they are now, by id. `required`: raise IndexGone when there is no such index; else nothing was ever stored in it."""
        found: dict[str, dict[str, Any]] = {}
        include = f"?_source_includes={','.join(fields)}" if fields else f"?_source_excludes={','.join(without)}" if without else ""
        for start in range(0, len(ids), 1000):
            try:
                answer = self.call("POST", f"/{quote(index)}/_mget{include}", {"ids": list(ids[start : start + 1000])})
            except ApiError as error:
                if error.meta.status == 404 and not required:
                    return found
                raise
            for document in answer["docs"]:
                if document.get("found"):
                    found[document["_id"]] = document
                elif "error" in document and document["error"].get("type") != "index_not_found_exception":
                    raise StoreBusy(f"Elasticsearch can't read a document: {document['error'].get('reason')}")
                elif "error" in document and required:
                    raise IndexGone(f"the index {index} was removed from Elasticsearch", 1.0)
        return found

    def search(self, index: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One search; an index that does not exist has no hits."""
        return self.msearch([(index, body)])[0]

    def msearch(self, searches: Sequence[tuple[str, Mapping[str, Any]]], wanted: str = "") -> list[dict[str, Any]]:
        """The answers of many searches, in order. `wanted`: parts of each answer that are needed (`hits.hits.sort,aggregations`)."""
        answers: list[dict[str, Any]] = []
        for part in _parts(searches):
            found = self.call("POST", _msearch_path(wanted), _search_lines(part), lines=True).get("responses") or [{}] * len(part)
            for one in found:
                _check_search(one.get("status", 503), one.get("error"), one.get("_shards", {}))
            answers += found
        return answers

    def aggregations(self, searches: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[msgspec.Raw]:
        """The aggregations of many searches as JSON, in order; empty where no index was found. For those with many buckets: a caller who knows their
        shape decodes them several times faster."""
        for part in _parts(searches):
            found = self.call("POST", _msearch_path("aggregations"), _search_lines(part), lines=True, decode=_searches).responses
            for one in found or [_Search() for _ in part]:
                _check_search(one.status, one.error, one._shards)
                yield one.aggregations

    def scan(self, index: str, body: Mapping[str, Any], page: int = PAGE) -> Iterable[list[dict[str, Any]]]:
        """All hits of a search, page by page. `sort` must be a total order."""
        after: list[Any] | None = None
        while True:
            hits = self.search(index, {"track_total_hits": False, **body, "size": page} | ({"search_after": after} if after else {}))
            found = hits.get("hits", {}).get("hits", [])
            if found:
                yield found
            if len(found) < page:
                return
            after = found[-1]["sort"]

    # --- the rest

    def version(self) -> str:
        """The version of the node that answers. (`GET /` is missing in some distributions.)"""
        nodes = self.call("GET", "/_nodes/_local?filter_path=nodes.*.version")["nodes"]
        return str(next(iter(nodes.values()))["version"])

    def check(self) -> Health:
        try:
            answer = self.call("GET", "/_cluster/health?filter_path=status,unassigned_shards", timeout=min(5.0, self.settings.timeout))
        except StoreBusy as error:
            return Health(False, str(error))
        except ApiError as error:
            return Health(False, f"Elasticsearch refuses: {reason(error.body)}")
        status = answer["status"]
        if status == "red":
            return Health(False, "Elasticsearch is red: some shards have no copy that answers")
        return Health(True, f"Elasticsearch is {status}")

    def close(self) -> None:
        self.elastic.close()


def parse_url(url: str) -> tuple[list[str], tuple[str, str] | None, dict[str, str]]:
    """`http(s)://[user:pass@]host:9200[,host2:9200][?prefix=name]` as addresses, login and options."""
    address, login = split_login(url)
    parts = urlsplit(address)
    port = 443 if parts.scheme == "https" else 9200
    hosts = [
        f"{parts.scheme}://{host if ':' in host.rpartition(']')[2] else f'{host}:{port}'}{parts.path.rstrip('/')}"
        for host in parts.netloc.split(",")
    ]
    return hosts, login, dict(parse_qsl(parts.query))


def attempts(count: int) -> Iterator[int]:
    """Numbers of attempts at a compare-and-set: read, change, write under the version that was read. Before each but the first it waits, longer every
    time and never equally long in two workers, so that they don't meet again."""
    for attempt in range(count):
        if attempt:
            time.sleep(min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE) * (0.5 + secrets.randbelow(1000) / 1000))
        yield attempt


def busy_reason(status: int, body: Any) -> StoreBusy | None:
    """The exception for a refusal that passes by itself; None when it is the caller's fault or a conflict."""
    if status == 403 and "FORBIDDEN/8/" in reason(body):
        return StoreBusy(f"the index takes no writes while its generation is shrunk or dropped: {reason(body)}", 2.0)
    if status in (403, 429) and "cluster_block" in error_type(body):
        return StoreReadOnly(f"the index is read-only, probably because the disk is full: {reason(body)}", 30.0)
    if status in (429, 503):
        return StoreBusy(f"Elasticsearch is overloaded: {reason(body)}", kind="an overload")
    if status in (401, 403):
        return StoreBusy(
            f"Elasticsearch refuses our login: {reason(body)}; correct user and password in TIDEMARK_STORE", 30.0, kind="a refused login"
        )
    if error_type(body) == "snapshot_in_progress_exception":
        return SnapshotRunning("Elasticsearch removes no index while a snapshot of it is being taken: try again when it is done", 60.0)
    if status >= 500:
        return StoreUnavailable(f"Elasticsearch failed: {reason(body)}")
    return None


def is_index_gone(item: Mapping[str, Any]) -> bool:
    """Whether an item of a bulk request, or an error answer, met no index (or no alias, where one is required)."""
    return item.get("status") == 404 and "index_not_found" in error_type(item)


def error_type(body: Any) -> str:
    error = body.get("error") if isinstance(body, Mapping) else None
    return str(error.get("type", "")) if isinstance(error, Mapping) else ""


def reason(body: Any) -> str:
    """The sentence in an error answer."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    text = str(error.get("reason") or error.get("type") if isinstance(error, Mapping) else error)
    return text.partition("; for more information")[0].rstrip("; ")[:300]


def _parts(searches: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Sequence[tuple[str, Mapping[str, Any]]]]:
    for start in range(0, len(searches), SEARCHES):
        yield searches[start : start + SEARCHES]


def _msearch_path(wanted: str) -> str:
    if not wanted:
        return "/_msearch"
    kept = ",".join(f"responses.{part}" for part in wanted.split(","))
    return f"/_msearch?filter_path=responses.status,responses.error,responses._shards.failures,{kept}"


def _search_lines(searches: Sequence[tuple[str, Mapping[str, Any]]]) -> bytes:
    lines: list[bytes] = []
    for index, body in searches:
        lines.append(orjson.dumps({"index": index.split(","), "ignore_unavailable": True, "allow_no_indices": True}))
        lines.append(orjson.dumps(body))
    return b"\n".join([*lines, b""])


def _check_search(status: int, error: Any, shards: Mapping[str, Any]) -> None:
    """Raises what a failed search means. `shards`: how its shards fared."""
    failed = shards.get("failures")
    if not failed and error is None:
        return
    sentence = str(failed)[:300] if error is None else reason(error)
    busy = busy_reason(503 if error is None else status, {"error": error})
    log.error("a search failed (%s): %s", status, sentence)
    raise busy or StoreUnavailable(f"a search failed: {sentence}")
