"""What a commit decides when somebody else was there in between, and what only a strict database minds; on either database."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from certs.db import Database
from certs.inventory import State, get_certificate, get_standings
from certs.names import parse_subject
from certs.search import search
from hsm.spec import KeySpec, Purpose
from pki.errors import IssuerNotGood
from pki.issuance import IssuanceRequest, decide, issue_draft
from pki.schemes import scheme_for
from signer.credentials import NewCredential, register_credential
from signer.documents import ActIntent, begin_act, document_by_code, fail_act, finish_act, merge_details, open_document
from signer.errors import Refused
from signer.numbering import reserve_number, use_number, void_number
from tests.fakes.clock import START
from tests.world import ADMIN, AGENCY, OFFICER_SUBJECT, World, build_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = build_world(tmp_path)
    yield world
    world.close()


def _document(database: Database, name: str = "a.pdf") -> tuple[int, str]:
    with database.write() as session:
        return open_document(session, agency=AGENCY[:64], name=name, details={}, now=START)


def _act(world: World, document: int, field: str = "Signature1") -> int:
    signer = world.officer()
    with world.database.write() as session:
        register_credential(
            session,
            NewCredential(
                "officer", "officer", AGENCY[:64], signer.ref.public_key_der, signer.record.serial,
                scheme_for(signer.ref.public_key(), rsa_padding="pss"), None, None,
            ),
            START,
        )  # fmt: skip
    intent = ActIntent(
        "officer", "approve", "B-B", field, signer.record.serial, "sha256", "00" * 32, "11" * 32, "clerk", START
    )
    with world.database.write() as session:
        return begin_act(session, document, intent)


def test_an_issuer_revoked_after_the_decision_gives_not_even_an_intent(world: World) -> None:
    ref = world.keys.generate(KeySpec.P_256, "leaf", Purpose.DOCUMENT)
    draft = decide(IssuanceRequest("officer", parse_subject(OFFICER_SUBJECT), ref.public_key_der), world.issuing_deps)
    world.revoke(world.issuing.serial, "cACompromise")
    with pytest.raises(IssuerNotGood) as refused:
        issue_draft(draft, world.issuing.key, ADMIN, world.database, world.clock, world.twins, None)
    assert refused.value.facts == {"authority": "issuing", "state": "revoked"}
    with world.database.read() as session:
        assert {each.profile for each in search(session, START)} == {"root", "issuing"}


def test_a_revocation_waits_for_a_signature_that_has_asked_already(world: World) -> None:
    serial = world.officer().record.serial
    done = threading.Event()

    def revoke() -> None:
        world.revoke(serial)
        done.set()

    revoking = threading.Thread(target=revoke)
    with world.database.write() as session:
        (standing,) = get_standings(session, [serial], keep=True)
        revoking.start()
        time.sleep(0.3)
        assert (standing.state, done.is_set()) == (State.ACTIVE, False)
    revoking.join()
    with world.database.read() as session:
        assert get_certificate(session, serial).state is State.REVOKED


def test_what_several_signatures_say_about_one_document_is_all_kept(world: World) -> None:
    document, code = _document(world.database)

    def describe(who: str) -> None:
        for number in range(8):
            with world.database.write() as session:
                merge_details(session, document, {f"{who}-{number}": "said"})

    threads = [threading.Thread(target=describe, args=(who,)) for who in ("officer", "seal", "second-officer")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with world.database.read() as session:
        assert len(document_by_code(session, code).details) == 24


def test_what_is_done_stays_done_when_the_answer_to_its_commit_was_lost(world: World) -> None:
    """The database had committed and then fell silent: whoever asked believes in a failure, and cleans up."""
    document, code = _document(world.database)
    act = _act(world, document)
    with world.database.write() as session:
        number = reserve_number(session, AGENCY[:64], START, None)
        finish_act(session, act, output_sha256="22" * 32, output_size=1, now=START)
        use_number(session, AGENCY[:64], 2026, number, document)
    with world.database.write() as session:
        assert not fail_act(session, act, failure="DatabaseUnavailable", now=START)
        assert not void_number(session, AGENCY[:64], 2026, number, "DatabaseUnavailable")
    with world.database.read() as session:
        (kept,) = document_by_code(session, code).acts
    assert (kept.state, kept.failure) == ("done", None)


def test_a_file_name_that_is_no_text_is_kept_as_far_as_it_is(world: World) -> None:
    # What Python makes of a file name in Latin-1, and what a client may send.
    _, code = _document(world.database, "quy\udcbft\x00.pdf")
    with world.database.read() as session:
        assert document_by_code(session, code).name == "quy?t\ufffd.pdf"


def test_a_field_name_may_be_as_long_and_as_odd_as_its_form_has_it(world: World) -> None:
    document, code = _document(world.database)
    _act(world, document, "trang.1." * 100 + "\x00")
    with world.database.read() as session:
        (act,) = document_by_code(session, code).acts
    assert act.field == "trang.1." * 100 + "\ufffd"


def test_a_number_may_have_the_eleven_digits_of_the_decree_and_is_given_once(world: World) -> None:
    with world.database.write() as session:
        assert reserve_number(session, "Sở", START, 99_999_999_999) == 99_999_999_999
    with pytest.raises(Refused, match="NUMBER_TAKEN"), world.database.write() as session:
        reserve_number(session, "Sở", START, 99_999_999_999)
    with world.database.write() as session:
        assert reserve_number(session, "Sở", START, None) == 100_000_000_000
