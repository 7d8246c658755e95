"""signer/intents.py: document, act and audit row come together or not at all, on either database."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from certs.errors import DatabaseUnavailable
from pki.audit import list_acts
from pki.audit_survey import survey_all
from pki.errors import AuditUnavailable
from signer.documents import ActIntent, Registered
from signer.intents import Finishing, Opening, begin_fresh, finish_fresh
from signer.recall import recall_document
from tests.fakes.clock import START
from tests.signing_world import CLERK, SigningWorld

_OUTPUT = "22" * 32
_FACTS = {"credential": "officer"}


def _begin(
    signing: SigningWorld, input_sha256: str = "11" * 32, credential: str = "officer"
) -> tuple[Registered, int] | None:
    world = signing.world
    intent = ActIntent(
        credential=credential, intent="approve", level="B-B", field="Signature1", certificate_serial="ab",
        digest_algorithm="sha256", digest="33" * 32, input_sha256=input_sha256, actor=CLERK.name, claimed_time=START,
    )  # fmt: skip
    details = {"Subject": "Về việc thử", "CodeNotation": "STN"}
    with world.database.write() as session:
        (begun,) = begin_fresh(session, world.clock, CLERK, [Opening(intent, "Sở", "a\x00.pdf", details, _FACTS)])
    return begun


def _finish(signing: SigningWorld, document: Registered, act: int) -> bool:
    with signing.world.database.at_once() as connection:
        finishing = Finishing(document, act, _FACTS, _OUTPUT, 7, START)
        (done,) = finish_fresh(connection, signing.world.clock, CLERK, [finishing])
    return done


def _begun(signing: SigningWorld) -> tuple[Registered, int]:
    begun = _begin(signing)
    assert begun is not None
    return begun


def test_an_act_is_begun_with_its_document_and_audit_row_and_finished_with_another(signing: SigningWorld) -> None:
    document, act = _begun(signing)
    register = signing.document(document.code)
    assert (register.name, register.subject, register.notation, register.created_at) == (
        "a\ufffd.pdf",
        "Về việc thử",
        "STN",
        START,
    )
    assert [(each.id, each.state, each.claimed_time) for each in register.acts] == [(act, "intent", START)]
    assert _finish(signing, document, act)
    (done,) = signing.document(document.code).acts
    assert (done.state, done.output_sha256, done.output_size) == ("done", _OUTPUT, 7)
    with signing.world.database.read() as session:
        begun, finished = list_acts(session)[-2:]
    assert (begun.action, begun.subject_kind, begun.subject_id) == ("document.sign.intent", "act", str(act))
    assert (begun.actor, begun.time, begun.details) == (
        CLERK.name,
        START,
        {"credential": "officer", "digest": "33" * 32},
    )
    assert (finished.action, finished.subject_kind, finished.subject_id) == ("document.sign", "document", document.code)
    assert finished.details == {"credential": "officer", "sha256": _OUTPUT}


def test_a_file_that_the_register_knows_opens_nothing(signing: SigningWorld) -> None:
    assert _finish(signing, *_begun(signing))
    before = signing.actions()
    assert _begin(signing, _OUTPUT) is None
    assert signing.rows("SELECT count(*) FROM documents") == [(1,)]
    assert signing.rows("SELECT count(*) FROM signing_acts") == [(1,)]
    assert signing.actions() == before


def test_a_recall_that_comes_first_leaves_neither_result_nor_audit_row(signing: SigningWorld) -> None:
    document, act = _begun(signing)
    recall_document(document.code, "Sai thẩm quyền", CLERK, signing.world.database, signing.world.clock)
    before = signing.actions()
    assert not _finish(signing, document, act)
    assert [each.state for each in signing.document(document.code).acts] == ["intent"]
    assert signing.actions() == before


def test_without_room_for_the_audit_row_nothing_is_begun(signing: SigningWorld) -> None:
    before = signing.rows("SELECT count(*) FROM documents")
    with signing.world.database.write() as session:
        session.execute(text("ALTER TABLE audit RENAME TO audit_away"))
    with pytest.raises(DatabaseUnavailable):
        _begin(signing)
    assert signing.rows("SELECT count(*) FROM documents") == before


def test_both_commits_of_a_signature_are_links_of_a_chain(signing: SigningWorld) -> None:
    for number in range(3):
        begun = _begin(signing, f"{number:064x}")
        assert begun is not None
        assert _finish(signing, *begun)
    with signing.world.database.read() as session:
        survey = survey_all(session)
        assert [act.action for act in list_acts(session)[-6:]] == ["document.sign.intent", "document.sign"] * 3
    assert survey.breaks == ()
    assert survey.rows == len(signing.actions())


def test_without_a_chain_nothing_is_begun_and_nothing_finished(signing: SigningWorld) -> None:
    document, act = _begun(signing)
    before = signing.rows("SELECT id, state FROM signing_acts"), signing.rows("SELECT id FROM documents")
    with signing.world.database.write() as session:
        session.execute(text("DELETE FROM audit_chains"))
    with pytest.raises(AuditUnavailable):
        _begin(signing, "44" * 32)
    with pytest.raises(AuditUnavailable):
        _finish(signing, document, act)
    assert (signing.rows("SELECT id, state FROM signing_acts"), signing.rows("SELECT id FROM documents")) == before
