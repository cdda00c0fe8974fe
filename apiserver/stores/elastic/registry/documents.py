"""Registry documents in Elasticsearch: the body as one text, with separate fields for searches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson

from apiserver.common.fairness import in_thread
from apiserver.stores.conditions import ACTIVITY_KINDS, BULK_FIELDS, Path
from apiserver.stores.elastic.layout import SORTED_FIELDS
from apiserver.stores.registry import ACTIVITY_FIELDS, Document

LARGE = 100_000
"""Characters of a large document."""
MAX_TOKEN_BYTES = 400
EXACT = 2**53
"""From here on some integers have no double."""
_SEPARATORS = re.compile("[\x1c-\x1e]")
MAX_TEXT = 1000
"""Characters of a field that sorting uses."""


def document_id(kind: str, company: str, id: str) -> str:
    """An id that is unambiguous for any names; hashed where it would be too long for Elasticsearch."""
    text = f"{kind}/{len(company)}/{company}/{id}"
    if len(text.encode()) <= 400:
        return text
    return f"{kind}/-/{hashlib.sha256(text.encode()).hexdigest()}"


def source_of(kind: str, company: str, id: str, body: Mapping[str, Any], revision: int, activity: Mapping[str, Any]) -> dict[str, Any]:
    """The document. Activity fields are fields of their own, so that batches move them without touching the body."""
    skipped = ACTIVITY_FIELDS if kind in ACTIVITY_KINDS else ()
    plain = {name: value for name, value in body.items() if name not in skipped}
    texts, numbers = {}, {}
    for name in SORTED_FIELDS:
        value = plain.get(name)
        if isinstance(value, str):
            texts[name] = value[:MAX_TEXT]
        elif isinstance(value, int | float):
            numbers[name] = float(value)
    apart = BULK_FIELDS.get(kind, frozenset())
    bulk = {name: value for name, value in plain.items() if name in apart and (value or value is None)}
    main = {name: value for name, value in plain.items() if name not in apart}
    text, bulk_text = orjson.dumps(main).decode(), orjson.dumps(bulk).decode() if bulk else ""
    # The tokens of a large document take tenths of a second: yield to other requests.
    found_by = in_thread(_tokens, plain) if len(text) + len(bulk_text) > LARGE else _tokens(plain)
    source: dict[str, Any] = {
        "kind": kind,
        "company": company,
        "id": id,
        "revision": revision,
        "body": text,
        "tokens": found_by,
        "texts": texts,
        "numbers": numbers,
    }
    if bulk:
        source["bulk"] = bulk_text
    if kind in ACTIVITY_KINDS:
        source |= {name: activity.get(name) for name in ACTIVITY_FIELDS}
    return source


def document_of(hit: Mapping[str, Any]) -> Document:
    """The document behind a hit or a get."""
    source = hit["_source"]
    body = orjson.loads(source["body"])
    if "bulk" in source:
        body |= orjson.loads(source["bulk"])
    if source["kind"] in ACTIVITY_KINDS:
        body |= {name: source.get(name) for name in ACTIVITY_FIELDS}
    return Document(source["id"], source["company"], body, (source["kind"], source["revision"]))


def without_bulk(kind: str, fields: Collection[str] | None) -> bool:
    """Whether the large fields need not be read."""
    return fields is not None and BULK_FIELDS.get(kind, frozenset()).isdisjoint(fields)


def _tokens(body: Mapping[str, Any]) -> list[str]:
    return sorted(set(tokens(body)))


def tokens(body: Mapping[str, Any]) -> Iterator[str]:
    """`path` for every value that is not null, `path=value` for every leaf and list item."""
    stack: list[tuple[Path, Any]] = [((), body)]
    while stack:
        path, value = stack.pop()
        if path and value is not None:
            yield exists_token(path)
        if isinstance(value, Mapping):
            stack += [((*path, str(name)), item) for name, item in value.items()]
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):
                    stack += [((*path, str(name)), below) for name, below in item.items()]
                elif item is not None:
                    yield value_token(path, item)
        elif value is not None:
            yield value_token(path, value)


def exists_token(path: Path) -> str:
    return _bounded(_joined(path))


def value_token(path: Path, value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        value = int(value)  # 1 and 1.0 are the same number
    return _bounded(_joined(path) + "\x1e" + orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())


def equal_tokens(path: Path, value: Any) -> list[str]:
    """The tokens of all values that are equal to a value: as in SQLite and Python, true is 1, and a float may be an integer."""
    equal = [value]
    if isinstance(value, bool):
        equal.append(int(value))
    elif isinstance(value, int | float):
        if value in (0, 1):
            equal.append(bool(value))
        elif isinstance(value, float) and EXACT <= abs(value) < 2**63:
            equal.append(int(value))
        elif isinstance(value, int) and abs(value) >= EXACT and int(float(value)) == value:
            equal.append(float(value))
    return [value_token(path, one) for one in equal]


def _joined(path: Path) -> str:
    """The names of a path as one text, unique to the path."""
    text = "\x1f".join(path)
    if text.count("\x1f") >= len(path) or _SEPARATORS.search(text):
        return "\x1c" + orjson.dumps(path).decode()  # JSON escapes control characters
    return text


def _bounded(token: str) -> str:
    data = token.encode()
    return token if len(data) <= MAX_TOKEN_BYTES else "\x1d" + hashlib.sha256(data).hexdigest()
