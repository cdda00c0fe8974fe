"""The tools whose runs can be imported, one module each behind the interface of `transfer/pieces.py`."""

from __future__ import annotations

from apiserver.operations.transfer.adapters.tensorboard import TensorBoard
from apiserver.operations.transfer.pieces import Adapter

ADAPTERS: tuple[Adapter, ...] = (TensorBoard(),)
"""Asked in this order what lies in a folder."""
