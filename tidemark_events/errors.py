"""The exceptions of this package. Every message says what to do."""

from __future__ import annotations


class TidemarkError(Exception):
    """The base of all errors of this package."""


class InvalidArgument(TidemarkError, ValueError, TypeError):
    """An argument of a wrong type, out of its range, or an unknown name."""


class ServerUnavailable(TidemarkError):
    """No server answers, or it can't work now. `reached`: the request may have arrived."""

    def __init__(self, text: str, *, reached: bool = True) -> None:
        super().__init__(text)
        self.reached = reached


class LoginRefused(TidemarkError):
    """The server wants an access key, or refuses the one it got."""


class NotFound(TidemarkError):
    """No such run, metric or project."""


class CallRefused(TidemarkError):
    """The server refused a call. `code` and `subcode` are those of its answer (docs/protocol.md)."""

    def __init__(self, text: str, code: int, subcode: int = 0) -> None:
        super().__init__(text)
        self.code, self.subcode = code, subcode
