"""A row: a deed done to a token, its key process or its clients while others sign, what is promised of it, and what came of it.

Which rows there are is rows.py's; tests hold each to its promises, and the same outcomes make the table (report.py).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from hsm.keyd.state import KeyState
from tests.chaos.deeds import PATIENCE_SECONDS, Deed
from tests.chaos.faults import Counts
from tests.chaos.load import Record, running_load
from tests.chaos.stage import Stage

# Load before a fault.
_BEFORE_SECONDS = 0.6


@dataclass(frozen=True)
class Outcome:
    """What came of a row."""

    requests: int
    signed: int
    lost: Counter[str]
    wrong: int
    doubled: int
    repeated: int  # attempts in the token beyond signatures handed out, canaries apart
    to_first: float | None  # seconds from the end of the fault to a signature that was asked for after it
    to_well: float | None  # and to the end of the last failure or standstill
    slowest: float  # seconds that a client waited at most, from then on
    events: dict[str, int]  # what the keeper counted
    calls: Counts
    record: Record
    most_sessions: int  # that the keeper told of, the login's among them
    is_replaced: bool  # whether another token process serves at the end


@dataclass(frozen=True)
class Row:
    """A deed, and what is promised of it: which errors may reach a client, how many, and how soon all is well."""

    name: str
    deed: Deed
    may_lose: frozenset[str] = frozenset()
    most_lost: int = 0
    well_within: float = 3.0
    threads: int = 8
    replaced: bool = False  # whether the token process is another one afterwards
    by_command: bool = False  # whether the client starts a key process when it finds none, as a command does
    counted: frozenset[str] = frozenset()  # events that the keeper must have counted
    check: Callable[[Outcome], None] | None = None


def run_row(row: Row, stage: Stage, public_key_der: bytes) -> Outcome:
    """Load, the deed under load, and on until all is well."""
    stage.faults.clear()
    state = stage.settle()
    store = stage.store(starter=stage.start_ephemeral if row.by_command else None)
    calls = stage.faults.counts()
    most_sessions, to_well = 0, None
    try:
        with running_load(store, public_key_der, row.threads) as load:
            time.sleep(_BEFORE_SECONDS)
            moment = row.deed(stage, load)
            while to_well is None and time.monotonic() < moment + PATIENCE_SECONDS:
                time.sleep(0.1)
                to_well = load.record.well_after(moment, time.monotonic())
                most_sessions = max(most_sessions, stage.state().sessions.open)
        after = stage.wait_until_well()
    finally:
        store.close()
        stage.faults.clear()
    outcome = _outcome(load.record, state, after, stage.faults.counts().since(calls), moment, to_well, most_sessions)
    stage.is_strained = outcome.events.get("breaker.opened", 0) > 1 or "pool.shrunk" in outcome.events
    return outcome


def _outcome(
    record: Record,
    state: KeyState,
    after: KeyState,
    calls: Counts,
    moment: float,
    to_well: float | None,
    sessions: int,
) -> Outcome:
    # A keeper that was killed has taken its counts with it.
    before = state.counts if after.keeper_pid == state.keeper_pid else {}
    events = {name: count - before.get(name, 0) for name, count in after.counts.items() if count > before.get(name, 0)}
    # A canary that failed counts as repeated: it is not told apart from a client's request.
    attempts = calls.calls["C_SignInit"] - events.get("breaker.closed", 0)
    return Outcome(
        requests=len(record.requests),
        signed=len(record.signed),
        lost=record.lost,
        wrong=record.wrong,
        doubled=record.doubled,
        repeated=max(0, attempts - len(record.signed)),
        to_first=record.first_after(moment),
        to_well=to_well,
        slowest=record.slowest_after(moment),
        events=events,
        calls=calls,
        record=record,
        most_sessions=sessions,
        is_replaced={p.pid for p in state.processes} != {p.pid for p in after.processes},
    )
