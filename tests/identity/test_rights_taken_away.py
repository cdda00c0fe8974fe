"""Rights that are taken away are gone: roles, users, keys, sessions and what was made with them."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.client import Client, log
from tests.conftest import StartServer, own_store
from tests.process import Server, wait_until

KEY = 'keys = [{{ access_key = "{0}", secret_key = "{1}" }}]'
BOTH = """
auth.companies {{ one {{ id = "company-one", users {{
  ann {{ name = "Ann", role = "{role}", {ann} }}
  bob {{ name = "Bob", {bob} }}
  {tom}
}} }}
two {{ id = "company-two", users {{ zoe {{ name = "Zoe", keys = [{{ access_key = "ZOE", secret_key = "z" }}] }} }} }} }}
"""
ANN, BOB, TOM = KEY.format("ANN", "a"), KEY.format("BOB", "b"), 'tom { name = "Tom", ' + KEY.format("TOM", "t") + " }"
BEFORE = BOTH.format(role="admin", ann=ANN, bob=BOB, tom=TOM)
ME = "users.get_current_user"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "own.conf"
    path.write_text(BEFORE)
    return path


@pytest.fixture
def server(start_server: StartServer, config: Path, engine_env: dict[str, str]) -> Server:
    return start_server(TIDEMARK_AUTH="required", TIDEMARK_CONFIG=str(config), **own_store(engine_env))


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))  # type: ignore[no-any-return]


def token_of(client: Client, **headers: str) -> str:
    return str(client.raw("/auth.login", {}, headers=headers).data["token"])


def test_tokens_of_removed_users_replaced_keys_and_lost_roles_are_refused_after_a_restart(server: Server, config: Path) -> None:
    ann, bob, tom = server.client("ANN", "a"), server.client("BOB", "b"), server.client("TOM", "t")
    made = tom.call("auth.create_credentials")["credentials"]
    tokens = {"tom": token_of(tom), "made": token_of(server.client(made["access_key"], made["secret_key"])), "bob": token_of(bob)}
    tokens["bob by ann"] = token_of(ann, **{"X-Clearml-Impersonate-As": "bob"})
    own = bob.call("auth.create_credentials")["credentials"]
    tokens["bob's own"] = token_of(server.client(own["access_key"], own["secret_key"]))
    for token in tokens.values():
        server.client(token=token).call(ME)
    server.stop()
    config.write_text(BOTH.format(role="guest", ann=ANN, bob=KEY.format("BOB", "another secret"), tom=""))
    server.start()
    codes = {name: server.client(token=token).raw(f"/{ME}").codes for name, token in tokens.items()}
    refused = (401, 30)
    assert codes == {"tom": refused, "made": refused, "bob": refused, "bob by ann": refused, "bob's own": (200, 0)}
    assert server.client(made["access_key"], made["secret_key"]).refused(ME).codes == (401, 22)
    assert server.client("ANN", "a").refused("tasks.create", name="x", type="training").codes == (403, 20)


def test_a_token_got_without_credentials_is_refused_once_they_are_needed(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    token = token_of(server.client())
    assert server.client(token=token).call(ME)["user"]["id"]
    server.stop()
    server.env["TIDEMARK_AUTH"] = "required"
    server.start()
    assert server.client(token=token).refused(ME).codes == (401, 30)


def test_a_child_of_a_token_ends_with_its_parent(server: Server) -> None:
    parent = server.client("BOB", "b").call("auth.login", expiration_sec=600)["token"]
    child = server.client(token=parent).call("auth.login", expiration_sec=31536000)["token"]
    assert claims(child)["exp"] <= claims(parent)["exp"]
    grandchild = server.client(token=child).call("auth.login")["token"]
    server.client(token=parent).call("login.logout")
    for token in (parent, child, grandchild):
        assert server.client(token=token).refused(ME).codes == (401, 30)


def test_a_key_made_for_another_ends_with_the_right_to_act_for_them(server: Server) -> None:
    ann, bob = server.client("ANN", "a"), server.client("BOB", "b")
    made = ann.raw("/auth.create_credentials", {}, headers={"X-Clearml-Impersonate-As": "bob"}).data["credentials"]
    key = server.client(made["access_key"], made["secret_key"])
    token = token_of(key)
    assert key.call(ME)["user"]["id"] == "bob" == server.client(token=token).call(ME)["user"]["id"]
    assert made["access_key"] in [one["access_key"] for one in bob.call("auth.get_credentials")["credentials"]]
    ann.call("auth.edit_user", user="ann", role="user")
    wait_until(lambda: server.client(token=token).raw(f"/{ME}").codes == (401, 30), 20, "the token of the key lives on")
    assert server.client(made["access_key"], made["secret_key"]).refused(ME).codes == (401, 22)
    own = bob.call("auth.create_credentials")["credentials"]
    assert server.client(own["access_key"], own["secret_key"]).call(ME)["user"]["id"] == "bob"


def test_a_demotion_takes_effect_at_once_for_keys_and_within_seconds_for_those_who_act_for_others(server: Server) -> None:
    ann, bob = server.client("ANN", "a"), server.client("BOB", "b")
    bob.call(ME)
    acting = server.client(token=token_of(ann, **{"X-Clearml-Impersonate-As": "tom"}))
    assert acting.call(ME)["user"]["id"] == "tom"
    ann.call("auth.edit_user", user="bob", role="guest")
    assert bob.refused("tasks.create", name="x", type="training").codes == (403, 20)
    ann.call("auth.edit_user", user="ann", role="user")
    assert acting.refused(ME).codes == (401, 30)


@pytest.mark.parametrize("path", ["/api/runs/{id}/logs/ws", "/api/live"])
def test_a_live_socket_closes_with_its_session(server: Server, path: str) -> None:
    bob = server.client("BOB", "b")
    address = f"ws{server.url[4:]}{path.format(id=bob.new_task('followed'))}?token="
    token = token_of(bob)
    socket = websocket.create_connection(address + token, timeout=30)
    other = websocket.create_connection(address + token_of(bob), timeout=30)
    server.client(token=token).call("login.logout")
    started = time.monotonic()
    opcode, data = socket.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE and int.from_bytes(data[:2], "big") == 1008
    assert time.monotonic() - started < 20
    assert other.connected
    other.settimeout(0.1)
    with pytest.raises(websocket.WebSocketTimeoutException):
        other.recv()
    other.close()


def test_a_socket_of_another_company_closes_when_the_run_is_private_again(server: Server) -> None:
    bob, zoe = server.client("BOB", "b"), server.client("ZOE", "z")
    task = bob.new_task("shown for a while")
    bob.add(log(task, "for all"))
    bob.call("tasks.make_public", ids=[task])
    address = f"ws{server.url[4:]}/api/runs/{task}/logs/ws?token="
    theirs, mine = (websocket.create_connection(address + token_of(client), timeout=30) for client in (zoe, bob))
    assert "for all" in theirs.recv() and "for all" in mine.recv()
    bob.call("tasks.make_private", ids=[task])
    frames = []
    while (frame := theirs.recv_data())[0] != websocket.ABNF.OPCODE_CLOSE:
        frames.append(frame[1])
    assert frames == [b"[error] run not found"]
    bob.add(log(task, "for us"))
    assert "for us" in mine.recv()
    mine.close()


def test_a_socket_of_a_key_closes_when_the_key_is_revoked(server: Server) -> None:
    bob = server.client("BOB", "b")
    made = bob.call("auth.create_credentials")["credentials"]
    basic = base64.b64encode(f"{made['access_key']}:{made['secret_key']}".encode()).decode()
    address = f"ws{server.url[4:]}/api/runs/{bob.new_task('followed')}/logs/ws"
    socket = websocket.create_connection(address, timeout=30, header=[f"Authorization: Basic {basic}"])
    bob.call("auth.revoke_credentials", access_key=made["access_key"])
    opcode, data = socket.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE and int.from_bytes(data[:2], "big") == 1008
