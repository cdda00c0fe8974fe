"""The RPC layer: path and version, body, authentication, validation, envelope, errors. It imports no service."""

from apiserver.service_repo.call import Call, Encoded, Identity, RawResponse
from apiserver.service_repo.repo import ServiceRepo, endpoint

__all__ = ["Call", "Encoded", "Identity", "RawResponse", "ServiceRepo", "endpoint"]
