"""The context that `app.py` passes to every face: settings, engine, authentication."""

from __future__ import annotations

from dataclasses import dataclass

from apiserver.engine import Engine
from apiserver.identities import Identities
from apiserver.service_repo import ServiceRepo
from apiserver.service_repo.auth import Authenticator
from apiserver.service_repo.origins import OriginPolicy
from apiserver.service_repo.schema import SchemaSet
from apiserver.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """What services and faces are built from; also in `app.extensions["tidemark"]`. Knows no face: parts that only one face needs (the file
    storage) are arguments of its `register_...` function."""

    settings: Settings
    engine: Engine
    schemas: SchemaSet
    repo: ServiceRepo
    origins: OriginPolicy
    authenticator: Authenticator
    identities: Identities
