"""What other users of the machine, readers of logs and callers without a login learn."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.client import log
from tests.conftest import StartServer, credentials
from tests.files.helpers import upload
from tests.process import Server, wait_until


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}


def test_the_data_folder_and_its_files_are_for_the_owner_only(start_server: StartServer, task: str) -> None:
    server = start_server()
    server.client().add(log(task, "hello"))
    upload(server, "/secret.txt", b"x")
    found = modes(server.data)
    assert {name: mode for name, mode in found.items() if mode & 0o077} == {}
    server.stop()
    for path in [server.data, *server.data.glob("tidemark.*")]:  # as an older version left them
        path.chmod(0o755)
    server.start()
    assert {name: mode for name, mode in modes(server.data).items() if mode & 0o077} == {}


def test_a_folder_with_other_things_keeps_its_mode(start_server: StartServer, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (folder / "thesis.txt").write_text("")
    start_server(TIDEMARK_DATA=str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "tidemark.lock").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_another_user_can_not_lock_the_data_folder(start_server: StartServer) -> None:
    server = start_server()
    server.stop()
    # Changes the user after its start: the interpreter may lie where only root can run it.
    lock = str(server.data / "tidemark.lock")
    code = f"import fcntl, os; os.setgid(65534); os.setuid(65534); fcntl.flock(open({lock!r}), fcntl.LOCK_SH | fcntl.LOCK_NB)"
    tried = subprocess.run([sys.executable, "-S", "-c", code], cwd="/", capture_output=True, text=True, check=False)
    assert "PermissionError" in tried.stderr


@pytest.mark.parametrize("env", [{"TIDEMARK_AUTH": "required"}, {"container": "docker"}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}])
def test_a_server_whose_output_is_kept_prints_no_secret(start_server: StartServer, env: dict[str, str]) -> None:
    server = start_server(**env)
    printed = server.log.read_text()
    assert "CLEARML_API_HOST=" in printed and "tidemark keys" in printed
    kept = json.loads((server.data / "credentials.json").read_text())
    assert not [name for name in ("access_key", "secret_key", "token_secret") if kept[name] in printed]


def test_the_log_goes_where_the_configuration_says(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    server = start_server(TIDEMARK__server__log_file=str(path), TIDEMARK__server__access_log="true")
    server.client().send("GET", "/debug.ping?mark")
    wait_until(lambda: "/debug.ping?mark" in path.read_text(), 10, "a call is logged after its answer")
    assert "/debug.ping?mark" not in server.log.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_health_tells_strangers_whether_not_where(start_server: StartServer) -> None:
    server = start_server(TIDEMARK_AUTH="required")
    client, admitted = server.client(), server.client(*credentials(server))
    stranger = {"Host": "tracker.lan"}
    for path, detail in (("/healthz", "detail"), ("/api/healthz", "detail"), ("/api/health", "storage")):
        seen = client.send("GET", path, None, stranger)
        assert seen.status == 200 and seen.json["status"] == "ok"
        assert detail not in seen.body.decode() and str(server.data) not in seen.body.decode()
        assert detail in admitted.send("GET", path, None, stranger).body.decode()
        assert detail in client.send("GET", path).body.decode()


def test_a_quote_and_its_percent_code_are_two_files(shared_server: Server, task: str) -> None:
    """urllib3 sends both as %22; a client that escapes the quote can store both."""
    folder = f"/p/t.{task}"

    def put(name: str, content: bytes) -> None:
        part = f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'.encode() + content + b"\r\n--B--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        assert requests.post(f"{shared_server.url}/files", data=part, headers=headers, timeout=30).status_code == 200

    def read(name: str) -> bytes:
        answer = requests.get(f"{shared_server.url}/files{quote(name)}", timeout=30)
        return answer.content if answer.status_code == 200 else b"none"

    put(f"{folder}/a%22b", b"code")
    assert read(f'{folder}/a"b') == read(f"{folder}/a%22b") == b"code"  # what urllib3 sent as a"b
    put(f'{folder}/a\\"b', b"quote")
    assert (read(f'{folder}/a"b'), read(f"{folder}/a%22b")) == (b"quote", b"code")
    assert requests.delete(f"{shared_server.url}/files{quote(folder)}/a%22b", timeout=30).status_code == 200
    assert (read(f'{folder}/a"b'), read(f"{folder}/a%22b")) == (b"code", b"code")
