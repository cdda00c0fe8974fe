"""The auth and login services: logins, tokens, keys, roles."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.credentials import CredentialBook
from apiserver.bll.registry.identity import ranks_at_least
from apiserver.bll.registry.projection import iso
from apiserver.bll.registry.revocations import Revocations
from apiserver.bll.registry.users import Users
from apiserver.errors import FieldsValueError, InvalidToken, RoleNotAllowed
from apiserver.identities import Identities
from apiserver.service_repo import Call, endpoint
from apiserver.service_repo.auth import Authenticator


class AuthService:
    """Logins, tokens, keys and roles."""

    def __init__(self, authenticator: Authenticator, identities: Identities) -> None:
        self._auth = authenticator
        self._identities = identities
        self._book: CredentialBook = identities.book
        self._users: Users = identities.users
        self._revocations: Revocations = identities.revocations

    @endpoint("auth.login")
    def login(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        token, life = self._auth.make_token(call.identity, request.get("expiration_sec"), caller=call.caller)
        call.set_cookie(self._auth.cookie_name, token, life)
        return {"token": token}

    @endpoint("auth.validate_token")
    def validate_token(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self._auth.check_token(request["token"])
        except InvalidToken as error:
            return {"valid": False, "msg": error.extra}
        return {"valid": True, "msg": ""}

    # --- keys

    @endpoint("auth.create_credentials")
    def create_credentials(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        maker = call.caller.actor if call.caller is not None else ""
        return {"credentials": self._book.create(call.company, call.user, request.get("label"), maker)}

    @endpoint("auth.get_credentials")
    def get_credentials(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        uses = self._users.key_uses(call.company, call.user)
        configured = [
            {
                "access_key": key,
                "label": "from the server's configuration",
                "last_used": iso(uses.get(key, {}).get("last_used")),
                "last_used_from": uses.get(key, {}).get("last_used_from"),
            }
            for key in self._identities.configured_keys(call.company, call.user)
        ]
        own = [
            {
                "access_key": body["id"],
                "label": body.get("label"),
                "last_used": iso(body.get("last_used")),
                "last_used_from": body.get("last_used_from"),
            }
            for body in self._book.of_user(call.company, call.user)
        ]
        return {"credentials": configured + own}

    @endpoint("auth.edit_credentials")
    def edit_credentials(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = self._book.rename(call.company, call.user, request["access_key"], request.get("label"))
        return {"updated": int(found)}

    @endpoint("auth.revoke_credentials")
    def revoke_credentials(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        key = request["access_key"]
        if key in self._identities.configured_keys(call.company, call.user):
            raise FieldsValueError("this key belongs to the server's configuration; remove it there", access_key=key)
        gone = self._book.delete(call.company, call.user, key)
        if gone:
            self._revocations.end_key(key)
        return {"revoked": int(gone)}

    # --- users

    @endpoint("auth.create_user")
    def create_user(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        self._own_company(call, request.get("company"))
        fields: dict[str, Any] = {name: request[name] for name in ("email", "given_name", "family_name", "avatar") if name in request}
        return {"id": self._users.create(call.company, request["name"], fields)}

    @endpoint("auth.edit_user")
    def edit_user(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        role, own = request["role"], call.identity.role
        for rank in (role, str(self._users.get(call.company, request["user"]).get("role") or "user")):
            if not ranks_at_least(own, rank):
                raise RoleNotAllowed(f'the role "{rank}" is above yours', role=own)
        if not self._users.set_role(call.company, request["user"], role):
            return {"updated": 0, "fields": {}}
        self._revocations.end_user(call.company, request["user"])
        return {"updated": 1, "fields": {"role": role}}

    def _own_company(self, call: Call, company: str | None) -> None:
        """Refuse another company than the caller's. `company` may be its id or its name."""
        if company and company not in (call.company, call.identity.company_name):
            raise FieldsValueError("users can only be created in your own company", company=company)


class LoginService:
    """Calls of a login page, which need no login."""

    def __init__(self, authenticator: Authenticator, identities: Identities, *, open_mode: bool) -> None:
        self._auth = authenticator
        self._revocations = identities.revocations
        self._open = open_mode

    @endpoint("login.supported_modes")
    def supported_modes(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {
            "authenticated": bool(call.credential),
            "basic": {"enabled": not self._open, "guest": {"enabled": False, "name": "", "username": "", "password": ""}},
            "sso": {},
            "sso_providers": [],
            "server_errors": {"missed_es_upgrade": False, "es_connection_error": False},
        }

    @endpoint("login.logout")
    def logout(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if call.session:
            self._revocations.end_session(call.session, self._auth.longest_life())
        # A link on another site comes without the cookie (SameSite=Strict), and must not end the login by removing it.
        if self._auth.cookie_name in call.headers.get("Cookie", ""):
            call.set_cookie(self._auth.cookie_name, "", 0)
        return {}
