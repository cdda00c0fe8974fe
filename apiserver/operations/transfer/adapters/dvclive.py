"""DVCLive: a folder (usually `dvclive/`) with plots/metrics/**/*.tsv, plots/images/, params.yaml and metrics.json."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apiserver.operations.transfer.adapters.mlflow_files import files_below
from apiserver.operations.transfer.adapters.rows import PARAMETERS, counted, guarded, json_object, small_file, summary_of, yaml_object
from apiserver.operations.transfer.adapters.tables import Table, TableOptions
from apiserver.operations.transfer.pieces import Facts, Figure, FoundRun, Picture, Piece, Skipped, printable

_IMAGE = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")


_COLUMNS = TableOptions(step="step", time="timestamp")
"""The other columns of a metric's file; its own may be called `time` or `epoch`."""


class DvcLive:
    """Reads DVCLive folders."""

    tool = "DVCLive"

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        if "plots" not in folders or not (folder / "plots" / "metrics").is_dir():
            return
        metrics = [path for path in files_below(folder / "plots" / "metrics") if path.suffix == ".tsv"]
        if not metrics and "metrics.json" not in files:
            return
        folders[:] = [name for name in folders if name not in ("plots", "artifacts")]
        files[:] = [name for name in files if name not in ("metrics.json", "params.yaml", "dvc.yaml")]
        # The folder is called dvclive in every project: the run gets the name of its parent.
        name = folder.parent.name if folder.name == "dvclive" else folder.name
        yield FoundRun(self, folder, size=sum(path.stat().st_size for path in metrics), name=printable(name), files=metrics)

    def read(self, run: FoundRun) -> Iterator[Piece]:
        root = run.path / "plots" / "metrics"
        facts: dict[str, Any] = {"status": "finished"}
        times: list[int] = []
        for path in run.files:
            name = path.relative_to(root).with_suffix("").as_posix()
            table = Table(path, _COLUMNS, metric=name, ended=True)
            yield from table.pieces()
            times += [time for time in (table.first, table.last) if time is not None]
        try:
            facts["hyperparams"] = {PARAMETERS: yaml_object(run.path / "params.yaml")}
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            yield guarded(run.path / "params.yaml", error)
        try:
            summary, left_out = summary_of(json_object(small_file(run.path / "metrics.json")))
            facts["summary"] = summary
            yield from counted(left_out)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            yield guarded(run.path / "metrics.json", error)
        if times:
            facts |= {"created_at": min(times) / 1000, "started_at": min(times) / 1000, "ended_at": max(times) / 1000}
        yield Facts(facts)
        yield from self._images(run.path / "plots" / "images")
        yield from self._plots(run.path / "plots")
        artifacts = len(list(files_below(run.path / "artifacts")))
        if artifacts:
            yield Skipped("artifacts (files)", artifacts)

    def _images(self, root: Path) -> Iterator[Piece]:
        """`images/<name>` is an image of the last step, `images/<name>/<step>.png` one of each step."""
        for path in files_below(root):
            name = path.relative_to(root).as_posix()
            if path.suffix.lower() not in _IMAGE:
                yield Skipped("files beside images")
                continue
            try:
                time = int(path.stat().st_mtime * 1000)
            except OSError as error:
                yield guarded(path, error)
                continue
            by_step = re.fullmatch(r"(.+)/(\d{1,18})\.\w+", name)
            key, step = (by_step[1], int(by_step[2])) if by_step else (name, 0)
            yield Picture(printable(key), step, time, path, path.suffix[1:].lower())

    def _plots(self, root: Path) -> Iterator[Piece]:
        """Plotly figures are imported; sklearn and custom plots are templates for DVC's renderer and are skipped."""
        for kind in ("sklearn", "custom"):
            for path in files_below(root / kind):
                try:
                    found = json_object(small_file(path))
                except (OSError, ValueError):
                    found = {}
                if isinstance(found.get("data"), list) and isinstance(found.get("layout"), dict):
                    name = printable(path.relative_to(root).with_suffix("").as_posix())
                    yield Figure(name, name, 0, int(path.stat().st_mtime * 1000), found)
                else:
                    yield Skipped(f"plots of the kind {kind}")
