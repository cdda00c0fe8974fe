"""Records real answers for docs/api: starts a server, reports a small training, makes the calls below, writes docs/api/answers.json.

python scripts/api_answers.py && python scripts/api_docs.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docs" / "api" / "answers.json"
TASK = "8a2cc413bb774a5290d290fe1e84dc6a"
OTHER = "b9537abd8b904fcca82fb115e9b0640c"
START = 1_790_000_000_000

EVENTS: list[dict[str, Any]] = [
    *(
        {
            "type": "training_stats_scalar",
            "task": task,
            "metric": "loss",
            "variant": variant,
            "iter": i,
            "value": value / (i + 1),
            "timestamp": START + i * 1000,
        }
        for task in (TASK, OTHER)
        for variant, value in (("train", 1.0), ("test", 1.25))
        for i in range(4)
    ),
    {
        "type": "training_stats_scalar",
        "task": TASK,
        "metric": "Summary",
        "variant": "accuracy",
        "iter": -(2**31),
        "value": 0.97,
        "timestamp": START,
    },
    {
        "type": "training_stats_vector",
        "task": TASK,
        "metric": "weights",
        "variant": "hidden",
        "iter": 3,
        "values": [1, 5, 2],
        "timestamp": START,
    },
    *(
        {"type": "log", "task": TASK, "level": "info", "msg": f"epoch {i} done", "timestamp": START + i * 1000, "worker": "host1"}
        for i in range(3)
    ),
    {"type": "log", "task": TASK, "level": "error", "msg": "out of memory", "timestamp": START + 3000, "worker": "host1"},
    *(
        {
            "type": "training_debug_image",
            "task": TASK,
            "metric": "mistakes",
            "variant": "test",
            "iter": i,
            "url": f"http://127.0.0.1:8008/files/{i}.png",
            "timestamp": START + i,
        }
        for i in range(2)
    ),
    {
        "type": "plot",
        "task": TASK,
        "metric": "roc",
        "variant": "test",
        "iter": 3,
        "plot_str": '{"data": [{"y": [0, 1]}]}',
        "timestamp": START,
    },
]
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("debug.ping", {}),
    ("server.info", {}),
    ("events.add", EVENTS[0]),
    ("events.scalar_metrics_iter_histogram", {"task": TASK, "aggregation": "envelope"}),
    ("events.multi_task_scalar_metrics_iter_histogram", {"tasks": [TASK, OTHER], "metrics": [{"metric": "loss", "variants": ["train"]}]}),
    ("events.scalar_metrics_iter_raw", {"task": TASK, "metric": {"metric": "loss"}, "count_total": True}),
    ("events.get_scalar_metrics_and_variants", {"task": TASK}),
    ("events.get_task_latest_scalar_values", {"task": TASK}),
    ("events.get_task_single_value_metrics", {"tasks": [TASK]}),
    ("events.get_vector_metrics_and_variants", {"task": TASK}),
    ("events.vector_metrics_iter_histogram", {"task": TASK, "metric": "weights", "variant": "hidden"}),
    ("events.get_series", {"series": [{"task": TASK, "metric": "loss", "variants": ["train"]}]}),
    (
        "events.get_group_series",
        {"groups": [{"name": "both", "tasks": [TASK, OTHER]}], "metrics": [{"metric": "loss", "variants": ["train"]}]},
    ),
    ("events.get_thumbnails", {"tasks": [TASK], "metrics": [{"metric": "loss", "variants": ["train"]}]}),
    ("events.get_task_metrics", {"tasks": [TASK], "event_type": "training_debug_image"}),
    ("events.get_multi_task_metrics", {"tasks": [TASK]}),
    ("events.get_task_events", {"task": TASK, "event_type": "training_stats_scalar", "batch_size": 1}),
    ("events.get_task_storage", {"task": TASK}),
    ("events.get_task_log", {"task": TASK, "batch_size": 2}),
    ("events.get_task_log_lines", {"task": TASK, "position": 2, "count": 2}),
    ("events.get_task_log_overview", {"task": TASK, "slices": 4}),
    ("events.debug_images", {"metrics": [{"task": TASK}], "iters": 1}),
    ("events.get_debug_image_sample", {"task": TASK, "metric": "mistakes", "variant": "test"}),
    ("events.get_image_index", {"tasks": [TASK]}),
    ("events.get_task_plots", {"task": TASK}),
    ("events.get_multi_task_plots", {"tasks": [TASK]}),
    ("events.get_plot_sample", {"task": TASK, "metric": "roc"}),
    ("tasks.get_all", {"only_fields": ["id", "status", "last_iteration"], "order_by": ["id"]}),
    ("tasks.get_by_id_ex", {"id": [TASK], "only_fields": ["name", "status", "project.name"]}),
    ("projects.get_all_ex", {"only_fields": ["name"], "include_stats": True}),
    ("organization.get_tags", {}),
    ("users.get_current_user", {}),
]


def main() -> None:
    with tempfile.TemporaryDirectory() as data:
        env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK")}
        command = [sys.executable, "-m", "apiserver", "serve", "--port", "0", "--data", data]
        server = subprocess.Popen(command, cwd=ROOT, env={**env, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[3]
            call(url, "events.add_batch", "\n".join(map(json.dumps, EVENTS)).encode(), "application/json-lines")
            recorded = {name: {"request": body, "data": call(url, name, json.dumps(body).encode())} for name, body in CALLS}
        finally:
            server.terminate()
            server.wait()
    FILE.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")
    print(f"{FILE.relative_to(ROOT)}: {len(recorded)} answers")


def call(url: str, name: str, body: bytes, content_type: str = "application/json") -> Any:
    request = urllib.request.Request(f"{url}/{name}", body, {"Content-Type": content_type}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["data"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{name}: {error.read().decode()}") from None


if __name__ == "__main__":
    main()
