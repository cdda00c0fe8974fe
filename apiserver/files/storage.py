"""Files on disk: written under a temporary name, synced, renamed; read and removed without following a link.

Every step below the root goes from folder to folder by file descriptor (openat with O_NOFOLLOW): a symbolic link there is
refused, not followed, and there is no gap between a check and its use. All methods block; callers use `in_thread`.
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
from pathlib import Path
from typing import NamedTuple, TypeVar

from apiserver.errors import StartupError
from apiserver.files.names import SHARED, place, spellings, task_folder
from apiserver.files.problems import DiskFull, FileProblem, InTheWay, NoSuchFile, TooLarge
from apiserver.settings import Settings

T = TypeVar("T")

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STALE = 24 * 3600.0
"""Seconds after which a temporary file is abandoned (another host may share the folder)."""


_GRAVE = "deleted-"


class OpenFile(NamedTuple):
    """A file opened for reading; a later upload of the same name does not change what is read here."""

    fd: int
    size: int
    modified: float
    etag: str


class FileStorage:
    """The files of all companies below one folder."""

    def __init__(self, root: Path, *, max_size: int, reserve: int) -> None:
        """`max_size`: bytes of one file. `reserve`: bytes of the disk that uploads leave free, for the database beside them."""
        self.root = root
        self.max_size = max_size
        self._reserve = reserve
        self._incoming = root / ".incoming"

    def prepare(self) -> None:
        """Make the folders, and remove what uploads that died left behind."""
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self._incoming.iterdir():
            if left.name.startswith(_GRAVE):
                shutil.rmtree(left, ignore_errors=True)
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE:
                    left.unlink()

    # --- writing

    def begin(self) -> Incoming:
        """A new upload; nothing is visible before `commit`."""
        return Incoming(self)

    def check_space(self, wanted: int = 0) -> None:
        """Raises DiskFull when `wanted` more bytes would eat into the reserve."""
        try:
            disk = os.statvfs(self._incoming)
        except FileNotFoundError:
            self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            disk = os.statvfs(self._incoming)
        if disk.f_bavail * disk.f_frsize - wanted < self._reserve:
            raise DiskFull("the server's disk is full: nothing was stored; free some space there, or lower files.reserve")

    # --- reading

    def open(self, company: str, name: str) -> OpenFile:
        """Raises NoSuchFile, BadName."""
        return self._first_spelling(name, lambda spelling: self._open(company, spelling))

    def _first_spelling(self, name: str, act: Callable[[str], T]) -> T:
        *others, last = spellings(name)
        for spelling in others:
            try:
                return act(spelling)
            except NoSuchFile:
                continue
        return act(last)

    def _open(self, company: str, name: str) -> OpenFile:
        *folders, last = place(company, name)
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

    def task_of(self, name: str) -> str | None:
        """The id of the task that a name belongs to. Raises BadName."""
        owner = place("-", name)[1]
        return None if owner == SHARED else owner

    # --- removing

    def delete(self, company: str, name: str) -> None:
        """Remove one file and the folders that are empty then. Raises NoSuchFile, BadName."""
        self._first_spelling(name, lambda spelling: self._delete(company, spelling))

    def _delete(self, company: str, name: str) -> None:
        *folders, last = place(company, name)
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
        """Remove all files of a task but those named in `keep`; False when it had none. Files that arrive during the call may go or stay."""
        folders = task_folder(company, task)
        if folders is None:
            return False
        kept = {tuple(place(company, name)) for name in keep}
        if any(self._is_there(path) for path in kept):
            return self._delete_others(folders, kept)
        # Renamed first: readers see all of the task's files or none, and an upload that comes now makes a folder of its own.
        grave = self._incoming / f"{_GRAVE}{uuid.uuid4().hex}"
        try:
            with self._folder(folders[:-1]) as folder:
                if not stat.S_ISDIR(os.stat(folders[-1], dir_fd=folder, follow_symlinks=False).st_mode):
                    return False
                os.rename(folders[-1], grave, src_dir_fd=folder)
                os.fsync(folder)
        except (FileNotFoundError, NotADirectoryError):
            return False
        shutil.rmtree(grave, ignore_errors=True)
        return True

    def _is_there(self, path: Sequence[str]) -> bool:
        try:
            with self._folder(path[:-1]) as folder:
                os.stat(path[-1], dir_fd=folder, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _delete_others(self, folders: list[str], kept: set[tuple[str, ...]]) -> bool:
        """File by file, from the inside out; folders that are empty then go too."""
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
        """A descriptor of the folder, reached step by step without following links."""
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
        """Remove empty folders from the inside out, the company's own stays."""
        for depth in range(len(folders), 1, -1):
            try:
                with self._folder(folders[: depth - 1]) as above:
                    os.rmdir(folders[depth - 1], dir_fd=above)
            except OSError:  # not empty, or gone already
                return


class Incoming:
    """One upload on its way: `write` as often as needed, then `commit` or `abort`."""

    def __init__(self, storage: FileStorage) -> None:
        self._storage = storage
        self._path = storage._incoming / f"{uuid.uuid4().hex}.part"
        self._fd: int | None = None
        self.size = 0

    def write(self, data: bytes | bytearray) -> None:
        """Raises TooLarge, DiskFull."""
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
        """Make the file visible under its name, durably; a file of that name is replaced. Raises BadName, InTheWay, DiskFull."""
        *folders, last = place(company, name)
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
                except FileNotFoundError:  # the folder was removed between the two steps
                    if attempt == 9 or not self._path.exists():
                        raise
        self._close()

    def abort(self) -> None:
        """Forget the upload; harmless after `commit`."""
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
            raise InTheWay("a file lies where this name needs a folder, or a folder where it needs a file") from None
        raise


def open_storage(settings: Settings) -> FileStorage:
    """The folder of the files, made if need be. Raises StartupError."""
    folder = Path(settings.files.folder).expanduser() if settings.files.folder else settings.data / "files"
    storage = FileStorage(folder, max_size=settings.files.max_size, reserve=settings.files.reserve)
    try:
        storage.prepare()
    except OSError as error:
        raise StartupError(f"{folder}: the folder for files can't be written: {error.strerror}; choose one with files.folder") from error
    return storage
