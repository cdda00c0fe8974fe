"""Names of indices that were shrunk: their documents say the longer one, everything else the plain one, which is an alias then."""

from __future__ import annotations

import re
import secrets
from collections.abc import Container

_SHRUNK = re.compile(r"-shrunk-[0-9a-f]{8}$")


def shrunk(index: str) -> str:
    """A name for a copy of the index with fewer shards."""
    return f"{index}-shrunk-{secrets.token_hex(4)}"


def all_shrunk(index: str) -> str:
    """The pattern of such names."""
    return f"{index}-shrunk-*"


def plain(index: str) -> str:
    """The name under which an index is known."""
    return _SHRUNK.sub("", index)


def is_unfinished(index: str, aliases: Container[str]) -> bool:
    """Whether this is a copy of an index that is still being shrunk: the name is not yet its alias, and its mapping may be missing."""
    return plain(index) != index and plain(index) not in aliases
