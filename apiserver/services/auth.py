"""The auth service."""

from __future__ import annotations

from typing import Any

from apiserver.service_repo import Call, endpoint
from apiserver.service_repo.auth import Authenticator


class AuthService:
    """Logins."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._auth = authenticator

    @endpoint("auth.login")
    def login(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        token, life = self._auth.make_token(call.identity, request.get("expiration_sec"))
        call.set_cookie(self._auth.cookie_name, token, life)
        return {"token": token}
