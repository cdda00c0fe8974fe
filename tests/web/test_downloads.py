"""Files of a chart: what they hold is what the chart shows."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.client import Client, scalar
from tests.web.runs import card, open_run, series

pytestmark = pytest.mark.one_engine

PALETTE = (0x0035D1, 0xF2621B, 0x40236F, 0xBD82A3, 0x6B1103, 0x5280FB, 0x855785, 0xAD3514)
"""Of the light theme."""
SVG = "{http://www.w3.org/2000/svg}"
LINES = 8
"""More names than fit into a row of a legend, and as many variants as one card shows."""


@pytest.fixture
def saved(server: Client, page: Page, tmp_path: Path) -> Callable[[str, str], tuple[str, bytes]]:
    """Name and content of a download of the chart with this title."""
    task = uuid.uuid4().hex
    server.add_batch(
        [
            *series(task, [1.0, 2.0, 4.0, float("nan"), 3.0], variant="<&>"),
            *series(task, [5.0, 6.0, 7.0, 8.0, float("inf")], variant="=1+1"),
            *[scalar(task, "many", f"a name as long as people use {n:02}", iter=i, value=n + i) for n in range(LINES) for i in range(20)],
        ]
    )
    server.call("tasks.update", task=task, name="a run")
    open_run(page, task)

    def save(title: str, entry: str) -> tuple[str, bytes]:
        card(page, title).get_by_role("button", name=f"Menu of {title}").click()
        with page.expect_download() as download:
            page.get_by_role("menuitem", name=entry, exact=True).click()
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()

    return save


def test_a_csv_has_what_is_drawn_or_every_point_and_no_cell_is_a_formula(saved: Callable[[str, str], tuple[str, bytes]]) -> None:
    name, content = saved("loss", "CSV of what is drawn")
    head, *rows = content.decode().splitlines()
    assert (name, head) == ("a_run_loss.csv", "series,step,mean,min,max,count,nan,pos_inf,neg_inf")
    assert rows[:4] == ["<&>,0,1,1,1,1,0,0,0", "<&>,1,2,2,2,1,0,0,0", "<&>,2,4,4,4,1,0,0,0", "<&>,3,NaN,NaN,NaN,0,1,0,0"]
    assert rows[5:] == [
        "'=1+1,0,5,5,5,1,0,0,0",
        *(f"'=1+1,{i},{5 + i},{5 + i},{5 + i},1,0,0,0" for i in (1, 2, 3)),
        "'=1+1,4,NaN,NaN,NaN,0,0,1,0",
    ]
    name, content = saved("loss", "CSV of all points")
    assert name == "a_run_loss_all.csv"
    assert sorted(content.decode().splitlines()) == sorted(
        ["series,step,value", *(f"<&>,{i},{y}" for i, y in enumerate((1, 2, 4, "non-finite", 3)))]
        + [f"'=1+1,{i},{y}" for i, y in enumerate((5, 6, 7, 8, "non-finite"))]
    )


def test_a_png_has_the_lines_and_every_name_of_the_legend(saved: Callable[[str, str], tuple[str, bytes]]) -> None:
    name, content = saved("many", "PNG")
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    colours = {rgb: count for count, rgb in picture.getcolors(1 << 20) or []}
    pixels = [colours.get((colour >> 16, colour >> 8 & 255, colour & 255), 0) for colour in PALETTE]
    assert name == "a_run_many.png" and min(pixels) > 200, "more than the legend has of each line's colour"
    _, one = saved("loss", "PNG")
    few = Image.open(io.BytesIO(one))
    assert few.width == picture.width and picture.height > few.height, "the legend has further rows"


def test_an_svg_has_a_path_a_line_and_all_names_as_text(saved: Callable[[str, str], tuple[str, bytes]]) -> None:
    name, content = saved("many", "SVG")
    root = ElementTree.fromstring(content)
    plot = root.find(f"{SVG}g")
    assert plot is not None and name == "a_run_many.svg"
    paths = [path.attrib["d"] for path in plot.iter(f"{SVG}path") if path.attrib.get("fill") == "none"]
    assert len(paths) == LINES and all(path.count("L") == 19 for path in paths)
    assert not {"NaN", "Infinity"} & set(content.decode().replace('"', " ").split())
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[0] == "many" and [f"a name as long as people use {n:02}" in texts for n in range(LINES)] == [True] * LINES
    _, content = saved("loss", "SVG")
    root = ElementTree.fromstring(content)
    assert "<&>" in [text.text for text in root.iter(f"{SVG}text")] and root.findall(f".//{SVG}script") == []


def test_a_figure_is_what_plotly_draws(saved: Callable[[str, str], tuple[str, bytes]]) -> None:
    name, content = saved("loss", "Figure (JSON of Plotly)")
    figure = json.loads(content)
    lines = {trace["name"]: trace for trace in figure["data"] if trace.get("name")}
    assert name == "a_run_loss.json" and lines["<&>"]["y"] == [1, 2, 4, None, 3] and lines["=1+1"]["x"] == [0, 1, 2, 3, 4]
    assert figure["layout"]["title"]["text"] == "loss"
