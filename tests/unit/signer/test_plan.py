"""signer/plan.py: a plan and its answer survive the way to the preparing process and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from signer.appearance.font_shelf import FontShelf
from signer.appearance.images import load_image
from signer.plan import Plan, Prepared
from tests.fakes.clock import START
from tests.signing_world import Pictures


def carried(plan: Plan) -> Plan:
    header, blobs = plan.to_message()
    return Plan.from_message(json.loads(json.dumps(header)), [bytes(blob) for blob in blobs])


def test_a_plan_with_everything_in_it_arrives_as_it_was_sent(pictures: Pictures) -> None:
    shelf = FontShelf(pictures.fonts, pictures.cache)
    plan = Plan(
        kind="seal",
        claimed_time=START,
        contents_octets=9000,
        placement="2,10,20.5",
        field="Con dấu",
        signer="Nguyễn Thị Thử",
        image=load_image(pictures.seal, "seal", 36.0),
        diameter_mm=36.0,
        text=("Dòng một", "Dòng hai"),
        fonts={"regular": shelf.font("regular", "ệ"), "italic": shelf.font("italic", "ơ")},
        ready_seal_mm=36.0,
        values={"SoVanBan": "07"},
    )
    assert carried(plan) == plan


def test_a_plan_with_nothing_in_it_arrives_as_it_was_sent() -> None:
    plan = Plan("signature", START, 9000)
    assert carried(plan) == plan


ANSWER = Prepared(b"tail", (100, 200), "Signature1", "anchor", ("SoVanBan",), lenient=False)


@pytest.mark.parametrize("answer", [ANSWER, replace(ANSWER, placed=None, filled=(), lenient=True)])
def test_an_answer_arrives_as_it_was_sent(answer: Prepared) -> None:
    header, blobs = answer.to_message()
    assert Prepared.from_message(json.loads(json.dumps(header)), blobs) == answer


def test_an_answer_of_wrong_types_becomes_right_types_or_an_error() -> None:
    header, blobs = ANSWER.to_message()
    odd = Prepared.from_message({**header, "field": 7, "filled": [1], "lenient": 1, "placed": 3}, blobs)
    assert (odd.field, odd.filled, odd.lenient, odd.placed) == ("7", ("1",), True, "3")
    for hole in (["a", "b"], [1], [1, 2, 3], None):
        with pytest.raises((ValueError, TypeError)):
            Prepared.from_message({**header, "hole": hole}, blobs)
