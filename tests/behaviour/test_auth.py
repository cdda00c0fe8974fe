"""Who is calling: docs/protocol.md, "Authentication", in both modes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.client import Answer, Client, log
from tests.conftest import StartServer, credentials
from tests.process import Server

KEY, SECRET = "TESTKEY0000000000000", "test-secret-0000000000000000000000"


@pytest.fixture(scope="module")
def required(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Server:  # type: ignore[misc]
    """A server that wants credentials."""
    from tests.answers import check_data

    env = {**engine_env, "TIDEMARK_AUTH": "required", "TIDEMARK_ACCESS_KEY": KEY, "TIDEMARK_SECRET_KEY": SECRET}
    server = Server(tmp_path_factory.mktemp("required"), env, check=check_data)
    yield server.start()
    server.stop()


def ask(server: Server, authorization: str | None, **headers: str) -> Answer:
    sent = dict(headers)
    if authorization is not None:
        sent["Authorization"] = authorization
    return server.client().raw("/events.get_task_log", {"task": "t"}, headers=sent)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode("latin-1")).decode()


def claims(token: str) -> dict[str, object]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("authorization", "codes"),
    [
        (None, (401, 20)),
        ("Foo x", (401, 10)),
        (basic("no separator"), (401, 22)),
        (basic("unknown:secret"), (401, 22)),
        (basic(f"{KEY}:wrong"), (401, 22)),
        ("Basic !!!", (401, 21)),
        ("Bearer nonsense", (401, 30)),
        ("Bearer a.b.c", (401, 30)),
        ("Bearer eyJhbGciOiJub25lIn0.e30.", (401, 30)),
        (basic(f"{KEY}:{SECRET}"), (400, 101)),
    ],
)
def test_credentials_are_told_apart(required: Server, authorization: str | None, codes: tuple[int, int]) -> None:
    assert ask(required, authorization).codes == codes


def test_login_gives_a_token_that_the_sdk_can_read(required: Server) -> None:
    token = required.client(KEY, SECRET).call("auth.login")["token"]
    found = claims(token)
    assert found["auth_type"] == "Bearer" and found["api_version"] == "2.34" and found["feature_set"] == "basic"
    assert set(found["identity"]) >= {"user", "company", "role", "user_name", "company_name"}  # type: ignore[call-overload]
    assert found["exp"] - found["iat"] == 30 * 86400  # type: ignore[operator]
    assert required.client(token=token).refused("events.get_task_log", task="t").codes == (400, 101)


def test_a_token_can_be_renewed_with_itself_and_with_its_own_life_time(required: Server) -> None:
    token = required.client(KEY, SECRET).call("auth.login", expiration_sec=500)["token"]
    found = claims(token)
    assert found["exp"] - found["iat"] == 500  # type: ignore[operator]
    renewed = required.client(token=token).call("auth.login")["token"]
    assert ask(required, f"Bearer {renewed}").codes == (400, 101)


def test_the_login_cookie_counts_as_a_token_and_a_header_wins_over_it(required: Server) -> None:
    answer = required.client(KEY, SECRET).raw("/auth.login")
    cookie = next(cookie for cookie in answer.cookies if cookie.startswith("clearml_token_basic="))
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
    pair = cookie.split(";")[0]
    assert ask(required, None, Cookie=pair).codes == (400, 101)
    assert ask(required, basic("a:b"), Cookie=pair).codes == (401, 22)


def test_a_token_signed_by_somebody_else_is_refused(required: Server) -> None:
    token = required.client(KEY, SECRET).call("auth.login")["token"]
    head, payload, signature = token.split(".")
    forged = ".".join([head, payload, signature[::-1]])
    assert ask(required, f"Bearer {forged}").codes == (401, 30)


def test_ping_needs_no_credentials(required: Server) -> None:
    assert required.client().raw("/debug.ping").codes == (200, 0)


def test_open_mode_takes_calls_without_credentials_but_checks_those_that_are_sent(server: Client, task: str) -> None:
    assert server.add(log(task, "hello"))["added"] == 1
    nobody = Client(f"http://{server.host}:{server.port}", "nobody", "nothing")
    assert nobody.refused("events.get_task_log", task=task).codes == (401, 22)


def test_keys_are_made_at_the_first_start_and_kept(start_server: StartServer, task: str) -> None:
    first = start_server(TIDEMARK_AUTH="required")
    path = Path(first.data / "credentials.json")
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    key, secret = credentials(first)
    token = first.client(key, secret).call("auth.login")["token"]
    first.client(key, secret).add(log(task, "hello"))
    first.stop()
    first.start()
    assert path.read_bytes() == before
    assert first.client(key, secret).log(task) == ["hello"]
    assert first.client(token=token).log(task) == ["hello"]
