"""The table of docs/hsm-chaos.md: outcomes as Markdown."""

from __future__ import annotations

import platform
from collections.abc import Iterable

from tests.chaos.load import STANDSTILL_SECONDS
from tests.chaos.row import Outcome, Row
from tests.chaos.rows import RANDOM_FAULTS

_INTRODUCTION = """\
# When the token fails

Written by `make chaos`, which runs every row again; not by hand.

Each row is done to a real key process (keeper, token process, socket) over SoftHSM, through a PKCS#11 module that fails as a
script tells it to (`tests/chaos/faulty.c`), while {threads} threads sign different messages as fast as they can. Every
signature is checked by the client once more, with `cryptography`.

- **lost**: requests that ended in an error, of all. A client that is told `HSM_TOKEN_AWAY` may ask again: what is signed is fixed
  before. With {threads} threads in flight, {threads} requests can be lost by one death.
- **repeated**: attempts in the token beyond the signatures handed out: also canaries that failed, and what clients asked for that
  never read their answers.
- **wrong**: signatures handed out that do not verify over their message, or were handed out before.
- **first**: milliseconds from the end of the fault (or from its one shot) to a signature that was asked for after it.
- **well**: from there to the end of the last failure, or of the last time that nobody got a signature for {standstill:.0f} ms.
- **slowest**: the longest that a client waited for its signature from then on.
- **counted**: what the keeper counted, told in its log and shows in its state.

A token process that loads Python, the module and the canary's key takes about {start:.1f} s on this machine: whatever replaces the
process takes at least as long.
"""
_HEAD = "| what happens | lost | repeated | wrong | first, ms | well, ms | slowest, ms | counted |\n|---|---|---|---|---|---|---|---|\n"
# Life goes on beside the fault: these say nothing of it.
_EVERYDAY = frozenset({"keeper.started", "process.started", "keeper.ended"})


def introduction(start_seconds: float, threads: int) -> str:
    """The text above the tables."""
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}."
    return (
        _INTRODUCTION.format(start=start_seconds, threads=threads, standstill=STANDSTILL_SECONDS * 1000)
        + f"\n{machine}\n"
    )


def section(title: str, outcomes: Iterable[tuple[Row, Outcome]]) -> str:
    """One table."""
    return f"\n## {title}\n{_HEAD}" + "".join(_line(row.name, outcome) for row, outcome in outcomes)


def soak(outcome: Outcome) -> str:
    """The table of the random faults, and what they were."""
    kinds = "\n".join(f"    {rule}" for rule in RANDOM_FAULTS)
    faults = sum(outcome.calls.faults.values())
    return (
        f"\n## Random faults of every kind\n{_HEAD}{_line('all of the rules below at once', outcome)}\n"
        f"{outcome.signed:,} signatures were handed out and {faults:,} faults met: **{outcome.wrong} wrong, {outcome.doubled} "
        f"doubled**. The token made {outcome.calls.signatures:,} signatures and was given "
        f"{outcome.calls.calls['C_Login']:,} PINs.\n\n{kinds}\n"
    )


def _line(name: str, outcome: Outcome) -> str:
    lost = f"{outcome.lost.total():,} of {outcome.requests:,}"
    if outcome.lost:
        lost += ": " + ", ".join(f"`{code}`" for code in sorted(outcome.lost))
    counted = ", ".join(f"{event} {count}" for event, count in sorted(outcome.events.items()) if event not in _EVERYDAY)
    wrong = outcome.wrong + outcome.doubled
    times = " | ".join(map(_milliseconds, (outcome.to_first, outcome.to_well, outcome.slowest)))
    return f"| {name} | {lost} | {outcome.repeated:,} | {wrong} | {times} | {counted} |\n"


def _milliseconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds * 1000:,.0f}"
