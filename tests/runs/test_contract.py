"""What runs-api.md promises beyond the recordings."""

from __future__ import annotations

import gzip
import json
import math
from typing import Any

import pytest
import requests

from tests.client import LOG, SCALAR
from tests.conftest import StartServer, credentials
from tests.runs.conftest import UNLIMITED, Runs
from tests.runs.recordings import V06


def test_what_an_events_client_reports_is_a_run(runs: Runs, run: str) -> None:
    client = runs.server.client()
    client.add_batch(
        [
            {"type": SCALAR, "task": run, "metric": "loss", "variant": "train", "iter": 1, "value": 0.5, "timestamp": 1_700_000_000_000},
            {"type": SCALAR, "task": run, "metric": "lr", "variant": "lr", "iter": 1, "value": 0.1, "timestamp": 1_700_000_000_000},
            {"type": SCALAR, "task": run, "metric": "loss", "variant": "train", "iter": 2, "value": 0.25, "timestamp": 1_700_000_001_500},
            {
                "type": SCALAR,
                "task": run,
                "metric": "Summary",
                "variant": "best",
                "iter": -(2**31),
                "value": 0.25,
                "timestamp": 1_700_000_002_000,
            },
        ]
    )
    assert runs.steps(run) == {
        "columns": ["global_step", "loss/train", "lr"],
        "rows": [{"global_step": 1, "loss/train": 0.5, "lr": 0.1}, {"global_step": 2, "loss/train": 0.25}],
        "total": 2,
        "sampled": 2,
    }
    assert runs.get(f"/api/runs/{run}/metrics").json()["rows"] == [
        {"time": 0.0, "loss/train": 0.5, "lr": 0.1},
        {"time": 1.5, "loss/train": 0.25},
    ]


def test_what_a_run_reports_is_one_line_in_a_clearml_chart(runs: Runs, run: str) -> None:
    runs.rows(
        run, [{"global_step": 1, "loss": 2.0, "time": 0.0, "stage": "train"}, {"global_step": 2, "loss": 1.0, "time": 1.0, "ok": True}]
    )
    data = runs.server.client().call("events.scalar_metrics_iter_histogram", task=run)
    assert {metric: list(variants) for metric, variants in data.items()} == {"loss": ["loss"]}
    assert data["loss"]["loss"]["y"] == [2.0, 1.0]
    metrics = runs.server.client().call("events.get_task_metrics", tasks=[run], event_type=SCALAR)["metrics"][0]["metrics"]
    assert metrics == ["loss"]


def test_later_values_of_a_step_win_for_each_key(runs: Runs, run: str) -> None:
    runs.rows(
        run,
        [
            {"global_step": 1, "a": 1, "b": 1, "s": "x"},
            {"global_step": 1, "b": 2},
            {"global_step": 1, "a": "text"},
            {"global_step": 1, "s": 5},
        ],
    )
    assert runs.steps(run)["rows"] == [{"global_step": 1, "a": "text", "b": 2.0, "s": 5.0}]


def test_what_was_not_logged_is_absent_and_nan_is_null(runs: Runs, run: str) -> None:
    body = b'{"type":"metrics","data":{"global_step":1,"loss":NaN,"up":Infinity}}\n{"type":"metrics","data":{"global_step":2,"acc":1}}'
    assert runs.post(run, body).json()["added"] == 2
    assert runs.steps(run)["rows"] == [{"global_step": 1, "loss": None, "up": None}, {"global_step": 2, "acc": 1.0}]


def test_a_poller_gets_only_what_is_new(runs: Runs, run: str) -> None:
    runs.rows(run, [{"global_step": step, "loss": step} for step in range(100)])
    answer = runs.get(f"/api/runs/{run}/metrics_step", params={"since_step": 97})
    assert [row["global_step"] for row in answer.json()["rows"]] == [98, 99]
    assert (answer.headers["X-Row-Count"], answer.headers["X-Last-Step"]) == ("2", "99")
    assert runs.steps(run, step_range="10:12")["rows"] == [{"global_step": step, "loss": step} for step in (10, 11, 12)]
    assert runs.steps(run, step_range="10:20", since_step=18)["total"] == 2
    nothing = runs.get(f"/api/runs/{run}/metrics_step", params={"since_step": 99})
    assert (
        nothing.json() == {"columns": ["global_step", "loss"], "rows": [], "total": 0, "sampled": 0}
        and "X-Last-Step" not in nothing.headers
    )


def test_times_of_a_part_count_from_the_first_row_of_the_run(runs: Runs, run: str) -> None:
    runs.rows(run, [{"global_step": step, "loss": step, "time": 100.0 + step / 2} for step in range(10)])
    rows = runs.get(f"/api/runs/{run}/metrics", params={"since_step": 7}).json()["rows"]
    assert rows == [{"time": 4.0, "loss": 8.0}, {"time": 4.5, "loss": 9.0}]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("downsample=99", "downsample"),
        ("downsample=ten", "downsample"),
        ("since_step=x", "since_step"),
        ("step_range=5", "step_range"),
        ("step_range=1:2:3", "step_range"),
    ],
)
def test_a_bad_parameter_is_named(runs: Runs, run: str, query: str, name: str) -> None:
    runs.rows(run, [{"global_step": 1, "loss": 1}])
    for endpoint in ("metrics", "metrics_step"):
        answer = runs.get(f"/api/runs/{run}/{endpoint}?{query}")
        assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["query", name]


def test_no_spike_of_any_metric_is_lost(runs: Runs, run: str) -> None:
    """Recorded: the product's sample of such a run (lttb_spike_in_second_metric.json) has a greatest loss of 1."""
    theirs = json.loads((V06 / "lttb_spike_in_second_metric.json").read_text())
    assert theirs["max_loss_in_sample"] < theirs["true_max_loss"]
    spikes = {1234: 1000.0, 7777: -1000.0}
    runs.rows(
        run,
        [{"global_step": step, "acc": step / 10_000, "loss": spikes.get(step, 1.0), "z": math.sin(step / 50)} for step in range(10_000)],
    )
    answer = runs.steps(run, downsample=1000)
    steps = [row["global_step"] for row in answer["rows"]]
    assert {0, 1234, 7777, 9999} <= set(steps)
    assert steps == sorted(set(steps)) and 900 <= len(steps) <= 1000
    assert answer["total"] == 10_000 and answer["sampled"] == len(steps)


def test_more_metrics_than_rows_keep_the_most_outstanding_values(runs: Runs, run: str) -> None:
    width = 120
    runs.rows(
        run,
        [
            {"global_step": step} | {f"m{i:03}": 1e6 if (i, step) == (70, 150) else (step * i) % 7 for i in range(width)}
            for step in range(300)
        ],
    )
    rows = runs.steps(run, downsample=100)["rows"]
    assert len(rows) <= 100 and max(row["m070"] for row in rows) == 1e6 and (rows[0]["global_step"], rows[-1]["global_step"]) == (0, 299)


def test_an_unchanged_run_is_answered_with_304(runs: Runs, run: str) -> None:
    runs.rows(run, [{"global_step": 1, "loss": 1}])
    url = f"/api/runs/{run}/metrics_step"
    tag = runs.get(url).headers["ETag"]
    again = runs.get(url, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert runs.get(url, params={"downsample": 100}).headers["ETag"] != tag
    runs.rows(run, [{"global_step": 2, "loss": 1}])
    changed = runs.get(url, headers={"If-None-Match": tag})
    assert changed.status_code == 200 and changed.json()["total"] == 2


def test_gzipped_lines_are_taken_and_bad_ones_named(runs: Runs, run: str) -> None:
    body = b'{"ts":1,"type":"metrics","data":{"global_step":1,"loss":1}}\r\nnonsense\n\n{"ts":1,"type":"metrics","data":{"loss":1}}'
    answer = runs.post(run, gzip.compress(body), headers={"Content-Encoding": "gzip"}).json()
    assert (answer["added"], answer["errors"]) == (1, 2)
    assert [(problem["line"], problem["reason"][:8]) for problem in answer["error_lines"]] == [(2, "not JSON"), (4, '"data" h')]


def test_a_body_without_a_good_line_is_refused(runs: Runs, run: str) -> None:
    assert runs.post(run, b"nonsense").status_code == 400
    assert runs.post(run, b"").status_code == 400
    assert runs.post(run, b"\x1f\x8b broken", headers={"Content-Encoding": "gzip"}).status_code == 400
    assert runs.post(run, b"{}", headers={"Content-Encoding": "br"}).status_code == 415


def test_an_image_becomes_a_debug_image(runs: Runs, run: str) -> None:
    runs.add(
        run,
        [{"ts": 1_700_000_000, "type": "image", "data": {"key": "prediction", "path": "media/1_p.png", "step": 10, "caption": "sample"}}],
    )
    found = runs.server.client().call("events.debug_images", metrics=[{"task": run}], iters=1)["metrics"][0]["iterations"]
    assert found[0]["iter"] == 10
    event = found[0]["events"][0]
    assert (event["metric"], event["url"], event["caption"]) == ("prediction", "media/1_p.png", "sample")


def test_log_lines_are_events_of_the_log(runs: Runs, run: str) -> None:
    runs.log(run, "one", "two", ts=1_700_000_000.25)
    events = runs.server.client().call("events.get_task_log", task=run, version="2.9", order="asc")["events"]
    assert [(event["msg"], event["timestamp"]) for event in events] == [("one", 1_700_000_000_250), ("two", 1_700_000_000_250)]


@pytest.mark.parametrize("id", ["..", "../../etc/passwd", "a/./b", "%00", "%0a", "x" * 5000, "%ff%fe", "%ed%a0%80"])
def test_an_impossible_run_id_is_not_found(runs: Runs, id: str) -> None:
    import http.client
    from urllib.parse import quote, urlsplit

    address = urlsplit(runs.server.url)
    raw = id if "%" in id else quote(id, safe="")
    for path in ("metrics", "metrics_step", "events", "export"):
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
        body = b'{"type":"metrics","data":{"step":1,"loss":1}}' if path == "events" else None
        connection.request("POST" if body else "GET", f"/api/runs/{raw}/{path}", body=body)
        assert 400 <= connection.getresponse().status < 500


def test_methods_that_are_not_there_read_like_the_products(runs: Runs, run: str) -> None:
    answer = requests.delete(f"{runs.server.url}/api/runs/{run}/metrics", timeout=10)
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})


def test_the_description_names_every_path(runs: Runs) -> None:
    found = runs.get("/api/openapi.json").json()
    assert found["openapi"].startswith("3.")
    # The ClearML calls: tests/service_repo/test_openapi.py.
    paths = {path: methods for path, methods in found["paths"].items() if path.startswith("/api/")}
    assert len(paths) > 8
    for path, methods in paths.items():
        for method in methods:
            answer = requests.request(method, runs.server.url + path.replace("{run_id}", "no_such_run"), data=b"", timeout=10)
            assert answer.status_code < 500 and answer.text != '{"detail":"Not Found"}', path
    assert "text/html" in runs.get("/api/docs").headers["Content-Type"]


def test_health_says_ok(runs: Runs) -> None:
    answer = runs.get("/api/health").json()
    assert answer["status"] == "ok" and "version" in answer


def test_the_request_after_the_limit_is_refused_as_recorded(start_server: StartServer, run: str) -> None:
    runs = Runs(start_server(TIDEMARK__runs__requests_per_minute="5"))
    runs.rows(run, [{"global_step": 1, "loss": 1}])
    url = f"/api/runs/{run}/metrics_step"
    first = runs.get(url)
    assert [first.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining")] == ["5", "4"]
    for _ in range(10):  # a 304 costs nothing
        assert runs.get(url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert [runs.get(url).status_code for _ in range(4)] == [200] * 4
    refused = runs.get(url)
    assert refused.status_code == 429 and refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.json() == {"detail": "Rate limit exceeded", "retry_after": int(refused.headers["Retry-After"])}
    assert runs.get(f"/api/runs/{run}/metrics").status_code == 200, "every endpoint counts for itself"
    assert runs.get(url, headers={"X-Forwarded-For": "9.9.9.9"}).status_code == 429, "nobody can pretend to be somebody else"


def test_a_configured_proxy_tells_who_the_client_is(start_server: StartServer, run: str) -> None:
    server = start_server(TIDEMARK__runs__requests_per_minute="1", TIDEMARK__server__proxies="127.0.0.0/8")
    runs = Runs(server)
    assert runs.post(run, b'{"type":"metrics","data":{"global_step":1,"loss":1}}', auth=credentials(server)).status_code == 200
    codes = [
        runs.get(f"/api/runs/{run}/metrics_step", headers={"X-Forwarded-For": address}).status_code
        for address in ("9.9.9.9", "9.9.9.8", "1.1.1.1, 9.9.9.9")
    ]
    assert codes == [200, 200, 429], "what stands before the last foreign address anybody could have written"


def test_login_is_needed_in_required_mode(start_server: StartServer, run: str) -> None:
    server = start_server(TIDEMARK_AUTH="required", TIDEMARK_ACCESS_KEY="key", TIDEMARK_SECRET_KEY="secret", **UNLIMITED)
    runs = Runs(server)
    for path in ("/api/runs", f"/api/runs/{run}", f"/api/runs/{run}/metrics", f"/api/runs/{run}/export"):
        refused = runs.get(path)
        assert refused.status_code == 401 and "detail" in refused.json()
    assert runs.post(run, b"{}").status_code == 401
    line = b'{"type":"metrics","data":{"step":1,"loss":1}}'
    assert runs.post(run, line, auth=("key", "secret")).status_code == 200
    assert runs.get(f"/api/runs/{run}/metrics_step", auth=("key", "secret")).json()["total"] == 1


def test_the_documented_port_serves_the_same(start_server: StartServer, run: str) -> None:
    from tests.process import free_port

    port = free_port()
    runs = Runs(start_server(TIDEMARK_RUNS_PORT=str(port)))
    runs.rows(run, [{"global_step": 1, "loss": 1}])
    answer: Any = requests.get(f"http://127.0.0.1:{port}/api/runs/{run}/metrics_step", timeout=10).json()
    assert answer["total"] == 1


def test_events_of_a_refused_unknown_task_are_not_found(start_server: StartServer, run: str) -> None:
    runs = Runs(start_server(TIDEMARK_UNKNOWN_TASKS="reject"))
    assert runs.post(run, b'{"type":"metrics","data":{"step":1,"loss":1}}').status_code == 404


def test_steps_that_leave_gaps_are_read_whole(runs: Runs, run: str) -> None:
    """Steps of any size, more of them than one window holds."""
    steps = [*range(50_000), 10**6, 2**40, 2**63 - 1, -(2**63)]
    for start in range(0, len(steps), 20_000):
        runs.rows(run, [{"global_step": step, "a": 1.0, "b": 2, "c": 3} for step in steps[start : start + 20_000]])
    answer = runs.get(f"/api/runs/{run}/metrics_step")
    assert [row["global_step"] for row in answer.json()["rows"]] == sorted(steps)
    assert answer.headers["X-Last-Step"] == str(2**63 - 1)


def test_the_log_event_type_is_the_clients(runs: Runs, run: str) -> None:
    runs.server.client().add_batch([{"type": LOG, "task": run, "msg": "from clearml", "level": "info", "timestamp": 1_700_000_000_000}])
    with runs.socket(run) as socket:
        assert socket.recv(timeout=10) == "from clearml"
