"""Users, keys, roles and logins, through the API."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from tests.answers import check_data
from tests.client import Answer, Client, log
from tests.conftest import StartServer
from tests.process import ROOT, Server

WEB = ("WEBKEY", "web-secret")

CONFIG = """
auth {{
  web_access_key = "WEBKEY"
  web_secret_key = "web-secret"
  companies {{
    one {{ id = "company-one", users {{
      ann {{ name = "Ann Lee", role = "admin", keys = [{{ access_key = "ANN", secret_key = "ann-secret" }}] }}
      bob {{ name = "Bob", keys = [{{ access_key = "BOB", secret_key = "bob-secret" }}], password = "{password}" }}
      old {{ name = "Old", password = "$2b$04$SHWxTLSm1plSUtpItJT4UOYlGevECMOeR5M5IJRHdjEl.4B4yT5B." }}
      tom {{ name = "Tom", keys = [{{ access_key = "TOM", secret_key = "tom-secret" }}] }}
    }} }}
    two {{ id = "company-two", users {{ zoe {{ name = "Zoe", role = "root", keys = [{{ access_key = "ZOE", secret_key = "zoe-secret" }}] }} }} }}
  }}
}}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("config") / "own.conf"
    path.write_text(CONFIG.format(password=PasswordHasher(time_cost=1, memory_cost=1024).hash("swordfish")))
    return str(path)


@pytest.fixture(scope="module")
def required(engine_env: dict[str, str], config: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two companies that wants credentials."""
    env = {**engine_env, "TIDEMARK_AUTH": "required", "TIDEMARK_CONFIG": config}
    server = Server(tmp_path_factory.mktemp("identity"), env, check=check_data)
    yield server.start()
    server.stop()


@pytest.fixture
def ann(required: Server) -> Client:
    return required.client("ANN", "ann-secret")


@pytest.fixture
def bob(required: Server) -> Client:
    return required.client("BOB", "bob-secret")


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))  # type: ignore[no-any-return]


def cookie_of(answer: Answer) -> str:
    return next(cookie for cookie in answer.cookies if cookie.startswith("clearml_token_basic=")).split(";")[0]


# --- logins


def test_a_token_tells_who_its_owner_is(ann: Client) -> None:
    found = claims(ann.call("auth.login")["token"])
    assert found["identity"] == {
        "user": "ann",
        "company": "company-one",
        "role": "admin",
        "user_name": "Ann Lee",
        "company_name": "one",
    }


@pytest.mark.parametrize(("name", "password"), [("Bob", "swordfish"), ("Old", "tr0ub4dor")])
def test_a_user_logs_in_with_name_and_password(required: Server, name: str, password: str) -> None:
    """Bob's is an argon2 hash, Old's a bcrypt one."""
    answer = required.client(name, password).raw("/auth.login")
    assert answer.codes == (200, 0)
    user = required.client().raw("/users.get_current_user", headers={"Cookie": cookie_of(answer)}).data["user"]
    assert user["name"] == name and user["company"] == {"id": "company-one", "name": "one"}


def test_a_wrong_password_is_refused(required: Server) -> None:
    """How guessing is slowed down: tests/security/test_passwords.py."""
    assert required.client("Old", "guess").raw("/auth.login").codes == (401, 22)


def test_a_password_is_no_longer_hashed_once_it_was_checked(required: Server) -> None:
    """Twenty checks a minute are allowed, and a client that sends Basic with each call stays far below."""
    client = required.client("Bob", "swordfish")
    assert {client.raw("/users.get_current_user").status for _ in range(30)} == {200}


def test_validate_token(ann: Client) -> None:
    token = ann.call("auth.login")["token"]
    assert ann.call("auth.validate_token", token=token) == {"valid": True, "msg": ""}
    assert ann.call("auth.validate_token", token=token + "x")["valid"] is False
    assert ann.call("auth.validate_token", token="x")["msg"]


def test_logging_out_ends_the_session(required: Server, bob: Client) -> None:
    answer = bob.raw("/auth.login")
    cookie, token = cookie_of(answer), answer.data["token"]
    gone = required.client().raw("/login.logout", headers={"Cookie": cookie})
    assert gone.codes == (200, 0) and "Max-Age=0" in gone.cookies[0]
    assert required.client().raw("/users.get_current_user", headers={"Cookie": cookie}).codes == (401, 30)
    assert required.client(token=token).raw("/users.get_current_user").codes == (401, 30)
    assert bob.raw("/users.get_current_user").codes == (200, 0)


def test_supported_modes_says_whether_a_login_is_needed(required: Server, bob: Client) -> None:
    modes = required.client().call("login.supported_modes")
    assert modes["authenticated"] is False and modes["basic"]["enabled"] is True
    assert modes["sso"] == {} and modes["sso_providers"] == []
    assert bob.call("login.supported_modes")["authenticated"] is True


def test_an_outdated_token_in_the_header_does_not_hide_the_newer_login_in_the_cookie(required: Server, bob: Client) -> None:
    """As ClearML's SDK repeats a call after a 401. Anything else in the header wins over the cookie."""
    answer = bob.raw("/auth.login")
    old = answer.data["token"]
    required.client().raw("/login.logout", headers={"Cookie": cookie_of(answer)})
    newer = cookie_of(bob.raw("/auth.login"))
    of_tom = cookie_of(required.client("TOM", "tom-secret").raw("/auth.login"))
    client = required.client(token=old)
    assert client.raw("/users.get_current_user").codes == (401, 30)
    assert client.raw("/users.get_current_user", headers={"Cookie": newer}).data["user"]["id"] == "bob"
    assert client.raw("/users.get_current_user", headers={"Cookie": of_tom}).codes == (401, 30)
    assert required.client(token=old[:-3] + "abc").raw("/users.get_current_user", headers={"Cookie": newer}).codes == (401, 30)
    assert required.client("BOB", "wrong").raw("/users.get_current_user", headers={"Cookie": newer}).codes == (401, 22)


# --- keys


def test_a_made_key_works_until_it_is_revoked_and_so_do_its_tokens(required: Server, bob: Client) -> None:
    made = bob.call("auth.create_credentials", label="laptop")["credentials"]
    own = required.client(made["access_key"], made["secret_key"])
    assert own.call("users.get_current_user")["user"]["id"] == "bob"
    token = own.call("auth.login")["token"]
    renewed = required.client(token=token).call("auth.login")["token"]
    assert required.client(made["access_key"], "wrong").refused("users.get_current_user").codes == (401, 22)
    assert bob.call("auth.revoke_credentials", access_key=made["access_key"]) == {"revoked": 1}
    assert own.refused("users.get_current_user").codes == (401, 22)
    for old in (token, renewed):
        assert required.client(token=old).refused("users.get_current_user").codes == (401, 30)
    assert bob.call("auth.revoke_credentials", access_key=made["access_key"]) == {"revoked": 0}


def test_keys_are_listed_with_label_and_last_use_and_without_secrets(required: Server, bob: Client) -> None:
    made = bob.call("auth.create_credentials", label="laptop")["credentials"]
    required.client(made["access_key"], made["secret_key"], worker="host:gpu0").call("auth.login")
    bob.call("auth.edit_credentials", access_key=made["access_key"], label="desk")
    answer = bob.call("auth.get_credentials")
    found = {key["access_key"]: key for key in answer["credentials"]}
    key = found[made["access_key"]]
    assert (key["label"], key["last_used_from"]) == ("desk", "host:gpu0") and key["last_used"]
    unused = bob.call("auth.create_credentials")["credentials"]["access_key"]
    keys = {key["access_key"]: key for key in bob.call("auth.get_credentials")["credentials"]}
    assert keys[unused]["last_used"] is None
    assert found["BOB"]["last_used"] and found["BOB"]["last_used_from"] == "w"
    assert made["secret_key"] not in json.dumps(answer) and "bob-secret" not in json.dumps(answer)


def test_nobody_touches_the_keys_of_others(required: Server, bob: Client) -> None:
    made = bob.call("auth.create_credentials")["credentials"]
    for other in (required.client("TOM", "tom-secret"), required.client("ZOE", "zoe-secret")):
        assert made["access_key"] not in json.dumps(other.call("auth.get_credentials"))
        assert other.call("auth.revoke_credentials", access_key=made["access_key"]) == {"revoked": 0}
        assert other.call("auth.edit_credentials", access_key=made["access_key"], label="x") == {"updated": 0}
    assert required.client(made["access_key"], made["secret_key"]).call("users.get_current_user")["user"]["id"] == "bob"


def test_a_key_of_the_configuration_is_not_revoked_by_a_call(bob: Client) -> None:
    assert bob.refused("auth.revoke_credentials", access_key="BOB").codes == (400, 16)


# --- users and roles


def test_an_administrator_changes_a_role_and_old_tokens_stop(required: Server, ann: Client) -> None:
    tom = required.client("TOM", "tom-secret")
    token = tom.call("auth.login")["token"]
    assert tom.refused("auth.edit_user", user="bob", role="guest").codes == (403, 20)
    assert ann.call("auth.edit_user", user="tom", role="admin") == {"updated": 1, "fields": {"role": "admin"}}
    assert required.client(token=token).refused("users.get_current_user").codes == (401, 30)
    assert tom.call("users.get_current_user")["user"]["role"] == "admin"
    assert claims(tom.call("auth.login")["token"])["identity"]["role"] == "admin"
    assert ann.call("auth.edit_user", user="tom", role="admin")["updated"] == 0
    assert ann.call("auth.edit_user", user="tom", role="user")["updated"] == 1


@pytest.mark.parametrize(
    ("fields", "codes"),
    [
        ({"user": "nobody", "role": "user"}, (400, 1001)),
        ({"user": "zoe", "role": "user"}, (400, 1001)),
        ({"user": "tom", "role": "king"}, (400, 12)),
        ({"user": "tom", "role": "root"}, (403, 20)),
        ({"user": "tom"}, (400, 12)),
    ],
)
def test_roles_that_can_not_be_given(ann: Client, fields: dict[str, str], codes: tuple[int, int]) -> None:
    assert ann.refused("auth.edit_user", fields).codes == codes


def test_an_administrator_makes_users_in_his_own_company_only(ann: Client, bob: Client) -> None:
    id = ann.call("auth.create_user", name="New One", email="new@example.org", company="one")["id"]
    assert ann.call("users.get_by_id", user=id)["user"]["email"] == "new@example.org"
    assert ann.refused("auth.create_user", name="New One").codes == (400, 801)
    assert ann.refused("auth.create_user", name="Spy", company="two").codes == (400, 16)
    assert bob.refused("auth.create_user", name="Friend").codes == (403, 20)


def test_users_are_listed_by_company(required: Server, ann: Client) -> None:
    assert [user["id"] for user in required.client("ZOE", "zoe-secret").call("users.get_all")["users"]] == ["zoe"]
    names = [user["name"] for user in ann.call("users.get_all", only_fields=["name"])["users"]]
    assert {"Ann Lee", "Bob", "Old", "Tom"} <= set(names) and names == sorted(names)
    [only] = ann.call("users.get_all_ex", id=["bob", "zoe"])["users"]
    assert only["company"] == {"id": "company-one", "name": "one"} and only["id"] == "bob"
    assert ann.refused("users.get_by_id", user="zoe").codes == (400, 1001)


def test_acting_for_somebody_is_for_administrators_and_inside_their_company(ann: Client, bob: Client) -> None:
    header = {"X-Clearml-Impersonate-As": "bob"}
    assert ann.raw("/users.get_current_user", headers=header).data["user"]["id"] == "bob"
    assert ann.raw("/users.get_current_user", headers={"X-Trains-Act-As": "bob"}).data["user"]["id"] == "bob"
    assert bob.raw("/users.get_current_user", headers={"X-Clearml-Impersonate-As": "ann"}).codes == (400, 6)
    assert ann.raw("/users.get_current_user", headers={"X-Clearml-Impersonate-As": "zoe"}).codes == (400, 6)
    both = {"X-Clearml-Impersonate-As": "bob", "X-Clearml-Act-As": "bob"}
    assert ann.raw("/users.get_current_user", headers=both).codes == (400, 5)


def test_preferences_are_replaced_by_dotted_name_and_belong_to_one_user(required: Server, ann: Client, bob: Client) -> None:
    assert ann.call("users.get_preferences") == {"preferences": {"version": 1}}
    ann.call("users.set_preferences", preferences={"version": 2, "charts.x--DOT--y": {"axis": "iter", "filters": {"name": "a"}}})
    answer = ann.call("users.set_preferences", preferences={"charts.smooth": 0.5, "hidden": ["a"]}, return_updated=True)
    expected: dict[str, Any] = {
        "version": 2,
        "charts": {"x--DOT--y": {"axis": "iter", "filters": {"name": "a"}}, "smooth": 0.5},
        "hidden": ["a"],
    }
    assert answer["preferences"] == expected
    ann.call("users.set_preferences", preferences={"charts.x--DOT--y": {"axis": "time", "filters": {}}})
    expected["charts"]["x--DOT--y"] = {"axis": "time", "filters": {}}
    assert ann.call("users.get_preferences") == {"preferences": expected}
    ann.call("users.set_preferences", preferences={"charts": {"smooth": 0.1}})
    expected["charts"] = {"smooth": 0.1}
    assert ann.call("users.get_preferences") == {"preferences": expected}
    assert bob.call("users.get_preferences") == {"preferences": {"version": 1}}


def test_the_current_user_has_what_the_web_application_reads(bob: Client) -> None:
    answer = bob.call("users.get_current_user", get_supported_features=True)
    assert answer["user"]["id"] == "bob" and answer["user"]["role"] == "user"
    assert answer["settings"]["max_download_items"] > 0 and "getting_started" in answer


def test_tags_of_the_company(bob: Client, required: Server) -> None:
    bob.new_task("tagged task", tags=["b", "a"], system_tags=["development"])
    assert bob.call("organization.get_tags") == {"tags": ["a", "b"]}
    assert bob.call("organization.get_tags", include_system=True)["system_tags"] == ["development"]
    assert required.client("ZOE", "zoe-secret").call("organization.get_tags")["tags"] == []


def test_a_company_has_its_users_as_owners(bob: Client) -> None:
    (company,) = bob.call("organization.get_user_companies")["companies"]
    owners = {owner["id"]: owner["name"] for owner in company["owners"]}
    assert company["name"] == "one" and company["allocated"] == len(owners)
    assert owners["ann"] == "Ann Lee" and owners["bob"] == "Bob" and "zoe" not in owners


def test_users_are_found_by_the_projects_they_work_in(ann: Client, bob: Client, required: Server) -> None:
    top = ann.call("projects.create", name="active users")["id"]
    below = ann.call("projects.create", name="active users/below")["id"]
    empty = ann.call("projects.create", name="nobody works here")["id"]
    bob.new_task(project=below)
    tom = required.client("TOM", "tom-secret")
    tom.call("models.create", name="m", uri="u", project=top)

    def active(*projects: str, **query: Any) -> set[str]:
        found = ann.call("users.get_all_ex", query, active_in_projects=list(projects))["users"]
        return {user["id"] for user in found}

    assert active(top) == {"ann", "bob", "tom"} and active(below) == {"ann", "bob"}
    assert active(empty) == {"ann"} and active("nope") == set()
    assert active(top, id=["bob", "zoe"]) == {"bob"} and active(top, id=["zoe"]) == set()
    assert {"ann", "bob", "tom"} <= active() and "old" not in active()
    assert "old" in {user["id"] for user in ann.call("users.get_all_ex")["users"]}


def test_the_server_reports_nothing_to_anybody(bob: Client) -> None:
    assert bob.call("server.report_stats_option", enabled=True)["enabled"] is False


# --- the web application's name-only login


def test_the_public_key_of_a_web_application_is_good_in_open_mode_only(required: Server) -> None:
    assert required.client(*WEB).refused("users.get_all").codes == (401, 22)


def test_the_name_only_login_of_the_web_application(start_server: StartServer, config: str) -> None:
    server = start_server(TIDEMARK_CONFIG=config, TIDEMARK__auth__default_company="one", TIDEMARK__auth__default_user="bob")
    web = server.client(*WEB)
    assert server.client().call("login.supported_modes") == {
        **server.client().call("login.supported_modes"),
        "authenticated": True,
        "basic": {"enabled": False, "guest": {"enabled": False, "name": "", "username": "", "password": ""}},
    }
    names = {user["name"]: user["id"] for user in web.raw("/v999.0/users.get_all", b"null").data["users"]}
    assert "Tom" in names
    new = web.call("auth.create_user", name="Eve", email="eve@example.org", company="company-one", given_name="Eve", family_name="")["id"]
    for id in (names["Tom"], new):
        answer = web.raw("/v999.0/auth.login", b"null", headers={"X-Clearml-Impersonate-As": id})
        me = server.client().raw("/v999.0/users.get_current_user", {"get_supported_features": True}, headers={"Cookie": cookie_of(answer)})
        assert me.data["user"]["id"] == id
    assert web.raw("/users.get_current_user").data["user"]["id"] == "bob"  # without a chosen name: the default user, with his rights
    assert web.refused("auth.edit_user", user="bob", role="admin").codes == (403, 20)


# --- keys on the command line


def keys(server: Server, *args: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "CLEARML_"))}
    env |= {"TIDEMARK_DATA": str(server.data), "TIDEMARK_PORT": str(server.port)} | server.env
    command = [sys.executable, "-m", "apiserver", "keys", *args]
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return dict(line.removeprefix("export ").split("=", 1) for line in run.stdout.splitlines() if line.startswith("export "))


def test_keys_makes_keys_that_a_running_server_takes_at_once(start_server: StartServer, task: str) -> None:
    server = start_server(TIDEMARK_AUTH="required")
    first = keys(server)
    assert first["CLEARML_API_HOST"] == server.url and first["CLEARML_FILES_HOST"] == f"{server.url}/files"
    assert keys(server) == first
    own = server.client(first["CLEARML_API_ACCESS_KEY"], first["CLEARML_API_SECRET_KEY"])
    other_keys = keys(server, "--company", "other")
    other = server.client(other_keys["CLEARML_API_ACCESS_KEY"], other_keys["CLEARML_API_SECRET_KEY"])
    me = other.call("users.get_current_user")["user"]
    assert me["company"]["name"] == "other"
    own.add(log(task, "mine"))
    assert other.refused("events.get_task_log", task=task).codes == (400, 101)
    again = keys(server, "--company", "other")
    assert again["CLEARML_API_ACCESS_KEY"] != other_keys["CLEARML_API_ACCESS_KEY"]
    second = server.client(again["CLEARML_API_ACCESS_KEY"], again["CLEARML_API_SECRET_KEY"])
    assert second.call("users.get_current_user")["user"]["company"] == me["company"]
    server.stop()
    server.start()
    assert other.call("users.get_current_user")["user"]["company"] == me["company"]


def test_the_credentials_file_stays_private(start_server: StartServer) -> None:
    server = start_server()
    keys(server, "--company", "other")
    assert Path(server.data / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_a_client_that_asks_for_vaults_gets_none(ann: Client) -> None:
    """ClearML's SDK asks so when its feature set is not the basic one."""
    answer = ann.send("GET", "/v2.23/users.get_vaults?enabled=true&types=config&types=config")
    assert answer.codes == (200, 0) and answer.data == {"vaults": []}


def test_keys_made_at_the_same_time_are_all_kept(start_server: StartServer) -> None:
    """Six processes at once: each reads the file, adds its key, and writes it."""
    server = start_server(TIDEMARK_AUTH="required")
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda number: keys(server, "--company", "other", "--user", f"u{number}"), range(6)))
    pairs = [(block["CLEARML_API_ACCESS_KEY"], block["CLEARML_API_SECRET_KEY"]) for block in made]
    assert [server.client(*pair).raw("/users.get_current_user").codes for pair in pairs] == [(200, 0)] * 6
