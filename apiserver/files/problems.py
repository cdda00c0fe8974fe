"""Errors of the file server: an HTTP status and a message."""

from __future__ import annotations


class FileProblem(Exception):
    """`status` is the HTTP status, `text` the message."""

    status = 400

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class BadName(FileProblem):
    """A name with path traversal, or one that no file can have."""


class BadUpload(FileProblem):
    """The body is not a multipart form with a file."""


class UploadInterrupted(BadUpload):
    """The client disconnected or stopped sending; the rest of the body is not read."""


class NoSuchFile(FileProblem):
    """The company has no file with this name."""

    status = 404


class NameConflict(FileProblem):
    """A file exists where the name needs a folder, or a folder where it needs a file."""

    status = 409


class TooLarge(FileProblem):
    """The file is larger than `files.max_size`."""

    status = 413


class DiskFull(FileProblem):
    """No space is left on the disk, or less than `files.reserve`."""

    status = 507
