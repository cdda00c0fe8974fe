"""The envelope around every JSON answer (docs/protocol.md, "Envelope and codes")."""

from __future__ import annotations

from typing import Any

import orjson

from apiserver.common.encoding import encode
from apiserver.service_repo.call import Encoded

CONTENT_TYPE = "application/json"


def wrap(
    *,
    id: str,
    trx: str,
    name: str,
    requested: float | str,
    actual: float | str | None,
    code: int,
    subcode: int,
    message: str,
    data: dict[str, Any] | Encoded,
) -> bytes:
    """The whole answer, as bytes. `data` that is encoded already goes in as it is."""
    meta = orjson.dumps(
        {
            "id": id,
            "trx": trx,
            "endpoint": {"name": name, "requested_version": requested, "actual_version": actual},
            "result_code": code,
            "result_subcode": subcode,
            "result_msg": message,
            "error_stack": None,
            "error_data": {},
        }
    )
    return b"".join((b'{"meta":', meta, b',"data":', data.data if isinstance(data, Encoded) else encode(data), b"}"))
