"""HTTP: the address, the login, calls and their answers. Knows nothing of runs."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from tidemark_events.errors import CallRefused, LoginRefused, NotFound, ServerUnavailable
from tidemark_events.pauses import retry_after

if TYPE_CHECKING:
    import ssl

    import requests

    from tidemark_events.websocket import WebSocket

COLUMNS = "application/vnd.tidemark.columns"
CONNECT_SECONDS = 10.0
READ_SECONDS = 120.0
ATTEMPTS = 6
"""How often a call is tried while the server is unavailable: about ten seconds in all."""
REFUSING = (400, 406, 409, 411, 413, 414, 415, 422, 431)
"""Statuses of a file server or proxy for which a retry does not help. Others (404, 502, …) may come from a proxy whose server is unavailable."""
TOO_LARGE = 413


class Answer(NamedTuple):
    """An HTTP answer; header names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """One server and one login. Safe for threads and after a fork."""

    def __init__(self, url: str, key: str | None, secret: str | None, attempts: int = ATTEMPTS) -> None:
        self.url = url.rstrip("/")
        self._login = (key, secret) if key and secret else None
        self._attempts = attempts
        self._session: requests.Session | None = None
        self._process = 0
        self.file_prefixes: list[str] = [f"{self.url}/files/"]
        """How URLs of this server's files begin."""

    def call(self, endpoint: str, body: Mapping[str, Any], *, again: bool = True) -> dict[str, Any]:
        """`data` of the answer. `again`: the call may be repeated when its answer was lost."""
        answer = self.send("POST", f"/{endpoint}", json.dumps(body).encode(), {"Content-Type": "application/json"}, again=again)
        return _data(endpoint, answer)

    def columns(self, endpoint: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The header of an answer in columns; each series' `columns` are memoryviews of the body, without a copy."""
        answer = self.send("POST", f"/{endpoint}", json.dumps(body).encode(), {"Content-Type": "application/json", "Accept": COLUMNS})
        if answer.status != 200:
            raise _refused(endpoint, answer)
        return decode_columns(answer.body)

    def lines(self, body: bytes) -> dict[str, Any]:
        """Send a batch of events once: `data` of the answer, also where every line was refused."""
        answer = self.send("POST", "/events.add_batch", body, {"Content-Type": "application/json-lines"}, attempts=1)
        return _data("events.add_batch", answer, good=131)

    def upload(self, path: str, content: bytes, content_type: str, *, attempts: int | None = 1) -> str:
        """Store a file on the server; its URL. `attempts`: None for those of other calls."""
        boundary = os.urandom(16).hex()
        name = path.replace("\\", "\\\\").replace('"', "%22")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\nContent-Type: {content_type}\r\n\r\n'
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        answer = self.send("POST", "/files/", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}, attempts=attempts)
        if answer.status != 200 or not answer.body.startswith(b"["):  # the names that were stored
            raise _refused(path, answer)
        return self.file_prefixes[0] + quote(path)

    def live_socket(self) -> WebSocket | None:
        """A socket to `/api/live` (docs/protocol.md, "Live changes"); None behind a proxy. Raises OSError."""
        import requests

        from tidemark_events.websocket import WebSocket

        if self._opened().trust_env and requests.utils.get_environ_proxies(self.url):
            return None
        headers = {"X-ClearML-Worker": _HOST}
        if self._login:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self._login).encode()).decode()
        return WebSocket(f"{self.url}/api/live", headers, _trusted(self.url), CONNECT_SECONDS)

    def health(self) -> dict[str, Any]:
        """The answer of /healthz: `status` (ok, degraded or unavailable) and the parts."""
        return _parsed(self._once("GET", f"{self.url}/healthz", None, {}))

    def fetch(self, url: str) -> bytes:
        """The content of a URL that a run has reported. The login goes to this server only."""
        for prefix in self.file_prefixes:
            if url.startswith(prefix):
                answer = self.send("GET", "/files/" + quote(unquote(url.removeprefix(prefix).partition("?")[0])), None, {})
                break
        else:
            if not url.startswith(("http://", "https://")):
                raise NotFound(f"{url}: not a URL that can be fetched; it names a place of the machine that reported it")
            answer = self._once("GET", url, None, {}, login=False)
        if answer.status != 200:
            raise NotFound(f"{url}: the file can't be fetched: its server answers {answer.status}")
        return answer.body

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        again: bool = True,
        attempts: int | None = None,
    ) -> Answer:
        """Any request to this server. Repeated while the server is unavailable or busy; raises ServerUnavailable in the end."""
        attempts = self._attempts if attempts is None else attempts
        for attempt in range(1, attempts + 1):
            pause = min(0.2 * 2**attempt, 4.0)
            try:
                answer = self._once(method, self.url + path, body, headers)
            except ServerUnavailable as error:
                # A request that never left can be repeated, whatever it does.
                if attempt == attempts or (error.reached and not again):
                    raise
            else:
                if answer.status not in (429, 503):
                    return answer
                if attempt == attempts:
                    raise ServerUnavailable(
                        f"{self.url} is busy (it answers {answer.status}): try again later; `tidemark doctor` says more"
                    )
                pause = min(retry_after(answer.headers.get("Retry-After"), pause), 10.0)
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _once(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, login: bool = True) -> Answer:
        import requests  # 50 ms that `import tidemark_events` does not need

        session = self._opened()
        auth: Any = self._login if login and self._login else _no_login
        try:
            response = session.request(
                method,
                url,
                data=body,
                headers={"X-ClearML-Worker": _HOST, **headers},
                auth=auth,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=not login,
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema) as error:
            raise ServerUnavailable(
                f'"{self.url}" is no address of a server ({error}): write it as http://host:8008 (TIDEMARK_URL)'
            ) from None
        except requests.exceptions.SSLError as error:
            advice = (
                "it speaks plain http: write http:// in its address"
                if "WRONG_VERSION_NUMBER" in str(error)
                else "for a private CA set REQUESTS_CA_BUNDLE to its file"
            )
            raise ServerUnavailable(f"{self.url}: no secure connection ({error}): {advice}") from None
        except requests.exceptions.ConnectionError as error:
            if not _refused_connection(error):
                raise ServerUnavailable(f"the connection to {self.url} was lost: {error}") from None
            raise ServerUnavailable(
                f"no server answers at {self.url}: start one with `tidemark serve`, or name another (TIDEMARK_URL)",
                reached=False,
            ) from None
        except requests.exceptions.RequestException as error:
            raise ServerUnavailable(f"{self.url} does not answer: {error}") from None
        return Answer(response.status_code, response.headers, response.content)

    def _opened(self) -> requests.Session:
        """A session of this process: sockets are not shared with the parent of a fork."""
        import requests

        if self._session is None or self._process != os.getpid():
            self._session, self._process = requests.Session(), os.getpid()
            # No proxy reaches a server of this machine.
            self._session.trust_env = urlsplit(self.url).hostname not in ("localhost", "127.0.0.1", "::1")
        return self._session


_HOST = socket.gethostname() or "unknown"


def _trusted(url: str) -> ssl.SSLContext | None:
    """The authorities that `requests` trusts; None without TLS."""
    import ssl

    import requests

    if not url.startswith("https:"):
        return None
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or requests.utils.DEFAULT_CA_BUNDLE_PATH
    folder = Path(bundle).is_dir()
    return ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)


def _no_login(request: Any) -> Any:
    """An `auth` that adds nothing and keeps `requests` from reading ~/.netrc."""
    return request


def _refused_connection(error: Exception) -> bool:
    """Whether no connection was made at all."""
    return "NewConnectionError" in repr(error) or "ConnectTimeout" in repr(error) or "NameResolutionError" in repr(error)


def _parsed(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _data(what: str, answer: Answer, good: int | None = None) -> dict[str, Any]:
    """The `data` of an envelope, also of a refusal with the subcode `good`. Raises the error of any other refusal."""
    envelope = _parsed(answer)
    meta = _meta(envelope)
    if not meta or (answer.status != 200 and (good is None or meta.get("result_subcode") != good)):
        raise _refused(what, answer)
    data: dict[str, Any] = envelope.get("data") or {}
    return data


def _meta(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = envelope.get("meta")
    return meta if isinstance(meta, dict) else {}


def _refused(what: str, answer: Answer) -> Exception:
    """The error for a refused call, with the reason from the server's envelope, the file server's text, or a proxy's HTML page."""
    body = _parsed(answer)
    meta = _meta(body)
    text = str(meta.get("result_msg") or body.get("detail") or _beginning(answer) or "no reason given")
    code, subcode = answer.status, int(meta.get("result_subcode") or 0)
    if code == 401:
        return LoginRefused(
            f"{text}: set CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY as `tidemark keys` on the server prints them, or give key and secret"
        )
    if code == 403:
        return LoginRefused(f"{text} ({what})")
    if not meta and code in REFUSING:
        return CallRefused(f"{what}: {text} ({code})", code)
    if not meta:
        return ServerUnavailable(f"{what}: the answer {code} is not from a Tidemark server: check the address (TIDEMARK_URL)")
    if (code, subcode) in ((400, 101), (400, 201)):
        return NotFound(text)
    return CallRefused(f"{what}: {text} ({code}/{subcode})", code, subcode)


_TITLE = re.compile(rb"<title>\s*(.*?)\s*</title>", re.IGNORECASE | re.DOTALL)


def _beginning(answer: Answer) -> str:
    """The title of an HTML page, else the beginning of the text."""
    title = _TITLE.search(answer.body)
    return (title[1] if title else answer.body)[:200].decode("utf-8", "replace")


_FORMATS: dict[str, str] = {"f8": "d", "u4": "I", "u1": "B"}


def decode_columns(body: bytes) -> dict[str, Any]:
    """The header of a body of columns (docs/protocol.md, "Series as columns"), with memoryviews in place of [kind, offset]."""
    if body[:4] != b"TMC1":
        raise CallRefused("the answer is not in columns; is a proxy changing it?", 502)
    start = 8 + int.from_bytes(body[4:8], "little")
    header: dict[str, Any] = json.loads(body[8:start])
    data = memoryview(body)
    for series in header["series"]:
        n = series["n"]
        series["columns"] = {name: _view(data, start + offset, n, kind) for name, (kind, offset) in series["columns"].items()}
    return header


def _view(data: memoryview, start: int, n: int, kind: str) -> memoryview:
    size = int(kind[1:])
    part = data[start : start + n * size]
    if sys.byteorder == "big" and size > 1:
        import array

        turned = array.array(_FORMATS[kind], part.tobytes())
        turned.byteswap()
        return memoryview(turned)
    found: memoryview = part.cast(_FORMATS[kind])  # type: ignore[call-overload]
    return found


def address_from(url: str | None, key: str | None, secret: str | None, environ: Mapping[str, str]) -> tuple[str, str | None, str | None]:
    """Address and key, from arguments or the environment. TIDEMARK_* takes precedence over CLEARML_*."""

    def first(*names: str) -> str | None:
        return next((environ[name] for name in names if environ.get(name)), None)

    url = url or first("TIDEMARK_URL", "CLEARML_API_HOST") or "http://127.0.0.1:8008"
    if "://" not in url:
        url = "http://" + url
    parts = urlsplit(url)
    if parts.username and parts.password is not None and not key:
        key, secret = unquote(parts.username), unquote(parts.password)
        url = url.replace(f"{parts.username}:{parts.password}@", "", 1)
    if not key and not secret:
        key = first("TIDEMARK_ACCESS_KEY", "CLEARML_API_ACCESS_KEY")
        secret = first("TIDEMARK_SECRET_KEY", "CLEARML_API_SECRET_KEY")
    if bool(key) != bool(secret):
        raise LoginRefused(
            f"the access key has no secret, or the secret no key: {'secret' if key else 'key'} is missing; `tidemark keys` prints both"
        )
    return url, key, secret
