"""A run as one HTML file: everything a reader needs, nothing that runs, nothing that is fetched."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

from tests.client import Client, image, log, scalar
from tests.process import Server
from tests.runs.conftest import tidemark

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x00\ud800"


class Parsed(HTMLParser):
    """The elements, attributes and texts of a file."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def saved(server: Client, task: str) -> str:
    answer = server.send("GET", f"/api/runs/{task}/export?format=html")
    assert answer.status == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in answer.headers["content-security-policy"] and "attachment" in answer.headers["content-disposition"]
    return answer.body.decode()


def test_it_shows_what_the_run_reported(server: Client) -> None:
    task = server.new_task(
        "a report",
        hyperparams={"General": {"lr": {"section": "General", "name": "lr", "value": "0.001"}}},
        configuration={"model": {"name": "model", "value": "layers: 3"}},
        script={"repository": "git@x:y.git", "diff": "+added"},
    )
    server.add_batch([scalar(task, "val", v, iter=i, value=i / 7) for v in ("loss", "acc") for i in range(50)])
    server.add_batch([scalar(task, "bad", "x", iter=i, value=math.nan) for i in range(3)])
    server.add_batch([log(task, "\x1b[31mred\x1b[0m line", timestamp=1_790_000_000_000), image(task)])
    page = Parsed(saved(server, task))
    whole = "\n".join(page.texts)
    for expected in (
        "a report",
        "val / loss",
        "7 at 49",
        "General/lr",
        "0.001",
        "layers: 3",
        "git@x:y.git",
        "+added",
        "red line",
        "3 NaN",
        "1 debug sample of",
    ):
        assert expected in whole, expected
    assert {"svg", "polyline", "table", "pre"} <= page.tags
    assert "No finite values." in page.texts


def test_nothing_in_it_runs_or_is_fetched(server: Client) -> None:
    name = HOSTILE.replace("\x00", "").replace("\ud800", "")
    task = server.new_task(
        name, hyperparams={name: {name: {"section": name, "name": name, "value": name}}}, script={"diff": name}, tags=[name]
    )
    server.add_batch([scalar(task, name, name + "v", iter=i, value=i) for i in range(3)])
    server.add_batch([log(task, HOSTILE.replace("\ud800", ""))])
    source = saved(server, task)
    page = Parsed(source)
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "link", "base", "form", "a", "video", "audio", "foreignobject"}
    assert not [
        key for key, _ in page.attributes if key.startswith("on") or key in ("href", "src", "srcset", "style", "xlink:href", "action")
    ]
    assert re.search(r'http-equiv="Content-Security-Policy" content="default-src &#x27;none&#x27;', source)
    assert "\x00" not in source
    assert any(name in text for text in page.texts)


def test_values_at_the_end_of_the_range_are_drawn(server: Client) -> None:
    task = server.new_task("extreme")
    server.add_batch([scalar(task, "huge", "v", iter=i, value=v) for i, v in enumerate([-1.7e308, 1.7e308, 5e-324])])
    server.add_batch([scalar(task, "one", "v", iter=5, value=2.0)])
    source = saved(server, task)
    assert "nan" not in "".join(re.findall(r'points="([^"]*)"', source)) and "inf" not in "".join(re.findall(r'points="([^"]*)"', source))
    assert "<circle cx=" in source


def test_the_command_writes_the_same_page(shared_server: Server, server: Client, tmp_path: Path) -> None:
    task = server.new_task("by command")
    server.add_batch([scalar(task, iter=i, value=i) for i in range(3)])
    out = tmp_path / "run.html"
    tidemark("export", task, "--format", "html", "-o", str(out), "--data", str(shared_server.data), env=shared_server.env)
    made = re.compile(r"Saved from Tidemark, .*?<")
    assert made.sub("", out.read_text()) == made.sub("", saved(server, task))
