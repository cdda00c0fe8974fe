"""The registry of handlers: looked up by endpoint name and version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from apiserver.errors import StartupError
from apiserver.service_repo.call import Answer, Call
from apiserver.service_repo.schema import EndpointSchema, SchemaSet
from apiserver.service_repo.versions import MAXIMUM, Version, parse

Handler = Callable[[Call, dict[str, Any]], Answer]
MARK = "__tidemark_endpoint__"


class Marked(NamedTuple):
    """Set on a method by `endpoint`."""

    name: str
    min_version: Version


def endpoint(name: str, min_version: str = "1.0") -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Makes a method `(self, call, request)` the handler of `service.action`, from `min_version` on.

    `request` is the body after coercion and validation, with defaults filled in and nulls removed; for a batch endpoint `call.body` holds
    the lines. The answer is `data`, or a RawResponse, or Encoded.
    """
    version = parse(min_version)
    if version is None:
        raise ValueError(f'{name}: "{min_version}" is not a version')

    def mark(handler: Callable[..., Answer]) -> Callable[..., Answer]:
        setattr(handler, MARK, Marked(name, version))
        return handler

    return mark


@dataclass(slots=True)
class Entry:
    """All handlers of one endpoint, oldest first."""

    schema: EndpointSchema
    handlers: list[tuple[Version, Handler]]

    def find(self, requested: Version) -> tuple[Version, Handler] | None:
        """The handler with the highest min-version up to `requested`."""
        for version, handler in reversed(self.handlers):
            if version <= requested:
                return version, handler
        return None


class ServiceRepo:
    """Services register their handlers here; `check` compares schemas and handlers at start."""

    def __init__(self, schemas: SchemaSet) -> None:
        self.schemas = schemas
        self.entries: dict[str, Entry] = {}

    def add_service(self, service: object) -> None:
        """Register every `@endpoint` method of `service`. Raises StartupError for duplicates and for names without a schema."""
        for attribute in dir(type(service)):
            marked = getattr(getattr(type(service), attribute), MARK, None)
            if not isinstance(marked, Marked):
                continue
            if marked.name not in self.schemas.endpoints:
                where = self.schemas.folder / f"{marked.name.partition('.')[0]}.conf"
                raise StartupError(
                    f"{where}: no schema for {marked.name} {marked.min_version}, which {type(service).__name__}.{attribute} handles"
                )
            entry = self.entries.setdefault(marked.name, Entry(self.schemas.endpoints[marked.name], []))
            if any(version == marked.min_version for version, _ in entry.handlers):
                raise StartupError(f"{marked.name} {marked.min_version}: two handlers, one of them {type(service).__name__}.{attribute}")
            entry.handlers.append((marked.min_version, getattr(service, attribute)))
            entry.handlers.sort(key=lambda item: item[0])

    def unhandled(self) -> list[str]:
        """A sentence for each endpoint that has a schema and no handler."""
        found = []
        for name, schema in self.schemas.endpoints.items():
            if name not in self.entries:
                service, _, action = name.partition(".")
                found.append(
                    f"{self.schemas.folder / (service + '.conf')}: {action} {next(iter(schema.versions))}: no handler for this endpoint"
                )
        return found

    def check(self) -> None:
        """Raise StartupError when a schema has no handler."""
        for sentence in self.unhandled():
            raise StartupError(sentence)

    @property
    def maximum(self) -> Version:
        """The newest version: that of calls without a version in the path."""
        return max([MAXIMUM, *(version for entry in self.entries.values() for version, _ in entry.handlers)])
