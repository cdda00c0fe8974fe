"""The file server, through HTTP: names that lead elsewhere, limits, damage, and who may do what."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.conftest import StartServer
from tests.files.helpers import LIMIT, get, stored, upload
from tests.process import Server

pytestmark = pytest.mark.one_engine

# --- names that lead elsewhere

TRICKS = [
    "/../x",
    "/a/../../x",
    "/a/./x",
    "/..",
    "/%2e%2e/x",
    "/a/%2E%2e%2fx",
    "/a/%252e%252e%252fx",
    "/a/..%5c..%5cx",
    "/a/..\\x",
    "/a\x00b",
    "/a%00b",
    "/a\x1fb",
    "/",
    "//",
    "/" + "x/" * 2000,
]


@pytest.mark.parametrize("trick", TRICKS, ids=[repr(trick)[:24] for trick in TRICKS])
def test_an_upload_never_leaves_its_folder(files: Server, trick: str) -> None:
    before = stored(files)
    body = b'--b\r\nContent-Disposition: form-data; name="' + trick.encode() + b'"; filename="x"\r\n\r\nevil\r\n--b--\r\n'
    answer = requests.post(f"{files.url}/files", data=body, headers={"Content-Type": "multipart/form-data; boundary=b"}, timeout=30)
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"]
    assert stored(files) == before


@pytest.mark.parametrize(
    "path",
    [
        "/files/../debug.ping",
        "/files/../../etc/passwd",
        "/files/%2e%2e/%2e%2e/etc/passwd",
        "/files/..%2f..%2fetc%2fpasswd",
        "/files/%00",
        "/files/a%00",
        "/files//etc/passwd",
        "/files/",
        "/files",
    ],
)
def test_a_download_never_leaves_its_folder(files: Server, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", files.port, timeout=30)
    connection.putrequest("GET", path, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status in (400, 404), content[:200]
    assert b"root:" not in content
    connection.close()


def test_links_on_the_disk_are_not_followed(files: Server, name: str, tmp_path: Path) -> None:
    upload(files, name, b"x")
    [folder] = {path.parent for path in stored(files) if re.search(r"[0-9a-f]{32}", name)[0] in str(path)}  # type: ignore[index]
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "file").symlink_to(secret)
    (folder / "folder").symlink_to(tmp_path)
    above = name.rpartition("/")[0]
    assert get(files, f"{above}/file").status_code == 404
    assert get(files, f"{above}/folder/secret").status_code == 404
    assert requests.delete(f"{files.url}/files{above}/file", timeout=30).status_code == 404
    assert upload(files, f"{above}/folder/new", b"x").status_code in (400, 409)
    assert upload(files, f"{above}/file", b"mine").status_code == 200  # replaces the link, not what it leads to
    assert secret.read_text() == "secret" and not (tmp_path / "new").exists()


def test_a_file_in_the_way_of_a_folder_is_a_clear_refusal(files: Server, name: str) -> None:
    upload(files, name, b"x")
    assert upload(files, f"{name}/below", b"x").status_code == 409
    assert upload(files, name.rpartition("/")[0], b"x").status_code == 409
    assert get(files, name).content == b"x"


# --- limits and damage


def test_a_file_above_the_limit_is_refused_and_leaves_nothing(files: Server, name: str) -> None:
    before = stored(files)
    answer = upload(files, name, b"x" * (LIMIT + 1))
    assert answer.status_code == 413 and str(LIMIT) in answer.json()["detail"]
    assert "Retry-After" not in answer.headers
    assert get(files, name).status_code == 404
    assert stored(files) == before
    assert upload(files, name, b"x" * LIMIT).status_code == 200


def test_an_upload_without_a_length_is_limited_too(files: Server, name: str) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="' + name.encode() + b'"; filename="x"\r\n\r\n'

    def pieces(size: int) -> Iterator[bytes]:
        yield head
        for _ in range(size // 1_000_000):
            yield b"x" * 1_000_000
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert requests.post(f"{files.url}/files", data=pieces(20_000_000), headers=headers, timeout=30).status_code == 200
    assert len(get(files, name).content) == 20_000_000
    assert requests.post(f"{files.url}/files", data=pieces(40_000_000), headers=headers, timeout=30).status_code == 413
    assert len(get(files, name).content) == 20_000_000


def test_a_full_disk_is_507_with_a_sentence(start_server: StartServer, name: str) -> None:
    server = start_server(TIDEMARK__files__reserve=str(1 << 60))
    answer = upload(server, name, b"x")
    assert answer.status_code == 507 and "disk is full" in answer.json()["detail"]
    assert not stored(server)


@pytest.fixture
def little_space(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Settings with which some megabytes are left: on a file system of 4 MB for root, who can mount one, else by the reserve."""
    if os.geteuid() != 0:
        disk = os.statvfs(tmp_path)
        yield {"TIDEMARK__files__reserve": str(disk.f_bavail * disk.f_frsize - 4_000_000)}
        return
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)], check=True)
    yield {"TIDEMARK__files__folder": str(small), "TIDEMARK__files__reserve": "0"}
    subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_a_disk_that_fills_up_during_the_upload_is_507_too(
    little_space: dict[str, str], start_server: StartServer, name: str, tmp_path: Path
) -> None:
    server = start_server(**little_space)
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = requests.post(f"{server.url}/files", data=_chunked(name, 100), headers=headers, timeout=60)
    assert answer.status_code == 507, answer.text
    assert not stored(server) and not [path for path in (tmp_path / "small").rglob("*") if path.is_file()]


def _chunked(name: str, megabytes: int) -> Iterator[bytes]:
    yield b'--b\r\nContent-Disposition: form-data; name="' + name.encode() + b'"; filename="x"\r\n\r\n'
    for _ in range(megabytes):
        yield b"x" * 1_000_000
    yield b"\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b--\r\n"),
        ("multipart/form-data; boundary=b", b"nothing of that kind"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nx\r\n--b--\r\n'),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\nends early'),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"'),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: \xff\xfe\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 100_000),
        ("multipart/form-data", b"--b--"),
        ("application/octet-stream", b"raw"),
        ("", b"raw"),
    ],
)
def test_damaged_uploads_are_refused_in_a_sentence(files: Server, kind: str, body: bytes) -> None:
    before = stored(files)
    answer = requests.post(f"{files.url}/files", data=body, headers={"Content-Type": kind}, timeout=30)
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"]
    assert stored(files) == before


def test_an_upload_that_breaks_off_leaves_nothing(files: Server, name: str) -> None:
    before = stored(files)
    with socket.create_connection(("127.0.0.1", files.port), timeout=10) as connection:
        head = f"POST /files HTTP/1.1\r\nHost: 127.0.0.1:{files.port}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000000\r\n\r\n"
        part = b'--b\r\nContent-Disposition: form-data; name="' + name.encode() + b'"; filename="x"\r\n\r\n'
        connection.sendall(head.encode() + part + b"x" * 3_000_000)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert get(files, name).status_code == 404
    assert stored(files) == before


def test_a_compressed_upload_is_refused(files: Server, name: str) -> None:
    assert upload(files, name, b"x", **{"Content-Encoding": "gzip"}).status_code == 415


def test_other_methods_are_refused(files: Server, name: str) -> None:
    assert requests.put(f"{files.url}/files{name}", data=b"x", timeout=30).status_code == 405


def test_memory_stays_bounded_whatever_the_size(start_server: StartServer, name: str) -> None:
    """A 300 MB upload and download in a server that may not grow by 60 MB."""
    server = start_server()
    upload(server, name + "0", b"warm")
    before = server.worker_resident_bytes()
    script = (
        "import sys, requests\n"
        "def pieces(name, n):\n"
        "    yield b'--b\\r\\nContent-Disposition: form-data; name=\"' + name.encode() + b'\"; filename=\"x\"\\r\\n\\r\\n'\n"
        "    for _ in range(n): yield b'x' * 1_000_000\n"
        "    yield b'\\r\\n--b--\\r\\n'\n"
        "url, name = sys.argv[1:]\n"
        "answer = requests.post(url + '/files', data=pieces(name, 300), headers={'Content-Type': 'multipart/form-data; boundary=b'})\n"
        "assert answer.status_code == 200, answer.text\n"
        "with requests.get(url + '/files' + name, stream=True) as answer:\n"
        "    assert sum(map(len, answer.iter_content(1 << 20))) == 300_000_000\n"
    )
    client = subprocess.Popen([sys.executable, "-c", script, server.url, name])
    highest = before
    while client.poll() is None:
        highest = max(highest, server.worker_resident_bytes())
    assert client.returncode == 0
    assert highest - before < 60_000_000


# --- who may

KEYS = """{
  one { id = "one", users { ann { name = "ann", keys = [{ access_key = "ONE", secret_key = "one-secret" }] } } }
  two { id = "two", users { bob { name = "bob", keys = [{ access_key = "TWO", secret_key = "two-secret" }] } } }
}"""


@pytest.fixture
def two_companies(start_server: StartServer, tmp_path: Path) -> Server:
    config = tmp_path / "own.conf"
    config.write_text(f"auth {{ companies {KEYS} }}")
    return start_server(TIDEMARK_AUTH="required", TIDEMARK_CONFIG=str(config))


def test_without_a_login_nothing_is_stored_shown_or_deleted(two_companies: Server, name: str) -> None:
    url = f"{two_companies.url}/files"
    assert requests.post(url, files={name: (name, b"x" * 5_000_000)}, timeout=30).status_code == 401
    assert requests.get(url + name, timeout=30).status_code == 401
    assert requests.delete(url + name, timeout=30).status_code == 401
    assert requests.post(url, files={name: (name, b"x")}, auth=("ONE", "wrong"), timeout=30).status_code == 401


def test_a_company_never_meets_the_files_of_another(two_companies: Server, name: str) -> None:
    url = f"{two_companies.url}/files"
    one, two = ("ONE", "one-secret"), ("TWO", "two-secret")
    assert requests.post(url, files={name: (name, b"of one")}, auth=one, timeout=30).status_code == 200
    assert requests.get(url + name, auth=two, timeout=30).status_code == 404
    assert requests.delete(url + name, auth=two, timeout=30).status_code == 404
    assert requests.post(url, files={name: (name, b"of two")}, auth=two, timeout=30).status_code == 200
    assert requests.get(url + name, auth=one, timeout=30).content == b"of one"
    assert requests.get(url + name, auth=two, timeout=30).content == b"of two"


def test_token_and_cookie_open_the_files_as_they_open_the_api(two_companies: Server, name: str) -> None:
    url = f"{two_companies.url}/files"
    session = requests.Session()
    token = session.get(f"{two_companies.url}/auth.login", auth=("ONE", "one-secret"), timeout=30).json()["data"]["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert requests.post(url, files={name: (name, b"x")}, headers=bearer, timeout=30).status_code == 200
    assert session.get(url + name, timeout=30).content == b"x"  # the cookie, as an image tag sends it
    assert requests.get(url + name, headers=bearer, timeout=30).content == b"x"


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_foreign_page_can_neither_upload_nor_delete(files: Server, name: str, headers: dict[str, str]) -> None:
    assert upload(files, name, b"x", **headers).status_code == 403
    upload(files, name, b"mine")
    assert requests.delete(f"{files.url}/files{name}", headers=headers, timeout=30).status_code == 403
    assert get(files, name).content == b"mine"


def test_an_image_tag_of_another_port_may_show_a_file(files: Server, name: str) -> None:
    upload(files, name, b"image")
    tag: dict[str, Any] = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert get(files, name, **tag).content == b"image"


# --- with their task


def test_deleting_a_task_deletes_its_files_and_the_client_may_delete_them_again(files: Server) -> None:
    """The SDK deletes the task first and then each file that its events named."""
    client = files.client()
    gone, other = client.new_task(), client.new_task()
    names = [f"/p/task name.{gone}/metrics/a/b/{i}.png" for i in range(3)] + [f"/other project/x.{gone}/artifacts/data/data.json"]
    stays = f"/p/task name.{other}/metrics/a/b/0.png"
    for name in [*names, stays]:
        assert upload(files, name, b"x").status_code == 200
    client.call("tasks.delete", task=gone, force=True)
    assert {get(files, name).status_code for name in names} == {404}
    assert {requests.delete(f"{files.url}/files{quote(name)}", timeout=30).status_code for name in names} == {200}
    assert get(files, stays).status_code == 200
    assert not [path for path in stored(files) if gone in str(path)]


def test_resetting_a_task_deletes_its_files(files: Server) -> None:
    client = files.client()
    task = client.new_task()
    name = f"/p/task.{task}/metrics/a/b/0.png"
    upload(files, name, b"x")
    client.call("tasks.reset", task=task, force=True)
    assert get(files, name).status_code == 404
    assert requests.delete(f"{files.url}/files{name}", timeout=30).status_code == 404


def test_a_model_that_outlives_its_task_keeps_its_file(files: Server) -> None:
    client = files.client()
    task = client.new_task()
    kept, gone = f"/p/t.{task}/models/kept model.bin", f"/p/t.{task}/metrics/a/b/0.png"
    for name in (kept, gone):
        upload(files, name, b"x")
    url = f"{files.url}/files{quote(kept)}"
    model = client.call("models.create", name="kept model", uri=url, task=task)["id"]
    client.call("tasks.delete", task=task, force=True)
    assert client.call("models.get_by_id", model=model)["model"]["uri"] == url
    assert requests.get(url, timeout=30).content == b"x"
    assert get(files, gone).status_code == 404


@pytest.mark.parametrize("way", ["tasks.reset", "tasks.delete"])
def test_files_of_models_that_a_task_only_names_and_files_of_two_models_stay(files: Server, way: str) -> None:
    client = files.client()
    task = client.new_task()
    names = [f"/p/t.{task}/models/{name}.bin" for name in ("named", "twice", "gone")]
    for name in names:
        upload(files, name, b"x")
    named, twice, gone = (f"{files.url}/files{name}" for name in names)
    model = client.call("models.create", name="named", uri=named, ready=False)["id"]
    client.call("tasks.add_or_update_model", task=task, name="named", model=model, type="output")
    client.call("models.create", name="other", uri=twice, ready=False)
    for url in (twice, gone):
        client.call("models.create", name="mine", uri=url, ready=False, task=task)
    answer = client.call(way, task=task, force=True, return_file_urls=True)
    assert (answer["deleted_models"], answer["urls"]["model_urls"]) == (2, [gone])
    assert [get(files, name).status_code for name in names] == [200, 200, 404]


def test_the_files_of_a_public_task_are_shown_to_other_companies_and_not_theirs_to_delete(two_companies: Server) -> None:
    one, two = two_companies.client("ONE", "one-secret"), ("TWO", "two-secret")
    task = one.new_task()
    name = f"/p/t.{task}/metrics/a/b/0.png"
    url = f"{two_companies.url}/files{name}"
    requests.post(f"{two_companies.url}/files", files={name: (name, b"shown")}, auth=("ONE", "one-secret"), timeout=30)
    assert requests.get(url, auth=two, timeout=30).status_code == 404
    one.call("tasks.make_public", ids=[task])
    assert requests.get(url, auth=two, timeout=30).content == b"shown"
    assert requests.delete(url, auth=two, timeout=30).status_code == 404
    one.call("tasks.make_private", ids=[task])
    assert requests.get(url, auth=two, timeout=30).status_code == 404
