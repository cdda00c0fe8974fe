"""Parts of `tidemark_events` that need no server."""

from __future__ import annotations

import array
import math
import subprocess
import sys
from typing import Any

import pytest

from apiserver.bll.registry.query import TASKS
from tests.answers import schemas
from tests.process import ROOT
from tidemark_events import InvalidArgument, LoginRefused, Series, TidemarkError, arguments, frames, html, media
from tidemark_events.series import Chart, column_name, split_name
from tidemark_events.wire import address_from

EMPTY: dict[str, str] = {}


def line(values: list[float], steps: list[float] | None = None, name: str = "loss", variant: str = "train") -> Series:
    x, y = memoryview(array.array("d", steps or range(len(values)))), memoryview(array.array("d", values))
    return Series(name, variant, x, x, y, y, y, memoryview(array.array("I", [1] * len(values))), len(values))


def test_the_client_needs_nothing_of_the_server() -> None:
    """A training machine has the package without its dependencies, and requests."""
    program = (
        "import sys, tidemark_events; known = {name.partition('.')[0] for name in sys.modules}; "
        "print(sorted(known & {'apiserver', 'flask', 'numpy', 'gevent', 'orjson', 'msgspec', 'requests', 'pandas', 'click'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        (EMPTY, ("http://127.0.0.1:8008", None, None)),
        ({"CLEARML_API_HOST": "http://a:1", "TIDEMARK_URL": "http://b:2"}, ("http://b:2", None, None)),
        ({"TIDEMARK_URL": "host:9000"}, ("http://host:9000", None, None)),
        ({"TIDEMARK_URL": "https://key:se%2Fcret@host"}, ("https://host", "key", "se/cret")),
        ({"CLEARML_API_ACCESS_KEY": "k", "CLEARML_API_SECRET_KEY": "s"}, ("http://127.0.0.1:8008", "k", "s")),
    ],
)
def test_the_address_comes_from_the_environment(environ: dict[str, str], address: tuple[Any, ...]) -> None:
    assert address_from(None, None, None, environ) == address


def test_arguments_count_more_and_half_a_key_is_an_error() -> None:
    assert address_from("http://c", "k", "s", {"TIDEMARK_URL": "http://b", "TIDEMARK_ACCESS_KEY": "x"}) == ("http://c", "k", "s")
    with pytest.raises(LoginRefused, match="tidemark keys"):
        address_from(None, "k", None, EMPTY)


@pytest.mark.parametrize("name", ["loss", "loss/train", "a/b/c", "/x", "x/", "a//b"])
def test_names_of_series_survive_splitting(name: str) -> None:
    assert column_name(*split_name(name)) == name


def test_columns_of_equal_steps_are_not_copied() -> None:
    import pyarrow as pa

    one, other = line([1.0, 2.0]), line([3.0, 4.0], variant="val")
    table = frames.wide([one, other], "pyarrow")
    assert table.column("loss/val").to_pylist() == [3.0, 4.0]
    address = pa.py_buffer(one.value).address
    assert table.column("loss/train").chunk(0).buffers()[1].address == address


def test_frames_name_what_to_install() -> None:
    with pytest.raises(TidemarkError, match="pandas, polars, pyarrow"):
        frames.chosen("excel")


def test_a_chart_draws_gaps_single_points_and_constant_lines() -> None:
    picture = html.chart([line([1.0, math.nan, 2.0, 3.0])])
    assert picture.count("<polyline") == 1 and picture.count("<circle") == 1 and "nan" not in picture
    assert "<polyline" in html.chart([line([5.0, 5.0])])
    assert "no finite values" in html.chart([line([math.nan, math.inf])])


def test_a_picture_of_many_points_is_small_and_keeps_the_spike() -> None:
    values = [1.0] * 50_000
    values[12_345] = 9.0
    picture = html.chart([line(values)])
    top = html.TOP
    assert len(picture) < 20_000 and f",{top:.1f}" in picture


def test_lines_are_picked_by_variant() -> None:
    chart = Chart("loss", [line([1.0]), line([2.0], variant="val")])
    assert chart["val"].last == chart["loss/val"].last == 2.0 and len(chart) == 2
    with pytest.raises(TidemarkError, match="train, val"):
        chart["test"]


def test_images_are_told_by_their_content() -> None:
    picture = media.png(bytes([255, 0, 0] * 4), 2, 2, 3)
    assert media.as_file("x", picture) == (picture, "image/png", "png")
    with pytest.raises(TidemarkError, match="convert it"):
        media.as_file("x", b"BM bitmap")
    with pytest.raises(TypeError, match="must be a path"):
        media.as_file("x", 3)


def test_filters_of_the_client_are_those_of_the_server() -> None:
    assert {*TASKS.lists, *TASKS.patterns, *TASKS.times, *TASKS.numbers} == arguments.FIELDS
    known = schemas().definitions("tasks")
    assert set(known["task"]["properties"]) - arguments.FIELDS - {"company"} == arguments.TREES
    assert set(known["last_metric"]["properties"]) - {"x_axis_label"} == arguments.STATISTICS


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"nope": 3}, 'unknown field "nope"; there are active_duration, comment'),
        ({"hyperparam.General.lr.value": ["1"]}, "unknown field .* below configuration"),
        ({"last_metrics.loss.train.value": [0, 1]}, "<md5 of metric>.<md5 of variant>"),
        ({"page_size": 3}, "use limit="),
        ({"order_by": "name"}, "use order_by="),
        ({"_any_": {"patern": "x", "fields": ["name"]}}, 'has "patern"'),
        ({"_any_": {"pattern": "x"}}, "needs fields"),
        ({"_all_": {"pattern": "x", "fields": ["nam"]}}, 'unknown field "nam"'),
        ({"filters": {"tag": {"any": {"include": ["a"]}}}}, 'unknown field "tag"'),
        ({"status": ["runing"]}, 'no status "runing"'),
        ("status", "where must be a dict"),
    ],
)
def test_a_filter_that_the_server_would_ignore_is_an_error(where: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        arguments.filters(where)


def test_filters_that_mean_something_pass() -> None:
    given = {"last_iteration": [1, None], "hyperparams.General.lr.value": ["1"], "_any_": {"pattern": "x", "fields": ["name"]}}
    assert arguments.filters(given) == given
    assert arguments.filters({"status": ["-running", "__$not", "failed"]})["status"] == ["-in_progress", "__$not", "failed"]
    assert arguments.order(["-hyperparams.General.lr", "project.name", "+name"]) == ["-hyperparams.General.lr", "project.name", "+name"]


def test_numbers_are_checked_by_value_and_not_by_type() -> None:
    import numpy as np

    assert [arguments.integer("n", one, 0) for one in (3, 3.0, np.int64(3), np.float32(3), True)] == [3, 3, 3, 3, 1]
    for wrong in (1.5, "3", None, -1, float("nan"), float("inf"), 2**70):
        with pytest.raises(InvalidArgument, match="n must be an integer from 0 to 10,"):
            arguments.integer("n", wrong, 0, 10)
    with pytest.raises(InvalidArgument, match="interval must be a number of seconds"):
        arguments.seconds("interval", float("nan"))
