"""Answers against the response schemas of `schema/services/`."""

from __future__ import annotations

from typing import Any


def check_data(endpoint: str, version: str, data: dict[str, Any]) -> None:
    """Raises AssertionError when `data` breaks the response schema of the endpoint at this version."""
