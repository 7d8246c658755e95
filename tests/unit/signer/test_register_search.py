"""signer/register_search.py: a document is found by number, day, agency, code, digest and words, with marks or without."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from signer.codes import grouped, new_code
from signer.errors import UsageWrong
from signer.lineage import CORRECTED
from signer.register_search import NAMES, STATUSES, parse_query, search_documents
from signer.search_words import search_words
from signer.succession import Succession, record_succession
from tests.signing_world import CLERK, SigningWorld, plain_paper

PAPER = plain_paper()
WORDS = {
    "Subject": "Về việc tuyển dụng viên chức Đợt 1", "CodeNotation": "QĐ-SNV", "OrganName": "Sở Nội vụ tỉnh Hương Giang",
    "SignerInfo": {"FullName": "Trần Thị Bé"}, "To": [{"OrganName": "Ủy ban nhân dân huyện"}, {"OrganName": "Kho bạc 100%"}],
}  # fmt: skip


def found(signing: SigningWorld, limit: int = 100, after: str | None = None, **typed: str) -> list[str]:
    """What is found among the newest, which is also what the index of words finds."""
    wanted = parse_query(typed)
    with signing.world.database.read() as session:
        codes = [each.code for each in search_documents(session, wanted, limit, after)]
        for newest in (0, 1):
            by_index = search_documents(session, wanted, limit, after, newest)
            assert [each.code for each in by_index] == codes, (newest, typed)
    return codes


@pytest.fixture
def issued(signing: SigningWorld) -> str:
    """An issued document with many words, between two others."""
    signing.sign(PAPER, placement="none")
    code = signing.sign(PAPER, metadata=WORDS)
    signing.world.clock.advance(days=2)
    signing.sign(code.content, "seal")
    signing.sign(PAPER, placement="none")
    return code.code


def test_a_document_is_found_by_each_thing_that_people_know(signing: SigningWorld, issued: str) -> None:
    sha256 = signing.document(issued).sha256
    approved = signing.document(issued).acts[0].output_sha256
    assert sha256 is not None
    assert approved is not None
    for typed in (
        {"number": "1"}, {"number": "01"}, {"number": "01/QĐ-SNV"}, {"number": "1/qd-snv"},
        {"agency": "so noi vu"}, {"agency": "NỘI VỤ"}, {"agency": "hương Sở"},
        {"code": issued}, {"code": f" {grouped(issued).lower()} "},
        {"hash": sha256}, {"hash": sha256.upper()}, {"hash": sha256[:8]}, {"hash": approved},
        {"text": "tuyen dung"}, {"text": "TUYỂN  dụng"}, {"text": "đợt"}, {"text": "dot 1"}, {"text": "tran thi be"},
        {"text": "uy ban"}, {"text": "100%"}, {"text": "paper tuyển"}, {"text": "qđ-snv"},
    ):  # fmt: skip
        assert found(signing, **typed) == [issued], typed
    for typed in (
        {"number": "2"},
        {"number": "1/TB"},
        {"agency": "y te"},
        {"code": new_code()},
        {"hash": "0" * 8},
        {"text": "1%0"},
    ):
        assert found(signing, **typed) == [], typed
    assert found(signing, text="tuyen dung", number="2") == []
    assert len(found(signing, text="paper.pdf")) == 3
    assert found(signing) == found(signing, text=" ") == found(signing, text="paper.pdf")


def test_the_index_knows_what_is_said_of_a_document_later_and_forgets_what_is_not_said_any_more(
    signing: SigningWorld,
) -> None:
    first = signing.sign(PAPER, placement="none", metadata={"Subject": 'Về "nước sạch"', "OrganName": "Sở Xây dựng"})
    other = signing.sign(PAPER, placement="none", metadata={"Subject": "Về nước sạch"})
    assert found(signing, text='"nuoc') == [first.code]
    signing.sign(first.content, "seal", metadata={"Subject": "Về đường làng", "OrganName": "Sở Giao thông"})
    assert found(signing, text="đường làng", agency="giao thông") == [first.code]
    assert found(signing, agency="xây dựng") == []
    assert found(signing, text="nuoc sach") == [other.code]
    with signing.world.database.write() as session:
        if session.get_bind().dialect.name == "sqlite":
            # FTS5 compares its index with the documents; the second one is what is to be compared with the content.
            check = "INSERT INTO documents_words (documents_words, rank) VALUES ('integrity-check', 1)"
            session.execute(text(check))


def test_days_are_those_of_vietnam_and_both_count(signing: SigningWorld, issued: str) -> None:
    clock = signing.world.clock
    # 23:30 and 00:30 in Vietnam, which is one day in UTC.
    clock.advance(hours=13, minutes=15)
    late = signing.sign(PAPER, placement="none").code
    clock.advance(hours=1)
    early = signing.sign(PAPER, placement="none").code
    day = (clock.now() - timedelta(hours=1)).date()
    next_day = day + timedelta(days=1)
    assert found(signing, date_from=next_day.isoformat()) == [early]
    assert found(signing, date_from=day.isoformat(), date_to=next_day.strftime("%d/%m/%Y"))[:2] == [early, late]
    assert late in found(signing, date_to=day.isoformat())
    assert early not in found(signing, date_to=day.isoformat())
    # Issued two days after it was registered: the day of issue is the one that the paper bears.
    registered = signing.document(issued).created_at.date()
    assert issued not in found(signing, date_to=registered.isoformat())


def test_pages_follow_each_other_without_gap_or_repetition(signing: SigningWorld, issued: str) -> None:
    for typed in ({}, {"date_from": "2000-01-01"}):
        everything = found(signing, **typed)
        assert len(everything) == 3
        first = found(signing, 2, **typed)
        assert first + found(signing, 2, first[-1], **typed) == everything
        assert found(signing, 2, everything[-1], **typed) == []
    assert found(signing)[1] == issued
    with pytest.raises(UsageWrong) as caught:
        found(signing, 2, new_code())
    assert caught.value.code == "CODE_NOT_FOUND"


def test_a_status_is_asked_for_by_its_name(signing: SigningWorld, issued: str) -> None:
    other = found(signing)[0]
    wanted = Succession(other, issued, CORRECTED, "x")
    record_succession(wanted, CLERK, signing.world.database, signing.world.clock)
    assert found(signing, status="corrected") == [other]
    assert issued in found(signing, status="in-force")
    assert found(signing, status="recalled") == []
    assert set(STATUSES) == {"in-force", "recalled", "replaced", "corrected"}


def test_what_a_later_signature_says_is_found_too(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER)
    signing.sign(approved.content, "seal", metadata={"Subject": "Phê duyệt kế hoạch", "OrganName": "Sở Y tế"})
    assert found(signing, text="phe duyet") == found(signing, agency="y te") == [approved.code]


@pytest.mark.parametrize(
    ("name", "typed", "code"),
    [
        ("number", "", "SEARCH_NUMBER_WRONG"),
        ("number", "x", "SEARCH_NUMBER_WRONG"),
        ("number", "1/", "SEARCH_NUMBER_WRONG"),
        ("number", "123456789012", "SEARCH_NUMBER_WRONG"),
        ("number", "٣", "SEARCH_NUMBER_WRONG"),
        ("date_from", "2026-02-30", "SEARCH_DATE_WRONG"),
        ("date_from", "0001-01-01", "SEARCH_DATE_WRONG"),
        ("date_to", "9999-12-31", "SEARCH_DATE_WRONG"),
        ("date_to", "today", "SEARCH_DATE_WRONG"),
        ("hash", "0123456", "SEARCH_HASH_WRONG"),
        ("hash", "0" * 65, "SEARCH_HASH_WRONG"),
        ("hash", "z" * 64, "SEARCH_HASH_WRONG"),
        ("code", "abc", "CODE_MALFORMED"),
        ("status", "gone", "SEARCH_STATUS_WRONG"),
    ],
)
def test_what_cannot_be_meant_is_refused(name: str, typed: str, code: str) -> None:
    with pytest.raises(UsageWrong) as caught:
        parse_query({name: typed})
    assert caught.value.code == code


def test_every_name_can_be_left_out() -> None:
    assert parse_query(dict.fromkeys(NAMES)) == parse_query({})


def test_words_are_kept_folded_however_deep_they_stand() -> None:
    assert search_words("Sở Nội vụ", "Đơn.pdf", WORDS) == {
        "search_text": "don.pdf ve viec tuyen dung vien chuc dot 1 qd-snv so noi vu tinh huong giang tran thi be "
        "uy ban nhan dan huyen kho bac 100%",
        "agency_text": "so noi vu so noi vu tinh huong giang",
    }
