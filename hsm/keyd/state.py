"""KeyState: how a key process says it is doing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from hsm.wire import refused


@dataclass(frozen=True)
class Sessions:
    """Sessions on the token, the one that logged in among them; `limit` None where the token names none."""

    open: int = 0
    limit: int | None = None


@dataclass(frozen=True)
class KeyState:
    """A moment of a key process.

    `state` is ok, degraded (a person must do something) or away (it comes back by itself); `breaker` is closed, open,
    half-open or pin; `reason` is a CK_RV, an error's code or a word, empty when all is well. `pid` is the token process,
    `since_seconds` the time since the last transition, `retry_after` whole seconds until asking again may help.
    """

    state: str
    breaker: str
    reason: str
    pid: int | None
    keeper_pid: int
    module: str
    token: str
    sessions: Sessions = field(default_factory=Sessions)
    counts: dict[str, int] = field(default_factory=dict)
    since_seconds: float = 0.0
    retry_after: int = 0
    connections: int = 0
    ephemeral: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def state_from_json(body: dict[str, Any]) -> KeyState:
    """The state that a keeper has told; MessageRefused when it is none."""
    try:
        return KeyState(**{**body, "sessions": Sessions(**body["sessions"])})
    except (KeyError, TypeError):
        raise refused("not a state") from None
