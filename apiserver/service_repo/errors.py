"""The table from exceptions to result codes and messages (docs/protocol.md, "Envelope and codes").

Codes and sub-codes are ClearML's, the texts are ours. Codes above 503 are never used: ClearML's SDK would repeat the call forever.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from apiserver import errors
from apiserver.stores.errors import PatternTooSlow, StateUnavailable, StoreBusy, StoreUnavailable


class Code(NamedTuple):
    """`code` is also the HTTP status; `text` begins the message."""

    code: int
    subcode: int
    text: str


class Failure(NamedTuple):
    """The envelope of a failed call. `retry_after`: whole seconds for the Retry-After header, or None."""

    code: int
    subcode: int
    message: str
    data: dict[str, Any]
    retry_after: int | None = None


TABLE: dict[type[Exception], Code] = {
    errors.MalformedPath: Code(400, 0, "Malformed request path"),
    errors.BadBody: Code(400, 0, "Request body can't be read"),
    errors.NotSupported: Code(400, 1, "Not supported"),
    errors.InvalidVersion: Code(400, 2, "Invalid version in request path"),
    errors.InvalidHeaders: Code(400, 5, "Invalid headers"),
    errors.ImpersonationError: Code(400, 6, "Impersonation refused"),
    errors.InvalidId: Code(400, 10, "Invalid id"),
    errors.MissingFields: Code(400, 11, "Missing required fields"),
    errors.ValidationFailed: Code(400, 12, "Validation error"),
    errors.FieldsNotAllowed: Code(400, 13, "Fields not allowed for this role"),
    errors.InvalidFields: Code(400, 14, "Invalid fields"),
    errors.FieldsConflict: Code(400, 15, "Conflicting fields"),
    errors.FieldsValueError: Code(400, 16, "Invalid field value"),
    errors.EmptyBatch: Code(400, 17, "Batch contains no items"),
    errors.FieldsTypeError: Code(400, 20, "Invalid field type"),
    errors.InvalidRegex: Code(400, 21, "Invalid regular expression"),
    PatternTooSlow: Code(
        400, 21, "Pattern too slow: the patterns of a call may take 5 s; make them simpler or narrow the search by other filters"
    ),
    errors.NotPublicObject: Code(400, 24, "Object is not public"),
    errors.TaskError: Code(400, 100, "Task error"),
    errors.InvalidTask: Code(400, 101, "Invalid task id"),
    errors.TaskValidationError: Code(400, 102, "Task validation error"),
    errors.InvalidTaskStatus: Code(400, 110, "Invalid task status"),
    errors.InvalidTaskType: Code(400, 114, "Invalid task type"),
    errors.InvalidTaskOutput: Code(400, 115, "Invalid task output"),
    errors.TaskCannotBeDeleted: Code(400, 123, "Task can't be deleted"),
    errors.TaskNotFound: Code(400, 130, "Task not found"),
    errors.EventsNotAdded: Code(400, 131, "Events not added"),
    errors.RewindRefused: Code(400, 132, "Events not rewound"),
    errors.CannotRemoveAllRuns: Code(400, 160, "All runs of a pipeline can't be removed"),
    errors.InvalidModel: Code(400, 201, "Invalid model id"),
    errors.ModelNotReady: Code(400, 202, "Model is not ready"),
    errors.ModelIsReady: Code(400, 203, "Model is ready"),
    errors.ModelInUse: Code(400, 205, "Model is in use"),
    errors.ModelCreatingTaskPublished: Code(400, 206, "Task that created this model is published"),
    errors.InvalidProject: Code(400, 401, "Invalid project id"),
    errors.ProjectHasTasks: Code(400, 402, "Project has tasks"),
    errors.ProjectNotFound: Code(400, 403, "Project not found"),
    errors.ProjectHasModels: Code(400, 405, "Project has models"),
    errors.ProjectHasDatasets: Code(400, 406, "Project has datasets"),
    errors.InvalidProjectName: Code(400, 407, "Invalid project name"),
    errors.ProjectLocationFixed: Code(400, 408, "Project location can't be changed by an update"),
    errors.ProjectHasPipelines: Code(400, 413, "Project has pipelines"),
    errors.InvalidQueue: Code(400, 701, "Invalid queue id"),
    errors.DataValidationError: Code(400, 800, "Data validation error"),
    errors.ExpectedUnique: Code(400, 801, "Expected unique data"),
    errors.InvalidUser: Code(400, 1001, "Invalid user id"),
    errors.InvalidWorker: Code(400, 1101, "Invalid worker id"),
    errors.InvalidScroll: Code(400, 1104, "Invalid scroll id"),
    errors.NotFound: Code(400, 1204, "Not found"),
    errors.Unauthorized: Code(401, 1, "Not authorized"),
    errors.EntityNotAllowed: Code(401, 2, "Not authorized for this object"),
    errors.BadAuthType: Code(401, 10, "Bad authentication type"),
    errors.NoCredentials: Code(401, 20, "No credentials"),
    errors.BadCredentials: Code(401, 21, "Bad credentials"),
    errors.InvalidCredentials: Code(401, 22, "Invalid credentials"),
    errors.InvalidToken: Code(401, 30, "Invalid token"),
    errors.OriginRefused: Code(403, 10, "Refused"),
    errors.InternalEndpoint: Code(403, 12, "Endpoint is internal"),
    errors.RoleNotAllowed: Code(403, 20, "Role not allowed"),
    errors.NoWritePermission: Code(403, 21, "No write permission"),
    errors.UnknownEndpoint: Code(404, 0, "Unknown endpoint"),
    errors.BodyTooLarge: Code(413, 0, "Request body is too large"),
    errors.UnsupportedEncoding: Code(415, 0, "Unsupported content encoding"),
    errors.TooManyRequests: Code(429, 0, "Too many requests"),
    errors.InternalError: Code(500, 0, "General error"),
    errors.NotAvailable: Code(503, 0, "Temporarily unavailable"),
    StateUnavailable: Code(503, 1, "State is temporarily unavailable"),
    StoreUnavailable: Code(503, 2, "Store is temporarily unavailable"),
    StoreBusy: Code(503, 3, "Store is busy"),
}


def failure_of(error: Exception, call_id: str) -> Failure:
    """The code and message for `error`. An exception that is not in the table is a 500/0 that names only the call id."""
    code = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), None)
    if code is None:
        return Failure(500, 0, f"General error (unexpected; see call {call_id} in the server's log)", {})
    retry_after = getattr(error, "retry_after", None)
    seconds = max(1, math.ceil(retry_after)) if retry_after is not None else None
    if not isinstance(error, errors.TidemarkError):  # a store's error names hosts and indices: its text goes to the log only
        return Failure(code.code, code.subcode, code.text, {}, seconds)
    return Failure(code.code, code.subcode, _message(code.text, error.extra, error.params), error.data, seconds)


def _message(text: str, extra: str, params: dict[str, Any]) -> str:
    """`Text (extra): key=value, key2=(a, b)`, on one line."""
    if extra:
        text = f"{text} ({extra})"
    if params:
        text += ": " + ", ".join(f"{key}={_value(value)}" for key, value in params.items())
    return text.encode("utf-8", "replace").decode().replace("\n", " ").replace("\r", " ")


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        shown = [str(item)[:300] for item in list(value)[:20]]
        return "(" + ", ".join(shown) + (", …" if len(value) > 20 else "") + ")"
    return str(value)[:1000]
