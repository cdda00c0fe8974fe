"""Settings: where they come from, which wins, and what a mistake says."""

from __future__ import annotations

from pathlib import Path

import pytest

from apiserver.common.addresses import without_password
from apiserver.engine import sqlite_path
from apiserver.errors import StartupError
from apiserver.settings import is_loopback, make_settings
from apiserver.stores.elastic.client import parse_url
from apiserver.stores.redis import RedisClient


def test_stronger_sources_win(tmp_path: Path) -> None:
    own = tmp_path / "own.conf"
    own.write_text('server { port = 1, host = "localhost" }, cors.origins = ["https://a.example"]')
    env = {"TIDEMARK_CONFIG": str(own)}
    assert make_settings({}).server.port == 8008
    assert make_settings(env).server.port == 1
    assert make_settings(env).cors.origins == ("https://a.example",)
    assert make_settings(env | {"TIDEMARK__server__port": "2"}).server.port == 2
    assert make_settings(env | {"TIDEMARK__server__port": "2", "TIDEMARK_PORT": "3"}).server.port == 3
    assert make_settings(env | {"TIDEMARK_PORT": "3"}, {"server.port": 4, "server.host": None}).server.port == 4


def test_values_take_the_declared_type() -> None:
    settings = make_settings(
        {"TIDEMARK__cors__loopback": "no", "TIDEMARK__redis__timeout": "1.5", "TIDEMARK__cors__origins": "http://a, http://b"}
    )
    assert (settings.cors.loopback, settings.redis.timeout, settings.cors.origins) == (False, 1.5, ("http://a", "http://b"))


def test_the_mode_follows_the_address() -> None:
    assert make_settings({}).open
    assert not make_settings({"TIDEMARK_HOST": "0.0.0.0"}).open
    assert not make_settings({"TIDEMARK_AUTH": "required"}).open
    assert make_settings({"TIDEMARK_HOST": "0.0.0.0", "TIDEMARK_AUTH": "open", "TIDEMARK_ALLOW_OPEN": "1"}).open


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"TIDEMARK_PORT": "x"}, ["TIDEMARK_PORT", "whole number", "'x'"]),
        ({"TIDEMARK_PORT": "-1"}, ["TIDEMARK_PORT", "server.port", "0 or more", "'-1'"]),
        ({"TIDEMARK__redis__timeout": "nan"}, ["TIDEMARK__redis__timeout", "a number"]),
        ({"TIDEMARK__cors__loopback": "maybe"}, ["cors.loopback", "true or false"]),
        ({"TIDEMARK__cors__origins": "[1, 2]"}, ["cors.origins", "a list of strings"]),
        ({"TIDEMARK__events__state_expiration": "0"}, ["events.state_expiration", "at least 1"]),
        ({"TIDEMARK__elastic__connect_timeout": "0"}, ["elastic.connect_timeout", "more than 0"]),
        ({"TIDEMARK__auth__companies": "{ a { id = 1, users { b { key = [] } } } }"}, ["auth.companies", "`key`", "config/auth.conf"]),
        ({"TIDEMARK_PORT": "70000"}, ["server.port", "65535"]),
        ({"TIDEMARK__server__prot": "1"}, ["TIDEMARK__server__prot", '"server.prot"']),
        ({"TIDEMARK__nowhere__a": "1"}, ["TIDEMARK__nowhere__a"]),
        ({"TIDEMARK_AUTH": "closed"}, ["TIDEMARK_AUTH", "open or required"]),
        ({"TIDEMARK_UNKNOWN_TASKS": "x"}, ["TIDEMARK_UNKNOWN_TASKS"]),
        ({"TIDEMARK_STORE": "mysql://x"}, ["TIDEMARK_STORE"]),
        ({"TIDEMARK_STORE": "http://localhost:9200"}, ["TIDEMARK_STATE"]),
        ({"TIDEMARK_WORKERS": "2"}, ["workers", "memory://"]),
        ({"TIDEMARK_HOST": "0.0.0.0", "TIDEMARK_AUTH": "open"}, ["--allow-open"]),
        ({"TIDEMARK_ACCESS_KEY": "x"}, ["TIDEMARK_SECRET_KEY"]),
        ({"TIDEMARK_CONFIG": "/nowhere.conf"}, ["/nowhere.conf"]),
        ({"TIDEMARK__auth__companies": "{ a { users {} } }"}, ["auth.companies"]),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_setting(env: dict[str, str], words: list[str]) -> None:
    with pytest.raises(StartupError) as caught:
        make_settings(env)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_mistake_in_a_secret_does_not_show_it() -> None:
    companies = "{ a { id = 1, users { b { keys = [{ access_key = x, secret_key = [hush] }] } } } }"
    with pytest.raises(StartupError) as caught:
        make_settings({"TIDEMARK__auth__companies": companies})
    assert "hush" not in str(caught.value) and "secret_key" in str(caught.value)


def test_urls() -> None:
    assert sqlite_path("sqlite:///a/b.db") == "a/b.db"
    assert sqlite_path("sqlite:////a/b.db") == "/a/b.db"
    assert without_password("https://user:pass@host:9200") == "https://…@host:9200"
    assert without_password("https://host:9200") == "https://host:9200"
    assert sqlite_path(make_settings({"TIDEMARK_DATA": "/somewhere"}).store_url) == "/somewhere/tidemark.db"


@pytest.mark.parametrize("password", ["hush/hush", "hush#hush", "hu?hush@hush:1", "hush", "hush%hush"])
def test_any_password_is_taken_and_no_part_of_it_printed(password: str) -> None:
    escaped = password.replace("%", "%25")
    given = make_settings(
        {"TIDEMARK_STORE": f"http://elastic:{escaped}@one:9200,two:9201?prefix=p", "TIDEMARK_STATE": f"redis://:{escaped}@host:1/0"}
    )
    apart = make_settings(
        {
            "TIDEMARK_STORE": "http://one:9200,two:9201?prefix=p",
            "TIDEMARK_STORE_PASSWORD": password,
            "TIDEMARK_STATE": "redis://host:1/0",
            "TIDEMARK_STATE_PASSWORD": password,
        }
    )
    for settings in (given, apart):
        hosts, login, query = parse_url(settings.store_url)
        assert (hosts, login, query) == (["http://one:9200", "http://two:9201"], ("elastic", password), {"prefix": "p"})
        redis = RedisClient(settings.state_url, settings.redis)
        assert redis.redis.connection_pool.connection_kwargs["password"] == password
        shown = without_password(settings.store_url) + without_password(settings.state_url) + repr(settings)
        assert "hush" not in shown


def test_a_variable_may_name_a_file_with_its_value(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    file = str(tmp_path / "secret")
    found = make_settings(
        {
            "TIDEMARK_SECRET_KEY_FILE": file,
            "TIDEMARK_ACCESS_KEY": "x",
            "TIDEMARK__auth__token_secret_FILE": file,
            "TIDEMARK__server__log_file": "log",
            "TIDEMARK__ELASTIC__CA_FILE": "ca.pem",
        }
    )
    assert (found.auth.secret_key, found.auth.token_secret) == ("from a file", "from a file")
    assert (found.server.log_file, found.elastic.ca_file) == ("log", "ca.pem")
    with pytest.raises(StartupError, match="TIDEMARK_SECRET_KEY_FILE"):
        make_settings({"TIDEMARK_SECRET_KEY_FILE": str(tmp_path / "missing"), "TIDEMARK_ACCESS_KEY": "x"})
    with pytest.raises(StartupError, match="both set"):
        make_settings({"TIDEMARK_SECRET_KEY_FILE": file, "TIDEMARK_SECRET_KEY": "y", "TIDEMARK_ACCESS_KEY": "x"})


@pytest.mark.parametrize(
    ("host", "ours"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("LOCALHOST", True), ("0.0.0.0", False), ("127.0.0.1.x", False)],
)
def test_loopback(host: str, ours: bool) -> None:
    assert is_loopback(host) is ours
