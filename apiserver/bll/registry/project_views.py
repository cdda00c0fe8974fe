"""Views of the page's table that belong to a project: everybody who reads the project sees them."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.records import Records
from apiserver.errors import ValidationFailed

Body = dict[str, Any]

MAX_VIEWS = 100
"""Views of one project."""


class ProjectViews:
    """Keeps and drops views; they are read with their project, as its field `views`."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def save(self, company: str, user: str, project: str, name: str, query: str) -> list[Body]:
        """Keep a view, in the place of one of the same name; all views of the project, by name. Raises InvalidProject, NoWritePermission, and
        ValidationFailed when there are too many."""

        def change(body: Body) -> list[Body]:
            kept = [view for view in body.get("views") or [] if view["name"] != name]
            if len(kept) >= MAX_VIEWS:
                raise ValidationFailed("name", f"that of a view which exists: the project has {MAX_VIEWS:,}, as many as are allowed", name)
            body["views"] = sorted([*kept, {"name": name, "query": query, "user": user}], key=lambda view: view["name"])
            return list(body["views"])

        return self._records.change("project", company, project, change)[0]

    def delete(self, company: str, project: str, name: str) -> list[Body]:
        """Drop a view, if there is one of this name; the views that are left. Raises InvalidProject and NoWritePermission."""

        def change(body: Body) -> list[Body]:
            body["views"] = [view for view in body.get("views") or [] if view["name"] != name]
            return list(body["views"])

        return self._records.change("project", company, project, change)[0]
