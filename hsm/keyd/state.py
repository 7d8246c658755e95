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
class ProcessState:
    """A moment of one token process: its state is ok, starting (for the first time), degraded or away."""

    pid: int | None
    state: str
    breaker: str
    sessions: Sessions = field(default_factory=Sessions)


@dataclass(frozen=True)
class KeyState:
    """A moment of a key process and its token processes.

    `state` is ok, degraded (a person must do something, or some of its processes do not serve) or away (none serves, and
    it comes back by itself); `breaker` is closed while one serves, else open, half-open or pin; `reason` is a CK_RV, an
    error's code or a word, empty when all is well. `pid` is the first token process, `since_seconds` the time since the
    last transition of any, `retry_after` whole seconds until asking again may help.
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
    processes: tuple[ProcessState, ...] = ()

    @property
    def serves(self) -> bool:
        """Whether there is a process that signs."""
        return self.breaker == "closed"

    @property
    def is_pin_refused(self) -> bool:
        """Whether a person must mend the PIN, even if others still work with the login they have."""
        return self.breaker == "pin" or any(each.breaker == "pin" for each in self.processes)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def state_from_json(body: dict[str, Any]) -> KeyState:
    """The state that a keeper has told; MessageRefused when it is none."""
    try:
        processes = tuple(
            ProcessState(**{**each, "sessions": Sessions(**each["sessions"])}) for each in body["processes"]
        )
        return KeyState(**{**body, "sessions": Sessions(**body["sessions"]), "processes": processes})
    except (KeyError, TypeError):
        raise refused("not a state") from None
