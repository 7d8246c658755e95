"""api/together.py: nobody waits for company, those that wait go together, and each gets what came of his own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

import pytest

from api.errors import RequestError
from api.lanes import Lane
from api.together import Together


class _Work:
    """Notes who came together. The first call waits until it is let go."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.begun, self.let_go = threading.Event(), threading.Event()

    def __call__(self, jobs: Sequence[str]) -> list[str | Exception | None]:
        self.groups.append(list(jobs))
        if len(self.groups) == 1:
            self.begun.set()
            assert self.let_go.wait(10)
        if "broken" in jobs and len(jobs) == 1:
            raise OSError("all of it")
        if "long" in jobs:
            return [None if job != "long" else "LONG" for job in jobs]
        return [KeyError(job) if job == "wrong" else job.upper() for job in jobs]


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("test", 1, 5)
    yield lane
    lane.close()


async def _outcomes(
    together: Together[str, str], work: _Work, first: str, others: Sequence[str], leaving: int | None = None
) -> list[str | BaseException]:
    """What came of the first, and of the others, who come while it is worked on; one of them may go away before that is done."""

    def ask(job: str) -> asyncio.Task[str]:
        asked: Coroutine[Any, Any, str] = together.run(job)
        return asyncio.create_task(asked)

    tasks = [ask(first)]
    assert await asyncio.to_thread(work.begun.wait, 10)
    tasks += [ask(job) for job in others]
    await asyncio.sleep(0.01)
    if leaving is not None:
        tasks[leaving].cancel()
        await asyncio.sleep(0.01)
    work.let_go.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_the_first_goes_at_once_and_those_who_come_meanwhile_go_together(lane: Lane) -> None:
    work = _Work()
    together = Together(lane, work, most=3, waiting=10)
    outcomes = asyncio.run(_outcomes(together, work, "a", ["b", "wrong", "d", "e"]))
    assert work.groups == [["a"], ["b", "wrong", "d"], ["e"]]
    assert [each for each in outcomes if not isinstance(each, KeyError)] == ["A", "B", "D", "E"]
    assert isinstance(outcomes[2], KeyError)


def test_those_whose_turn_has_not_come_are_the_next_ones(lane: Lane) -> None:
    work = _Work()
    together = Together(lane, work, most=3, waiting=10)
    outcomes = asyncio.run(_outcomes(together, work, "a", ["long", "b", "c", "d"]))
    assert work.groups == [["a"], ["long", "b", "c"], ["b", "c", "d"]]
    assert outcomes == ["A", "LONG", "B", "C", "D"]


def test_what_goes_wrong_for_all_is_told_to_all_and_the_next_ones_are_served(lane: Lane) -> None:
    work = _Work()
    together = Together(lane, work, most=1, waiting=10)
    outcomes = asyncio.run(_outcomes(together, work, "a", ["broken", "c"]))
    assert isinstance(outcomes[1], OSError)
    assert [outcomes[0], outcomes[2]] == ["A", "C"]


def test_whoever_goes_away_before_his_turn_is_not_worked_for(lane: Lane) -> None:
    work = _Work()
    together = Together(lane, work, most=3, waiting=10)
    outcomes = asyncio.run(_outcomes(together, work, "a", ["b", "c"], leaving=1))
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert work.groups == [["a"], ["c"]]


def test_what_has_begun_is_finished_when_its_client_goes_away(lane: Lane) -> None:
    work = _Work()
    together = Together(lane, work, most=3, waiting=10)
    outcomes = asyncio.run(_outcomes(together, work, "a", ["b"], leaving=0))
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert work.groups == [["a"], ["b"]]
    assert outcomes[1] == "B"


def test_only_so_many_may_wait(lane: Lane) -> None:
    work = _Work()
    together = Together(lane, work, most=3, waiting=2)
    outcomes = asyncio.run(_outcomes(together, work, "a", ["b", "c", "d"]))
    assert outcomes[:3] == ["A", "B", "C"]
    assert isinstance(outcomes[3], RequestError)
    assert outcomes[3].code == "BUSY"
