"""events.*: the log of a task, in pages of four styles, searched, as a file, and cleared."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.log_download import LogDownload
from apiserver.bll.events.log_formats import text_writer, write_json
from apiserver.bll.events.log_overview import LogOverviews
from apiserver.bll.events.log_search import LogSearch, SearchQuery
from apiserver.bll.events.logs import LogPage, Logs
from apiserver.bll.events.metric_filter import metrics_filter, selection_of
from apiserver.common.attachment import attachment
from apiserver.service_repo import Call, RawResponse, endpoint
from apiserver.services.event_owners import EventOwners, scroll_of


class EventsLogsService:
    """Reads logs."""

    def __init__(self, owners: EventOwners, logs: Logs, search: LogSearch, download: LogDownload, overviews: LogOverviews) -> None:
        self._owners = owners
        self._logs = logs
        self._overviews = overviews
        self._search = search
        self._download = download

    @endpoint("events.get_task_log", min_version="2.9")
    def get_task_log(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("search"):
            return self._found(call, request)
        fold = request.get("fold") == "progress"
        page = self._logs.page(
            self._owners.task(call, request),
            size=request["batch_size"],
            earlier=request["navigate_earlier"],
            from_timestamp=request.get("from_timestamp"),
            order=request.get("order"),
            metrics=metrics_filter(request.get("metrics")),
            levels=request.get("levels"),
            folded=fold,
        )
        found = {"events": page.events, "returned": len(page.events), "total": page.total}
        return {**found, "next_timestamp": page.next_timestamp} if fold else found

    def _found(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        query = SearchQuery(
            request["search"],
            regex=request["search_regex"],
            ignore_case=request["search_ignore_case"],
            levels=request.get("levels") or None,
            metrics=selection_of(metrics_filter(request.get("metrics"))),
            earlier=request["navigate_earlier"],
            from_timestamp=request.get("from_timestamp"),
        )
        page = self._search.page(
            self._owners.task(call, request),
            scroll_of(call, request),
            query,
            size=request["batch_size"],
            order=request.get("order"),
            is_gone=call.is_gone,
            budget=request["budget_ms"] / 1000 if request.get("budget_ms") else None,
        )
        return {
            "events": page.events,
            "returned": len(page.events),
            "total": page.total,
            "positions": page.positions,
            "matched": page.matched,
            "searched_to": page.searched_to,
            "scroll_id": page.scroll_id,
        }

    @endpoint("events.get_task_log", min_version="1.7")
    def get_task_log_from(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._scrolled(call, request, request["from"])

    @endpoint("events.get_task_log")
    def get_task_log_scroll(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._scrolled(call, request, None)

    def _scrolled(self, call: Call, request: dict[str, Any], start: str | None) -> dict[str, Any]:
        page: LogPage = self._logs.scroll(
            self._owners.task(call, request),
            scroll_of(call, request),
            size=request["batch_size"],
            order=request["order"],
            start=start,
            metrics=metrics_filter(request.get("metrics")),
        )
        return {"events": page.events, "returned": len(page.events), "total": page.total, "scroll_id": page.scroll_id}

    @endpoint("events.get_task_log_lines")
    def get_task_log_lines(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = self._overviews.lines(self._owners.task(call, request), request["position"], request["count"])
        return {"position": found.position, "events": found.events, "returned": len(found.events), "total": found.total}

    @endpoint("events.get_task_log_overview")
    def get_task_log_overview(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = self._overviews.overview(self._owners.task(call, request), request["slices"])
        return {
            "total": found.total,
            "interval": found.interval,
            "first_timestamp": found.first_timestamp,
            "last_timestamp": found.last_timestamp,
            "start": [one.start for one in found.slices],
            "position": found.positions,
            "count": [one.lines for one in found.slices],
            "levels": [{"level": level, "count": [one.levels.get(level, 0) for one in found.slices]} for level in found.levels()],
        }

    @endpoint("events.download_task_log")
    def download_task_log(self, call: Call, request: dict[str, Any]) -> RawResponse:
        task = request["task"]
        as_text = text_writer(request["line_format"])
        write = write_json if request["line_type"].lower() == "json" else as_text
        fold = request.get("fold") == "progress"
        stream = self._download.stream(self._owners.task(call, request), write, fold_progress=fold)
        headers = {"Content-Disposition": attachment(f"task_{task}.log"), "Cache-Control": "no-store, max-age=0"}
        return RawResponse(stream, "text/plain; charset=utf-8", headers)

    @endpoint("events.clear_task_log")
    def clear_task_log(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        deleted = self._logs.clear(
            self._owners.writable(call, request),
            older_than=request.get("threshold_sec", 0),
            include=request.get("include_metrics"),
            exclude=request.get("exclude_metrics"),
        )
        return {"deleted": deleted}
