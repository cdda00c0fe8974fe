"""A stand-in for ClearML's server: documents and events as its clients' recordings have them (`tests/goldens/clearml-sdk`), answered as the real
server was seen to answer.

What was seen differs from its documentation: `get_task_events` pages by iteration (a page ends with all events of its last iteration; one that ends at
iteration 0 is followed by the first page again; events without an iteration, as lines of a log are, give 500), `get_task_log` counts to 10,000, large plots
come compressed, vectors with their numbers in `value`, public documents with an empty company.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.transfer.replay import Answer, Replay

RECORDED = Path(__file__).parent.parent / "goldens" / "clearml-sdk"
FILES = "http://127.0.0.1:18081"
"""The file server of the recordings."""
PATH = re.compile(r"/?(?:v(\d+\.?\d+)/)?([A-Za-z_]\w+\.[A-Za-z_]\w+)/?")
WINDOW = 10_000
COMPRESSED = 600
Event = dict[str, Any]


class Refused(Exception):
    """An answer that is an error: code, subcode, text."""


def recorded(name: str) -> Any:
    """A recorded answer, or the lines of a recorded batch."""
    found = json.loads((RECORDED / f"{name}.json").read_text())
    return found["request"]["body"]["json_lines"] if "add_batch" in name else found["response"]["body"]["data"]


def stored(line: Event) -> Event:
    """An event of a batch as the real server keeps it."""
    event = {"metric": "", "variant": "", "worker": "vm", "model_event": False, **line, "@timestamp": "2026-11-21T20:16:51.465Z"}
    event.pop("allow_locked", None)
    if "values" in event:
        event["value"] = event.pop("values")
    if event["type"] == "plot":
        text = event["plot_str"]
        event["plot_len"] = len(text)
        if len(text) >= COMPRESSED:
            del event["plot_str"]
            event["plot_data"] = base64.encodebytes(zlib.compress(text.encode(), 1)).decode()
    return event


class ClearML:
    """A server on this machine while the block runs. `calls`: the endpoints that were called. `refused`: endpoints that answer 403."""

    def __init__(self, lines: Iterable[Event], documents: dict[str, list[dict[str, Any]]], files: dict[str, bytes]) -> None:
        self.calls: list[str] = []
        self.refused: set[str] = set()
        self.expired = 0
        """So many calls find their token expired."""
        self._lines, self._documents, self._files = lines, documents, files
        self._replay = Replay(self._answer)
        self.url = self._replay.url

    def __enter__(self) -> ClearML:
        own = json.dumps([stored(line) for line in self._lines]).replace(FILES, self.url)
        self.events: list[Event] = json.loads(own)
        self.documents: dict[str, list[dict[str, Any]]] = json.loads(json.dumps(self._documents).replace(FILES, self.url))
        return self

    def __exit__(self, *error: object) -> None:
        self._replay.close()

    def of(self, task: str, type: str) -> list[Event]:
        """The events of a task."""
        return [event for event in self.events if (event["task"], event["type"]) == (task, type)]

    def _answer(self, method: str, path: str, body: bytes) -> Answer:
        if method == "GET":
            found = self._files.get(path)
            return (404, b"<html>not found</html>") if found is None else (200, found)
        match = PATH.fullmatch(path)
        name = match[2] if match else ""
        code, subcode, text, data = 200, 0, "OK", {}
        try:
            if match is None:
                raise Refused(400, 0, f"Invalid request path {path}")
            self.calls.append(name)
            call = getattr(self, "_" + name.replace(".", "_"), None)
            if call is None:
                raise Refused(404, 0, f"Unable to find endpoint for name {name} and version {match[1]}")
            if name in self.refused:
                raise Refused(403, 20, "Forbidden (role not allowed)")
            if self.expired and name != "auth.login":
                self.expired -= 1
                raise Refused(401, 30, "Unauthorized (invalid token) (token expired)")
            data = call(json.loads(body or b"{}"))
        except Refused as error:
            code, subcode, text = error.args
        meta = {
            "id": "f1755f3ef58c4d5b9f1e4d7bdd7ae3c8",
            "trx": "f1755f3ef58c4d5b9f1e4d7bdd7ae3c8",
            "endpoint": {"name": name, "requested_version": "2.34", "actual_version": "1.0" if code != 404 else None},
            "result_code": code,
            "result_subcode": subcode,
            "result_msg": text,
            "error_stack": None,
            "error_data": {},
        }
        return code, json.dumps({"meta": meta, "data": data}).encode()

    # --- endpoints

    def _auth_login(self, request: Any) -> Any:
        return {"token": "e30.e30.e30"}

    def _users_get_all(self, request: Any) -> Any:
        return {"users": self.documents["users"]}  # it knows no pages

    def _projects_get_all_ex(self, request: Any) -> Any:
        return {"projects": self._page("projects", request)}

    def _tasks_get_all(self, request: Any) -> Any:
        return {"tasks": self._page("tasks", request)}

    def _models_get_all(self, request: Any) -> Any:
        return {"models": self._page("models", request)}

    def _page(self, kind: str, request: Any) -> list[dict[str, Any]]:
        found = [one for one in self.documents[kind] if not request.get("project") or one.get("project") in request["project"]]
        found.sort(key=lambda one: (one["created"], one["id"]))
        start = request["page"] * request["page_size"]
        return found[start : start + request["page_size"]]

    def _events_get_task_events(self, request: Any) -> Any:
        self._known(request)
        events, start = self.of(request["task"], request["event_type"]), None
        order, total = request.get("order", "asc"), len(events)
        if request.get("scroll_id"):
            state = json.loads(base64.b64decode(request["scroll_id"]))
            order, total, start = state["order"], state["total"], state.get("from_key_value")
            if start is None:
                return {"returned": 0, "total": total, "scroll_id": request["scroll_id"], "events": []}
        found = self._by_key(events, "iter", int(start or 0), request.get("batch_size", 500), order == "desc")
        state = {"order": order, "total": total, **({"from_key_value": str(found[-1]["iter"])} if found else {})}
        return {"returned": len(found), "total": total, "scroll_id": base64.b64encode(json.dumps(state).encode()).decode(), "events": found}

    def _events_get_task_log(self, request: Any) -> Any:
        self._known(request)
        lines, earlier = self.of(request["task"], "log"), request.get("navigate_earlier", True)
        found = self._by_key(lines, "timestamp", request.get("from_timestamp") or 0, request.get("batch_size", 5000), earlier)
        if request.get("order", "desc" if earlier else "asc") != ("desc" if earlier else "asc"):
            found.reverse()
        return {"events": found, "returned": len(found), "total": min(len(lines), WINDOW)}

    def _known(self, request: Any) -> None:
        kind = "models" if request.get("model_events") else "tasks"
        if request["task"] not in {one["id"] for one in self.documents[kind]}:
            raise Refused(400, 101, f"Invalid task id: id={request['task']}")
        if request.get("batch_size", 500) > WINDOW:
            raise Refused(500, 100, "Data error (result window is too large)")

    def _by_key(self, events: list[Event], key: str, start: int, size: int, descending: bool) -> list[Event]:
        sign = -1 if descending else 1
        ordered = sorted(events, key=lambda event: (key not in event, sign * event.get(key, 0)))
        if start:  # 0 counts as none
            ordered = [event for event in ordered if key in event and sign * event[key] > sign * start]
        found = ordered[:size]
        if found and key not in found[-1]:
            raise Refused(500, 0, f"General data error ('{key}')")
        known = {id(event) for event in found}
        tail = [event for event in events if found and event.get(key) == found[-1][key]][:WINDOW]
        return found + [event for event in tail if id(event) not in known]
