"""The face for Runicorn's clients: rows of metrics over REST, logs over WebSocket, and the commands that bring its folders in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from apiserver.app import Context


def register_runs(app: Flask, context: Context) -> None:
    """Add the REST routes and the log sockets. Imported here, so that the command line and the master process stay small."""
    from apiserver.runs.wiring import register_runs as register

    register(app, context)
