"""Property tests inside a test function, so that they can use its fixtures and fewer examples where a call costs more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

EXAMPLES = {"sqlite": 60, "elastic": 12}


def prove(engine: str, *strategies: SearchStrategy[Any]) -> Callable[[Callable[..., None]], None]:
    """Decorator: run the function at once, over examples of the strategies; its name says what must hold."""

    def run(holds: Callable[..., None]) -> None:
        checked = settings(max_examples=EXAMPLES[engine], deadline=None, database=None, suppress_health_check=list(HealthCheck))(
            given(*strategies)(holds)
        )
        checked()

    return run
