"""What a page of another site, or of a sibling host, can make a browser send: nothing of it changes anything by a cookie or open mode alone.

Chromium sends no Sec-Fetch-Site to plain http beyond loopback, and no Origin with links and images, so these calls look like a program's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from apiserver import hocon
from apiserver.service_repo.schema import SchemaSet
from apiserver.settings import SCHEMA
from tests.client import Answer, Client
from tests.conftest import credentials, dismiss
from tests.process import Server

CHANGING = sorted(
    name
    for name, schema in SchemaSet(SCHEMA, hocon.cache_folder()).endpoints.items()
    if schema.attributes.changes and schema.attributes.authorize is not False
)
READING = ("tasks.get_all", "projects.get_all", "users.get_current_user", "auth.login")
HOST = {"Host": "tracker.lan:8008"}
FORMS: dict[str, tuple[str, bytes | None, dict[str, str]]] = {
    "link": ("GET", None, {}),
    "image": ("GET", None, {"Accept": "image/*"}),
    "form": ("POST", b"task=t&ids=t", {"Content-Type": "application/x-www-form-urlencoded"}),
    "text form": ("POST", b'{"task":"t","a":"="}', {"Content-Type": "text/plain"}),
    "file form": ("POST", b"--B--\r\n", {"Content-Type": "multipart/form-data; boundary=B"}),
    "ping of a link": ("POST", b"PING", {"Content-Type": "text/ping"}),
    "report of a policy": ("POST", b'{"csp-report":{}}', {"Content-Type": "application/csp-report"}),
    "fetch without a type": ("POST", b'{"task":"t"}', {}),
}


@pytest.fixture(scope="module")
def ambient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Server, Mapping[str, str]]]]:
    """Servers that admit without a header: open mode beyond loopback, and a cookie login. By name, with the headers of a browser there."""
    names = {"TIDEMARK__server__hosts": "tracker.lan"}
    opened = Server(tmp_path_factory.mktemp("open"), names, ("--allow-open",)).start()
    closed = Server(tmp_path_factory.mktemp("closed"), {**names, "TIDEMARK_AUTH": "required"}).start()
    [cookie] = closed.client(*credentials(closed)).raw("/auth.login").cookies
    yield {"open": (opened, HOST), "cookie": (closed, {**HOST, "Cookie": cookie.partition(";")[0]})}
    dismiss(opened)
    dismiss(closed)


def send(server: Server, path: str, kind: str, headers: Mapping[str, str]) -> Answer:
    method, body, own = FORMS[kind]
    return Client(server.url, worker=None).send(method, path, body, {**headers, **own})


@pytest.mark.parametrize("mode", ["open", "cookie"])
def test_no_endpoint_that_changes_something_is_called_by_a_link_or_a_form(
    ambient: dict[str, tuple[Server, Mapping[str, str]]], mode: str
) -> None:
    server, headers = ambient[mode]
    admitted = [(name, kind) for name in CHANGING for kind in FORMS if send(server, f"/{name}", kind, headers).status != 403]
    assert admitted == []


@pytest.mark.parametrize("mode", ["open", "cookie"])
def test_uploads_and_runs_of_foreign_forms_are_refused(ambient: dict[str, tuple[Server, Mapping[str, str]]], mode: str) -> None:
    server, headers = ambient[mode]
    upload = b'--B\r\nContent-Disposition: form-data; name="/a.txt"; filename="a"\r\n\r\nx\r\n--B--\r\n'
    own = {"Content-Type": "multipart/form-data; boundary=B"}
    client = Client(server.url, worker=None)
    assert client.send("POST", "/files", upload, {**headers, **own}).status == 403
    assert client.send("POST", "/files", upload, {**headers, **own, "Origin": "http://tracker.lan:8008"}).status == 200
    for kind in ("form", "text form", "file form", "ping of a link", "report of a policy", "fetch without a type"):
        assert send(server, "/api/runs/r/events", kind, headers).status == 403, kind


@pytest.mark.parametrize("mode", ["open", "cookie"])
def test_scripts_and_own_pages_are_admitted(ambient: dict[str, tuple[Server, Mapping[str, str]]], mode: str) -> None:
    """JSON by POST, other methods than a form has, and pages with an allowed Origin."""
    server, headers = ambient[mode]
    client = Client(server.url, worker=None)
    body = b'{"name":"n","type":"training"}'
    assert client.send("POST", "/tasks.create", body, {**headers, "Content-Type": "application/json"}).status == 200
    assert client.send("PUT", "/tasks.create", body, headers).status == 200
    assert client.send("POST", "/tasks.create", body, {**headers, "Origin": "http://tracker.lan:8008"}).status == 200
    lines = b'{"type":"log","task":"t","msg":"m"}\n'
    assert client.send("POST", "/events.add_batch", lines, {**headers, "Content-Type": "application/json-lines"}).status == 200
    for name in READING:
        assert client.send("GET", f"/{name}", None, headers).status == 200, name


@pytest.mark.parametrize("mode", ["open", "cookie"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_host_is_not_a_page_of_ours(ambient: dict[str, tuple[Server, Mapping[str, str]]], mode: str, site: str) -> None:
    server, headers = ambient[mode]
    client = Client(server.url, worker=None)
    for host in ("tracker.lan:8008", f"127.0.0.1:{server.port}"):
        sent = {**headers, "Host": host, "Content-Type": "application/json"}
        assert client.send("POST", "/tasks.get_all", b"{}", {**sent, "Sec-Fetch-Site": site}).status == 403
        assert client.send("POST", "/tasks.get_all", b"{}", {**sent, "Sec-Fetch-Site": "same-origin"}).status == 200
        assert client.send("POST", "/tasks.get_all", b"{}", {**sent, "Origin": "http://evil.lan"}).status == 403


@pytest.mark.parametrize("mode", ["open", "cookie"])
def test_an_authorization_header_is_consent(ambient: dict[str, tuple[Server, Mapping[str, str]]], mode: str) -> None:
    server, _ = ambient[mode]
    client = server.client(*credentials(server))
    assert client.send("GET", "/tasks.create?name=n&type=training", None, HOST).status == 200
    form = {"Content-Type": "application/x-www-form-urlencoded", **HOST}
    assert client.send("POST", "/tasks.create", b"name=n&type=training", form).status == 200


def test_on_loopback_curl_goes_on_working(ambient: dict[str, tuple[Server, Mapping[str, str]]]) -> None:
    server, _ = ambient["open"]
    client = Client(server.url, worker=None)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.send("POST", "/tasks.create", b'{"name":"n","type":"training"}', form).status == 200
    assert client.send("GET", "/tasks.create?name=n&type=training").status == 200
    assert client.send("POST", "/api/runs/r/events", b'{"type":"metrics","data":{"global_step":1,"loss":2}}\n', form).status == 200


def test_a_proxy_on_this_machine_is_not_loopback(ambient: dict[str, tuple[Server, Mapping[str, str]]]) -> None:
    server, _ = ambient["open"]
    client = Client(server.url, worker=None)
    forwarded = {"X-Forwarded-For": "10.1.1.1"}
    assert client.send("GET", "/tasks.create?name=n&type=training", None, forwarded).status == 403
    assert b"detail" not in client.send("GET", "/healthz", None, forwarded).body


def test_the_cookie_is_strict_and_over_https_bound_to_the_host(tmp_path_factory: pytest.TempPathFactory) -> None:
    env = {"TIDEMARK_AUTH": "required", "TIDEMARK__auth__secure_cookie": "true"}
    server = Server(tmp_path_factory.mktemp("secure"), env).start()
    try:
        answer = server.client(*credentials(server)).raw("/auth.login")
        [cookie] = answer.cookies
        pair, *attributes = cookie.split("; ")
        assert pair.startswith("__Host-clearml_token_basic=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= set(attributes) and "Domain" not in cookie
        me = "/users.get_current_user"
        assert server.client().raw(me, headers={"Cookie": pair}).status == 200
        assert server.client().raw(me, headers={"Cookie": pair.removeprefix("__Host-")}).status == 401  # a sibling host could have set it
        [gone] = server.client().raw("/login.logout", {}, headers={"Cookie": pair}).cookies
        assert gone.startswith("__Host-clearml_token_basic=;") and "Max-Age=0" in gone
    finally:
        dismiss(server)


def test_a_link_does_not_end_a_login_and_nothing_makes_a_browser_keep_a_password(
    ambient: dict[str, tuple[Server, Mapping[str, str]]],
) -> None:
    """Without the cookie, as SameSite=Strict has it. A browser that was asked for Basic once would add it to calls of any page."""
    server, headers = ambient["cookie"]
    client = Client(server.url, worker=None)
    assert client.send("GET", "/login.logout", None, HOST).cookies == []
    assert client.send("GET", "/login.logout", None, headers).status == 403
    for path in ("/metrics", "/users.get_current_user", "/api/runs", "/files/a/b", "/healthz", "/no.such"):
        answer = client.send("GET", path, None, HOST)
        assert "basic" not in answer.headers.get("www-authenticate", "").lower(), path
    assert client.send("GET", "/metrics", None, headers).status == 200


def test_over_https_by_a_trusted_proxy_the_cookie_is_secure(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = Server(tmp_path_factory.mktemp("proxied"), {"TIDEMARK_AUTH": "required", "TIDEMARK__server__proxies": "127.0.0.1"}).start()
    try:
        client = server.client(*credentials(server))
        https = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.1.1.1"}
        assert client.raw("/auth.login", headers=https).cookies[0].startswith("__Host-")
        assert client.raw("/auth.login").cookies[0].startswith("clearml_token_basic=")
    finally:
        dismiss(server)


@pytest.mark.parametrize("forwarded", [{"X-Forwarded-Proto": "https"}, {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.1.1.1"}])
def test_https_that_a_stranger_claims_changes_no_cookie(
    ambient: dict[str, tuple[Server, Mapping[str, str]]], forwarded: dict[str, str]
) -> None:
    """A browser would drop a Secure cookie over plain http: nobody could log in."""
    server, _ = ambient["cookie"]  # it has no `server.proxies`
    [cookie] = server.client(*credentials(server)).raw("/auth.login", headers=forwarded).cookies
    assert cookie.startswith("clearml_token_basic=") and "Secure" not in cookie.split("; ")


def test_pages_can_not_be_framed_and_files_not_be_embedded_elsewhere(server: Client) -> None:
    page = server.send("GET", "/api/docs")
    assert page.headers["x-frame-options"] == "DENY" and "frame-ancestors 'none'" in page.headers["content-security-policy"]
    shell = server.send("GET", "/", None, {"Accept": "text/html"})
    assert "frame-ancestors 'none'" in shell.headers["content-security-policy"]
    upload = b'--B\r\nContent-Disposition: form-data; name="/framed.txt"; filename="a"\r\n\r\nx\r\n--B--\r\n'
    assert server.send("POST", "/files", upload, {"Content-Type": "multipart/form-data; boundary=B"}).status == 200
    assert server.send("GET", "/files/framed.txt").headers["cross-origin-resource-policy"] == "same-site"
