"""What `app.py` hands to every face: the settings, the engine, and who may call."""

from __future__ import annotations

from dataclasses import dataclass

from apiserver.engine import Engine
from apiserver.identities import Identities
from apiserver.service_repo import ServiceRepo
from apiserver.service_repo.auth import Authenticator
from apiserver.service_repo.schema import SchemaSet
from apiserver.service_repo.security import Gate
from apiserver.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """What services and faces are built from; also in `app.extensions["tidemark"]`. Knows no face: what only one of them needs (the file
    storage) is an argument of its `register_...` function."""

    settings: Settings
    engine: Engine
    schemas: SchemaSet
    repo: ServiceRepo
    gate: Gate
    authenticator: Authenticator
    identities: Identities
