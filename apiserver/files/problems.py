"""Refusals of the file server: one sentence and an HTTP status."""

from __future__ import annotations


class FileProblem(Exception):
    """`status` is the HTTP status, `text` the sentence."""

    status = 400

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class BadName(FileProblem):
    """A name that could lead out of the company's folder, or that no file can have."""


class BadUpload(FileProblem):
    """The body is no multipart form with a file in it."""


class BrokenOff(BadUpload):
    """The client stopped sending or disconnected: the rest of the body is not read."""


class NoSuchFile(FileProblem):
    """Nothing is stored under this name, for this company."""

    status = 404


class InTheWay(FileProblem):
    """A file lies where a folder is needed, or the other way round."""

    status = 409


class TooLarge(FileProblem):
    """The file is larger than `files.max_size`."""

    status = 413


class DiskFull(FileProblem):
    """No space is left, or less than `files.reserve` would be left."""

    status = 507
