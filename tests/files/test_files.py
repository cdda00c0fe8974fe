"""The file server, through HTTP: what the SDK sends, and what browsers ask for."""

from __future__ import annotations

import json
import os
import re
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from werkzeug.http import parse_options_header

from tests.conftest import StartServer
from tests.files.helpers import get, upload
from tests.process import Server

GOLDENS = Path(__file__).resolve().parent.parent / "goldens" / "clearml-sdk"


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


CODED = ["offline %C3%BC", "100%25 sure", "a%2Fb c", "%20", "ü %2F ü", "%C3%BC%2F", "%zz %4", "x%3Fy", "a%22b"]
MIXED = ["ü %C3%BC", "%41 A %2f %C3%A9 é", "%C3%BC%20ü %e6%a8%a1", "100% %25 ü%C3%BC"]


@pytest.mark.parametrize("odd", [*CODED, *MIXED])
def test_a_name_with_percent_codes_is_found_by_its_url_however_that_was_written(files: Server, odd: str) -> None:
    """The SDK registers the name as the URL: `requests` escapes what must be, and leaves percent codes alone."""
    name = f"/{odd}/t.{uuid.uuid4().hex}/artifacts/{odd}.json"
    root = f"http://127.0.0.1:{files.env['TIDEMARK_FILES_PORT']}"
    assert upload(files, name, b"{}").status_code == 200
    assert get(files, name).content == b"{}"  # escaped once more
    for address in (f"{files.url}/files", root):
        assert requests.get(address + name, timeout=30).content == b"{}"
        assert requests.head(address + name, timeout=30).status_code == 200
    assert requests.delete(f"{files.url}/files{name}", timeout=30).status_code == 200
    assert requests.get(f"{files.url}/files{name}", timeout=30).status_code == 404


def test_the_name_that_was_meant_comes_first(files: Server) -> None:
    folder = f"/p/t.{uuid.uuid4().hex}"
    upload(files, f"{folder}/ü", b"decoded")
    upload(files, f"{folder}/%C3%BC", b"as sent")
    assert requests.get(f"{files.url}/files{folder}/%C3%BC", timeout=30).content == b"decoded"
    assert requests.get(f"{files.url}/files{folder}/%25C3%25BC", timeout=30).content == b"as sent"


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


def test_uploaded_html_runs_scripts_of_named_origins_only_where_it_is_allowed(start_server: StartServer, name: str) -> None:
    server = start_server(TIDEMARK__files__allow_scripts="true")
    upload(server, f"{name}.html", b"<script src=https://cdn.bokeh.org/bokeh/release/bokeh-3.6.0.min.js></script>")
    policy = dict(part.strip().partition(" ")[::2] for part in get(server, f"{name}.html").headers["Content-Security-Policy"].split(";"))
    assert policy["sandbox"] == "allow-scripts"  # not allow-same-origin: an origin of its own, without the login
    assert policy["script-src"].split() == ["'unsafe-inline'", "'unsafe-eval'", "https://cdn.bokeh.org", "https://cdn.plot.ly"]
    assert policy["default-src"] == "'none'"


@pytest.mark.parametrize("path", ["/plain name.html", '/é "quoted" ü.png', "/模型; é.json"])
def test_a_file_is_downloaded_on_request(files: Server, name: str, path: str) -> None:
    name = name.rpartition("/")[0] + path
    upload(files, name, b"x")
    assert "Content-Disposition" not in get(files, name).headers
    for query in ("?download=", "?download=1"):
        answer = requests.get(f"{files.url}/files{quote(name)}{query}", timeout=30)
        kind, options = parse_options_header(answer.headers["Content-Disposition"])
        assert (answer.status_code, answer.content, kind) == (200, b"x", "attachment")
        assert options["filename"] == path[1:].replace('"', "%22") or options["filename"] == path[1:]


# --- deleting


def test_a_deleted_file_is_gone_with_its_empty_folders(files: Server, name: str) -> None:
    upload(files, name, b"x")
    url = f"{files.url}/files{name}"
    assert requests.delete(url, timeout=30).status_code == 200
    assert requests.delete(url, timeout=30).status_code == 404
    assert get(files, name).status_code == 404
    task = re.search(r"[0-9a-f]{32}", name)
    assert task and not list((files.data / "files").rglob(f"*{task[0]}*"))


def test_a_name_whose_folders_only_are_escaped_is_found(files: Server) -> None:
    """What the SDK uploads for the artifact `größe` of an offline session: project and task are escaped, the artifact is not."""
    name = f"/offline %C3%BC/%E6%A8%A1/%C3%9Cbung %C3%A9.{uuid.uuid4().hex}/artifacts/größe/größe.json"
    assert upload(files, name, b"{}").status_code == 200
    assert requests.get(f"{files.url}/files{name}", timeout=30).content == b"{}"
    assert requests.delete(f"{files.url}/files{name}", timeout=30).status_code == 200
