"""The face for Runicorn's clients: rows of metrics over REST, logs over WebSocket, and the commands that bring its folders in and out."""

from apiserver.runs.wiring import register_runs

__all__ = ["register_runs"]
