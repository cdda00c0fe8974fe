"""How the server runs: config/*.conf read once into frozen dataclasses.

Stronger overrides weaker: command line, TIDEMARK_<NAME> variables, `TIDEMARK__section__key=value`, the file named by TIDEMARK_CONFIG,
config/<section>.conf. The files hold every default, so a key exists in both places or the server doesn't start.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from apiserver import hocon
from apiserver.errors import StartupError

CONFIG = Path(__file__).resolve().parent.parent / "config"
SCHEMA = Path(__file__).resolve().parent.parent / "schema" / "services"


@dataclass(frozen=True)
class ServerSettings:
    """The process and its sockets (config/server.conf)."""

    host: str
    """Address to listen on."""
    port: int
    """0 takes a free one."""
    data: str
    """Data folder: database, credentials, files, lock."""
    workers: int
    """Worker processes; above 1 only with a shared state."""
    allow_open: bool
    """Lets `open` mode listen beyond loopback."""
    hosts: tuple[str, ...]
    """Host names (without port) that calls in `open` mode may use beside loopback ones."""
    max_body: int
    """Bytes of a request body as sent."""
    max_unpacked: int
    """Bytes of a request body after gzip."""
    connections: int
    """Simultaneous connections of one worker."""
    timeout: int
    """Seconds without a sign of life after which a worker is replaced."""
    graceful_timeout: int
    """Seconds that running calls get at shutdown."""
    idle_timeout: int
    """Seconds a client may keep its connection silent before its request is complete."""
    access_log: bool
    """One line per request on stderr."""
    log_level: str
    """debug, info, warning or error."""


@dataclass(frozen=True)
class EngineSettings:
    """Which store and state (config/engine.conf)."""

    store: str = field(repr=False)
    """`sqlite:///path` or `http(s)://[user:pass@]host:9200[,host2:9200]`; empty: `<data>/tidemark.db`."""
    state: str = field(repr=False)
    """`memory://` or `redis://host:6379/0`; empty: `memory://` with SQLite."""


@dataclass(frozen=True)
class Key:
    """An access key with its secret."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class User:
    """A user of the configuration. `name` also logs in, together with `password` (argon2 or bcrypt hash, or plain text)."""

    id: str
    name: str
    role: str = "user"
    keys: tuple[Key, ...] = ()
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Company:
    """A company (tenant) of the configuration."""

    id: str
    name: str
    users: tuple[User, ...] = ()


@dataclass(frozen=True)
class AuthSettings:
    """Who may call (config/auth.conf)."""

    mode: str
    """`open`, `required`; empty: open on a loopback address, required elsewhere."""
    access_key: str
    """Access key of the default user; empty: made at the first start."""
    secret_key: str = field(repr=False)
    """Its secret; empty: made at the first start."""
    token_secret: str = field(repr=False)
    """Signs tokens; empty: made at the first start. Hosts that share a store need the same one."""
    token_expiration: int
    """Seconds a token lives unless the login asks otherwise."""
    max_token_expiration: int
    """The most a login may ask for."""
    cookie: str
    """Name of the login cookie."""
    default_company: str
    """Name of the company that calls without credentials, and the keys made at the first start, belong to."""
    default_user: str
    """Id of that user."""
    companies: tuple[Company, ...]
    """Companies with their users and keys."""
    web_access_key: str
    """Public key built into a web application; accepted in `open` mode only."""
    web_secret_key: str = field(repr=False)
    """Its secret."""


@dataclass(frozen=True)
class CorsSettings:
    """Web pages that may read answers (config/cors.conf)."""

    origins: tuple[str, ...]
    """Further origins, as browsers send them (`https://app.example.org`)."""
    loopback: bool
    """Whether pages of this machine (any port) may."""
    max_age: int
    """Seconds that a browser may keep a preflight answer."""


@dataclass(frozen=True)
class EventsSettings:
    """The events service (config/events.conf)."""

    unknown_tasks: str
    """`register` or `reject`."""
    raw_size_cap: int
    """Greatest page of raw scalars and events."""
    plot_compression_threshold: int
    """Plots with a longer `plot_str` are stored compressed; 0 = never."""
    validate_plot_str: bool
    """Whether a plot that is not JSON is refused."""
    max_multi_tasks: int
    """Most tasks in one multi-task chart."""
    ignore_iteration_metrics: tuple[str, ...]
    """Metrics that never move a task's last_iteration."""
    state_expiration: int
    """Seconds that scroll and navigation ids live after their last use."""
    tombstone_expiration: int
    """Seconds that a deleted task's id stays refused."""
    retry_window: int
    """Seconds within which an identical log batch is a retry."""


@dataclass(frozen=True)
class ElasticSettings:
    """Elasticsearch (config/elastic.conf); its address is engine.store."""

    ca_file: str
    """PEM file with the authority of the server's certificate."""
    verify: bool
    """Whether certificates are checked."""
    timeout: float
    """Seconds for one request."""
    connect_timeout: float
    """Seconds until a node that doesn't answer counts as away."""
    pool: int
    """Connections a worker keeps to each node."""
    bulk_bytes: int
    """Bytes of one bulk body."""
    shards: int
    """Primary shards of a new index."""
    replicas: int
    """Copies of a new index."""
    generation_documents: int
    """Documents after which new tasks go to a new generation."""
    generation_bytes: int
    """Bytes after which new tasks go to a new generation."""
    prefix: str
    """Put before every index name, so that several servers can share a cluster."""


@dataclass(frozen=True)
class RedisSettings:
    """Redis (config/redis.conf); its address is engine.state."""

    ca_file: str
    """PEM file with the authority of a rediss:// server."""
    timeout: float
    """Seconds for one command."""
    prefix: str
    """Put before every key."""


@dataclass(frozen=True)
class RunsSettings:
    """The Runicorn face (config/runs.conf)."""

    port: int
    """A second port (Runicorn's documented one is 23300); 0 = none."""
    requests_per_minute: int
    """Of one client, endpoint and run; 0 counts nothing."""
    sockets: int
    """Log sockets one client may hold; 0 counts nothing."""
    patience: int
    """Seconds that a log socket may take nothing while lines wait for it; then it is dropped."""
    ping: int
    """Seconds between two pings of a log socket; one that was not answered until the next ends it."""
    proxies: tuple[str, ...]
    """Addresses or networks of proxies whose X-Forwarded-For tells who the client is."""


@dataclass(frozen=True)
class FilesSettings:
    """The file server (config/files.conf)."""

    port: int
    """A second port that serves files at its root; 0 = none."""
    folder: str
    """Where files are kept; empty: `<data>/files`."""
    max_size: int
    """Bytes of one file."""
    reserve: int
    """Bytes of the disk that uploads leave free."""
    allow_scripts: bool
    """Whether uploaded HTML may run its scripts (in an origin of its own)."""
    public_url: str
    """Address that clients are told; empty: the server's own + /files."""


@dataclass(frozen=True)
class Settings:
    """All of it. Derived answers are methods."""

    server: ServerSettings
    engine: EngineSettings
    auth: AuthSettings
    cors: CorsSettings
    events: EventsSettings
    elastic: ElasticSettings
    redis: RedisSettings
    runs: RunsSettings
    files: FilesSettings

    @property
    def data(self) -> Path:
        """The data folder."""
        return Path(self.server.data).expanduser()

    @property
    def store_url(self) -> str:
        """engine.store with its default."""
        return self.engine.store or f"sqlite:///{self.data.absolute() / 'tidemark.db'}"

    @property
    def state_url(self) -> str:
        """engine.state with its default."""
        return self.engine.state or "memory://"

    @property
    def shared_store(self) -> bool:
        """Whether several hosts may use the store: keys and signing secret live there then."""
        return not self.store_url.startswith("sqlite:")

    @property
    def open(self) -> bool:
        """Whether calls without credentials belong to the default user."""
        return self.auth.mode == "open" or (not self.auth.mode and is_loopback(self.server.host))


SHORT = {
    "TIDEMARK_HOST": "server.host",
    "TIDEMARK_PORT": "server.port",
    "TIDEMARK_DATA": "server.data",
    "TIDEMARK_WORKERS": "server.workers",
    "TIDEMARK_ALLOW_OPEN": "server.allow_open",
    "TIDEMARK_STORE": "engine.store",
    "TIDEMARK_STATE": "engine.state",
    "TIDEMARK_AUTH": "auth.mode",
    "TIDEMARK_ACCESS_KEY": "auth.access_key",
    "TIDEMARK_SECRET_KEY": "auth.secret_key",
    "TIDEMARK_UNKNOWN_TASKS": "events.unknown_tasks",
    "TIDEMARK_RUNS_PORT": "runs.port",
    "TIDEMARK_FILES_PORT": "files.port",
}
"""The variables with names of their own."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address (without port, IPv6 without brackets) is this machine."""
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost") or host == "::1":
        return True
    parts = host.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts)


def make_settings(env: Mapping[str, str], overrides: Mapping[str, Any] | None = None, *, config: Path = CONFIG) -> Settings:
    """Read and check the settings.

    `env` are environment variables, `overrides` maps dotted keys (`server.port`) to values and is the strongest. Reads files, opens
    nothing else. Raises StartupError with one sentence that names the setting.
    """
    tree = _defaults(config, hocon.cache_folder(env))
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


def _defaults(config: Path, cache: Path | None) -> dict[str, dict[str, Any]]:
    files = sorted(config.glob("*.conf"))
    if not files:
        raise StartupError(f"{config}: no configuration files; is the installation complete?")
    key = hocon.digest([text for path in files for text in (path.name.encode(), path.read_bytes())])
    return hocon.cached(cache, "config", key, lambda: {path.stem: hocon.parse_file(path) for path in files})


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
    """A HOCON or environment value as the declared type."""

    def bad(expected: str) -> StartupError:
        secret = "secret" in key or "password" in key
        return StartupError(f"{origin}: {key} must be {expected}" + ("" if secret else f", got {value!r}"))

    if get_origin(hint) is tuple:
        if isinstance(value, str):
            text = value.strip()
            value = (
                hocon.parse_text(f"v = {text}", origin)["v"]
                if text.startswith("[")
                else [part.strip() for part in text.split(",") if part.strip()]
            )
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise bad("a list of strings")
        return tuple(value)
    if hint is bool:
        words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
        if isinstance(value, bool):
            return value
        if str(value).lower() not in words:
            raise bad("true or false")
        return words[str(value).lower()]
    if hint in (int, float):
        try:
            number = hint(value.replace("_", "") if isinstance(value, str) else value)
        except (TypeError, ValueError):
            raise bad("a whole number" if hint is int else "a number") from None
        if isinstance(value, bool) or number < 0 or number != number:
            raise bad("a number of 0 or more")
        return number
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        raise bad("text")
    return str(value)


def _companies(given: Any, origin: str) -> tuple[Company, ...]:
    """`{name: {id, users: {id: {name, role, keys: [{access_key, secret_key}], password}}}}` as records."""
    if isinstance(given, str):
        given = hocon.parse_text(f"v = {given}", origin)["v"]
    companies = []
    try:
        for name, company in given.items():
            users = []
            for id, user in (company.get("users") or {}).items():
                keys = tuple(Key(str(key["access_key"]), str(key["secret_key"])) for key in user.get("keys") or ())
                users.append(
                    User(
                        str(user.get("id", id)),
                        str(user.get("name", id)),
                        str(user.get("role", "user")),
                        keys,
                        str(user.get("password") or ""),
                    )
                )
            companies.append(Company(str(company["id"]), str(name), tuple(users)))
    except (AttributeError, KeyError, TypeError) as error:
        raise StartupError(f"{origin}: auth.companies must look like name {{ id = ..., users {{ ... }} }}, see config/auth.conf") from error
    for what, names in (
        ("company id", [c.id for c in companies]),
        ("access key", [k.access_key for c in companies for u in c.users for k in u.keys]),
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
    need(server.workers >= 1, "server.workers must be at least 1")
    need(
        server.log_level in ("debug", "info", "warning", "error"),
        f'server.log_level must be debug, info, warning or error, got "{server.log_level}"',
    )
    need(auth.mode in ("", "open", "required"), f'TIDEMARK_AUTH (auth.mode) must be open or required, got "{auth.mode}"')
    need(
        settings.events.unknown_tasks in ("register", "reject"),
        f'TIDEMARK_UNKNOWN_TASKS (events.unknown_tasks) must be register or reject, got "{settings.events.unknown_tasks}"',
    )
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


def from_environment(overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of this process."""
    return make_settings(os.environ, overrides)
