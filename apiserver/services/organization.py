"""organization.*: company-wide calls."""

from __future__ import annotations

from typing import Any, Literal

from apiserver.bll.registry.entity_counts import EntityCounts
from apiserver.bll.registry.filter_values import FilterValues
from apiserver.bll.registry.stored_views import StoredViews
from apiserver.bll.registry.users import Users
from apiserver.errors import TidemarkError
from apiserver.service_repo import Call, endpoint
from apiserver.service_repo.errors import failure_of

Request = dict[str, Any]
Answer = dict[str, Any]

TAGGED: tuple[Literal["task", "model"], ...] = ("task", "model")


class OrganizationService:
    """Tags, users, numbers and stored views of a company."""

    def __init__(self, filter_values: FilterValues, counts: EntityCounts, users: Users, views: StoredViews) -> None:
        self._filter_values = filter_values
        self._counts = counts
        self._users = users
        self._views = views

    @endpoint("organization.get_tags")
    def get_tags(self, call: Call, request: Request) -> Answer:
        filters = request.get("filter")
        tags = {tag for kind in TAGGED for tag in self._filter_values.tags(call.company, kind, None, filters)}
        answer = {"tags": sorted(tags)}
        if request.get("include_system"):
            system = {tag for kind in TAGGED for tag in self._filter_values.system_tags(call.company, kind, None)}
            answer["system_tags"] = sorted(system)
        return answer

    @endpoint("organization.get_user_companies")
    def get_user_companies(self, call: Call, request: Request) -> Answer:
        owners = [
            {name: user[name] for name in ("id", "name", "avatar") if user.get(name) is not None} for user in self._users.all(call.company)
        ]
        company = {"id": call.company, "name": call.identity.company_name, "allocated": len(owners), "owners": owners}
        return {"companies": [company]}

    @endpoint("organization.get_entities_count")
    def get_entities_count(self, call: Call, request: Request) -> Answer:
        answer: Answer = {"errors": {}}
        common: Request = {name: request[name] for name in ("active_users", "search_hidden") if name in request}
        for name in self._counts.names:
            if name not in request:
                continue
            try:
                answer[name] = self._counts.count(call.company, name, {**common, **request[name]})
            except TidemarkError as error:  # a filter that can't be read: the other counts are still good
                failure = failure_of(error, call.id)
                answer["errors"][name] = {"codes": [failure.code, failure.subcode], "msg": failure.message}
        return answer

    @endpoint("organization.save_view")
    def save_view(self, call: Call, request: Request) -> Answer:
        return {"view": self._views.save(call.company, call.user, request["query"])}

    @endpoint("organization.get_view")
    def get_view(self, call: Call, request: Request) -> Answer:
        return {"query": self._views.query(call.company, request["view"])}
