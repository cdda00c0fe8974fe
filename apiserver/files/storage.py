"""Files on disk: written under a temporary name, synced, renamed; read and removed without following symbolic links.

Below the root every folder is opened relative to its parent's descriptor (openat with O_NOFOLLOW): a symbolic link is refused, and there is no
race between a check and its use. All methods block; callers use `in_thread`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from apiserver.errors import StartupError
from apiserver.files.names import SHARED, fully_decoded, split, storage_path, stored_names, task_folder
from apiserver.files.problems import DiskFull, FileProblem, NameConflict, NoSuchFile, TooLarge
from apiserver.settings import Settings

T = TypeVar("T")

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STALE = 24 * 3600.0
"""Age in seconds at which a temporary file counts as abandoned. Younger ones may be uploads of another host that shares the folder."""


_DELETED = "deleted-"
"""Prefix of folders that are being deleted."""
_MOST_NAMES = 20_000
"""Names in a folder that `alike` compares."""
_MOST_ALIKE = 10
"""Names that `alike` returns."""


class OpenFile(NamedTuple):
    """A file opened for reading: descriptor, size in bytes, mtime in seconds. A later upload of the same name does not change what is read."""

    fd: int
    size: int
    modified: float
    etag: str


class FileStorage:
    """The files of all companies below one folder."""

    def __init__(self, root: Path, *, max_size: int, reserve: int) -> None:
        """`max_size`: most bytes of a file. `reserve`: bytes that uploads leave free on the disk, for the database."""
        self.root = root
        self.max_size = max_size
        self._reserve = reserve
        self._incoming = root / ".incoming"

    def prepare(self) -> None:
        """Create the folders, and remove the remains of uploads and deletes that were interrupted."""
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self._incoming.iterdir():
            if left.name.startswith(_DELETED):
                shutil.rmtree(left, ignore_errors=True)
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE:
                    left.unlink()

    # --- writing

    def begin(self) -> Incoming:
        """A new upload; nothing is visible before `commit`."""
        return Incoming(self)

    def check_space(self, wanted: int = 0) -> None:
        """Raise DiskFull when `wanted` more bytes would use up the reserve."""
        try:
            disk = os.statvfs(self._incoming)
        except FileNotFoundError:
            self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            disk = os.statvfs(self._incoming)
        if disk.f_bavail * disk.f_frsize - wanted < self._reserve:
            raise DiskFull("the server's disk is full: nothing was stored; free some space there, or lower files.reserve")

    # --- reading

    def open(self, company: str, name: str) -> OpenFile:
        """Open a file for reading; the caller closes the descriptor. Raises NoSuchFile, BadName."""
        return self._first_stored(name, lambda stored: self._open(company, stored))

    def _first_stored(self, name: str, act: Callable[[str], T]) -> T:
        *others, last = stored_names(name)
        for stored in others:
            try:
                return act(stored)
            except NoSuchFile:
                continue
        return act(last)

    def _open(self, company: str, name: str) -> OpenFile:
        *folders, last = storage_path(company, name)
        try:
            with self._folder(folders) as folder:
                fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.ENAMETOOLONG):
                raise NoSuchFile("there is no such file") from None
            raise
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise NoSuchFile("there is no such file")
        return OpenFile(fd, found.st_size, found.st_mtime, f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}")

    def alike(self, company: str, path: str) -> list[str]:
        """The names of stored files that equal `path` once both are fully percent-decoded. Raises BadName."""
        owner = storage_path(company, path)[:2]
        found: list[list[str]] = [[]]
        for wanted in map(fully_decoded, split(path)):
            found = [[*above, name] for above in found for name in self._names(owner + above) if fully_decoded(name) == wanted]
            del found[_MOST_ALIKE:]
        return ["/".join(segments) for segments in found]

    def _names(self, folders: Sequence[str]) -> list[str]:
        """The names in a folder, up to _MOST_NAMES of them; none if it can't be read."""
        try:
            with self._folder(folders) as folder, os.scandir(folder) as entries:
                return [entry.name for entry in islice(entries, _MOST_NAMES)]
        except OSError:
            return []

    def task_of(self, name: str) -> str | None:
        """The id of the task that a name belongs to, or None. Raises BadName."""
        owner = storage_path("-", name)[1]
        return None if owner == SHARED else owner

    # --- removing

    def delete(self, company: str, name: str) -> None:
        """Remove a file, and its folders if they are empty then. Raises NoSuchFile, BadName."""
        self._first_stored(name, lambda stored: self._delete(company, stored))

    def _delete(self, company: str, name: str) -> None:
        *folders, last = storage_path(company, name)
        try:
            with self._folder(folders) as folder:
                if not stat.S_ISREG(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
                    raise NoSuchFile("there is no such file")
                os.unlink(last, dir_fd=folder)
                os.fsync(folder)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
                raise NoSuchFile("there is no such file") from None
            raise
        self._prune(folders)

    def delete_task(self, company: str, task: str, keep: Collection[str] = ()) -> bool:
        """Remove all files of a task except those named in `keep`; False when it had none. Files that are uploaded during the call may be removed."""
        folders = task_folder(company, task)
        if folders is None:
            return False
        kept: set[tuple[str, ...]] = set()
        for name in keep:
            path = storage_path(company, name)
            kept.add(tuple(path))
            if path[:2] == folders:
                kept |= {tuple(storage_path(company, found)) for found in self.alike(company, name)}
        if any(self._is_there(path) for path in kept):
            return self._delete_others(folders, kept)
        # Renamed first: readers see all of the task's files or none, and a concurrent upload creates a new folder.
        doomed = self._incoming / f"{_DELETED}{uuid.uuid4().hex}"
        try:
            with self._folder(folders[:-1]) as folder:
                if not stat.S_ISDIR(os.stat(folders[-1], dir_fd=folder, follow_symlinks=False).st_mode):
                    return False
                os.rename(folders[-1], doomed, src_dir_fd=folder)
                os.fsync(folder)
        except (FileNotFoundError, NotADirectoryError):
            return False
        shutil.rmtree(doomed, ignore_errors=True)
        return True

    def _is_there(self, path: Sequence[str]) -> bool:
        try:
            with self._folder(path[:-1]) as folder:
                os.stat(path[-1], dir_fd=folder, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _delete_others(self, folders: list[str], kept: set[tuple[str, ...]]) -> bool:
        """Remove the other files one by one, bottom-up, and the folders that are empty then."""
        removed = False
        try:
            with self._folder(folders) as top:
                for path, _, files, folder in os.fwalk(".", topdown=False, dir_fd=top):
                    inside = [part for part in path.split("/") if part != "."]
                    for file in files:
                        if (*folders, *inside, file) not in kept:
                            with contextlib.suppress(FileNotFoundError):
                                os.unlink(file, dir_fd=folder)
                            removed = True
                    self._prune([*folders, *inside])
        except FileNotFoundError:
            return removed
        return removed

    # --- folders

    @contextlib.contextmanager
    def _folder(self, folders: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder, opened level by level without following links. `make`: create missing folders."""
        current = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in folders:
                try:
                    below = os.open(name, _FOLDER, dir_fd=current)
                except FileNotFoundError:
                    if not make:
                        raise
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=current)
                        os.fsync(current)
                    below = os.open(name, _FOLDER, dir_fd=current)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)

    def _prune(self, folders: Sequence[str]) -> None:
        """Remove empty folders bottom-up; the company's own stays."""
        for depth in range(len(folders), 1, -1):
            try:
                with self._folder(folders[: depth - 1]) as above:
                    os.rmdir(folders[depth - 1], dir_fd=above)
            except OSError:  # not empty, or gone already
                return


class Incoming:
    """An upload in progress: any number of `write`, then `commit` or `abort`."""

    def __init__(self, storage: FileStorage) -> None:
        self._storage = storage
        self._path = storage._incoming / f"{uuid.uuid4().hex}.part"
        self._fd: int | None = None
        self.size = 0

    def write(self, data: bytes | bytearray) -> None:
        """Append to the temporary file. Raises TooLarge, DiskFull."""
        self.size += len(data)
        if self.size > self._storage.max_size:
            raise TooLarge(f"the file is larger than {self._storage.max_size} bytes, the limit of this server (files.max_size)")
        with _disk_errors():
            self._storage.check_space(len(data))
            if self._fd is None:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]

    def commit(self, company: str, name: str) -> None:
        """Sync the file and rename it to its name; an existing file is replaced. Raises BadName, NameConflict, DiskFull."""
        *folders, last = storage_path(company, name)
        if self._fd is None:
            self.write(b"")
        assert self._fd is not None
        with _disk_errors():
            os.fsync(self._fd)
            for attempt in range(10):
                try:
                    with self._storage._folder(folders, make=True) as folder:
                        os.rename(self._path, last, dst_dir_fd=folder)
                        os.fsync(folder)
                    break
                except FileNotFoundError:  # another request removed the empty folder in between
                    if attempt == 9 or not self._path.exists():
                        raise
        self._close()

    def abort(self) -> None:
        """Discard the upload; does nothing after `commit`."""
        if self._fd is not None:
            self._close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except FileProblem:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("the server's disk is full: nothing was stored; free some space there") from None
        if error.errno == errno.EFBIG:
            raise TooLarge("the file is larger than the server's file system allows") from None
        if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.ELOOP):
            raise NameConflict("this name needs a folder where a file exists, or a file where a folder exists") from None
        raise


def open_storage(settings: Settings) -> FileStorage:
    """The storage in `files.folder`, by default `files` in the data folder; created if missing. Raises StartupError."""
    folder = Path(settings.files.folder).expanduser() if settings.files.folder else settings.data / "files"
    storage = FileStorage(folder, max_size=settings.files.max_size, reserve=settings.files.reserve)
    try:
        storage.prepare()
    except OSError as error:
        raise StartupError(f"{folder}: the folder for files can't be written: {error.strerror}; choose one with files.folder") from error
    return storage
