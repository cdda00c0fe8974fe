"""Classes of published vulnerabilities of MLflow and ClearML, each tried here."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import Client, image, plot
from tests.conftest import StartServer


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "x/../../credentials.json"]
)
def test_path_traversal_by_artifact_names(server: Client, name: str) -> None:
    """As CVE-2023-1177 and CVE-2023-6831 (MLflow) and CVE-2024-24591 (ClearML): reading and deleting outside of the folder of files."""
    for method in ("GET", "DELETE"):
        answer = server.send(method, f"/files/{name}")
        assert answer.status in (400, 404) and b"root:" not in answer.body and b"secret_key" not in answer.body


@pytest.mark.parametrize(
    "source", ["file:///etc/passwd", "/etc/passwd", "file:../../etc/passwd", "http://127.0.0.1/files/../../../etc/passwd"]
)
def test_local_file_inclusion_by_model_sources(server: Client, source: str) -> None:
    """As CVE-2023-6909 and CVE-2024-2928 (MLflow): the address of a model is a text for clients; the server reads and deletes nothing by it."""
    model = server.call("models.create", uri=source, name="a model", ready=False)["id"]
    found = server.call("models.get_by_id", model=model)["model"]
    assert found["uri"] == source and "root:" not in json.dumps(found)
    for path in (f"/files/{source}", f"/files/{model}", f"/api/runs/{model}/metrics"):
        assert b"root:" not in server.send("GET", path).body
    server.call("models.delete", model=model, force=True)
    assert Path("/etc/passwd").read_text()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def test_server_side_requests(server: Client, listener: socket.socket, task: str) -> None:
    """As CVE-2023-6974 (MLflow): no address that a client names is fetched by the server."""
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.png"
    server.add_batch([image(task, url=url), plot(task, plot_str=json.dumps({"layout": {"images": [{"source": url}]}}))])
    server.call("events.debug_images", metrics=[{"task": task, "metric": "img"}])
    server.call("events.get_task_plots", task=task)
    model = server.call("models.create", uri=url, name="a model")["id"]
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=[{"key": "a", "type": "x", "uri": url}])
    server.call("models.delete", model=model, force=True)
    server.call("tasks.delete", task=task, force=True, return_file_urls=True)
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("name", ["sample.html", "sample.svg", "sample.xhtml", "sample.xml", "sample.js"])
def test_stored_script_in_debug_samples(server: Client, task: str, name: str) -> None:
    """As CVE-2024-24594 (ClearML): an uploaded page runs no script in the server's origin."""
    script = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    body = b'--b\r\nContent-Disposition: form-data; name="%s/%s"; filename="sample"\r\n\r\n%s\r\n--b--\r\n' % (
        task.encode(),
        name.encode(),
        script,
    )
    assert server.send("POST", "/files", body, {"Content-Type": "multipart/form-data; boundary=b"}).status == 200
    answer = server.send("GET", f"/files/{task}/{name}")
    assert answer.status == 200 and answer.headers["x-content-type-options"] == "nosniff"
    policy, kind = answer.headers.get("content-security-policy", ""), answer.headers["content-type"]
    assert kind.startswith(("text/plain", "application/octet-stream")) or ("sandbox" in policy and "allow-scripts" not in policy)
    server.send("DELETE", f"/files/{task}/{name}")


PAIRS = [
    ("admin", "password1234"),
    ("admin", "password"),
    ("admin", "admin"),
    ("test", "test"),
    ("default", "default"),
    ("root", ""),
    ("default", ""),
]


def test_default_credentials(start_server: StartServer) -> None:
    """Well-known names and passwords, as MLflow's basic auth ships them: every secret of an installation is its own."""
    server = start_server(TIDEMARK_AUTH="required")
    for user, password in PAIRS:
        assert server.client(user, password).raw("/users.get_current_user").status in (401, 429)
    assert server.client().raw("/users.get_all").status == 401


def test_missing_authentication_of_the_file_server(start_server: StartServer) -> None:
    """As CVE-2024-24592 (ClearML): files obey the same login as calls."""
    nobody = start_server(TIDEMARK_AUTH="required").client()
    for method, path in (("GET", "/files/a.txt"), ("HEAD", "/files/a.txt"), ("POST", "/files"), ("DELETE", "/files/a.txt")):
        assert nobody.send(method, path, b"x" if method == "POST" else None).status == 401


def test_missing_checks_of_roles(start_server: StartServer, tmp_path: Path) -> None:
    """As CVE-2023-6014 (MLflow), which made accounts for anybody: a login that may read changes nothing. Every endpoint and role:
    tests/identity/test_roles.py."""
    users = '{ guest { name = "Guest", role = "guest", keys = [{ access_key = "guest", secret_key = "s" }] } }'
    config = tmp_path / "own.conf"
    config.write_text(f'auth.companies {{ one {{ id = "company-of-a-guest", users {users} }} }}')
    server = start_server(TIDEMARK_AUTH="required", TIDEMARK_CONFIG=str(config))
    guest = server.client("guest", "s")
    assert guest.call("tasks.get_all") == {"tasks": []}
    for endpoint, body in (
        ("tasks.create", {"name": "t", "type": "training"}),
        ("tasks.delete", {"task": "t"}),
        ("models.create", {"name": "m", "uri": "x"}),
        ("auth.create_user", {"name": "n", "company": "company-of-a-guest", "email": "a@b.c"}),
    ):
        assert guest.raw(f"/{endpoint}", body).codes == (403, 20), endpoint
    assert guest.send("PUT", "/api/runs/r/meta", b"{}", {"Content-Type": "application/json"}).status == 403
