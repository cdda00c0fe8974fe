"""The lines of a bulk request that act on one document each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import orjson

Operation = Literal["create", "index", "update", "delete"]


def action(
    operation: Operation, index: str, id: str, source: Mapping[str, Any] | None = None, *, seen: Mapping[str, Any] | None = None
) -> bytes:
    """The lines of an action on an index of statistics or of the registry. What writes goes through the index's write alias (`Layout.writing`): where
    the index was removed, it fails instead of making another one with guessed mappings.

    `seen`: a hit or an answer to a get, read with `_seq_no` and `_primary_term`; the action fails with 409 if the document is another one now.
    """
    if seen is None:
        return versioned(operation, index, id, source)
    return versioned(operation, index, id, source, seen["_seq_no"], seen["_primary_term"])


def versioned(
    operation: Operation, index: str, id: str, source: Mapping[str, Any] | None = None, seq_no: int = -1, primary_term: int = 0
) -> bytes:
    """As `action`, under a version known as two numbers; a negative `seq_no` is none."""
    target: dict[str, Any] = {"_index": index if operation == "delete" else f"{index}-write", "_id": id}
    if seq_no >= 0:
        target["if_seq_no"], target["if_primary_term"] = seq_no, primary_term
    if source is None:
        return b"%b\n" % orjson.dumps({operation: target})
    return b"%b\n%b\n" % (orjson.dumps({operation: target}), orjson.dumps(source))


def deletes(index: str, ids: Iterable[str]) -> bytes:
    """Deletes of these documents, whatever their version."""
    return b"".join(action("delete", index, id) for id in ids)
