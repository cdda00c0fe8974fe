"""How the server runs: config/*.conf read once into frozen dataclasses.

Stronger overrides weaker: command line, TIDEMARK_<NAME> variables, `TIDEMARK__section__key=value`, the file named by TIDEMARK_CONFIG,
config/<section>.conf. The files hold every default, so a key exists in both places or the server doesn't start.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec

from apiserver import hocon, resources
from apiserver.errors import StartupError
from apiserver.settings_types import (
    AuthSettings,
    Company,
    CorsSettings,
    ElasticSettings,
    EngineSettings,
    EventsSettings,
    FilesSettings,
    Key,
    RedisSettings,
    RunsSettings,
    ServerSettings,
    Settings,
    User,
    WebSettings,
    is_loopback,
)

__all__ = [
    "CONFIG",
    "SCHEMA",
    "SHORT",
    "AuthSettings",
    "Company",
    "CorsSettings",
    "ElasticSettings",
    "EngineSettings",
    "EventsSettings",
    "FilesSettings",
    "Key",
    "RedisSettings",
    "RunsSettings",
    "ServerSettings",
    "Settings",
    "User",
    "WebSettings",
    "from_environment",
    "is_loopback",
    "make_settings",
]

CONFIG = resources.folder("config")
SCHEMA = resources.folder("schema") / "services"


SHORT = {
    "TIDEMARK_HOST": "server.host",
    "TIDEMARK_PORT": "server.port",
    "TIDEMARK_DATA": "server.data",
    "TIDEMARK_WORKERS": "server.workers",
    "TIDEMARK_ALLOW_OPEN": "server.allow_open",
    "TIDEMARK_STORE": "engine.store",
    "TIDEMARK_STATE": "engine.state",
    "TIDEMARK_STORE_USER": "engine.store_user",
    "TIDEMARK_STORE_PASSWORD": "engine.store_password",
    "TIDEMARK_STATE_PASSWORD": "engine.state_password",
    "TIDEMARK_AUTH": "auth.mode",
    "TIDEMARK_ACCESS_KEY": "auth.access_key",
    "TIDEMARK_SECRET_KEY": "auth.secret_key",
    "TIDEMARK_UNKNOWN_TASKS": "events.unknown_tasks",
    "TIDEMARK_RUNS_PORT": "runs.port",
    "TIDEMARK_FILES_PORT": "files.port",
}
"""The variables with names of their own."""


def make_settings(env: Mapping[str, str], overrides: Mapping[str, Any] | None = None, *, config: Path = CONFIG) -> Settings:
    """Read and check the settings.

    `env` are environment variables, `overrides` maps dotted keys (`server.port`) to values and is the strongest. Reads files, opens
    nothing else. Raises StartupError with one sentence that names the setting.
    """
    tree = hocon.parse_folder(config, hocon.cache_folder(env))
    origins: dict[str, str] = {}
    if env.get("TIDEMARK_CONFIG"):
        path = Path(env["TIDEMARK_CONFIG"]).expanduser()
        if not path.is_file():
            raise StartupError(f"TIDEMARK_CONFIG={path}: no such file")
        for section, values in hocon.parse_file(path).items():
            if not isinstance(values, dict):
                raise StartupError(f'{path}: "{section}" must be a section with keys, such as server {{ port = 8008 }}')
            for key, value in values.items():
                _set(tree, origins, f"{section}.{key}", value, str(path))
    env = _with_files(env, tree)
    for name, value in sorted(env.items()):
        if name.startswith("TIDEMARK__"):
            _set(tree, origins, name[len("TIDEMARK__") :].lower().replace("__", "."), value, name)
    for name, key in SHORT.items():
        if env.get(name):
            _set(tree, origins, key, env[name], name)
    for key, value in (overrides or {}).items():
        if value is not None:
            _set(tree, origins, key, value, key)
    settings = _build(tree, origins)
    _check(settings)
    return settings


def _with_files(env: Mapping[str, str], tree: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The variables, those among them whose names end in _FILE replaced by what is in their files, as containers get secrets."""
    found = dict(env)
    for name, path in env.items():
        plain = name.removesuffix("_FILE")
        section, _, key = plain.removeprefix("TIDEMARK__").lower().partition("__")
        is_setting = plain.startswith("TIDEMARK__") and key in tree.get(section, {})
        if plain == name or not (is_setting or plain in SHORT) or not path:
            continue
        if found.get(plain):
            raise StartupError(f"{name} and {plain} are both set: keep one of them")
        try:
            found[plain] = Path(path).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise StartupError(f"{name}={path}: can't be read: {getattr(error, 'strerror', error)}") from error
        del found[name]
    return found


def _set(tree: dict[str, dict[str, Any]], origins: dict[str, str], key: str, value: Any, origin: str) -> None:
    """Put a value at a dotted key, deeper than two levels inside objects too."""
    section, *path = key.split(".")
    if section not in tree or not path or path[0] not in tree[section]:
        raise StartupError(f'{origin}: there is no setting "{key}"')
    target = tree[section]
    for step in path[:-1]:
        target = target.setdefault(step, {})
        if not isinstance(target, dict):
            raise StartupError(f'{origin}: "{key}" is not inside an object')
    both_objects = isinstance(target.get(path[-1]), dict) and isinstance(value, dict)
    target[path[-1]] = {**target[path[-1]], **value} if both_objects else value
    origins[f"{section}.{path[0]}"] = origin


def _build(tree: dict[str, dict[str, Any]], origins: dict[str, str]) -> Settings:
    sections: dict[str, Any] = {}
    for section in dataclasses.fields(Settings):
        kind = get_type_hints(Settings)[section.name]
        given, hints = tree.get(section.name), get_type_hints(kind)
        if given is None or given.keys() != hints.keys():
            odd = sorted((given or {}).keys() ^ hints.keys())
            raise StartupError(f"config/{section.name}.conf: these keys are missing or unknown: {', '.join(odd)}")
        values = {}
        for key, hint in hints.items():
            dotted = f"{section.name}.{key}"
            origin = origins.get(dotted, f"config/{section.name}.conf")
            if dotted == "auth.companies":
                values[key] = _companies(given[key], origin)
            else:
                values[key] = _convert(given[key], hint, dotted, origin)
        sections[section.name] = kind(**values)
    return Settings(**sections)


def _convert(value: Any, hint: Any, key: str, origin: str) -> Any:
    """A HOCON or environment value as the declared type. Raises StartupError with what was expected."""
    expected, rule = _RULES[hint]
    try:
        return msgspec.convert(_plain(value, hint, origin), rule, strict=False)
    except msgspec.ValidationError:
        secret = "secret" in key or "password" in key or key.startswith("engine.")  # addresses carry passwords
        where = f"{origin}: " if origin != key else ""
        raise StartupError(f"{where}{key} must be {expected}" + ("" if secret else f", got {value!r}")) from None


_RULES: dict[Any, tuple[str, Any]] = {
    bool: ("true or false", bool),
    int: ("a whole number of 0 or more", Annotated[int, msgspec.Meta(ge=0)]),
    float: ("a number of 0 or more", Annotated[float, msgspec.Meta(ge=0)]),
    str: ("text", str),
    tuple[str, ...]: ("a list of strings", tuple[str, ...]),
}
"""By declared type: what an error sentence calls it, and what msgspec checks."""


def _plain(value: Any, hint: Any, origin: str) -> Any:
    """A value as msgspec takes it, normalised from the spellings that variables allow."""
    if hint is bool and isinstance(value, str):
        return {"yes": True, "on": True, "no": False, "off": False}.get(value.lower(), value.lower())
    if hint in (int, float):
        return value.replace("_", "") if isinstance(value, str) else value
    if hint is str:
        return "" if value is None else str(value) if isinstance(value, (int, float)) else value
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            return hocon.parse_text(f"v = {text}", origin)["v"]
        return [part.strip() for part in text.split(",") if part.strip()]
    return value


_Text = str | int | float
"""HOCON takes digits without quotes for a number."""


class _KeyGiven(msgspec.Struct, forbid_unknown_fields=True):
    access_key: _Text
    secret_key: _Text


class _UserGiven(msgspec.Struct, forbid_unknown_fields=True):
    id: _Text | None = None
    name: _Text | None = None
    role: str = "user"
    keys: list[_KeyGiven] | None = None
    password: _Text | None = None


class _CompanyGiven(msgspec.Struct, forbid_unknown_fields=True):
    """A company as config/auth.conf has it, under its name; users are under their ids."""

    id: _Text
    users: dict[str, _UserGiven] | None = None


def _companies(given: Any, origin: str) -> tuple[Company, ...]:
    """`{name: {id, users: {id: {name, role, keys: [{access_key, secret_key}], password}}}}` as records."""
    if isinstance(given, str):
        given = hocon.parse_text(f"v = {given}", origin)["v"]
    try:
        found = msgspec.convert(given, dict[str, _CompanyGiven])
    except msgspec.ValidationError as error:  # it names the place and the type, never the value
        shape = "auth.companies must look like name { id = ..., users { ... } }, see config/auth.conf"
        raise StartupError(f"{origin}: {shape}: {error}") from error
    companies = []
    for name, company in found.items():
        users = []
        for id, user in (company.users or {}).items():
            keys = tuple(Key(str(key.access_key), str(key.secret_key)) for key in user.keys or ())
            own, shown = id if user.id is None else user.id, id if user.name is None else user.name
            users.append(User(str(own), str(shown), user.role, keys, str(user.password or "")))
        companies.append(Company(str(company.id), name, tuple(users)))
    for what, names in (
        ("company id", [c.id for c in companies]),
        ("access key", [k.access_key for c in companies for u in c.users for k in u.keys]),
        ("login name", [u.name for c in companies for u in c.users if u.password]),
    ):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise StartupError(f"{origin}: auth.companies: the same {what} twice: {', '.join(sorted(twice))}")
    return tuple(companies)


def _check(settings: Settings) -> None:
    """Rules between settings."""

    def need(fine: bool, sentence: str) -> None:
        if not fine:
            raise StartupError(sentence)

    server, auth = settings.server, settings.auth
    store, state = settings.store_url.partition(":")[0], settings.state_url.partition(":")[0]
    for name, port in (("server.port", server.port), ("runs.port", settings.runs.port), ("files.port", settings.files.port)):
        need(port <= 65535, f"{name} must be a port number up to 65535, got {port}")
    for proxy in server.proxies:
        need(_is_network(proxy), f'server.proxies must hold addresses or networks such as 10.0.0.0/8, got "{proxy}"')
    for script in settings.files.script_origins:
        need(
            re.fullmatch(r"https?://[A-Za-z0-9.:-]+", script) is not None,
            f'files.script_origins must hold origins such as https://cdn.bokeh.org, got "{script}"',
        )
    need(server.workers >= 1, "server.workers must be at least 1")
    events, elastic = settings.events, settings.elastic
    for name, least in (
        ("events.raw_size_cap", events.raw_size_cap),
        ("events.state_expiration", events.state_expiration),
        ("events.max_task_series", events.max_task_series),
        ("events.max_company_series", events.max_company_series),
        ("events.max_chart_series", events.max_chart_series),
        ("events.max_chart_points", events.max_chart_points),
        ("events.max_list_series", events.max_list_series),
        ("events.max_answer_bytes", events.max_answer_bytes),
        ("elastic.pool", elastic.pool),
    ):
        need(least >= 1, f"{name} must be at least 1")
    need(
        settings.engine.company_state_bytes <= settings.engine.state_bytes,
        "engine.company_state_bytes must be at most engine.state_bytes",
    )
    need(
        len(elastic.tiers) in (0, 2),
        'elastic.tiers must name two lists of tiers, for new indices and for compacted ones: ["data_hot,data_content", "data_warm,data_hot"]',
    )
    need(elastic.connect_timeout > 0, "elastic.connect_timeout must be more than 0")
    need(
        server.log_level in ("debug", "info", "warning", "error"),
        f'server.log_level must be debug, info, warning or error, got "{server.log_level}"',
    )
    need(server.log_format in ("text", "json"), f'server.log_format must be text or json, got "{server.log_format}"')
    need(auth.mode in ("", "open", "required"), f'TIDEMARK_AUTH (auth.mode) must be open or required, got "{auth.mode}"')
    need(
        settings.events.unknown_tasks in ("register", "reject"),
        f'TIDEMARK_UNKNOWN_TASKS (events.unknown_tasks) must be register or reject, got "{settings.events.unknown_tasks}"',
    )
    need(
        not settings.engine.store_password or store != "sqlite",
        "TIDEMARK_STORE_PASSWORD is for an http:// or https:// store: set TIDEMARK_STORE",
    )
    need(not settings.engine.state_password or state != "memory", "TIDEMARK_STATE_PASSWORD is for a redis:// state: set TIDEMARK_STATE")
    need(store in ("sqlite", "http", "https"), "TIDEMARK_STORE must begin with sqlite:///, http:// or https://")
    need(state in ("memory", "redis", "rediss"), "TIDEMARK_STATE must begin with memory://, redis:// or rediss://")
    need(
        store == "sqlite" or bool(settings.engine.state),
        "an Elasticsearch store needs a shared state: set TIDEMARK_STATE, for example to redis://localhost:6379/0",
    )
    need(
        server.workers == 1 or state != "memory",
        f"{server.workers} workers can't share the state memory://: set TIDEMARK_STATE to a redis:// address, or --workers to 1",
    )
    need(
        not settings.open or is_loopback(server.host) or server.allow_open,
        f"open mode lets anybody who reaches {server.host} in: set TIDEMARK_AUTH=required, or say --allow-open if that is meant",
    )
    need(bool(auth.access_key) == bool(auth.secret_key), "TIDEMARK_ACCESS_KEY and TIDEMARK_SECRET_KEY are set together or not at all")
    company = next((company for company in auth.companies if company.name == auth.default_company), None)
    need(company is not None, f'auth.default_company "{auth.default_company}" is not in auth.companies')
    known = [user.id for user in company.users] if company else []
    need(auth.default_user in known, f'auth.default_user "{auth.default_user}" is not a user of the company "{auth.default_company}"')


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def from_environment(overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of this process."""
    return make_settings(os.environ, overrides)
