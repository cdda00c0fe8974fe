"""A run as one self-contained HTML file: no script, no request to any host, every text escaped. Its size is bounded; the file says what was
left out.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from apiserver.bll.events.ladder import ladder_width
from apiserver.bll.registry.directory import Owner
from apiserver.bll.runs.report_charts import ReportLine, chart, number
from apiserver.bll.runs.report_html import Html, element, page, text
from apiserver.common.fairness import give_way
from apiserver.stores.base import EventStore
from apiserver.stores.records import IMAGE, LOG, PLOT, SCALAR, VECTOR, BucketRequest, EventQuery, Series

MAX_LINES = 600
"""Series that are drawn: 4 MB."""
MAX_ROWS = 5_000
MAX_LOG = 2_000
MAX_TEXT = 200_000
"""Characters of one configuration text, or of the log."""
BUCKETS = 240
AT_ONCE = 60
"""Series that are read at a time."""
SPLIT_FROM = 9
"""A metric with so many variants has a chart for each."""

_ESCAPES = re.compile(r"\x1b\[[0-9;:]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_]")
_ELSEWHERE = ((IMAGE, "debug sample"), (PLOT, "plot"), (VECTOR, "vector"))


def html_report(store: EventStore, run: Owner, task: Mapping[str, Any], project: str) -> Iterator[bytes]:
    """The pieces of the file. `task` is the document of the run in the registry, `project` the name of its project."""
    title = str(task.get("name") or run.id)
    everything = store.series(run.company, [run.id])
    scalars = [series for series in everything if series.key.type == SCALAR]
    head, foot = page(title)
    yield head
    yield _header(title, run, task, project).encode()
    yield _table("Last, minimum and maximum", *_statistics(scalars)).encode()
    yield from (part.encode() for part in _charts(store, run, [series for series in scalars if series.chart_count]))
    yield from (part.encode() for part in _configuration(task))
    yield _log(store, run).encode()
    yield _left_out(everything, scalars).encode()
    yield foot


def _header(title: str, run: Owner, task: Mapping[str, Any], project: str) -> Html:
    started, ended = task.get("started") or task.get("created"), task.get("completed") or task.get("last_update")
    facts = {
        "Status": task.get("status"),
        "Project": project,
        "Id": run.id,
        "Tags": ", ".join(map(str, task.get("tags") or ())),
        "Started": _moment(started),
        "Ended": _moment(task.get("completed")),
        "Took": _duration(ended - started) if isinstance(started, int) and isinstance(ended, int) else "",
        "Last iteration": f"{task['last_iteration']:,}" if isinstance(task.get("last_iteration"), int) else "",
        "Comment": task.get("comment"),
    }
    pairs = [element("div", element("dt", text(name)), element("dd", text(value))) for name, value in facts.items() if value]
    return element("header", element("h1", text(title)), element("dl", *pairs))


def _moment(value: Any) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(value / 1000)) if isinstance(value, int) and 0 < value < 2**48 else ""


def _duration(milliseconds: int) -> str:
    seconds = max(0, milliseconds) // 1000
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    return " ".join([f"{value} {unit}" for value, unit in parts if value][:2]) or "0 s"


def _table(title: str, columns: list[str], rows: list[list[Any]], *, numbers: bool = True) -> Html:
    if not rows:
        return Html("")
    kind = "num" if numbers else "text"
    body = [
        element("tr", element("th", text(row[0]), scope="row"), *(element("td", text(cell), class_=kind) for cell in row[1:]))
        for row in rows
    ]
    head = element("tr", *(element("th", text(name), scope="col") for name in columns))
    return element(
        "section",
        element("h2", text(title)),
        element("div", element("table", element("thead", head), element("tbody", *body)), class_="wide"),
    )


def _statistics(scalars: list[Series]) -> tuple[list[str], list[list[Any]]]:
    rows = []
    for series in scalars[:MAX_ROWS]:
        known = series.statistics
        if known is None:
            continue
        low, high = number(known.min_value), number(known.max_value)
        at = (
            number(known.value),
            _at(low, known.min_value_iter),
            _at(high, known.max_value_iter),
            number(known.mean_value),
            f"{series.count:,}",
        )
        rows.append([_name(series), *at])
    return ["Series", "Last", "Minimum", "Maximum", "Mean", "Points"], rows


def _at(value: str, iteration: int | None) -> str:
    return f"{value} at {iteration:,}" if value and iteration is not None and iteration >= 0 else value


def _name(series: Series) -> str:
    metric, variant = series.key.metric, series.key.variant
    return f"{metric} / {variant}" if variant and variant != metric else metric


def _charts(store: EventStore, run: Owner, series: list[Series]) -> Iterator[Html]:
    drawn = series[:MAX_LINES]
    if not drawn:
        return
    yield Html("<section><h2>Charts</h2><div class=charts>")
    for group in _groups(drawn):
        first = min(one.chart_min_iter or 0 for one in group)
        last = max(one.chart_max_iter or 0 for one in group)
        width = ladder_width(first, last, BUCKETS, "iter")
        requests = [BucketRequest(one, "iter", width, kinds=True) for one in group]
        buckets = [
            answer for start in range(0, len(requests), AT_ONCE) for answer in store.buckets(run.company, requests[start : start + AT_ONCE])
        ]
        lines = [
            ReportLine(one.key.variant or one.key.metric, answer, one.statistics.value if one.statistics else None)
            for one, answer in zip(group, buckets, strict=True)
        ]
        yield chart(group[0].key.metric if len(group) > 1 else _name(group[0]), lines)
        give_way()
    yield Html("</div></section>")


def _groups(series: list[Series]) -> Iterator[list[Series]]:
    by_metric: dict[str, list[Series]] = {}
    for one in series:
        by_metric.setdefault(one.key.metric, []).append(one)
    for group in by_metric.values():
        if len(group) < SPLIT_FROM:
            yield group
        else:
            yield from ([one] for one in group)


def _configuration(task: Mapping[str, Any]) -> Iterator[Html]:
    rows = []
    for section, parameters in sorted(_mapping(task.get("hyperparams")).items()):
        for name, parameter in sorted(_mapping(parameters).items()):
            value = parameter.get("value") if isinstance(parameter, Mapping) else parameter
            rows.append([f"{section}/{name}", value])
    yield _table("Parameters", ["Parameter", "Value"], rows[:MAX_ROWS], numbers=False)
    for name, item in sorted(_mapping(task.get("configuration")).items()):
        yield _text_section(f"Configuration: {name}", item.get("value") if isinstance(item, Mapping) else item)
    script = _mapping(task.get("script"))
    facts = [[name, script.get(name)] for name in ("repository", "branch", "version_num", "entry_point", "working_dir") if script.get(name)]
    yield _table("Code", ["", ""], facts, numbers=False)
    yield _text_section("Uncommitted changes", script.get("diff"))
    requirements = _mapping(script.get("requirements"))
    yield _text_section("Packages", requirements.get("pip"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text_section(title: str, value: Any) -> Html:
    if value is None or value == "":
        return Html("")
    whole = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    cut = f"\n… {len(whole) - MAX_TEXT:,} more characters" if len(whole) > MAX_TEXT else ""
    return element("section", element("h2", text(title)), element("pre", text(whole[:MAX_TEXT] + cut)))


def _log(store: EventStore, run: Owner) -> Html:
    query = EventQuery(run.id, [LOG])
    total = store.count(run.company, query)
    if not total:
        return Html("")
    lines = [str(found.event.get("msg") or "") for found in store.page(run.company, query, "timestamp", descending=True, limit=MAX_LOG)]
    kept: list[str] = []
    size = 0
    for line in lines:
        size += min(len(line), MAX_TEXT) + 1
        if kept and size > MAX_TEXT:
            break
        kept.append(_ESCAPES.sub("", line[:MAX_TEXT]).rpartition("\r")[2] or line[:MAX_TEXT])
    title = "Log" if len(kept) == total else f"Log: the last {len(kept):,} of {total:,} lines"
    return _text_section(title, "\n".join(reversed(kept)))


def _left_out(everything: Iterable[Series], scalars: list[Series]) -> Html:
    said = []
    charted = sum(1 for series in scalars if series.chart_count)
    if charted > MAX_LINES:
        said.append(f"{charted - MAX_LINES:,} series are in no chart.")
    if len(scalars) > MAX_ROWS:
        said.append(f"{len(scalars) - MAX_ROWS:,} series are in no table.")
    for kind, word in _ELSEWHERE:
        count = sum(series.count for series in everything if series.key.type == kind)
        if count:
            said.append(f"{count:,} {word}{'' if count == 1 else 's'} of the run are not in this file.")
    if not said:
        return Html("")
    return element("section", element("h2", text("Not in this file")), *(element("p", text(sentence)) for sentence in said))
