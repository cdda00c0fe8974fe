"""`tidemark backup` and `tidemark restore`: the store, uploaded files and keys in one folder, verified by counts and digests.

backup.json          what is in it: version, engine, time, counts, and the SHA-256 of every file
tidemark.db          the embedded engine's database, or
indices/*.jsonl.gz   every document of Elasticsearch
files/               uploads
credentials.json     keys and signing secret
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from apiserver import __version__
from apiserver.engine import sqlite_path
from apiserver.errors import StartupError
from apiserver.settings import Settings
from apiserver.stores.errors import StoreDamaged

FORMAT = 1
MANIFEST, DATABASE, INDICES, FILES, KEYS = "backup.json", "tidemark.db", "indices", "files", "credentials.json"
INCOMING = ".incoming"
"""Of the file server: uploads that are not complete."""


def backup(settings: Settings, folder: Path) -> dict[str, Any]:
    """Write a backup to a new or empty folder; returns the manifest. The server may be running. Raises StartupError, StoreError."""
    if folder.exists() and any(folder.iterdir()):
        raise StartupError(f"{folder}: the folder is not empty; each backup needs one of its own")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    began = int(time.time() * 1000)
    engine, counts = _dump_store(settings, folder)
    # Files after the events that name them: an event without its file would be worse than a file without its event.
    _copy_tree(files_folder(settings), folder / FILES)
    keys = settings.data / KEYS
    if keys.exists():
        copy_file(keys, folder / KEYS, is_secret=True)
    manifest = {
        "format": FORMAT,
        "version": __version__,
        "engine": engine,
        "began": began,
        "counts": counts,
        "digests": {str(path.relative_to(folder)): _digest(path) for path in all_files(folder)},
    }
    draft = folder / f".{MANIFEST}"
    draft.write_text(json.dumps(manifest, indent=2))
    draft.replace(folder / MANIFEST)  # last: only a complete backup has a manifest
    return manifest


def verify(folder: Path) -> dict[str, Any]:
    """Compare every file of a backup with its digest; returns the manifest. Raises StartupError with the name of the first file that differs."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise StartupError(f"{folder}: not a complete backup: {MANIFEST} can't be read") from error
    if manifest.get("format") != FORMAT:
        raise StartupError(f"{folder}: a newer tidemark made this backup (format {manifest.get('format')}); restore it with that version")
    for name, digest in manifest["digests"].items():
        path = folder / name
        if not path.is_file() or _digest(path) != digest:
            raise StartupError(f"{path}: missing or changed since the backup; restore another one")
    return manifest


def restore(settings: Settings, folder: Path) -> int:
    """Restore a backup into an empty installation (one of SQLite also into Elasticsearch); returns the number of documents. Raises StartupError,
    StoreError."""
    manifest = verify(folder)
    shared = settings.shared_store
    if manifest["engine"] == "elasticsearch" and not shared:
        raise StartupError(f"{folder}: a backup of Elasticsearch; set TIDEMARK_STORE to an http:// address to restore it")
    database = None if shared else Path(sqlite_path(settings.store_url))
    taken = [path for path in (database, settings.data / KEYS) if path is not None and path.exists()]
    files = files_folder(settings)
    if files.exists() and any(path.name != INCOMING for path in files.iterdir()):
        taken.append(files)
    if taken:
        raise StartupError(f"{taken[0]}: the installation is not empty; restore into an empty data folder")
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (folder / FILES).exists():
        _copy_tree(folder / FILES, files)
    if (folder / KEYS).exists():
        copy_file(folder / KEYS, settings.data / KEYS, is_secret=True)
    if shared and manifest["engine"] == "sqlite":
        return _move_store(settings, folder)
    counts = _load_store(settings, folder, manifest, database)
    if counts != manifest["counts"]:
        odd = sorted(name for name in {*counts, *manifest["counts"]} if counts.get(name) != manifest["counts"].get(name))
        raise StartupError(f"{folder}: the restored store differs from the backup in {', '.join(odd)}: restore it into an empty one again")
    return sum(counts.values())


def _dump_store(settings: Settings, folder: Path) -> tuple[str, dict[str, int]]:
    if settings.shared_store:
        from apiserver.stores.elastic import backup as elastic
        from apiserver.stores.elastic.client import ElasticClient

        (folder / INDICES).mkdir(mode=0o700)
        client = ElasticClient(settings.store_url, settings.elastic)
        try:
            return "elasticsearch", elastic.dump(client, folder / INDICES)
        finally:
            client.close()
    from apiserver.stores.sqlite import backup as sqlite

    path = Path(sqlite_path(settings.store_url))
    if not path.exists():
        raise StartupError(f"{path}: there is no database to back up")
    sqlite.copy(path, folder / DATABASE)
    return "sqlite", sqlite.counts(folder / DATABASE)


def _load_store(settings: Settings, folder: Path, manifest: dict[str, Any], database: Path | None) -> dict[str, int]:
    if database is None:
        from apiserver.stores.elastic import backup as elastic
        from apiserver.stores.elastic.client import ElasticClient

        client = ElasticClient(settings.store_url, settings.elastic)
        try:
            return elastic.load(client, folder / INDICES, manifest["began"])
        finally:
            client.close()
    from apiserver.stores.sqlite import backup as sqlite

    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = database.with_name(f".{database.name}.restored")
    copy_file(folder / DATABASE, draft, is_secret=True)
    try:
        counts = sqlite.counts(draft)
    except StoreDamaged:
        draft.unlink()
        raise
    draft.replace(database)
    return counts


def _move_store(settings: Settings, folder: Path) -> int:
    """Write the SQLite database of a backup to Elasticsearch; returns the number of documents."""
    from apiserver.stores.elastic.client import ElasticClient
    from apiserver.stores.elastic.intake import take_in
    from apiserver.stores.sqlite.contents import SqliteContents

    draft = settings.data / f".{DATABASE}.moved"
    draft.unlink(missing_ok=True)
    copy_file(folder / DATABASE, draft, is_secret=True)  # opening it may migrate it, and a backup stays as it is
    try:
        with closing(SqliteContents(draft)) as contents, closing(ElasticClient(settings.store_url, settings.elastic)) as client:
            return take_in(client, contents, settings.events.plot_compression_threshold)
    finally:
        for path in settings.data.glob(f"{draft.name}*"):
            path.unlink()


def files_folder(settings: Settings) -> Path:
    """Where an installation keeps uploads."""
    return Path(settings.files.folder).expanduser() if settings.files.folder else settings.data / "files"


def _copy_tree(source: Path, target: Path) -> None:
    """Copy a folder while the file server writes to it: its files appear only when they are complete. Files deleted meanwhile are left out."""
    if not source.exists():
        return
    for path in all_files(source):
        name = path.relative_to(source)
        if name.parts[0] == INCOMING:
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            copy_file(path, target / name)
        except FileNotFoundError:
            continue


def copy_file(source: Path, target: Path, *, is_secret: bool = False) -> None:
    """Copy a file to a path that does not exist yet, and sync it. Only its owner can read it until it is complete, and a secret always."""
    with source.open("rb") as given, os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as made:
        shutil.copyfileobj(given, made, 1 << 20)
        made.flush()
        os.fsync(made.fileno())
    if not is_secret:
        shutil.copystat(source, target)


def all_files(folder: Path) -> Iterator[Path]:
    """The files below a folder, in order, without a manifest."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in (MANIFEST, f".{MANIFEST}"))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
