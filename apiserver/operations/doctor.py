"""`tidemark doctor`: one line for every check, with what to do."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage

from apiserver.bll.registry.passwords import is_plain_text
from apiserver.common.addresses import without_password
from apiserver.common.findings import Finding
from apiserver.engine import sqlite_path
from apiserver.settings import Settings, is_loopback
from apiserver.stores.errors import StoreBusy, StoreDamaged

LOW_DISK = 0.05


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, in the order of the checks."""
    yield Finding("ok", "the settings are valid")
    yield from _data_folder(settings)
    yield from _network(settings)
    if settings.shared_store:
        yield from _cluster(settings)
    else:
        yield from _embedded(settings)


def _data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding(
            "FAIL", f"the data folder {folder} can't be written: {error.strerror}", "make it writable, or choose another with TIDEMARK_DATA"
        )
        return
    usage = disk_usage(folder)
    free = usage.free / usage.total
    text = f"the data folder {folder} is writable, {usage.free / 2**30:.1f} GiB ({free:.0%}) free"
    yield Finding("ok", text) if free > LOW_DISK else Finding("warn", text, "free some space: a full disk makes writes answer 503")
    credentials = folder / "credentials.json"
    if credentials.exists() and credentials.stat().st_mode & 0o077:
        yield Finding("warn", f"{credentials} can be read by other users", f"chmod 600 {credentials}")


def _network(settings: Settings) -> Iterator[Finding]:
    if settings.open and not is_loopback(settings.server.host):
        yield Finding("warn", f"calls need no credentials, and the server listens on {settings.server.host}", "set TIDEMARK_AUTH=required")
    else:
        mode = "need no credentials (loopback only)" if settings.open else "need credentials"
        yield Finding("ok", f"calls {mode}")
    plain = [user.id for company in settings.auth.companies for user in company.users if user.password and is_plain_text(user.password)]
    if plain:
        yield Finding(
            "warn",
            f"auth.companies has passwords as plain text, of: {', '.join(plain)}",
            "put hashes there, docs/clearml.md says how to make one",
        )


def _embedded(settings: Settings) -> Iterator[Finding]:
    from apiserver.serving.serve import running_server

    path = Path(sqlite_path(settings.store_url))
    address = running_server(settings.data)
    if address:
        yield Finding("ok", f"a server at {address} holds the database {path}")
        return
    if not path.exists():
        yield Finding("ok", f"the database {path} is created at the first start")
        return
    from apiserver.stores.sqlite import open_sqlite

    try:
        events, _ = open_sqlite(path)
    except StoreDamaged as error:
        yield Finding("FAIL", str(error), "restore it from a backup, or move it elsewhere to start with an empty one (docs/operations.md)")
    except StoreBusy as error:
        yield Finding("warn", f"the database {path} can't be opened now: {error}", "stop the process that holds it")
    else:
        health = events.check()
        yield Finding(
            "ok" if health.ok else "FAIL", f"the database {path} opens: {health.detail}", "" if health.ok else "see docs/operations.md"
        )
        events.close()


def _cluster(settings: Settings) -> Iterator[Finding]:
    from apiserver.stores.elastic.doctor import examine as examine_elastic
    from apiserver.stores.redis.doctor import examine as examine_redis

    yield from examine_elastic(settings.store_url, settings.elastic)
    if settings.state_url.startswith("memory:"):
        yield Finding("FAIL", "TIDEMARK_STATE is memory://", "an Elasticsearch store needs Redis: TIDEMARK_STATE=redis://host:6379/0")
    else:
        yield Finding("ok", f"the state is {without_password(settings.state_url)}")
        yield from examine_redis(settings.state_url, settings.redis)
    folder = Path(settings.files.folder) if settings.files.folder else settings.data / "files"
    yield from _shared_files(folder)


def _shared_files(folder: Path) -> Iterator[Finding]:
    """Whether uploads seem to be on storage that other hosts share; only the operator can know for sure."""
    kind = _file_system(folder)
    if kind in ("nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.glusterfs", "lustre", "fuse.s3fs", "9p"):
        yield Finding("ok", f"uploaded files are in {folder} ({kind}, shared storage)")
    else:
        yield Finding(
            "warn",
            f"uploaded files are in {folder} on a local file system ({kind or 'unknown'})",
            "fine for one host; with several, set files.folder to storage that all of them mount",
        )


def _file_system(folder: Path) -> str:
    place = str(folder.absolute())
    best, kind = "", ""
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return ""
    for line in mounts:
        _, point, type, *_ = line.split()
        inside = point == "/" or place == point or place.startswith(point.rstrip(os.sep) + os.sep)
        if inside and len(point) >= len(best):
            best, kind = point, type
    return kind
