"""Structured logging: one JSON object per line on standard output, with the ids of the request that caused it.

Never log prompts, answers or keys at INFO or above: log lines are read by more people than the data.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal

Concern = Literal["api", "retrieval", "llm", "ingest", "evaluation", "security"]

MAX_FILE_BYTES = 10_000_000
KEPT_FILES = 5

request_id_var: ContextVar[str] = ContextVar("request_id", default="")
trace_id_var: ContextVar[str] = ContextVar("trace_id", default="")

# Attributes of every LogRecord: any other was passed as `extra` and belongs in the line.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: time (UTC), level, logger, message, request_id, trace_id and extras."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := request_id_var.get():
            line["request_id"] = request_id
        if trace_id := trace_id_var.get():
            line["trace_id"] = trace_id
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def concern_logger(concern: Concern) -> logging.Logger:
    """The logger of one concern, which is read or silenced as a whole, whatever the module."""
    return logging.getLogger(concern)


def configure_logging(level: int = logging.INFO, file: Path | None = None) -> None:
    """Send every logger's records to standard output as JSON lines; replaces handlers set before.

    Args:
        level: least level that is shown.
        file: also write the lines to this file, which is rotated at 10 MB; five old ones are kept.

    Raises:
        OSError: the file cannot be opened for writing.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if file is not None:
        handlers.append(RotatingFileHandler(file, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=handlers, force=True)
    # These log every HTTP request at INFO, httpx with the full address.
    for noisy in ("httpx", "httpcore", "botocore", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
