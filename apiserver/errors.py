"""The exceptions that `bll` and the services raise; the one table in `service_repo/errors.py` turns them into codes.

Every class carries what went wrong as fields, never a ready answer. `extra` is a short phrase for the message, `params` are its
`key = value` pairs (lists are printed in brackets), `data` fills the `data` of an error answer (empty for nearly all errors).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class TidemarkError(Exception):
    """Base of all errors that a client is told about. Not raised itself."""

    def __init__(self, extra: str = "", *, data: Mapping[str, Any] | None = None, **params: Any) -> None:
        super().__init__(extra)
        self.extra = extra
        self.params = params
        self.data: dict[str, Any] = dict(data or {})


def _listed(ids: str | Iterable[str]) -> list[str]:
    return [ids] if isinstance(ids, str) else list(ids)


# --- requests


class MalformedPath(TidemarkError):
    """The path is not [/api]/[v<version>/]service.action."""


class BadBody(TidemarkError):
    """The body is not JSON, not an object, or can't be unpacked."""


class NotSupported(TidemarkError):
    """The endpoint exists, but does not support this request."""


class InvalidVersion(TidemarkError):
    """The version in the path has a leading zero."""


class UnknownEndpoint(TidemarkError):
    """No handler for this name and version."""


class InvalidHeaders(TidemarkError):
    """Headers that exclude each other."""


class ImpersonationError(TidemarkError):
    """The caller may not act for somebody else, or that user is unknown."""


class InvalidId(TidemarkError):
    """A malformed id."""


class MissingFields(TidemarkError):
    """A required field is empty (400/11). Absent fields are ValidationFailed."""


class ValidationFailed(TidemarkError):
    """A field of the request violates the schema or a rule between fields (400/12).

    `field` is its path (`metrics[0].metric`), `expected` a phrase ("a string"), `got` the offending value (it is shortened).
    """

    def __init__(self, field: str, expected: str, got: Any = None) -> None:
        self.field, self.expected, self.got = field, expected, got
        where = f'"{field}" must be ' if field else "the request must be "
        super().__init__(f"{where}{expected}" + (f", got {brief(got)}" if got is not None else ""))


class FieldsNotAllowed(TidemarkError):
    """The caller's role may not set this field."""


class InvalidFields(TidemarkError):
    """Field names that don't exist (`only_fields`, `order_by`)."""


class FieldsConflict(TidemarkError):
    """Fields that exclude each other."""


class FieldsValueError(TidemarkError):
    """A field has the right type and an impossible value."""


class FieldsTypeError(TidemarkError):
    """A field has a type that this object can't hold."""


class EmptyBatch(TidemarkError):
    """A batch without items."""


class InvalidRegex(TidemarkError):
    """A pattern that RE2 can't read."""


class NotPublicObject(TidemarkError):
    """The object is not public, or belongs to somebody else."""


class BodyTooLarge(TidemarkError):
    """The body, or what it unpacks to, is larger than the limit. `limit` in bytes."""

    def __init__(self, limit: int, extra: str = "") -> None:
        self.limit = limit
        super().__init__(extra or f"the limit is {limit} bytes, after unpacking")


class UnsupportedEncoding(TidemarkError):
    """A Content-Encoding other than gzip and identity."""


class TooManyRequests(TidemarkError):
    """`retry_after` in seconds."""

    def __init__(self, extra: str = "", retry_after: float = 1.0) -> None:
        self.retry_after = retry_after
        super().__init__(extra)


# --- tasks, models, projects


class TaskError(TidemarkError):
    """A task can't do that."""


class InvalidTask(TidemarkError):
    """Unknown, foreign, or (for writes) published tasks. `ids`: all ids that were asked for."""

    def __init__(self, ids: str | Iterable[str], extra: str = "") -> None:
        self.ids = _listed(ids)
        super().__init__(extra, id=self.ids)


class TaskNotWritable(InvalidTask):
    """The task is published: its events can't change. Same code as an unknown task, as in ClearML."""

    def __init__(self, ids: str | Iterable[str], extra: str = "published") -> None:
        super().__init__(ids, extra)


class TaskValidationError(TidemarkError):
    """The task's own fields contradict each other."""


class InvalidTaskStatus(TidemarkError):
    """The status machine doesn't allow this step; params: `current_status`, `new_status`."""


class InvalidTaskType(TidemarkError):
    """An unknown task type."""


class TaskCannotBeDeleted(TidemarkError):
    """The task runs, is published, or has children."""


class InvalidTaskOutput(TidemarkError):
    """The output of a task can't be published."""


class TaskNotFound(TidemarkError):
    """A task was deleted meanwhile."""


class EventsNotAdded(TidemarkError):
    """No line of a batch was stored.

    `errors_info` maps a reason to its count, `error_lines` lists `{line, field, reason}` (at most 100).
    """

    def __init__(self, added: int, errors: int, errors_info: Mapping[str, int], error_lines: list[dict[str, Any]]) -> None:
        data = {"added": added, "errors": errors, "errors_info": dict(errors_info), "error_lines": error_lines}
        super().__init__(data=data)
        self.params = dict(list(errors_info.items())[:20])


class RewindRefused(TidemarkError):
    """The events that a rewind would make void cannot be kept."""


class InvalidModel(TidemarkError):
    """Unknown or foreign models. `ids`: all ids that were asked for."""

    def __init__(self, ids: str | Iterable[str], extra: str = "") -> None:
        self.ids = _listed(ids)
        super().__init__(extra, id=self.ids)


class ModelNotWritable(InvalidModel):
    """The model is published: its events can't change."""

    def __init__(self, ids: str | Iterable[str], extra: str = "published") -> None:
        super().__init__(ids, extra)


class ModelNotReady(TidemarkError):
    """The model has no file yet."""


class ModelIsReady(TidemarkError):
    """The model is published and can't change."""


class ModelInUse(TidemarkError):
    """Tasks use the model."""


class ModelCreatingTaskPublished(TidemarkError):
    """The task that created the model is published."""


class InvalidProject(TidemarkError):
    """Unknown project, or a project of another company."""


class ProjectNotFound(TidemarkError):
    """No project matches."""


class ProjectHasTasks(TidemarkError):
    """The project isn't empty."""


class ProjectHasModels(TidemarkError):
    """The project isn't empty."""


class ProjectHasDatasets(TidemarkError):
    """A dataset below the project has versions."""


class ProjectHasPipelines(TidemarkError):
    """A pipeline below the project has runs that are not archived."""


class InvalidProjectName(TidemarkError):
    """A name that is empty, or made of slashes only."""


class ProjectLocationFixed(TidemarkError):
    """An update would move the project; that is what projects.move does."""


class CannotRemoveAllRuns(TidemarkError):
    """A pipeline keeps at least one run."""


class InvalidUser(TidemarkError):
    """No such user in this company."""


class InvalidQueue(TidemarkError):
    """No such queue in this company."""


class InvalidWorker(TidemarkError):
    """No such worker in this company."""


class NotFound(TidemarkError):
    """An unknown object of a kind without an error class of its own."""


class DataValidationError(TidemarkError):
    """A value that the object can't hold (a task name of two letters)."""


class ExpectedUnique(TidemarkError):
    """Another object has this name already."""


class InvalidScroll(TidemarkError):
    """A scroll or navigation id that is unknown, expired, of another task or of another company."""


# --- authentication and access


class Unauthorized(TidemarkError):
    """The caller is known, but has no access."""


class EntityNotAllowed(TidemarkError):
    """The caller may not see this object."""


class BadAuthType(TidemarkError):
    """An Authorization scheme other than Basic and Bearer."""


class NoCredentials(TidemarkError):
    """Neither an Authorization header nor a cookie."""


class BadCredentials(TidemarkError):
    """The Basic payload can't be decoded."""


class InvalidCredentials(TidemarkError):
    """Unknown key, or a wrong secret."""


class InvalidToken(TidemarkError):
    """A token that is damaged, expired, revoked or not ours."""


class OriginRefused(TidemarkError):
    """The call comes from a foreign web page (Origin, Sec-Fetch-Site) or names a foreign Host."""


class InternalEndpoint(TidemarkError):
    """The endpoint is for the server's own use."""


class RoleNotAllowed(TidemarkError):
    """The endpoint is for other roles."""


class NoWritePermission(TidemarkError):
    """A public object of another company can be read, not changed."""


# --- errors of the server


class InternalError(TidemarkError):
    """An error of the server that the caller can't avoid."""


class NotAvailable(TidemarkError):
    """A part of the server is unavailable for now. `retry_after` in seconds."""

    def __init__(self, extra: str = "", retry_after: float = 5.0) -> None:
        self.retry_after = retry_after
        super().__init__(extra)


class StartupError(Exception):
    """The server can't start. The text is one sentence for the operator: what is wrong, where, what to do; the exit code is 2."""


class StoreNotReady(StartupError):
    """The store does not answer, or takes no writes that the start needs; later it may."""


def brief(value: Any, limit: int = 60) -> str:
    """A value for a message: JSON-like, on one line, shortened."""
    if isinstance(value, str):
        shown = value if len(value) <= limit else value[:limit] + "…"
        return '"' + shown.encode("utf-8", "replace").decode() + '"'
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, dict):
        return "an object" if value else "{}"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "[]"
    try:
        shown = repr(value)
    except ValueError:  # an integer with more digits than Python prints
        return "a very large integer"
    return shown if len(shown) <= limit else shown[:limit] + "…"
