"""Structured logs: one JSON object a line on standard error, without names, tokens, queries or addresses of clients."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any, TextIO

from certs.clock import SystemClock

LOGGER = "antin"
# What a record of ours may carry besides its message.
_FIELDS = (
    "request", "method", "route", "status", "ms", "code", "error", "worker", "exit", "job", "server",
    "notice", "serial", "profile", "not_after", "days", "training",
    "memory_mb", "judging_mb", "judging_seconds", "rlimits", "own_network", "own_user", "no_new_privileges", "landlock",
)  # fmt: skip


class JsonLines(logging.Formatter):
    """Time, level, event and what is known about it."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = SystemClock()

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name == LOGGER else f"{record.name}: {record.levelname.lower()}",
            "pid": os.getpid(),
        }
        for field in _FIELDS:
            value = getattr(record, field, None)
            if value is not None:
                line[field] = value
        if record.exc_info and record.exc_info[1] is not None:
            # The kind of a defect and where it happened; its message may quote what somebody sent.
            line["error"] = line.get("error") or type(record.exc_info[1]).__name__
        return json.dumps(line, ensure_ascii=False)


def set_up_logs(stream: TextIO = sys.stderr) -> logging.Logger:
    """Send our records, and warnings of libraries, to a stream. Called once by a process that serves."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    return logger
