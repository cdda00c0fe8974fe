"""The settings: frozen dataclasses, one per file in config/, every key explained where it is declared."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from apiserver.common.addresses import split_login, with_login


def is_loopback(host: str) -> bool:
    """Whether a host name or address (without port, IPv6 without brackets) is this machine."""
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost") or host == "::1":
        return True
    parts = host.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts)


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
    connections_per_address: int
    """The most that one address may hold; 0: half of them."""
    connections_without_login: int
    """The most that clients without a login may hold; 0: half of them."""
    unread_bytes: int
    """Bytes of large answers of one worker that clients have not read yet; one address may hold half of them."""
    proxies: tuple[str, ...]
    """Addresses or networks of proxies whose forwarded headers count."""
    timeout: int
    """Seconds without a heartbeat after which a worker is replaced."""
    graceful_timeout: int
    """Seconds that running calls get at shutdown."""
    drain: float
    """Seconds between SIGTERM and the end in which `/readyz` is 503 and calls are answered."""
    idle_timeout: int
    """Seconds a client may keep its connection silent before its request is complete."""
    log_file: str
    """File of the log; empty: stderr."""
    access_log: bool
    """One line per request in the log."""
    log_level: str
    """debug, info, warning or error."""
    log_format: str
    """text or json."""
    slow_call: float
    """Duration in seconds above which a call is logged; 0: never."""


@dataclass(frozen=True)
class EngineSettings:
    """Which store and state (config/engine.conf)."""

    store: str = field(repr=False)
    """`sqlite:///path` or `http(s)://[user:pass@]host:9200[,host2:9200]`; empty: `<data>/tidemark.db`."""
    state: str = field(repr=False)
    """`memory://` or `redis://host:6379/0`; empty: `memory://` with SQLite."""
    store_user: str
    """With `store_password`, the login of the store's address."""
    store_password: str = field(repr=False)
    """Password of Elasticsearch; empty: as the address says."""
    state_password: str = field(repr=False)
    """Password of Redis; empty: as the address says."""
    state_bytes: int
    """Bytes that the states of scrolls and navigation may take."""
    company_state_bytes: int
    """Of them, the most that one company may hold."""


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
    secure_cookie: bool
    """Whether the cookie is for https although the server itself is called by http."""
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
    """Bytes of a plot from which on it is stored compressed; 0 = never."""
    validate_plot_str: bool
    """Whether plots that are not JSON are marked, and left out of get_task_plots."""
    ignore_iteration_metrics: tuple[str, ...]
    """Metrics that never move a task's last_iteration."""
    state_expiration: int
    """Seconds that the ids of scrolls and navigation live after their last use."""
    tombstone_expiration: int
    """Seconds that a deleted task's id stays refused."""
    retry_window: int
    """Seconds within which an identical log batch is a retry."""
    max_batch_tasks: int
    """Tasks in one batch of events."""
    max_batch_series: int
    """Series of scalars in one batch of events."""
    max_batch_lines: int
    """Lines in one batch of events, blank ones too."""
    max_task_series: int
    """Series that a task or model may have."""
    max_company_series: int
    """Series of all tasks and models of a company."""
    max_chart_series: int
    """Series in one answer of charts."""
    max_chart_points: int
    """Points in one answer of charts."""
    max_list_series: int
    """Series of last_metrics in one answer that lists tasks or models."""
    max_answer_bytes: int
    """Bytes of the events (plots, lines, images) in one answer."""
    search_seconds: float
    """Seconds that one call may search in a log."""


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
    """Seconds until a connection to a node is made, or the node counts as unavailable."""
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
    generation_days: float
    """Days after which new tasks go to a new generation; 0 = never."""
    tiers: tuple[str, ...]
    """Tiers of nodes for new indices, and for those of compacted generations; empty: Elasticsearch decides."""
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
    max_lines: int
    """Lines of one request that adds events."""
    max_runs: int
    """Runs in one answer of GET /api/runs."""
    max_points: int
    """Points of a run whose rows are chosen (downsample) or put in order of time: they are in memory together."""
    sockets: int
    """Log sockets one client may hold; 0 counts nothing."""
    live_sockets: int
    """Live sockets one user may hold; 0 counts nothing."""
    patience: int
    """Seconds that a log socket may accept no data while lines wait; then it is closed."""
    ping: int
    """Seconds between two pings of a log socket; one that was not answered until the next ends it."""


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
    max_pixels: int
    """Pixels of an image that small copies are made of."""
    thumbnail_memory: int
    """Bytes of small copies that each worker keeps."""
    allow_scripts: bool
    """Whether uploaded HTML may run its scripts (in an origin of its own)."""
    script_origins: tuple[str, ...]
    """With allow_scripts: the origins that it may load scripts from."""
    public_url: str
    """Address announced to clients; empty: the server's own + /files."""


@dataclass(frozen=True)
class WebSettings:
    """The page (config/web.conf)."""

    frame_ancestors: tuple[str, ...]
    """Origins that may show the page in a frame."""
    image_origins: tuple[str, ...]
    """Origins beside the server's own that images of runs are loaded from."""


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
    web: WebSettings

    @property
    def data(self) -> Path:
        """The data folder."""
        return Path(self.server.data).expanduser()

    @property
    def store_url(self) -> str:
        """engine.store with its default and its login."""
        if self.engine.store_password and self.engine.store.startswith("http"):
            return with_login(self.engine.store, self.engine.store_user, self.engine.store_password)
        return self.engine.store or f"sqlite:///{self.data.absolute() / 'tidemark.db'}"

    @property
    def state_url(self) -> str:
        """engine.state with its default and its password."""
        if self.engine.state_password and self.engine.state.startswith("redis"):
            user = (split_login(self.engine.state).login or ("", ""))[0]
            return with_login(self.engine.state, user, self.engine.state_password)
        return self.engine.state or "memory://"

    @property
    def shared_store(self) -> bool:
        """Whether several hosts may use the store: keys and signing secret live there then."""
        return not self.store_url.startswith("sqlite:")

    @property
    def open(self) -> bool:
        """Whether calls without credentials belong to the default user."""
        return self.auth.mode == "open" or (not self.auth.mode and is_loopback(self.server.host))
