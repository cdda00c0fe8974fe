"""The client behind a proxy that refuses or answers by itself: only the refused events are lost, everything else is stored."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import pytest

from tests.cable import Gate
from tests.process import Server
from tests.web.runs import png
from tidemark_events import Client, ServerUnavailable, connect

BATCH = "/events.add_batch"
Gates = Callable[[Callable[[str, bytes], int | None]], Gate]


@pytest.fixture
def gates(shared_server: Server) -> Iterator[Gates]:
    """Proxies in front of the shared server."""
    made: list[Gate] = []

    def make(status: Callable[[str, bytes], int | None]) -> Gate:
        made.append(Gate(shared_server.url, status))
        return made[-1]

    yield make
    for gate in made:
        gate.close()


def test_what_is_too_large_for_a_proxy_is_sent_in_halves_and_one_event_too_many_is_counted(gates: Gates, tm: Client) -> None:
    sizes: list[int] = []

    def limit(path: str, body: bytes) -> int | None:
        sizes.append(len(body))
        return 413 if len(body) > 20_000 else None

    with pytest.warns(RuntimeWarning) as told, connect(gates(limit).url).run("halves") as r:
        for step in range(1_000):
            r.log({"loss/train": step, "acc": 0.5}, step=step)
        r.print("x" * 30_000)
        r.log_image("digits", png() + bytes(30_000), step=1)
        r.log_image("digits", png(), step=2)
        r.print("the last line")
        assert r.flush() and r.refused == 2
    assert max(sizes) > 20_000, "the proxy had something to refuse"
    again = tm.get(r.id)
    assert list(again.scalars("loss/train")[0].value) == list(range(1_000)) and again.scalars("acc")[0].points == 1_000
    assert ([line.text for line in again.logs()], [image.step for image in again.images()]) == (["the last line"], [2])
    texts = [str(one.message) for one in told]
    assert any("an event was refused and is lost" in text and "413 " in text for text in texts), texts
    assert any("an image or plot was not sent" in text and "413" in text for text in texts), texts
    assert any("lacks 2 events, refused" in text for text in texts) and (r.refused, r.dropped) == (2, 0)


@pytest.mark.parametrize("status", [400, 403, 406])
def test_what_a_proxy_refuses_does_not_hold_up_the_rest(status: int, gates: Gates, tm: Client) -> None:
    gate = gates(lambda path, body: status if b"<script>" in body else None)
    with pytest.warns(RuntimeWarning) as told, connect(gate.url).run("refused") as r:
        r.log({"loss": 1}, step=1)
        assert r.flush()
        r.print("<script>")
        assert r.flush() and r.refused == 1
        r.log({"loss": 2}, step=2)
    texts = [str(one.message) for one in told]
    assert any("an event was refused and is lost" in text and str(status) in text for text in texts), texts
    again = tm.get(r.id)
    assert list(again.scalars("loss")[0].step) == [1, 2] and not list(again.logs())


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_page_in_place_of_the_servers_answer_is_waited_out(status: int, gates: Gates, tm: Client) -> None:
    """A proxy that can't reach the server, or a log-in portal that answers 200 with its own page: the client knows that nothing was stored, and repeats."""
    seen: list[str] = []

    def away(path: str, body: bytes) -> int | None:
        seen.append(path)
        return status if path in (BATCH, "/files/") and seen.count(path) == 1 else None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with connect(gates(away).url).run("away") as r:
            r.log({"loss": 1}, step=1)
            r.log_image("digits", png(), step=2)
            assert r.flush()
    assert seen.count(BATCH) > 1 and seen.count("/files/") > 1
    again = tm.get(r.id)
    assert (again.scalars("loss")[0].points, again.images()[0].bytes(), r.refused) == (1, png(), 0)


def test_a_page_is_no_tidemark_server(gates: Gates) -> None:
    for status in (200, 404):
        with pytest.raises(ServerUnavailable, match="not from a Tidemark server"):
            connect(gates(lambda path, body, status=status: status).url, attempts=1)  # type: ignore[misc]
