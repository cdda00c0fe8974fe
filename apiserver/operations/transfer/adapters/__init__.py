"""The tools whose runs can be imported, one module each behind the interface of `transfer/pieces.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from apiserver.operations.transfer.adapters.dvclive import DvcLive
from apiserver.operations.transfer.adapters.mlflow_database import MlflowDatabase
from apiserver.operations.transfer.adapters.mlflow_files import MlflowFiles
from apiserver.operations.transfer.adapters.tables import Tables
from apiserver.operations.transfer.adapters.tensorboard import TensorBoard
from apiserver.operations.transfer.adapters.trackio import Trackio
from apiserver.operations.transfer.adapters.wandb import Wandb
from apiserver.operations.transfer.pieces import Adapter, FoundRun, Piece


class Aim:
    """Says that Aim's storage can't be read."""

    tool = "Aim"

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        if ".aim" in folders:
            folders.remove(".aim")
            raise ValueError("its repository (.aim) is a RocksDB of pickled trees, which is not read here; nothing of it was imported")
        yield from ()

    def read(self, run: FoundRun) -> Iterator[Piece]:
        raise NotImplementedError


ADAPTERS: tuple[Adapter, ...] = (TensorBoard(), Wandb(), MlflowFiles(), MlflowDatabase(), Trackio(), DvcLive(), Tables(), Aim())
"""Asked in this order what lies in a folder."""
