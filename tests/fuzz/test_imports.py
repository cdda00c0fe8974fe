"""Mutated files of every tool: never a stack trace, never silence, bounded memory, and the good part comes.

`make test` reads a sample, `make fuzz` all; `--fuzz-seed` repeats one.
"""

from __future__ import annotations

import random
import resource
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import pytest

from apiserver.bll.runs.run_lines import RunLines
from apiserver.operations.transfer.discovery import discover
from apiserver.operations.transfer.importer import Importer
from apiserver.operations.transfer.sinks import Stored
from tests.fuzz.test_broken_batches import numbers
from tests.runs.test_folders import make_run
from tests.transfer.boards import write, write_frame
from tests.transfer.record import RECORDED

SAMPLE = 25
MORE_KB = 500_000
"""By so much the process may grow."""
Make = Callable[[Path], object]


class Lines:
    """A sink that reads lines as the store's and the server's do, and keeps nothing."""

    def __init__(self) -> None:
        self.points = 0

    def add(self, run: str, lines: Sequence[bytes]) -> Stored:
        batch = RunLines(run, 1_700_000_000_000)
        for number, line in enumerate(lines, 1):
            batch.add(number, line)
        made = batch.finish()
        self.points += sum(len(points.iters) for points in made.points.values()) + len(made.events) + len(made.logs)
        return Stored(batch.added, batch.errors, batch.skipped)

    def describe(self, run: str, facts: object) -> None:
        orjson.dumps(facts)

    def log_lines(self, run: str) -> int:
        return 0

    def media(self, run: str, path: str, file: Path | bytes) -> str:
        return "http://files/" + path

    def clear(self, run: str) -> None:
        pass

    def rewind(self, run: str, step: int) -> None:
        pass

    def close(self) -> None:
        pass


def recorded(tool: str) -> Make:
    def make(folder: Path) -> None:
        shutil.copytree(RECORDED / tool, folder, dirs_exist_ok=True)
        for path in folder.glob("*.sql"):
            connection = sqlite3.connect(path.with_suffix(".db"))
            connection.executescript(path.read_text())
            connection.close()
            path.unlink()

    return make


def board(folder: Path) -> None:
    write(folder, [(step, step / 7) for step in range(200)])


def lightning(folder: Path) -> None:
    folder.mkdir()
    (folder / "metrics.csv").write_text("epoch,step,loss\n" + "".join(f"0,{step},{step / 7}\n" for step in range(100)))
    (folder / "hparams.yaml").write_text("lr: 0.1\nlayers: [1, 2]\n")


def table(suffix: str) -> Make:
    def make(folder: Path) -> None:
        import pandas as pd

        folder.mkdir()
        rows = pd.DataFrame({"step": range(100), "loss": [step / 7 for step in range(100)], "_timestamp": [1.6e9] * 100})
        write_frame(rows, folder / f"history.{suffix}")

    return make


TABLES = ("csv", "jsonl", "parquet")
TOOLS: dict[str, Make] = {
    "tensorboard": board,
    "runicorn": lambda folder: make_run(folder, "fuzzed", steps=50),
    "lightning": lightning,
    **{tool: recorded(tool) for tool in ("mlflow-files", "mlflow-database", "wandb", "trackio", "dvclive", "aim")},
    **{suffix: table(suffix) for suffix in TABLES},
}


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A file after one of the accidents that files have."""
    made = bytearray(data)
    at, size = chance.randrange(len(data) or 1), chance.choice([1, 4, 64, 4096])
    kind = chance.randrange(7)
    if kind == 0:
        del made[at:]
    elif kind == 1:
        for _ in range(chance.choice([1, 1, 5, 50])):
            if made:
                made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
    elif kind == 2:
        made[at:at] = chance.randbytes(size)
    elif kind == 3:
        made[at : at + size] = bytes(min(size, len(made) - at))
    elif kind == 4:  # another byte order, or one that says more than there is
        made[at : at + 8] = chance.choice([bytes(reversed(made[at : at + 8])), b"\xff" * 8, (1 << 40).to_bytes(8, "little")])
    elif kind == 5:
        del made[at : at + size]
    else:
        made = bytearray(
            chance.choice([b"", b"\0" * 5000, b"{" * 5000, b"[" * 100_000, b"\xff\xfe" + b"\0x" * 900, chance.randbytes(3000)])
        )
    return bytes(made)


@pytest.mark.parametrize("tool", TOOLS)
def test_mutated_files_cost_what_they_touch_and_are_named(tool: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    folder = tmp_path / "run"
    TOOLS[tool](folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    named = files[0] if tool in TABLES else folder
    assert imported(named)[1] == 0, "the file as it was is read without a problem"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in numbers(pytestconfig, SAMPLE):
        chance = random.Random(seed)
        path = chance.choice(files)
        whole = path.read_bytes()
        path.write_bytes(mutated(whole, chance))
        try:
            points, problems = imported(named)
        except Exception as error:
            raise AssertionError(f"--fuzz-seed {seed}: {path.name}") from error
        assert points or problems, f"--fuzz-seed {seed}: {path.name} is passed over in silence"
        path.write_bytes(whole)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + MORE_KB, "what a damaged file says of sizes is not believed"


@pytest.mark.parametrize("name", ["events.jsonl", "history.jsonl", "history.csv", "run-a.wandb", "events.out.tfevents.1"])
def test_an_empty_file_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert imported(tmp_path / name) == (0, 1)


def test_json_lines_with_a_damaged_first_line_are_a_table_still(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{\xf9"step": 0, "loss": 1}\n' + b"".join(b'{"step": %d, "loss": 1}\n' % step for step in range(1, 9)))
    assert imported(path) == (8, 1)


def test_lines_that_nobody_knows_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"type": "weather", "data": {}}\n{"step": 1, "loss": 1}\n{"type": "metrics", "data": {"step": 1, "loss": 1}}\n')
    assert imported(path) == (1, 2)


def test_a_parquet_of_numbers_that_arrow_does_not_know_is_named(tmp_path: Path) -> None:
    """A flipped bit of a schema made integers of 96 bits, which is no damage but "not implemented"."""
    TOOLS["parquet"](tmp_path / "run")
    path = tmp_path / "run" / "history.parquet"
    path.write_bytes(mutated(path.read_bytes(), after_choice(38066)))
    assert any(imported(path))


def after_choice(seed: int) -> random.Random:
    """The chances of a seed after its file was chosen (there is one)."""
    chance = random.Random(seed)
    chance.choice([0])
    return chance


def imported(folder: Path) -> tuple[int, int]:
    """How many points and parameters came, and how many problems were named."""
    found = discover(folder)
    sink = Lines()
    importer = Importer(sink)
    for run in found.runs:
        importer.run(run)
    for problem in (*found.problems, *importer.tally.problems):
        assert str(problem)
    said = (not found.runs) + sum(importer.tally.skipped.values())  # "no run in ...", "Skipped ...: 1 empty files"
    return sink.points + importer.tally.hyperparams, len(found.problems) + len(importer.tally.problems) + said
