"""The SDK loses nothing when the server goes away for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.conftest import MakeSdk
from tests.clients.scripts import Mode, Sdk, finish
from tests.conftest import StartServer, own_store
from tests.process import wait_until
from tests.small_server import QuietHandler, SmallServer

pytestmark = pytest.mark.one_engine

WRITER = """
import os
from clearml import Task
task = Task.init("p/faults", "faults", auto_connect_frameworks=False)
print("TASK", task.id, flush=True)
i = 0
while i < 100 or not os.path.exists("stop"):
    task.get_logger().report_scalar("loss", "train", float(i), i)
    task.get_logger().report_text(f"line {i}")
    i += 1
    time.sleep(0.01)
task.close()
result(i)
"""


@contextmanager
def maintenance(port: int) -> Iterator[list[str]]:
    """In place of the server: everything is answered with 503 and Retry-After, as a proxy does."""
    asked: list[str] = []

    class Handler(QuietHandler):
        def handle_any(self) -> None:
            asked.append(self.path)
            self.body()
            self.reply(503, Retry_After="1", Connection="close")

        do_GET = do_POST = do_PUT = handle_any

    with SmallServer(Handler, port=port):
        yield asked


@pytest.mark.parametrize(("mode", "fault"), [("threads", "killed"), ("child", "restarted"), ("child", "maintenance")])
def test_nothing_is_lost(
    start_server: StartServer, engine_env: dict[str, str], make_sdk: MakeSdk, mode: Mode, fault: str, tmp_path: Path
) -> None:
    server = start_server(**own_store(engine_env))
    sdk = make_sdk(mode, server=server)
    writer = sdk.start(WRITER)
    assert writer.stdout is not None
    task = next(line for line in writer.stdout if line.startswith("TASK")).split()[1]
    client = server.client()
    wait_until(lambda: client.histogram(task).get("loss"), 60, "no scalars arrive")
    if fault == "killed":
        server.kill()
    else:
        server.stop()
    if fault == "maintenance":
        with maintenance(server.port) as asked:
            wait_until(lambda: any("add_batch" in path for path in asked), 60, "the SDK sends nothing")
    server.start()
    before = len(client.histogram(task)["loss"]["train"]["x"])
    wait_until(lambda: len(client.histogram(task)["loss"]["train"]["x"]) > before, 150, "the SDK does not come back")
    (sdk.home / "stop").touch()
    count = finish(writer, timeout=240).result
    assert client.histogram(task, samples=0)["loss"]["train"]["x"] == list(range(count))
    lines = {line for message in client.log(task) for line in message.split("\n")}
    assert {f"line {i}" for i in range(count)} <= lines


COMPANY = """auth { companies { clearml { id = "c", users {
  default { name = "Boss", role = "admin", keys = [{ access_key = "BOSS", secret_key = "boss-secret" }] }
  bob { name = "Bob", keys = [{ access_key = "BOB", secret_key = "bob-secret" }] }
} } } }"""


def test_nothing_is_lost_when_rights_change_and_all_tokens_end(start_server: StartServer, tmp_path: Path) -> None:
    """The SDK logs in again, and repeats the call with its old token and the new cookie."""
    config = tmp_path / "own.conf"
    config.write_text(COMPANY)
    server = start_server(TIDEMARK_AUTH="required", TIDEMARK_CONFIG=str(config))
    sdk = Sdk(server, tmp_path / "home", key=("BOB", "bob-secret"))
    writer = sdk.start(WRITER)
    assert writer.stdout is not None
    task = next(line for line in writer.stdout if line.startswith("TASK")).split()[1]
    boss = server.client("BOSS", "boss-secret")
    wait_until(lambda: boss.histogram(task).get("loss"), 60, "no scalars arrive")
    for role in ("superuser", "user", "admin"):
        before = len(boss.histogram(task)["loss"]["train"]["x"])
        assert boss.call("auth.edit_user", user="bob", role=role)["updated"] == 1
        wait_until(lambda: len(boss.histogram(task)["loss"]["train"]["x"]) > before, 60, "the SDK does not come back")  # noqa: B023
    (sdk.home / "stop").touch()
    count = finish(writer, timeout=240).result
    assert boss.histogram(task, samples=0)["loss"]["train"]["x"] == list(range(count))
    lines = {line for message in boss.log(task) for line in message.split("\n")}
    assert {f"line {i}" for i in range(count)} <= lines
