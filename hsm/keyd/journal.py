"""The journal of a key process: each event counted, and told once as a JSON line on standard error.

Fields and form are those of the service's own log. An event that comes many times in a second is told once and its
repetitions with the next line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

_QUIET_SECONDS = 1.0
# What an operator should look at; everything else is the ordinary life of a token.
_ALARMS = frozenset({"signature.mismatch", "pin.refused", "breaker.pin", "key.defect"})
_TROUBLES = frozenset(
    {"breaker.opened", "process.hangs", "process.silent", "process.died", "token.failed", "lock.lost"}
)


class Journal:
    """Counts and tells. Used by one thread. `counts`: what is known from before."""

    def __init__(self, stream: TextIO | None = None, counts: Mapping[str, int] | None = None) -> None:
        self._stream = stream or sys.stderr
        self.counts = dict(counts or {})
        self._told: dict[tuple[str, str], float] = {}
        self._untold: dict[tuple[str, str], int] = {}

    def tell(self, event: str, **facts: Any) -> None:
        """Count an event, and write it unless the same was written a moment ago."""
        self.counts[event] = self.counts.get(event, 0) + 1
        key = (event, str(facts.get("rv") or facts.get("reason") or ""))
        now = time.monotonic()
        if now - self._told.get(key, -_QUIET_SECONDS) < _QUIET_SECONDS:
            self._untold[key] = self._untold.get(key, 0) + 1
            return
        self._told[key] = now
        repeated = self._untold.pop(key, 0)
        line: dict[str, Any] = {
            # The time of a line is for people; nothing is decided by it.
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds := time.time()))
            + f".{int(seconds * 1000) % 1000:03d}Z",
            "level": "error" if event in _ALARMS else "warning" if event in _TROUBLES else "info",
            "event": event,
            "pid": os.getpid(),
        }
        line |= {name: value for name, value in facts.items() if value not in (None, "")}
        if repeated:
            line["repeated"] = repeated
        try:
            self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._stream.flush()
        except OSError:
            return  # a full disk or a closed pipe must not end the key process
