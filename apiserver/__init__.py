"""Tidemark: the event service behind machine-learning experiments."""

__version__ = "0.1.0"
