"""An application with a small service of its own, so that every rule of the RPC layer can be seen by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from apiserver import errors
from apiserver.app import Draining, TidemarkApp
from apiserver.service_repo import Call, Encoded, Identity, RawResponse, ServiceRepo, endpoint
from apiserver.service_repo.auth import Authenticator, KeyRecord
from apiserver.service_repo.dispatch import Dispatcher
from apiserver.service_repo.origins import OriginPolicy
from apiserver.service_repo.schema import SchemaSet
from apiserver.service_repo.unread import UnreadAnswers
from apiserver.settings import Settings, make_settings
from apiserver.stores.errors import StateUnavailable, StoreBusy

SCHEMA = """
_description: "A service for tests"
_definitions {
  pair { type: object, required: [metric], properties { metric { type: string }, variants { type: array, items { type: string } } } }
  tree { type: object, properties { size { type: integer }, branches { type: array, items { "$ref": "#/definitions/tree" } } } }
}
echo {
  "2.1" {
    description: "Answers its request"
    request {
      type: object
      required: [task]
      properties {
        task { type: string }
        size { type: integer, minimum: 0, maximum: 100, default: 10 }
        flag { type: boolean, default: false }
        ratio { type: number }
        order { type: string, enum: [asc, desc] }
        metrics { type: array, items { "$ref": "#/definitions/pair" } }
        tree { "$ref": "#/definitions/tree" }
        numbers { type: array, items { type: integer } }
        inner { type: object, properties { a { type: integer }, b { type: string, default: "x" } } }
        choice { anyOf: [ { type: integer }, { type: array, items { type: integer } } ] }
        free { type: object }
      }
    }
    response { type: object, additionalProperties: true }
  }
  "2.9": ${echo."2.1"} {
    request.properties.later { type: integer, default: 7 }
  }
}
batch {
  "2.1" { description: "Tells what it saw", batch_request { action: echo, version: "2.1" }, response { type: object, properties { lines { type: integer } } } }
}
answer { "2.1" { request { type: object, properties { what { type: string } } }, response { type: object } } }
admin { allow_roles: [admin], "2.1" { request { type: object }, response { type: object } } }
hidden { internal: true, "2.1" { request { type: object }, response { type: object } } }
public { authorize: false, "2.1" { request { type: object }, response { type: object } } }
maybe { authorize: null, "2.1" { request { type: object }, response { type: object } } }
"""


class Sample:
    """The service behind SCHEMA."""

    @endpoint("sample.echo")
    def echo(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"request": request, "company": call.company, "user": call.user, "worker": call.worker}

    @endpoint("sample.echo", min_version="2.9")
    def echo_newer(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"request": request, "newer": True}

    @endpoint("sample.batch")
    def batch(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"is_batch": call.is_batch, "lines": call.body.count(b"\n") + 1, "request": request}

    @endpoint("sample.answer")
    def answer(self, call: Call, request: dict[str, Any]) -> dict[str, Any] | RawResponse | Encoded:
        what = request.get("what", "")
        failures: dict[str, Exception] = {
            "busy": StoreBusy("queue full at 10.0.0.7", 2.5),
            "state": StateUnavailable("no redis"),
            "crash": RuntimeError("secret detail"),
            "task": errors.InvalidTask(["a", "b"]),
            "batch": errors.EventsNotAdded(0, 2, {"data": 1, "extra": 1}, [{"line": 1, "field": "iter", "reason": "bad"}]),
        }
        if what.startswith("size "):
            return Encoded(b'{"x":"' + b"a" * int(what[5:]) + b'"}')
        if what in failures:
            raise failures[what]
        return {
            "numpy": lambda: {"x": np.arange(3), "y": np.array([1.5, np.nan]), "z": np.float64(2)},
            "nan": lambda: {"x": float("nan"), "y": [float("inf")]},
            "huge": lambda: {"x": 2**70, "nan": float("nan"), 5: "key"},
            "strided": lambda: {"x": np.arange(6)[::2]},
            "surrogate": lambda: {"x": "\ud800"},
            "deep": lambda: _deep(400),
            "encoded": lambda: Encoded(b'{"cached":true}'),
            "raw": lambda: RawResponse(iter([b"a", b"b"]), "text/plain; charset=utf-8", {"X-Extra": "1"}),
            "long": lambda: {"x": "abc" * 1000},
            "unencodable": lambda: {"x": object()},
            "cookie": lambda: call.set_cookie("name", "value", 60) or {},
        }[what]()  # type: ignore[no-any-return]

    @endpoint("sample.admin")
    def admin(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {}

    @endpoint("sample.hidden")
    def hidden(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {}

    @endpoint("sample.public")
    def public(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"company": call.company}

    @endpoint("sample.maybe")
    def maybe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"user": call.user}


def _deep(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(levels):
        tree = {"k": tree}
    return tree


ONE = Identity("default", "c1", "user", "Default user", "clearml")
BOSS = Identity("boss", "c2", "admin", "Boss", "other")
HAND = Identity("hand", "c2", "user", "Hand", "other")
WEB = Identity("__webserver__", "c1", "system", "webserver", "clearml")


class Identities:
    """Two companies, in memory."""

    secrets: ClassVar = {"ONE": (ONE, "secret-one"), "TWO": (BOSS, "secret-two"), "Boss": (BOSS, "pw"), "WEB": (WEB, "known to all")}

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    def verify(self, access_key: str, secret: str, address: str) -> KeyRecord | None:
        identity, expected = self.secrets.get(access_key, (ONE, ""))
        if not expected or secret != expected:
            return None
        return KeyRecord(identity, lambda given: given == expected, open_only=access_key == "WEB", access_key=access_key)

    def user(self, id: str, company: str) -> Identity | None:
        return next((user for user in (ONE, BOSS, HAND) if (user.user, user.company) == (id, company)), None)

    def default(self) -> Identity:
        return ONE

    def proof(self, access_key: str) -> str:
        return access_key

    def current_identity(self, company: str, user: str, proof: str, actor: str) -> Identity | None:
        return self.user(user, company) or Identity(user, company)

    def note_use(self, who: Identity, access_key: str, worker: str) -> None:
        """Nobody asks here."""

    def is_revoked(self, *, session: str, access_key: str, company: str, user: str, issued: int) -> bool:
        return session in self.revoked


class Api:
    """The sample application and how to call it."""

    def __init__(self, folder: Path, **env: str) -> None:
        (folder / "schema").mkdir()
        (folder / "schema" / "sample.conf").write_text(SCHEMA)
        self.settings: Settings = make_settings({"TIDEMARK_DATA": str(folder), **env})
        self.identities = Identities()
        self.auth = Authenticator(self.settings, self.identities, OriginPolicy(self.settings), "signing secret")
        self.repo = ServiceRepo(SchemaSet(folder / "schema"))
        self.repo.add_service(Sample())
        self.repo.check()
        server = self.settings.server
        app = TidemarkApp("sample", Dispatcher(self.repo, self.auth, server), OriginPolicy(self.settings), UnreadAnswers(server))
        app.wsgi_app = Draining(app.wsgi_app, self.settings.server.max_body, self.settings.elastic.timeout)  # type: ignore[method-assign]
        self.http: FlaskClient = app.test_client(use_cookies=False)

    def send(self, path: str, body: Any = b"", **options: Any) -> TestResponse:
        """An HTTP request; `body` is bytes, or data that is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.open(path, data=data, method=options.pop("method", "POST"), **options)

    def codes(self, path: str, body: Any = b"", **options: Any) -> tuple[int, int]:
        """`(result_code, result_subcode)`, after a look at the HTTP status."""
        answer = self.send(path, body, **options)
        meta = answer.get_json()["meta"]
        assert answer.status_code == meta["result_code"]
        return meta["result_code"], meta["result_subcode"]

    def echo(self, body: Any, path: str = "/sample.echo", **options: Any) -> dict[str, Any]:
        """The request as a handler gets it."""
        answer = self.send(path, body, **options)
        assert answer.status_code == 200, answer.text
        return answer.get_json()["data"]["request"]  # type: ignore[no-any-return]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    yield Api(tmp_path)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Api]:
    """The same with credentials required."""
    yield Api(tmp_path, TIDEMARK_AUTH="required")
