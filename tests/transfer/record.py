"""Record small folders of other tools, written by the tools themselves: `python record.py TOOL FOLDER`, in an environment that has the tool.

The tools are too large for everybody's test environment (wandb 81 MB, trackio 135 MB, dvclive 110 MB, mlflow with its database 120 MB); what they wrote lies in
`recorded/` (databases as SQL). `tests/transfer/test_recorded.py` says what must be read from it: the values below.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from pathlib import Path

RECORDED = Path(__file__).parent / "recorded"
STEPS = 5
LOSS = [1 / (step + 1) for step in range(STEPS)]
ODD = [1.0, math.nan, math.inf, -math.inf, 2.5]
PARAMS = {"lr": 0.1, "optimizer": "adam", "layers": 3}


def mlflow(folder: Path, uri: str) -> None:
    import mlflow as tool  # type: ignore[import-not-found,unused-ignore]

    tool.set_tracking_uri(uri)
    tool.set_experiment("vision/resnet")
    with tool.start_run(run_name="first: a name that is long enough to be wrapped by whoever writes YAML into eighty columns of text"):
        tool.log_params(PARAMS)
        tool.set_tags({"team": "blue", "mlflow.note.content": "a note"})
        for step in range(STEPS):
            tool.log_metric("train/loss", LOSS[step], step=step, timestamp=1_600_000_000_000 + step * 1000)
            tool.log_metric("odd", ODD[step], step=step, timestamp=1_600_000_000_000 + step * 1000)
        if uri.startswith("http"):
            import numpy as np

            tool.log_image(np.zeros((4, 4, 3), np.uint8), key="black", step=3)
            tool.log_text("a file", "notes/a.txt")
    with tool.start_run(run_name="second"):
        tool.log_metric("acc", 0.5)
        with tool.start_run(run_name="child", nested=True):
            tool.log_metric("acc", 0.25)


def wandb(folder: Path) -> None:
    import numpy as np
    import wandb as tool  # type: ignore[import-not-found,unused-ignore]

    os.environ["WANDB_MODE"] = "offline"
    run = tool.init(
        project="vision", name="first", config={**PARAMS, "model": {"depth": 18}}, tags=["blue"], dir=str(folder), notes="a note"
    )
    for step in range(STEPS):
        run.log({"loss": LOSS[step], "odd": ODD[step], "val": {"acc": step / 10}, "epoch": step // 2}, step=step)
    run.log({"image": tool.Image(np.zeros((4, 4, 3), np.uint8), caption="black"), "hist": tool.Histogram([1, 2, 2, 3])}, step=STEPS)
    print("a line of the console")
    run.summary["best"] = 0.75
    run.finish()
    for left in (
        *folder.glob("wandb/*.log"),
        *folder.glob("wandb/latest-run"),
        *folder.glob("wandb/*/logs"),
        *folder.glob("wandb/*/files/*.*"),
    ):
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def trackio(folder: Path) -> None:
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio as tool  # type: ignore[import-not-found,unused-ignore]

    run = tool.init(project="vision", name="first", config=PARAMS)
    for step in range(STEPS):
        run.log({"loss": LOSS[step], "odd": ODD[step]}, step=step)
    run.finish()


def dvclive(folder: Path) -> None:
    import numpy as np
    from dvclive import Live  # type: ignore[import-not-found,unused-ignore]

    with Live(str(folder / "dvclive"), dvcyaml=None, save_dvc_exp=False, monitor_system=False) as live:
        live.log_params(PARAMS)
        live.log_image("black.png", np.zeros((4, 4, 3), np.uint8))
        for step in range(STEPS):
            live.log_metric("train/loss", LOSS[step])
            live.log_metric("odd", ODD[step], timestamp=True)
            live.next_step()


def aim(folder: Path) -> None:
    import numpy as np
    from aim import Distribution, Image, Run, Text  # type: ignore[import-not-found,unused-ignore]

    run = Run(repo=str(folder), experiment="vision", system_tracking_interval=None, log_system_params=False, capture_terminal_logs=False)
    run.name, run.description = "first", "a note"
    run.add_tag("blue")
    for name, value in {**PARAMS, "model": {"depth": 18, "sizes": [1, 2]}}.items():
        run[name] = value
    for step in range(STEPS):
        run.track(LOSS[step], name="loss", step=step, context={"subset": "train"})
        run.track(LOSS[step] / 2, name="loss", step=step, context={"subset": "val"})
        run.track(ODD[step], name="odd", step=step)
    run.track(Image(np.zeros((4, 4, 3), np.uint8), caption="black"), name="images", step=3)
    run.track([Text("a text"), Text("another")], name="notes", step=2)
    run.track(Distribution(np.array([1.0, 2.0, 2.0, 3.0])), name="weights", step=1)
    run.track(7, name="count", step=10)
    run.log_warning("the loss rises")
    run.close()
    needed = ("MANIFEST*", "CURRENT", "*.sst", "*.log", "run_metadata.sqlite")
    for left in [path for path in (folder / ".aim").rglob("*") if path.is_file()]:
        if "index" in left.parts or not any(left.match(pattern) for pattern in needed):
            left.unlink()


def dump(database: Path, tables: tuple[str, ...]) -> None:
    """Put the statements that make some tables in place of a database: text can be read in a review."""
    import sqlite3

    connection = sqlite3.connect(database)
    statements = [
        line for line in connection.iterdump() if any(f'"{table}"' in line[:60] or f"TABLE {table} " in line[:60] for table in tables)
    ]
    database.with_suffix(".sql").write_text("\n".join(statements) + "\n")
    connection.close()
    for left in database.parent.glob(f"{database.stem}.[dl]*"):
        left.unlink()


def main(tool: str, folder: Path) -> None:
    """Write the runs of a tool into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    if tool == "mlflow-files":
        mlflow(folder, (folder / "mlruns").as_uri())
    elif tool.startswith("http"):  # a running MLflow server; then see replay.py
        mlflow(folder, tool)
    elif tool == "mlflow-database":
        mlflow(folder, f"sqlite:///{folder}/mlflow.db")
        dump(folder / "mlflow.db", ("experiments", "runs", "metrics", "params", "tags"))
    else:
        {"wandb": wandb, "trackio": trackio, "dvclive": dvclive, "aim": aim}[tool](folder)
        if tool == "trackio":
            dump(folder / "vision.db", ("metrics", "configs", "system_metrics"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve())
