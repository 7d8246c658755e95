"""signer/mandates.py: who signs for another has the right to it on that day, or is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from pki.audit import Actor
from pki.errors import RoleMissing
from signer.errors import Refused, SignerError, UsageWrong
from signer.given import Given
from signer.handing_over import finish_document, prepare_document
from signer.mandates import Mandate, NewMandate, add_mandate, claimed_mandates, end_mandate, list_mandates
from signer.signing import SignRequest
from tests.signing_world import CLERK, SigningWorld, plain_paper
from tests.unit.signer.office import PDF, Office
from tests.world import ADMIN

PAPER = plain_paper("x")


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises((Refused, UsageWrong)) as caught:
        call()
    assert isinstance(caught.value, SignerError)
    return caught.value.code


def add(signing: SigningWorld, actor: Actor = CLERK, **told: str | None) -> Mandate:
    usual: dict[str, str | None] = {
        "credential": "officer", "form": "KT", "title": "GIÁM ĐỐC", "given_by": "Trần Văn Đứng", "reference": "",
        "starts": "2026-01-01", "ends": None,
    }  # fmt: skip
    world = signing.world
    return add_mandate(NewMandate(**(usual | told)), actor, world.database, world.clock)  # type: ignore[arg-type]


def move(signing: SigningWorld, moment: datetime) -> None:
    clock = signing.world.clock
    clock.advance(seconds=(moment - clock.now()).total_seconds())


def sign(signing: SigningWorld, position: str) -> object:
    return signing.sign(PAPER, placement="none", metadata={"SignerInfo": {"Position": position}})


@pytest.mark.parametrize(
    ("position", "claimed"),
    [
        ("Giám đốc", []),
        ("CHỦ TỊCH UBND Q. 1", []),
        ("KT. GIÁM ĐỐC PHÓ GIÁM ĐỐC", [("KT", "GIÁM ĐỐC PHÓ GIÁM ĐỐC")]),
        ("kt.giám đốc", [("KT", "giám đốc")]),
        ("Q. Giám đốc", [("Q", "Giám đốc")]),
        ("TM. ỦY BAN NHÂN DÂN  KT. CHỦ TỊCH", [("TM", "ỦY BAN NHÂN DÂN"), ("KT", "CHỦ TỊCH")]),
        ("KTV. trưởng", []),
    ],
)
def test_what_a_position_claims(position: str, claimed: list[tuple[str, str]]) -> None:
    assert claimed_mandates(position) == claimed


def test_who_signs_for_another_has_a_mandate_for_that_office(signing: SigningWorld) -> None:
    sign(signing, "Giám đốc")
    assert refusal(lambda: sign(signing, "KT. GIÁM ĐỐC PHÓ GIÁM ĐỐC")) == "MANDATE_MISSING"
    held = add(signing)
    sign(signing, "KT. Giám đốc PHÓ GIÁM ĐỐC")
    assert refusal(lambda: sign(signing, "KT. CHỦ TỊCH")) == "MANDATE_OF_ANOTHER_TITLE"
    # GIÁM is no GIÁM ĐỐC, and neither is GIÁM ĐỐCX.
    assert refusal(lambda: sign(signing, "KT. GIÁM ĐỐCX")) == "MANDATE_OF_ANOTHER_TITLE"
    assert refusal(lambda: sign(signing, "TL. GIÁM ĐỐC")) == "MANDATE_MISSING"
    both = "TM. ỦY BAN NHÂN DÂN KT. GIÁM ĐỐC"
    assert refusal(lambda: sign(signing, both)) == "MANDATE_MISSING"
    add(signing, form="tm.", title="ủy ban nhân dân")
    sign(signing, both)
    # The trail says on which mandates a signature rests.
    (details,) = signing.rows("SELECT details FROM audit WHERE action = 'document.sign' ORDER BY seq DESC LIMIT 1")[0]
    assert '"mandates"' in str(details).replace("'", '"')
    end_mandate(held.id, "Nghỉ hưu", CLERK, signing.world.database, signing.world.clock)
    assert refusal(lambda: sign(signing, "KT. GIÁM ĐỐC")) == "MANDATE_OVER"


def test_one_that_ended_yesterday_signs_nothing_and_the_day_is_vietnams(signing: SigningWorld) -> None:
    add(signing, ends="2026-11-30")
    move(signing, datetime(2026, 11, 30, 16, 59, 59, tzinfo=UTC))  # the last second of the last day in Hanoi
    sign(signing, "KT. GIÁM ĐỐC")
    move(signing, datetime(2026, 11, 30, 17, 0, 0, tzinfo=UTC))
    assert refusal(lambda: sign(signing, "KT. GIÁM ĐỐC")) == "MANDATE_OVER"
    add(signing, starts="2026-12-02")
    assert refusal(lambda: sign(signing, "KT. GIÁM ĐỐC")) == "MANDATE_NOT_BEGUN"
    move(signing, datetime(2026, 12, 1, 17, 0, 0, tzinfo=UTC))
    sign(signing, "KT. GIÁM ĐỐC")


def test_what_was_prepared_in_time_is_not_finished_when_the_mandate_is_over(office: Office) -> None:
    world = office.world
    told = NewMandate("officer", "KT", "GIÁM ĐỐC", "Trần Văn Đứng", "", "2026-01-01")
    held = add_mandate(told, ADMIN, world.database, world.clock)
    metadata = {"SignerInfo": {"Position": "KT. GIÁM ĐỐC"}}
    request = SignRequest(PDF, "a.pdf", "officer", placement="none", metadata=metadata)
    one = prepare_document(request, ADMIN, office.handover)
    end_mandate(held.id, "x", ADMIN, world.database, world.clock)
    assert refusal(lambda: finish_document(one.id, Given(), ADMIN, office.handover)) == "MANDATE_OVER"


def test_a_delegation_is_in_writing_and_for_a_time(signing: SigningWorld) -> None:
    for told in ({}, {"reference": "05/UQ"}, {"ends": "2026-12-31"}):
        assert refusal(lambda: add(signing, form="TUQ", **told)) == "MANDATE_NEEDS_PAPER"  # noqa: B023
    held = add(signing, form="TUQ", reference="05/UQ", ends="31/12/2026")
    assert (held.ends, held.reference) == ("2026-12-31", "05/UQ")


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"form": "PP"}, "MANDATE_FORM_UNKNOWN"),
        ({"credential": "nobody"}, "CREDENTIAL_UNKNOWN"),
        ({"credential": "seal"}, "MANDATE_FOR_PERSONS"),
        ({"title": " "}, "CREDENTIAL_TEXT_WRONG"),
        ({"given_by": "x" * 101}, "CREDENTIAL_TEXT_WRONG"),
        ({"starts": "tomorrow"}, "DAY_MALFORMED"),
        ({"starts": "2026-02-30"}, "DAY_MALFORMED"),
        ({"ends": "2025-12-31"}, "MANDATE_ENDS_BEFORE"),
    ],
)
def test_nonsense_is_refused(signing: SigningWorld, told: dict[str, str], code: str) -> None:
    assert refusal(lambda: add(signing, **told)) == code


def test_who_may_give_and_take_them(signing: SigningWorld) -> None:
    world = signing.world
    with pytest.raises(RoleMissing):
        add(signing, actor=Actor("nobody"))
    held = add(signing)
    with pytest.raises(RoleMissing):
        end_mandate(held.id, "x", Actor("nobody"), world.database, world.clock)
    assert refusal(lambda: end_mandate(99, "x", CLERK, world.database, world.clock)) == "MANDATE_UNKNOWN"
    end_mandate(held.id, "Nghỉ hưu", CLERK, world.database, world.clock)
    assert refusal(lambda: end_mandate(held.id, "x", CLERK, world.database, world.clock)) == "MANDATE_ENDED_BEFORE"
    with world.database.read() as session:
        assert [(each.id, each.end_reason) for each in list_mandates(session, "officer")] == [(held.id, "Nghỉ hưu")]
    assert signing.actions()[-2:] == ["mandate.add", "mandate.end"]
