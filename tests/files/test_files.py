"""The file server, through HTTP: what the SDK sends, what browsers ask for, and what nobody may do."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.conftest import StartServer
from tests.process import Server, free_port

GOLDENS = Path(__file__).resolve().parent.parent / "goldens" / "clearml-sdk"
LIMIT = 30_000_000


@pytest.fixture(scope="module")
def files(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a second port for files and a limit of 30 MB."""
    env = {**engine_env, "TIDEMARK_FILES_PORT": str(free_port()), "TIDEMARK__files__max_size": str(LIMIT)}
    server = Server(tmp_path_factory.mktemp("files"), env)
    yield server.start()
    server.stop()


@pytest.fixture
def name() -> str:
    """A path as the SDK makes it, of a task of its own."""
    return f"/proj/sub/full.{uuid.uuid4().hex}/metrics/img/i1/img_i1_00000000.jpeg"


def upload(server: Server, name: str, content: bytes, **headers: str) -> requests.Response:
    return requests.post(f"{server.url}/files", files={name: (name, content)}, headers=headers, timeout=30)


def get(server: Server, name: str, **headers: str) -> requests.Response:
    return requests.get(f"{server.url}/files{quote(name)}", headers=headers, timeout=30)


def stored(server: Server) -> list[Path]:
    return [path for path in (server.data / "files").rglob("*") if path.is_file()]


# --- what the SDK does


@pytest.mark.parametrize("recording", ["artifact", "image", "media_html", "non_ascii_name", "path_prefix"])
def test_recorded_uploads_are_stored_under_their_names(files: Server, recording: str) -> None:
    recorded = json.loads((GOLDENS / f"files.upload.{recording}.json").read_text())
    [part] = recorded["request"]["multipart_parts"]
    boundary = "d32826bfd33944058d9b3c24f42d1dcc"
    content = bytes(i % 256 for i in range(part["len"]))
    body = f"--{boundary}\r\n{part['headers']}\r\n\r\n".encode() + content + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = requests.post(f"{files.url}/files", data=body, headers=headers, timeout=30)
    assert answer.status_code == 200
    assert answer.json() == json.loads(recorded["response"]["body"])
    assert get(files, answer.json()[0]).content == content


def test_the_recorded_download_finds_the_recorded_upload(files: Server) -> None:
    """The URL of an event, percent-decoded once, is the name that was uploaded."""
    path = json.loads((GOLDENS / "files.download.json").read_text())["request"]["path"]
    name = "/proj/sub/f %C3%A9/x.7eab9b01df174672826687c708f3577b/metrics/img a.slash.b/i0x251 é/img a.slash.b_i0x251 é_00000000.jpeg"
    assert upload(files, name, b"jpeg").status_code == 200
    assert requests.get(f"{files.url}/files{path}", timeout=30).content == b"jpeg"


def test_the_second_port_serves_the_same_files_at_its_root(files: Server, name: str) -> None:
    root = f"http://127.0.0.1:{files.env['TIDEMARK_FILES_PORT']}"
    assert requests.post(root, files={name: (name, b"one")}, timeout=30).status_code == 200
    assert requests.get(root + name, timeout=30).content == b"one"
    assert get(files, name).content == b"one"
    assert requests.delete(root + name, timeout=30).status_code == 200
    assert get(files, name).status_code == 404


def test_a_second_upload_replaces_the_first(files: Server, name: str) -> None:
    upload(files, name, b"first")
    etag = get(files, name).headers["ETag"]
    upload(files, name, b"other")
    again = get(files, name, **{"If-None-Match": etag})
    assert (again.status_code, again.content) == (200, b"other")


def test_several_files_in_one_form_are_all_stored(files: Server, name: str) -> None:
    names = [f"{name}.{i}" for i in range(3)]
    form = [("comment", (None, "no file")), *((one, (one, one.encode())) for one in names)]
    answer = requests.post(f"{files.url}/files", files=form, timeout=30)
    assert answer.json() == names
    assert [get(files, one).content for one in names] == [one.encode() for one in names]


@pytest.mark.parametrize(
    "odd", ['quo"te', "back\\slash", "two  blanks ", "semi;colon", "%41", "a" * 250, "é" * 300, "ends.", "~" + "0" * 32, "%22"]
)
def test_odd_names_come_back(files: Server, odd: str) -> None:
    name = f"/odd/t.{uuid.uuid4().hex}/{odd}/{odd}.bin"
    assert upload(files, name, b"odd").status_code == 200
    assert get(files, name).content == b"odd"


def test_names_that_are_long_and_alike_stay_apart(files: Server) -> None:
    stem = f"/long/t.{uuid.uuid4().hex}/" + "x" * 240
    upload(files, stem + "a", b"a")
    upload(files, stem + "b", b"b")
    assert (get(files, stem + "a").content, get(files, stem + "b").content) == (b"a", b"b")


def test_an_empty_file_is_a_file(files: Server, name: str) -> None:
    assert upload(files, name, b"").status_code == 200
    answer = get(files, name)
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")


def test_content_that_looks_like_a_boundary_survives(files: Server, name: str) -> None:
    content = b"\r\n--abc\r\n--abc--\r\n-\r\n\r\n--ab" * 5000
    body = b'--abcd\r\nContent-Disposition: form-data; name="' + name.encode() + b'"; filename="x"\r\n\r\n' + content + b"\r\n--abcd--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=abcd"}
    assert requests.post(f"{files.url}/files", data=body, headers=headers, timeout=30).json() == [name]
    assert get(files, name).content == content


# --- downloads


def test_ranges(files: Server, name: str) -> None:
    content = os.urandom(1000)
    upload(files, name, content)
    for asked, status, expected, shown in [
        ("bytes=0-9", 206, content[:10], "bytes 0-9/1000"),
        ("bytes=990-", 206, content[990:], "bytes 990-999/1000"),
        ("bytes=-5", 206, content[-5:], "bytes 995-999/1000"),
        ("bytes=990-2000", 206, content[990:], "bytes 990-999/1000"),
        ("bytes=0-1,5-6", 200, content, None),
        ("bytes=junk", 200, content, None),
        ("lines=1-2", 200, content, None),
    ]:
        answer = get(files, name, Range=asked)
        assert (answer.status_code, answer.content, answer.headers.get("Content-Range")) == (status, expected, shown), asked
    answer = get(files, name, Range="bytes=1000-")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */1000")


def test_a_range_of_an_older_version_gets_the_whole_new_one(files: Server, name: str) -> None:
    upload(files, name, b"first")
    etag = get(files, name).headers["ETag"]
    assert get(files, name, Range="bytes=0-1", **{"If-Range": etag}).status_code == 206
    upload(files, name, b"later")
    answer = get(files, name, Range="bytes=0-1", **{"If-Range": etag})
    assert (answer.status_code, answer.content) == (200, b"later")


def test_a_browser_that_has_the_file_is_told_so(files: Server, name: str) -> None:
    upload(files, name, b"image")
    first = get(files, name)
    assert first.headers["Cache-Control"].startswith("private, no-cache")
    again = get(files, name, **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


def test_head_tells_the_size_and_sends_nothing(files: Server, name: str) -> None:
    upload(files, name, b"12345")
    answer = requests.head(f"{files.url}/files{name}", timeout=30)
    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (200, "5", b"")


def test_query_strings_are_ignored(files: Server, name: str) -> None:
    upload(files, name, b"image")
    assert requests.get(f"{files.url}/files{name}?X-Amz-Date=1700000000000", timeout=30).content == b"image"


@pytest.mark.parametrize(
    ("ending", "kind", "sandboxed"),
    [
        ("jpeg", "image/jpeg", False),
        ("png", "image/png", False),
        ("mp4", "video/mp4", False),
        ("json", "application/json", False),
        ("txt", "text/plain; charset=utf-8", False),
        ("html", "text/html; charset=utf-8", True),
        ("HTML", "text/html; charset=utf-8", True),
        ("xhtml", "application/octet-stream", False),
        ("svg", "image/svg+xml", True),
        ("xml", "text/xml; charset=utf-8", True),
        ("js", "text/plain; charset=utf-8", False),
        ("unknown", "application/octet-stream", False),
        ("html.gz", "application/gzip", False),
    ],
)
def test_what_a_browser_could_run_is_locked_in_a_sandbox(files: Server, name: str, ending: str, kind: str, sandboxed: bool) -> None:
    name = f"{name}.{ending}"
    upload(files, name, b"<script>alert(1)</script>")
    answer = get(files, name)
    policy = answer.headers.get("Content-Security-Policy", "")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"] == kind
    assert policy.startswith("sandbox;") is sandboxed
    assert "allow" not in policy and "Content-Encoding" not in answer.headers


# --- deleting


def test_a_deleted_file_is_gone_with_its_empty_folders(files: Server, name: str) -> None:
    upload(files, name, b"x")
    url = f"{files.url}/files{name}"
    assert requests.delete(url, timeout=30).status_code == 200
    assert requests.delete(url, timeout=30).status_code == 404
    assert get(files, name).status_code == 404
    task = re.search(r"[0-9a-f]{32}", name)
    assert task and not list((files.data / "files").rglob(f"*{task[0]}*"))


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


def test_a_disk_that_fills_up_during_the_upload_is_507_too(start_server: StartServer, name: str, tmp_path: Path) -> None:
    """The reserve begins a few megabytes below what is free now; the upload's length is not known beforehand."""
    disk = os.statvfs(tmp_path)
    server = start_server(TIDEMARK__files__reserve=str(disk.f_bavail * disk.f_frsize - 60_000_000))
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = requests.post(f"{server.url}/files", data=_chunked(name, 100), headers=headers, timeout=30)
    assert answer.status_code == 507, answer.text
    assert not stored(server)


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
    client.call("models.set_ready", model=model)
    client.call("tasks.delete", task=task, force=True)
    assert client.call("models.get_by_id", model=model)["model"]["uri"] == url
    assert requests.get(url, timeout=30).content == b"x"
    assert get(files, gone).status_code == 404


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
