"""Where a command's log records go: to standard error, one line each or one JSON object each. Stands on stdlib logging."""

import json
import logging
import sys

from autogen_core import EVENT_LOGGER_NAME

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")


def set_up_logs(level: str, format: str, *, messages: bool) -> None:
    """Write records from `level` on to standard error.

    Args:
        level: One of `LEVELS`.
        format: One of `FORMATS`.
        messages: Whether to write each message of an agent, too, with its content.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if not messages:
        logging.getLogger(EVENT_LOGGER_NAME).setLevel(logging.WARNING)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Write a record as an object in one line, also if it has a traceback."""
        content = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["error"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False)
