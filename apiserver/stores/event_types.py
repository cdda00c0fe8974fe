"""The event types, one entry each in one table. Readers and writers get all properties of a type from its entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from apiserver.stores.records import ATTRIBUTE, IMAGE, LOG, PLOT, SCALAR, VECTOR

Form = Literal["points", "event", "line"]
"""How events of a type are stored, and what identifies one:

- points: one number at an iteration. Identity: series and iteration. `EventBatch.points`; columns in SQLite, documents with doc values in
  Elasticsearch; statistics, charts. Ordered by series and iteration.
- event: anything with a body. Identity: series, iteration and key. `EventBatch.events`. Ordered by series and iteration.
- line: a line of a log. No identity: lines never replace each other. `EventBatch.logs`. Ordered by time and arrival, in no chart.

An event of a type stored as points that has no iteration is stored as an event.
"""


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of events.

    `code` identifies the type in SQLite files: it never changes and is never reused. `definition`: the name of its fields in
    `schema/services/_events_definitions.conf`; a type without one belongs to no API and is listed only if asked for by name. `columns`: the fields of
    the definition beyond those of all types, each with its name in stored events.
    """

    name: str
    code: int
    form: Form = "event"
    definition: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    has_value: bool = False
    """A stored event always has a `value`, null when none was sent."""
    has_url: bool = False
    """`url` is searched for: iterations count only where there is one, and of several events of a variant the greatest url is shown."""
    last_values: bool = False
    """The last values of a series are kept with its statistics."""
    flat_extras: bool = False
    """Extra fields of points hold no objects, so their values can be searched without decoding."""

    @property
    def is_points(self) -> bool:
        return self.form == "points"

    @property
    def is_lines(self) -> bool:
        return self.form == "line"


TYPES: dict[str, EventType] = {}
"""Every type by name; see `register`."""

_BY_CODE: dict[int, EventType] = {}


def register(type: EventType) -> None:
    """Add a type to the table. ValueError when its name or code is taken."""
    for taken in (TYPES.get(type.name), _BY_CODE.get(type.code)):
        if taken is not None:
            raise ValueError(f'the event type "{type.name}" ({type.code}) can\'t be added: "{taken.name}" ({taken.code}) is there')
    TYPES[type.name] = _BY_CODE[type.code] = type


@contextmanager
def registered(type: EventType) -> Iterator[None]:
    """Registers a type for the duration of the block."""
    register(type)
    try:
        yield
    finally:
        del TYPES[type.name], _BY_CODE[type.code]


def name_of_code(code: int) -> str:
    """The name of the type with this code. KeyError when a newer program wrote it."""
    return _BY_CODE[code].name


class _TypesOfApis(Mapping[str, EventType]):
    """The part of the table that clients know, as it is now."""

    def __getitem__(self, name: str) -> EventType:
        type = TYPES[name]
        if type.definition is None:
            raise KeyError(name)
        return type

    def __iter__(self) -> Iterator[str]:
        return (name for name, type in TYPES.items() if type.definition is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


EVENT_TYPES: Mapping[str, EventType] = _TypesOfApis()
"""The types that clients report, by name."""

for _type in (
    EventType(SCALAR, 0, "points", "metrics_scalar_event", {"value": "value"}, has_value=True, last_values=True),
    EventType(VECTOR, 1, "event", "metrics_vector_event", {"values": "value"}, has_value=True),
    EventType(IMAGE, 2, "event", "metrics_image_event", {"key": "key", "url": "url"}, has_url=True),
    EventType(PLOT, 3, "event", "metrics_plot_event"),
    EventType(LOG, 4, "line", "task_log_event"),
    EventType(ATTRIBUTE, 5, "points", has_value=True, flat_extras=True),
):
    register(_type)
