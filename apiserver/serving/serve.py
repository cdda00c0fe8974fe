"""`tidemark serve`: checks at start, listening sockets, the lock of the data folder, and gunicorn with gevent workers.

With one worker the master imports neither Flask nor a store, to stay small. With several it preloads the modules that they share. Stores and connections
are opened after the fork.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import logging
import math
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import gunicorn.http.wsgi
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger

from apiserver.common import draining, tracing
from apiserver.common.outages import is_first, share_between_processes
from apiserver.errors import StartupError
from apiserver.serving import logs
from apiserver.serving.worker import Worker
from apiserver.settings import Settings

LOCK = "tidemark.lock"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 (nothing listens here)
"""Wildcard hosts, and the address under which a client on this machine reaches them."""
COLLECT_AFTER = 2_000
"""First threshold of the garbage collector, in new containers. With Python's 700, small batches spend 7 % of the server's time in the collector."""
log = logging.getLogger("tidemark")


def serve(settings: Settings, *, open_page: bool = False) -> None:
    """Serve until a signal ends the process. `open_page`: open the page in the user's browser once the server answers.

    Raises StartupError; a worker that can't start ends the process with code 2.
    """
    os.umask(0o077)  # files of the server are readable by its own user only
    share_between_processes()
    _check_log_file(settings.server.log_file)
    tracing.check()
    lock = claim_data_folder(settings)
    ports = [settings.server.port, *(port for port in (settings.runs.port, settings.files.port) if port)]
    sockets = [listen(settings.server.host, port) for port in ports]
    address = address_of(settings.server.host, sockets[0].getsockname()[1])
    write_lock(lock, address)
    _raise_file_limit(settings.server.connections)
    gunicorn.http.wsgi.SERVER = "tidemark"  # gunicorn always writes a Server header; a second one of ours would be added to it
    master = os.getpid()
    counts = Path(tempfile.mkdtemp(prefix="tidemark-metrics-"))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counts)  # prometheus-client looks for it when it is imported
    if settings.server.workers > 1:
        _preload(settings)
    try:
        Server(settings, sockets, lambda: _ready(settings, address, open_page), counts).run()
    except (SystemExit, HaltServer) as error:  # while it shuts down after a HaltServer, gunicorn may raise a second one
        code = error.exit_status if isinstance(error, HaltServer) else error.code
        raise SystemExit(2 if code in (Arbiter.WORKER_BOOT_ERROR, Arbiter.APP_LOAD_ERROR) else code) from None
    finally:
        if os.getpid() == master:  # workers leave through this function too
            shutil.rmtree(counts, ignore_errors=True)


def _preload(settings: Settings) -> None:
    """Import the modules of the workers once before the fork: saves each of them a second of CPU and 50 MB of memory."""
    import apiserver.app

    if settings.shared_store:
        import apiserver.stores.elastic
        import apiserver.stores.redis  # noqa: F401
    gc.collect()
    gc.freeze()  # a collection in a worker would write to, and so copy, every shared page


def _ready(settings: Settings, address: str, open_page: bool) -> None:
    """Print the banner and open the page, once the server answers."""
    print(banner(settings, address), flush=True)
    if open_page and not open_browser(address):
        print(f"No display found: open {address} in a browser yourself.", flush=True)


def open_browser(address: str) -> bool:
    """Open an address in the user's browser, without waiting for it. False when there is no display."""
    if sys.platform != "darwin" and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return False
    # In a process of its own: some browsers stay in the foreground, and would end with the worker.
    command = [sys.executable, "-m", "webbrowser", address]
    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 (our own address)
    return True


class Master(Arbiter):  # type: ignore[misc]  # untyped package
    """gunicorn's master with a drain period, in which proxies notice that the server is about to stop."""

    def __init__(self, app: BaseApplication, drain: float) -> None:
        """`drain`: seconds after SIGTERM in which calls are still answered and `/readyz` is 503."""
        super().__init__(app)
        self._drain, self._ends_at = drain, math.inf

    def handle_term(self) -> None:
        if self._drain <= 0 or draining.has_begun():
            super().handle_term()
        draining.begin()
        self._ends_at = time.monotonic() + self._drain

    def manage_workers(self) -> None:
        """Called each second while the server runs."""
        super().manage_workers()
        if time.monotonic() >= self._ends_at:
            raise StopIteration


class Server(BaseApplication):  # type: ignore[misc]  # untyped package
    """gunicorn, configured from our settings instead of a file or a command line."""

    def __init__(self, settings: Settings, sockets: list[socket.socket], ready: Callable[[], None], counts: Path) -> None:
        """`counts`: the folder of the workers' counters (prometheus-client's multiprocess mode)."""
        self._settings = settings
        self._counts = counts
        Log.format = logs.JsonLines() if settings.server.log_format == "json" else None
        self._sockets = sockets
        self._ready = ready
        super().__init__()

    def run(self) -> None:
        Master(self, self._settings.server.drain).run()

    def load_config(self) -> None:
        server = self._settings.server
        options = {
            "bind": [f"fd://{sock.fileno()}" for sock in self._sockets],
            "workers": server.workers,
            "worker_class": Worker,
            "worker_connections": server.connections,
            "logger_class": Log,
            "loglevel": server.log_level if server.log_level != "info" else "warning",
            "accesslog": None,  # ours is in monitoring/call_log.py
            "errorlog": server.log_file or "-",
            # Not 0, so that connections can be kept alive. worker.py decides which ones, and how long.
            "keepalive": 1,
            "timeout": server.timeout,
            "graceful_timeout": server.graceful_timeout,
            "limit_request_line": 8190,
            "limit_request_field_size": 16380,
            "preload_app": False,
            "proc_name": "tidemark",
            "control_socket_disable": True,
            # Only these may send SCRIPT_NAME and X-Forwarded-Proto; gunicorn's default trusts every program of this machine.
            "forwarded_allow_ips": ",".join(server.proxies),
            "post_worker_init": self._worker_ready,
            "child_exit": self._worker_ended,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        from apiserver.app import create_app
        from apiserver.serving.starting import StartingApp

        logs.configure(self._settings.server)
        tracing.start()
        return StartingApp(lambda: create_app(self._settings), self._app_ready, _give_up, self._settings.server.max_body)

    def _app_ready(self, app: Any) -> None:
        # Without it every full garbage collection (one in a few hundred batches) pauses the worker for 70 ms.
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        app.extensions["tidemark.upkeep"].start()
        if is_first("ready", math.inf):
            self._ready()

    def _worker_ended(self, arbiter: Any, worker: Any) -> None:
        """Remove the live gauges of a worker that ended; its counters stay."""
        for gauge in self._counts.glob(f"gauge_live*_{worker.pid}.db"):
            gauge.unlink(missing_ok=True)

    def _worker_ready(self, worker: Any) -> None:
        # SQLite releases and takes the GIL at every statement. Beside a big batch each switch would take Python's default 5 ms, a small read
        # 100 ms in all.
        sys.setswitchinterval(0.0005)
        worker.limit(self._settings.server)
        worker.wsgi.start()


def _give_up(error: Exception) -> None:
    """End the worker process, and with it the server. The first worker to fail prints the reason."""
    if is_first(f"tidemark: {error}", 60.0):
        if isinstance(error, StartupError):
            print(f"tidemark: {error}", file=sys.stderr, flush=True)
        else:
            log.error("the server can't start", exc_info=error)
    os._exit(Arbiter.APP_LOAD_ERROR)


class Log(Logger):  # type: ignore[misc]  # untyped package
    """gunicorn's log without its lines about a worker that could not start: `_give_up` has printed the reason."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if Log.format is not None:
            for handler in self.error_log.handlers:
                handler.setFormatter(Log.format)

    format: logging.Formatter | None = None
    """The JSON formatter, or None for gunicorn's own; a class attribute because gunicorn makes the instance."""
    NOISE = ("App failed to load", "exited with code", "Worker failed to boot", "Shutting down: ", "Reason: ")

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if not any(noise in str(msg) for noise in self.NOISE):
            super().error(msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(sys.exc_info()[1], TimeoutError):  # a client that stopped sending is not a server error
            super().exception(msg, *args, **kwargs)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if not any(noise in str(msg) for noise in self.NOISE):
            super().warning(msg, *args, **kwargs)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises StartupError when the address can't be bound."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise StartupError(f'the address "{host}" is unknown: {error.strerror}') from error
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(target)
    except (OSError, OverflowError) as error:
        sock.close()
        number = getattr(error, "errno", None)
        if number == errno.EADDRINUSE:
            raise StartupError(f"port {port} on {host} is taken by another program; choose one with --port or TIDEMARK_PORT") from error
        if number == errno.EACCES:
            raise StartupError(f"this user may not listen on port {port} of {host}; choose one above 1023 with --port") from error
        raise StartupError(f"can't listen on {host} port {port}: {getattr(error, 'strerror', error)}") from error
    sock.listen(2048)
    sock.set_inheritable(True)
    return sock


def claim_data_folder(settings: Settings) -> TextIO:
    """Create and lock the data folder: exclusively for SQLite, shared otherwise. The lock ends when all processes of this server have closed the
    returned file. Raises StartupError."""
    folder = settings.data
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close_to_others(folder)
        # Mode 0600: a user who can open the file could lock it.
        lock = os.fdopen(os.open(folder / LOCK, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "a+")
        if os.fstat(lock.fileno()).st_uid == os.geteuid():
            os.fchmod(lock.fileno(), 0o600)
    except OSError as error:
        raise StartupError(
            f"{folder}: the data folder can't be written: {error.strerror}; choose one with --data or TIDEMARK_DATA"
        ) from error
    try:
        # A SQLite file belongs to one server; with Elasticsearch any number of servers share the folder for its files.
        fcntl.flock(lock, (fcntl.LOCK_SH if settings.shared_store else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        holder = lock_holder(folder)
        where = f" at {holder['address']} (process {holder['pid']})" if holder else ""
        raise StartupError(f"{folder}: another server{where} uses this data folder; stop it, or choose another one with --data") from error
    return lock


def _close_to_others(folder: Path) -> None:
    """Set mode 0700 on an empty folder and on our own; a folder with foreign files keeps its mode."""
    found = folder.stat()
    if found.st_uid != os.geteuid() or not found.st_mode & 0o077:
        return
    names = {path.name for path in folder.iterdir()}
    if not names or names & {LOCK, "credentials.json", "tidemark.db"}:
        folder.chmod(0o700)


def _check_log_file(path: str) -> None:
    """Raise StartupError when the log can't be written. An existing file keeps its mode."""
    if not path:
        return
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StartupError(f"{path}: the log can't be written: {error.strerror}; choose another file with server.log_file") from error


def write_lock(lock: TextIO, address: str) -> None:
    """Write pid, address and host into the lock file: other commands find the running server by it."""
    with suppress(OSError):  # on a full disk commands don't find the server, which is no reason not to start
        lock.truncate(0)
        lock.write(json.dumps({"pid": os.getpid(), "address": address, "host": socket.gethostname()}))
        lock.flush()


def lock_holder(folder: Path) -> dict[str, Any] | None:
    """`{pid, address, host}` from the data folder's lock file, or None. The server may have ended since: see `running_server`."""
    try:
        found = json.loads((folder / LOCK).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "address" in found and "pid" in found else None


def running_server(folder: Path) -> str | None:
    """The address of the server that holds this data folder now, or None."""
    try:
        with (folder / LOCK).open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = lock_holder(folder)
        # On shared storage the server may run on another host, where the address means something else.
        return str(holder["address"]) if holder and holder.get("host", socket.gethostname()) == socket.gethostname() else None
    except OSError:
        return None
    return None


def address_of(host: str, port: int) -> str:
    """The URL for clients on this machine."""
    shown = EVERYWHERE.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def exports(settings: Settings, address: str, access_key: str, secret_key: str) -> str:
    """Shell lines that point ClearML's SDK to this server, with an access key."""
    keys = [f"export CLEARML_API_ACCESS_KEY={access_key}", f"export CLEARML_API_SECRET_KEY={secret_key}"]
    return "\n".join([*addresses(settings, address), *keys])


def addresses(settings: Settings, address: str) -> list[str]:
    """The same without the access key."""
    files = settings.files.public_url or f"{address}/files"
    return [f"export CLEARML_API_HOST={address}", f"export CLEARML_WEB_HOST={address}", f"export CLEARML_FILES_HOST={files}"]


def banner(settings: Settings, address: str) -> str:
    """The text that a server prints when it answers. Called in a worker: the master does not import `credentials`."""
    from apiserver.credentials import Credentials

    if settings.open and not in_container():
        credentials = Credentials(settings)
        shown = exports(settings, address, credentials.access_key, credentials.secret_key)
    else:  # journals and log collectors keep stdout, so it must not show a secret
        shown = "\n".join([*addresses(settings, address), "", "The access key and its secret: tidemark keys"])
    mode = "open: calls from this machine need no credentials" if settings.open else "credentials required"
    note = ""
    if settings.server.host in EVERYWHERE and not in_container():
        elsewhere = address_of(socket.gethostname(), urlsplit(address).port or 80)
        note = f"\nOn other machines use {elsewhere} instead of {address}.\n"
    return f"Tidemark listens on {address} ({mode})\n\n{shown}\n{note}"


def in_container() -> bool:
    """Whether this is a container of our image, Podman or Kubernetes: there, stdout goes to a log."""
    return any(os.environ.get(name) for name in ("container", "KUBERNETES_SERVICE_HOST"))


def _raise_file_limit(connections: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * 2 + 512
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted, hard))
