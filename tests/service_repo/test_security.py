"""Who is let in, and which pages may ask."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jwt
import pytest

from apiserver.service_repo import Identity
from apiserver.settings import make_settings
from tests.service_repo.conftest import BOSS, ONE, Api


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def whoami(api: Api, headers: dict[str, str]) -> Any:
    data = api.send("/v2.1/sample.echo", {"task": "t"}, headers=headers).get_json()["data"]
    return data.get("company"), data.get("user")


def test_the_company_comes_from_the_key(closed: Api) -> None:
    assert whoami(closed, basic("ONE:secret-one")) == ("c1", "default")
    assert whoami(closed, basic("TWO:secret-two")) == ("c2", "boss")
    assert whoami(closed, basic("Boss:pw")) == ("c2", "boss")


@pytest.mark.parametrize(
    ("header", "codes"),
    [
        ({}, (401, 20)),
        ({"Authorization": "Foo x"}, (401, 10)),
        ({"Authorization": "Basic %%%"}, (401, 21)),
        (basic("no separator"), (401, 22)),
        (basic("ONE:secret-two"), (401, 22)),
        (basic(":"), (401, 22)),
        ({"Authorization": "Bearer"}, (401, 30)),
        ({"Authorization": "Bearer a.b.c"}, (401, 30)),
        ({"Cookie": "clearml_token_basic=zzz"}, (401, 30)),
    ],
)
def test_bad_credentials_are_told_apart(closed: Api, header: dict[str, str], codes: tuple[int, int]) -> None:
    assert closed.codes("/sample.echo", {"task": "t"}, headers=header) == codes


def test_tokens_open_the_door_until_they_expire(closed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    token, life = closed.auth.make_token(BOSS, 5)
    assert life == 5
    assert whoami(closed, {"Authorization": f"Bearer {token}"}) == ("c2", "boss")
    assert whoami(closed, {"Cookie": f"clearml_token_basic={token}"}) == ("c2", "boss")
    now = jwt.decode(token, options={"verify_signature": False})["exp"] + 1
    monkeypatch.setattr("time.time", lambda: now)
    assert closed.codes("/sample.echo", {"task": "t"}, headers={"Authorization": f"Bearer {token}"}) == (401, 30)


@pytest.mark.parametrize("identity", [Identity("", "c1"), Identity("u", "")])
def test_a_token_without_an_identity_is_401(closed: Api, identity: Identity) -> None:
    token, _ = closed.auth.make_token(identity)
    assert closed.codes("/sample.echo", {"task": "t"}, headers={"Authorization": f"Bearer {token}"}) == (401, 30)


def test_a_token_of_another_secret_or_without_signature_is_401(closed: Api) -> None:
    token, _ = closed.auth.make_token(ONE)
    claims = jwt.decode(token, options={"verify_signature": False})
    for forged in (jwt.encode(claims, "x" * 32, algorithm="HS256"), jwt.encode(claims, None, algorithm="none")):
        assert closed.codes("/sample.echo", {"task": "t"}, headers={"Authorization": f"Bearer {forged}"}) == (401, 30)


def test_a_session_that_was_taken_back_is_401(closed: Api) -> None:
    token, _ = closed.auth.make_token(ONE)
    bearer = {"Authorization": f"Bearer {token}"}
    assert whoami(closed, bearer) == ("c1", "default")
    closed.identities.revoked.add(jwt.decode(token, options={"verify_signature": False})["session_id"])
    assert closed.codes("/sample.echo", {"task": "t"}, headers=bearer) == (401, 30)


def test_impersonation_is_for_administrators_and_stays_in_the_company(closed: Api) -> None:
    admin, user = basic("TWO:secret-two"), basic("ONE:secret-one")
    assert whoami(closed, {**admin, "X-ClearML-Impersonate-As": "hand"}) == ("c2", "hand")

    def codes(headers: dict[str, str]) -> tuple[int, int]:
        return closed.codes("/sample.echo", {"task": "t"}, headers=headers)

    assert codes({**admin, "X-ClearML-Act-As": "default"}) == (400, 6)
    assert codes({**user, "X-Trains-Impersonate-As": "default"}) == (400, 6)
    assert codes({**admin, "X-ClearML-Act-As": "hand", "X-ClearML-Impersonate-As": "hand"}) == (400, 5)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"Host": "127.0.0.1:8008"}, 200),
        ({"Host": "[::1]:8008"}, 200),
        ({"Host": "app.localhost"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "192.168.1.5:8008"}, 403),
        ({"Origin": "http://localhost:8080"}, 200),
        ({"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "cross-site"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_in_open_mode_foreign_hosts_and_pages_stay_out(api: Api, headers: dict[str, str], code: int) -> None:
    assert api.send("/sample.echo", {"task": "t"}, headers=headers).status_code == code
    assert api.send("/sample.public", {}, headers=headers).status_code == code


def test_with_credentials_required_only_cookies_are_tied_to_the_page(closed: Api) -> None:
    token, _ = closed.auth.make_token(ONE)
    foreign = {"Origin": "https://evil.example", "Host": "tracker.example"}
    own = {"Origin": "https://tracker.example", "Host": "tracker.example"}
    bearer, cookie = {"Authorization": f"Bearer {token}"}, {"Cookie": f"clearml_token_basic={token}"}
    codes = [
        closed.send("/sample.echo", {"task": "t"}, headers=h).status_code
        for h in ({**foreign, **bearer}, {**foreign, **cookie}, {**own, **cookie})
    ]
    assert codes == [200, 403, 200]


def test_configured_hosts_and_origins_are_ours(tmp_path: Path) -> None:
    api = Api(tmp_path, TIDEMARK__server__hosts="tracker.lan", TIDEMARK__cors__origins="https://app.example.org")
    assert (
        api.send("/sample.echo", {"task": "t"}, headers={"Host": "tracker.lan:8008", "Origin": "https://app.example.org"}).status_code
        == 200
    )


def test_the_public_key_of_a_web_application_is_for_open_mode(tmp_path_factory: pytest.TempPathFactory) -> None:
    opened, shut = Api(tmp_path_factory.mktemp("open")), Api(tmp_path_factory.mktemp("shut"), TIDEMARK_AUTH="required")
    assert opened.codes("/sample.echo", {"task": "t"}, headers=basic("WEB:known to all")) == (200, 0)
    assert shut.codes("/sample.echo", {"task": "t"}, headers=basic("WEB:known to all")) == (401, 22)


def test_secrets_do_not_show_in_a_printed_setting() -> None:
    env = {
        "TIDEMARK_ACCESS_KEY": "key",
        "TIDEMARK_SECRET_KEY": "hush",
        "TIDEMARK_STATE": "redis://:hush@host",
        "TIDEMARK__auth__token_secret": "hush",
    }
    companies = "{ clearml { id = x, users { default { password = hush, keys = [{ access_key = a, secret_key = hush }] } } } }"
    assert "hush" not in repr(make_settings(env | {"TIDEMARK__auth__companies": companies}))
