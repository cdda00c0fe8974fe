"""Tables of tasks on several servers: each keeps columns of its own, and none may show what was before."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from tests.bench.load import data
from tests.client import scalar
from tests.cluster.conftest import StartWorker
from tests.servers import elasticsearch_address, redis_address

LOSS_TRAIN = ".".join(hashlib.md5(name.encode()).hexdigest() for name in ("loss", "train"))


def test_patterns_and_orders_show_every_change_at_once_on_every_server(start_worker: StartWorker, prefix: str) -> None:
    store, state = f"{elasticsearch_address()}?prefix={prefix}", f"{redis_address()}?prefix={prefix}"
    clients = [start_worker(store, state).client() for _ in range(2)]
    chance = random.Random(7)
    known: dict[str, dict[str, Any]] = {}

    def names(**query: Any) -> list[list[str]]:
        return [[task["name"] for task in data(client, "tasks.get_all", only_fields=["name"], **query)["tasks"]] for client in clients]

    for step in range(60):
        client = clients[step % 2]
        kind = chance.choice(["create", "create", "rename", "edit", "delete", "report"]) if known else "create"
        if kind == "create":
            body = {"name": f"task {chance.randrange(100)} {step}", "value": chance.random(), "last": None}
            parameters = {"General": {"lr": {"value": str(body["value"]), "type": "float"}}}
            id = data(client, "tasks.create", name=body["name"], type="training", hyperparams=parameters)["id"]
            known[id] = body
        else:
            id = chance.choice(sorted(known))
            if kind == "rename":
                known[id]["name"] = f"task {chance.randrange(100)} renamed {step}"
                data(client, "tasks.update", task=id, name=known[id]["name"])
            elif kind == "edit":
                known[id]["value"] = chance.random()
                parameter = {"section": "General", "name": "lr", "value": str(known[id]["value"]), "type": "float"}
                data(client, "tasks.edit_hyper_params", task=id, hyperparams=[parameter])
            elif kind == "report":
                known[id]["last"] = chance.random()
                client.add_batch([scalar(id, "loss", "train", iter=step, value=known[id]["last"])])
            else:
                data(client, "tasks.delete", task=id, force=True)
                del known[id]
        tasks = [known[id] for id in sorted(known)]
        digit = str(chance.randrange(10))
        matching = sorted(task["name"] for task in tasks if digit in task["name"])
        for found in names(name=f"[{digit}]"):
            assert sorted(found) == matching, (step, kind)
        by_parameter = [task["name"] for task in sorted(tasks, key=lambda task: str(task["value"]))]
        for found in names(order_by=["hyperparams.General.lr.value"]):
            assert found == by_parameter, (step, kind)
        order = [f"-last_metrics.{LOSS_TRAIN}.value"]
        with_metric = [task["name"] for task in sorted(tasks, key=lambda task: -(task["last"] or 0)) if task["last"] is not None]
        for found in names(order_by=order):
            assert found[: len(with_metric)] == with_metric and len(found) == len(tasks), (step, kind)
