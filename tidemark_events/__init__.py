"""Read experiments back from a Tidemark server, and report new ones: `docs/python-client.md`.

import tidemark_events

tm = tidemark_events.connect()
run = tm.runs(project="vision")[0]
run.scalars_frame()
"""

from tidemark_events.client import Client, RunTable, connect
from tidemark_events.errors import CallRefused, InvalidArgument, LoginRefused, NotFound, ServerUnavailable, TidemarkError
from tidemark_events.logs import Line, Lines
from tidemark_events.media import Image
from tidemark_events.run import Run
from tidemark_events.series import Chart, Point, Series

__all__ = [
    "CallRefused",
    "Chart",
    "Client",
    "Image",
    "InvalidArgument",
    "Line",
    "Lines",
    "LoginRefused",
    "NotFound",
    "Point",
    "Run",
    "RunTable",
    "Series",
    "ServerUnavailable",
    "TidemarkError",
    "connect",
]
