"""The server's own log: its destination, and its format (text, or one JSON object a line)."""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
from datetime import UTC, datetime
from typing import Any

from apiserver.settings import ServerSettings

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, process; the message, or the `fields` passed as `extra`; an error's stack trace."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
        }
        fields = getattr(record, "fields", None)
        if fields:
            line |= {name: value for name, value in fields.items() if value not in ("", None)}
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def formatter(settings: ServerSettings) -> logging.Formatter:
    """The formatter for `server.log_format`."""
    return JsonLines() if settings.log_format == "json" else logging.Formatter(TEXT)


def configure(settings: ServerSettings) -> None:
    """Send this process's log to `server.log_file`, or to stderr."""
    file = settings.log_file
    # WatchedFileHandler reopens the file after logrotate has moved it.
    handler = logging.handlers.WatchedFileHandler(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(settings))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for chatty in ("elastic_transport", "elasticsearch", "urllib3"):  # they log a line per request at "info"
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
    # The access log has a switch of its own; the level of the rest must not hide it.
    logging.getLogger("tidemark.access").setLevel(logging.INFO)
