"""Concurrent changes of one document: none is lost, and a caller who never gets through is told to come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apiserver.bll.registry.document_changes import ATTEMPTS, change, create_or_get, put
from apiserver.errors import NotAvailable
from apiserver.stores.registry import Registry
from apiserver.stores.sqlite import open_sqlite


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    events, registry = open_sqlite(str(tmp_path / "test.db"))
    yield registry
    events.close()


def count_up(registry: Registry, name: str) -> int:
    """Add 1 to a field, as another caller would."""
    document = registry.get("preference", "c", "id")
    assert document is not None
    document.body[name] = document.body.get(name, 0) + 1
    return int(registry.replace(document).body[name])


def body_of(registry: Registry) -> dict[str, Any]:
    document = registry.get("preference", "c", "id")
    assert document is not None
    return {name: value for name, value in document.body.items() if name in ("mine", "theirs")}


def test_a_change_that_meets_another_one_is_made_again_on_the_newer_body(registry: Registry) -> None:
    registry.create("preference", "c", "id", {"id": "id"})
    tries = 0

    def edit(body: dict[str, Any]) -> bool:
        nonlocal tries
        tries += 1
        if tries <= 3:
            count_up(registry, "theirs")
        body["mine"] = body.get("mine", 0) + 1
        return True

    found = change(registry, "preference", "c", "id", edit)
    assert found is not None and tries == 4
    assert body_of(registry) == {"mine": 1, "theirs": 3}


def test_a_change_that_never_gets_through_asks_the_caller_to_come_back(registry: Registry) -> None:
    registry.create("preference", "c", "id", {"id": "id"})

    def edit(body: dict[str, Any]) -> bool:
        count_up(registry, "theirs")
        body["mine"] = 1
        return True

    with pytest.raises(NotAvailable) as refused:
        change(registry, "preference", "c", "id", edit)
    assert refused.value.retry_after == 1
    assert body_of(registry) == {"theirs": ATTEMPTS}


def test_an_edit_that_changes_nothing_stores_nothing(registry: Registry) -> None:
    made = registry.create("preference", "c", "id", {"id": "id"})
    found = change(registry, "preference", "c", "id", lambda body: False)
    assert found is not None and found.version == made.version
    assert change(registry, "preference", "c", "unknown", lambda body: True) is None


def test_put_takes_the_place_of_what_was_there(registry: Registry) -> None:
    put(registry, "preference", "c", {"id": {"id": "id", "mine": 1}})
    put(registry, "preference", "c", {"id": {"id": "id", "theirs": 2}, "other": {"id": "other"}})
    assert body_of(registry) == {"theirs": 2}
    assert create_or_get(registry, "preference", "c", "id", {"id": "id", "mine": 3}).body["theirs"] == 2
