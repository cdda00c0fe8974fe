"""The users and organization services: who is there, what a user prefers, which tags are in use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from apiserver.bll.registry.filter_values import FilterValues
from apiserver.bll.registry.projection import iso
from apiserver.bll.registry.users import Users
from apiserver.service_repo import Call, endpoint

SETTINGS = {"max_download_items": 1000}
"""What the web application reads from the server about itself."""

TAGGED: tuple[Literal["task", "model"], ...] = ("task", "model")


class UsersService:
    """Users of the caller's company, and the caller himself."""

    def __init__(self, users: Users) -> None:
        self._users = users

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
        found = [{**_shown(user), "company": company} for user in self._some(call, request)]
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


class OrganizationService:
    """What holds for a whole company."""

    def __init__(self, filter_values: FilterValues) -> None:
        self._filter_values = filter_values

    @endpoint("organization.get_tags")
    def get_tags(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        filters = request.get("filter")
        tags = {tag for kind in TAGGED for tag in self._filter_values.tags(call.company, kind, None, filters)}
        answer = {"tags": sorted(tags)}
        if request.get("include_system"):
            system = {tag for kind in TAGGED for tag in self._filter_values.system_tags(call.company, kind, None)}
            answer["system_tags"] = sorted(system)
        return answer

    @endpoint("organization.get_user_companies")
    def get_user_companies(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"companies": [{"id": call.company, "name": call.identity.company_name, "allocated": 1, "owners": []}]}


def _shown(user: Mapping[str, Any]) -> dict[str, Any]:
    """A user as others of the company see him."""
    names = ("id", "name", "given_name", "family_name", "email", "avatar", "role", "company")
    answer = {name: user[name] for name in names if user.get(name) is not None}
    if "created" in user:
        answer["created"] = iso(user["created"])
    return answer


def _cut(user: dict[str, Any], only: Iterable[str] | None) -> dict[str, Any]:
    wanted = {name.partition(".")[0] for name in only or ()}
    return {name: value for name, value in user.items() if name in wanted or name == "id"} if wanted else user
