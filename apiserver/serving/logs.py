"""The server's own log: where it goes, as text or as one JSON object a line."""

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
    """Time (UTC), level, logger and message; `fields` given as `extra` beside them; the stack trace of an error as text."""

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
    """As `server.log_format` says."""
    return JsonLines() if settings.log_format == "json" else logging.Formatter(TEXT)


def configure(settings: ServerSettings) -> None:
    """Send everything that is logged in this process where `server.log_file` says."""
    file = settings.log_file
    # A watched file may be moved away by logrotate.
    handler = logging.handlers.WatchedFileHandler(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(settings))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for chatty in ("elastic_transport", "elasticsearch", "urllib3"):  # a line per request at "info"
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
    # Who asks for the access log wants it whatever the level of the rest is.
    logging.getLogger("tidemark.access").setLevel(logging.INFO)
