"""signer/documents.py: the register finds a document by its code, and by any finished revision of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from signer.codes import grouped, new_code
from signer.documents import (
    document_by_code,
    find_by_revisions,
    find_signed,
    finished_revisions,
    list_documents,
    open_intents,
)
from signer.errors import UsageWrong
from tests.fakes.clock import START
from tests.signing_world import CLERK, SigningWorld, plain_paper

PAPER = plain_paper()


def test_a_document_is_found_by_code_and_by_each_finished_revision(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER, metadata={"Subject": "Về việc thử", "CodeNotation": "STN"})
    issued = signing.sign(approved.content, "seal", metadata={"Subject": "Về việc khác"})
    document = signing.document(grouped(approved.code).lower())
    assert (document.subject, document.notation, document.number) == ("Về việc khác", "STN", 1)
    assert document.sha256 == issued.sha256
    assert [(act.credential, act.state, act.output_sha256) for act in document.acts] == [
        ("officer", "done", approved.sha256),
        ("seal", "done", issued.sha256),
    ]
    with signing.world.database.read() as session:
        for sha256 in (approved.sha256, issued.sha256):
            assert find_by_revisions(session, [sha256])[1] == approved.code
        assert find_by_revisions(session, []) is None
        assert find_by_revisions(session, ["00" * 32]) is None
        assert finished_revisions(session) == [(approved.code, approved.sha256), (approved.code, issued.sha256)]
        assert (
            find_signed(session, document.acts[0].output_sha256, "seal", CLERK.name, START - timedelta(1)) == document
        )
        assert find_signed(session, approved.sha256, "seal", "somebody else", START - timedelta(1)) is None
        assert open_intents(session, START + timedelta(days=1)) == []


def test_a_code_that_is_wrong_and_one_that_nobody_bears_are_told_apart(signing: SigningWorld) -> None:
    with signing.world.database.read() as session:
        for typed, code in ((new_code()[:-1], "CODE_MALFORMED"), (new_code(), "CODE_NOT_FOUND")):
            with pytest.raises(UsageWrong) as caught:
                document_by_code(session, typed)
            assert caught.value.code == code


def test_the_newest_documents_come_first(signing: SigningWorld) -> None:
    codes = [signing.sign(PAPER, placement="none").code for _ in range(3)]
    assert len(set(codes)) == 3  # every signing of an unsigned paper is a new document
    with signing.world.database.read() as session:
        assert [each.code for each in list_documents(session)] == codes[::-1]
        assert [each.code for each in list_documents(session, limit=1)] == codes[-1:]
