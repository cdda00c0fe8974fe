"""users.*: users of a company and their preferences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.bll.registry.filter_values import FilterValues
from apiserver.bll.registry.projection import iso
from apiserver.bll.registry.users import Users
from apiserver.service_repo import Call, endpoint

SETTINGS = {"max_download_items": 1000}
"""Settings for ClearML's web application."""


class UsersService:
    """Users of the caller's company, and the caller's own settings."""

    def __init__(self, users: Users, filter_values: FilterValues) -> None:
        self._users = users
        self._filter_values = filter_values

    @endpoint("users.get_current_user")
    def get_current_user(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = call.identity
        company = {"id": who.company, "name": who.company_name}
        known = next(iter(self._users.all(who.company, [who.user])), {})
        user = {**_shown(known), "id": who.user, "name": who.user_name or who.user, "role": who.role, "company": company}
        answer: dict[str, Any] = {"user": user, "getting_started": None, "settings": SETTINGS}
        if request.get("get_supported_features"):
            answer["user"] = {**user, "features": []}
        return answer

    @endpoint("users.get_all")
    def get_all(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"users": [_cut(_shown(user), request.get("only_fields")) for user in self._some(call, request)]}

    @endpoint("users.get_all_ex")
    def get_all_ex(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        company = {"id": call.company, "name": call.identity.company_name}
        wanted = dict(request)
        if "active_in_projects" in request:
            active = self._filter_values.active_users(call.company, request["active_in_projects"])
            wanted["id"] = [id for id in request["id"] if id in active] if request.get("id") else sorted(active)
            if not wanted["id"]:
                return {"users": []}
        found = [{**_shown(user), "company": company} for user in self._some(call, wanted)]
        return {"users": [_cut(user, request.get("only_fields")) for user in found]}

    @endpoint("users.get_by_id")
    def get_by_id(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"user": _cut(_shown(self._users.get(call.company, request["user"])), request.get("only_fields"))}

    @endpoint("users.get_preferences")
    def get_preferences(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"preferences": self._users.preferences(call.company, call.user)}

    @endpoint("users.get_vaults")
    def get_vaults(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"vaults": []}

    @endpoint("users.set_preferences")
    def set_preferences(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        preferences = self._users.set_preferences(call.company, call.user, request["preferences"])
        answer: dict[str, Any] = {"updated": 1, "fields": {}}
        return {**answer, "preferences": preferences} if request.get("return_updated") else answer

    def _some(self, call: Call, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = self._users.all(call.company, request.get("id"))
        if request.get("name"):
            found = [user for user in found if request["name"].lower() in str(user.get("name", "")).lower()]
        if "page_size" in request:
            start = request.get("page", 0) * request["page_size"]
            found = found[start : start + request["page_size"]]
        return found


def _shown(user: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a user that others of the company may see."""
    names = ("id", "name", "given_name", "family_name", "email", "avatar", "role", "company")
    answer = {name: user[name] for name in names if user.get(name) is not None}
    if "created" in user:
        answer["created"] = iso(user["created"])
    return answer


def _cut(user: dict[str, Any], only: Iterable[str] | None) -> dict[str, Any]:
    wanted = {name.partition(".")[0] for name in only or ()}
    return {name: value for name, value in user.items() if name in wanted or name == "id"} if wanted else user
