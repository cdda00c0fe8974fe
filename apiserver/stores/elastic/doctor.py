"""Checks of an Elasticsearch for `tidemark doctor`. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from elasticsearch import ApiError

from apiserver.common.findings import Finding
from apiserver.settings import ElasticSettings
from apiserver.stores.elastic.client import ElasticClient, reason
from apiserver.stores.elastic.installation import LOOK_SECONDS, Installation
from apiserver.stores.elastic.layout import LAYOUT, Layout
from apiserver.stores.errors import StoreBusy, StoreDamaged

SUPPORTED = (8, 9)
BYTES_OF_SOURCE = 20
"""Bytes on disk of the `_source` of a scalar (measured)."""


def examine(url: str, settings: ElasticSettings) -> Iterator[Finding]:
    """Reachable, version, health, templates, mappings, disk."""
    try:
        client = ElasticClient(url, settings)
        version = client.version()
    except (StoreBusy, StoreDamaged) as error:
        yield Finding("FAIL", str(error), "start it, or correct TIDEMARK_STORE (address, user, password, elastic.ca_file)")
        return
    except ApiError as error:
        yield Finding("FAIL", f"Elasticsearch refuses: {reason(error.body)}", "check the user and password in TIDEMARK_STORE")
        return
    known = int(version.partition(".")[0]) in SUPPORTED
    yield Finding("ok" if known else "FAIL", f"Elasticsearch {version} answers", "" if known else "versions 8 and 9 are supported")
    try:
        layout = Layout(client, settings)
        installation = Installation(client, layout)
        yield from _health(client, layout)
        yield from _layout(layout, installation)
        yield from _disk(client)
        yield from _blocks(installation)
    except StoreBusy as error:
        yield Finding("FAIL", str(error), "look at Elasticsearch's own log")
    finally:
        client.close()


def _health(client: ElasticClient, layout: Layout) -> Iterator[Finding]:
    answer = client.call("GET", "/_cluster/health?filter_path=status,number_of_data_nodes,unassigned_shards")
    status, nodes = answer["status"], answer["number_of_data_nodes"]
    text = f"the cluster is {status}: {nodes} data nodes, {answer['unassigned_shards']} unassigned shards"
    advice = "GET /_cluster/allocation/explain says why a shard is not assigned"
    yield Finding({"green": "ok", "yellow": "warn"}.get(status, "FAIL"), text, "" if status == "green" else advice)  # type: ignore[arg-type]
    if nodes > 1 and client.settings.replicas == 0:
        yield Finding("warn", "new indices have no replicas: a lost node loses data", "set TIDEMARK__elastic__replicas=1")
    if nodes == 1 and client.settings.replicas > 0:
        yield Finding(
            "warn", "replicas are asked for, but there is one node to hold them", "set TIDEMARK__elastic__replicas=0, or add nodes"
        )


def _layout(layout: Layout, installation: Installation) -> Iterator[Finding]:
    """Templates, indices, mappings, aliases."""
    found = installation.differences()
    put_back = f"a running server puts it right within {LOOK_SECONDS:.0f} s, `tidemark serve` at its start"
    findings: list[Finding] = [Finding("FAIL", problem) for problem in found.problems]
    if found.templates:
        findings.append(Finding("warn", f"templates are missing or of another version: {', '.join(found.templates)}", put_back))
    for index, fields in found.fields.items():
        findings.append(
            Finding("warn", f"the index {index} lacks the fields {', '.join(sorted(fields))}", "they are added at the next start")
        )
    if found.aliases:
        indices = ", ".join(index for index, _ in found.aliases[:5])
        findings.append(Finding("warn", f"writes answer 503: no write alias on {indices}", "it is added at the next start"))
    if found.registry and found.other_data:
        findings.append(
            Finding(
                "FAIL",
                f"the registry ({layout.entities}, {layout.objects}) is missing and there are events: indices were deleted",
                "restore a backup with all indices; without one a start makes an empty registry",
            )
        )
    newer = [full for full, version in installation.template_versions().items() if version > LAYOUT]
    if newer:
        findings.append(Finding("FAIL", f"from a newer tidemark: {', '.join(newer)}", "upgrade this host"))
    yield from findings or [Finding("ok", "templates and mappings are as they should be")]
    if found.with_source:
        count, first = len(found.with_source), found.with_source[0]
        yield Finding(
            "ok",
            f"{count} indices of scalars ({first} for one) are of layout 1: {BYTES_OF_SOURCE} bytes a scalar more than new generations",
        )


def _disk(client: ElasticClient) -> Iterator[Finding]:
    found: dict[str, Any] = client.call("GET", "/_cluster/settings?include_defaults=true&flat_settings=true")
    values: dict[str, Any] = {**found.get("defaults", {}), **found.get("persistent", {}), **found.get("transient", {})}
    prefix = "cluster.routing.allocation.disk."
    if str(values.get(f"{prefix}threshold_enabled", "true")) != "true":
        yield Finding("warn", "disk watermarks are switched off", f"remove {prefix}threshold_enabled: a full disk can damage indices")
        return
    watermarks = [str(values.get(f"{prefix}watermark.{name}", "")) for name in ("low", "high", "flood_stage")]
    nodes = client.call("GET", "/_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total")["nodes"]
    for node in nodes.values():
        total = node["fs"]["total"]
        used = 1 - total["available_in_bytes"] / max(total["total_in_bytes"], 1)
        text = f"node {node['name']}: {used:.0%} of its disk used (watermarks {', '.join(watermarks)})"
        flood = float(watermarks[2].rstrip("%")) / 100 if watermarks[2].endswith("%") else 0.95
        if used >= flood:
            yield Finding(
                "FAIL",
                text,
                "its indices are read-only or soon will be: free space (tidemark retention), docs/operations.md says how to go on",
            )
        elif used >= flood - 0.1:
            yield Finding("warn", text, "add disk, or remove old data with `tidemark retention`")
        else:
            yield Finding("ok", text)


def _blocks(installation: Installation) -> Iterator[Finding]:
    blocks = installation.blocks()
    if blocks.whole:
        yield Finding("FAIL", blocks.whole, 'PUT /_cluster/settings {"persistent": {"cluster.blocks.*": null}} takes it back')
    if blocks.indices:
        yield Finding(
            "FAIL",
            f"read-only: {', '.join(blocks.indices[:5])}",
            "free space with `tidemark retention`: Elasticsearch takes the block back by itself once there is some (docs/operations.md)",
        )
    if not blocks.whole and not blocks.indices:
        yield Finding("ok", "no index is read-only")
