"""The envelope around every JSON answer (docs/protocol.md, "Envelope and codes")."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from apiserver.common.encoding import encode
from apiserver.service_repo.call import Encoded

CONTENT_TYPE = "application/json"


class CallMeta(NamedTuple):
    """The envelope's `meta`: ids, endpoint, requested version, and the version of the handler that answered (None: no handler)."""

    id: str
    trx: str
    endpoint: str
    requested: float | str
    actual: float | str | None


def wrap(call: CallMeta, code: int, subcode: int, message: str, data: dict[str, Any] | Encoded) -> bytes:
    """The whole answer as bytes. `Encoded` data is inserted without parsing it."""
    meta = orjson.dumps(
        {
            "id": call.id,
            "trx": call.trx,
            "endpoint": {"name": call.endpoint, "requested_version": call.requested, "actual_version": call.actual},
            "result_code": code,
            "result_subcode": subcode,
            "result_msg": message,
            "error_stack": None,
            "error_data": {},
        }
    )
    return b"".join((b'{"meta":', meta, b',"data":', data.data if isinstance(data, Encoded) else encode(data), b"}"))
