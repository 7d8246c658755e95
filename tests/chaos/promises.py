"""What every row promises, as one check: tests and the command that writes the table hold it alike."""

from __future__ import annotations

from tests.chaos.row import Outcome, Row


def check_promises(row: Row, outcome: Outcome, *, slack: float = 1.0) -> None:
    """AssertionError with what was promised and not kept. `slack`: so many times the row's seconds are allowed."""
    assert outcome.signed > 0
    assert outcome.wrong == 0, "a wrong signature was handed out"
    assert outcome.doubled == 0, "a signature was handed out twice"
    assert set(outcome.lost) <= row.may_lose, outcome.lost
    assert outcome.lost.total() <= row.most_lost, outcome.lost
    assert outcome.to_first is not None
    assert outcome.to_well is not None, "it never became well"
    assert outcome.to_well <= slack * row.well_within, outcome.to_well
    assert outcome.is_replaced == row.replaced, outcome.events
    assert row.counted <= set(outcome.events), outcome.events
    if row.check is not None:
        row.check(outcome)
