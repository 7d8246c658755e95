"""Every row of the error ladder, and every trouble besides, through a real keyd with signing under load.

The rows share one key process, as they would in life: that each finds it well is a test of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.promises import check_promises
from tests.chaos.row import Row, run_row
from tests.chaos.rows import ROWS, run_soak
from tests.chaos.stage import Stage, new_stage

_BUSY = 4.0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with new_stage(tmp_path_factory.mktemp("chaos")) as stage:
        yield stage


@pytest.fixture(scope="module")
def key(stage: Stage) -> bytes:
    return stage.new_key()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_signing_survives(row: Row, stage: Stage, key: bytes) -> None:
    # Seconds are promised on a machine that does nothing else, by `make chaos`; here others may work, and every quarter of a
    # second without an answer counts as trouble.
    check_promises(row, run_row(row, stage, key), slack=_BUSY)


def test_under_random_faults_no_wrong_and_no_doubled_signature_is_handed_out(stage: Stage, key: bytes) -> None:
    """A short one; `make chaos` makes it 100,000."""
    outcome = run_soak(stage, key, 4000)
    assert outcome.signed >= 4000
    assert sum(outcome.calls.faults.values()) > 40
    assert (outcome.wrong, outcome.doubled) == (0, 0)
    assert outcome.to_well is not None
