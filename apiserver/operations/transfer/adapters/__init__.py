"""Adapters for the tools whose runs can be imported, a module each; the interface is `Adapter` in `transfer/pieces.py`."""

from __future__ import annotations

from apiserver.operations.transfer.adapters.aim import Aim
from apiserver.operations.transfer.adapters.dvclive import DvcLive
from apiserver.operations.transfer.adapters.mlflow_database import MlflowDatabase
from apiserver.operations.transfer.adapters.mlflow_files import MlflowFiles
from apiserver.operations.transfer.adapters.tables import Tables
from apiserver.operations.transfer.adapters.tensorboard import TensorBoard
from apiserver.operations.transfer.adapters.trackio import Trackio
from apiserver.operations.transfer.adapters.wandb import Wandb
from apiserver.operations.transfer.pieces import Adapter

ADAPTERS: tuple[Adapter, ...] = (TensorBoard(), Wandb(), MlflowFiles(), MlflowDatabase(), Trackio(), DvcLive(), Tables(), Aim())
"""In this order they search each folder."""
