"""`server.page`: what a page over this server needs to know."""

from __future__ import annotations

from tests.client import Client


def test_urls_of_own_files_are_known_by_every_name_of_this_machine(server: Client) -> None:
    answer = server.raw("/server.page", {}, headers={"Host": f"localhost:{server.port}"}).data
    for name in ("127.0.0.1", "localhost", "[::1]"):
        assert f"http://{name}:{server.port}/files" in answer["files"]
    assert answer["live"] == "/api/live" and answer["limits"]["series"] == 5_000


def test_the_version_of_the_page_is_that_of_its_files(server: Client) -> None:
    shell = server.send("GET", "/projects", headers={"Accept": "text/html"}).body.decode()
    assert f"/ui/{server.call('server.page')['page']}/" in shell
