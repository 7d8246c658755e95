"""signer/office_policy.py, signer/office_rules.py: what each intent may, wants to be there before, shows and refuses."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from api.words import read_catalogues
from signer.errors import Refused, SignerError, UsageWrong
from signer.office_policy import INTENTS, PolicyWrong, parse_policy, policy_files, policy_on
from signer.particulars import Particulars, parse_particulars
from tests.fakes.clock import START
from tests.signing_world import SigningWorld, plain_paper

PAPER = plain_paper("QUYẾT ĐỊNH".encode("ascii", "replace").decode(), "về việc thử".encode("ascii", "replace").decode())
POLICY = Path(__file__).parents[3] / "signer" / "policy" / "vn-2025.toml"


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises((Refused, UsageWrong)) as caught:
        call()
    assert isinstance(caught.value, SignerError)
    return caught.value.code


def text_at_the_top(pdf: bytes) -> list[str]:
    """The lines within the upper 25 mm of the first page, as a reader sees them, stamps of signatures included."""
    document = pypdfium2.PdfDocument(pdf)
    document.init_forms()
    page = document[0]
    page_height = page.get_height()
    # Stamps are annotations: flattened they are part of the page, whose text can be read.
    pypdfium2.raw.FPDFPage_Flatten(page, pypdfium2.raw.FLAT_NORMALDISPLAY)
    buffer = io.BytesIO()
    document.save(buffer)
    flat = pypdfium2.PdfDocument(buffer.getvalue())[0].get_textpage()
    found = flat.get_text_bounded(bottom=page_height - 71)
    return [line.strip() for line in found.splitlines() if line.strip()]


def issued(signing: SigningWorld, **metadata: str):
    approved = signing.sign(PAPER, metadata={"CodeNotation": "QĐ-STN", **metadata})
    return signing.sign(approved.content, "seal")


# What the file of the policy says.


def test_the_policy_is_named_dated_and_knows_every_intent_with_a_sentence_for_each_refusal() -> None:
    (policy,) = policy_files()
    assert (policy.name, policy.since, set(policy.rules)) == ("vn-nd30", date(2020, 3, 5), set(INTENTS))
    assert policy_on(date(2026, 1, 1)) is policy
    assert policy.intents_of("officer") == ("approve", "comment", "file")
    assert policy.intents_of("seal") == ("issue", "income", "appendix", "copy", "file")
    codes = {need.refused for rule in policy.rules.values() for need in rule.needs}
    for language in ("vi", "en", "ko"):
        assert codes <= set(read_catalogues(language))


def _without(raw: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = raw
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return raw


def _with(raw: dict[str, Any], value: object, *path: str) -> dict[str, Any]:
    inner = raw
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: _without(raw, "since"),
        lambda raw: _with(raw, "2025", "since"),
        lambda raw: _without(raw, "intents", "copy"),
        lambda raw: _with(raw, {}, "intents", "seal"),
        lambda raw: _with(raw, ["clerk"], "intents", "issue", "roles"),
        lambda raw: _with(raw, [], "intents", "issue", "roles"),
        lambda raw: _with(raw, "text", "intents", "issue", "look"),
        lambda raw: _with(raw, ["{password}"], "intents", "copy", "lines"),
        lambda raw: _with(raw, [], "intents", "copy", "lines"),
        lambda raw: _with(raw, ["{time}"], "intents", "approve", "lines"),
        lambda raw: _with(raw, [{"need": "luck", "refused": "X"}], "intents", "issue", "needs"),
        lambda raw: _with(raw, ["approved"], "intents", "issue", "needs"),
        lambda raw: _with(raw, "yes", "intents", "approve", "approves"),
        lambda raw: _with(raw, 1, "intents", "approve", "colour"),
        lambda raw: _with(raw, 0, "block", "size"),
        lambda raw: _with(raw, True, "block", "top_mm"),
        lambda raw: _with(raw, "sometimes", "block", "time"),
        lambda raw: _with(raw, "", "name"),
        lambda raw: _with(raw, [" "], "training", "watermark"),
        lambda raw: _without(raw, "training"),
        lambda raw: _with(raw, [{"form": "fax", "source": "paper", "text": "FAX"}], "intents", "copy", "copies"),
    ],
)
def test_a_policy_that_says_what_cannot_be_meant_is_no_policy(
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    raw = tomllib.loads(POLICY.read_text("utf-8"))
    parse_policy(raw)
    with pytest.raises(PolicyWrong):
        parse_policy(change(raw))


# What each of them does.


def test_what_arrives_is_numbered_apart_and_says_so_at_the_top_right(signing: SigningWorld) -> None:
    arrived = signing.sign(PAPER, "seal", intent="income")
    assert (arrived.intent, arrived.number, arrived.issued, arrived.placed) == ("income", 1, False, "margin")
    lines = text_at_the_top(arrived.content)
    assert lines[-2:] == ["ĐẾN Số: 01", "Ngày: 21/11/2026 10:15:30 +07:00"]
    assert signing.verdict(arrived.content).conclusion == "valid"
    assert refusal(lambda: signing.sign(arrived.content, "seal", intent="income")) == "INCOME_TWICE"
    # A series of its own: the first document that goes out is number one as well.
    document = issued(signing)
    assert (document.number, signing.sign(plain_paper("x"), "seal", intent="income").number) == (1, 2)
    assert refusal(lambda: signing.sign(document.content, "seal", intent="income")) == "INCOME_OWN_DOCUMENT"
    assert signing.rows("SELECT series, number, state FROM numbers ORDER BY id") == [
        ("in", 1, "used"), ("out", 1, "used"), ("in", 2, "used"),
    ]  # fmt: skip


def test_an_attachment_bears_number_symbol_and_time_of_its_main_document(signing: SigningWorld) -> None:
    main = issued(signing)
    annex = signing.sign(plain_paper("Annex"), "seal", intent="appendix", particulars=Particulars(main=main.code))
    assert text_at_the_top(annex.content) == ["Số: 01/QĐ-STN", "21/11/2026 10:15:30 +07:00"]
    assert (annex.intent, annex.number, annex.code != main.code) == ("appendix", None, True)
    (act,) = signing.document(annex.code).acts
    assert act.particulars == {"main": main.code}
    # The size, the font and the colour of the law.
    assert b"/F0 10 Tf" in _streams(annex.content)


def _streams(pdf: bytes) -> bytes:
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1
    import re
    import zlib

    out = b""
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            out += zlib.decompress(found[1])
        except zlib.error:
            out += found[1]
    return out


def test_an_attachment_is_refused_without_its_issued_main_document(signing: SigningWorld) -> None:
    def annex(pdf: bytes = PAPER, **told: str) -> Callable[[], object]:
        return lambda: signing.sign(pdf, "seal", intent="appendix", particulars=Particulars(**told))

    assert refusal(annex()) == "APPENDIX_WITHOUT_MAIN"
    approved = signing.sign(PAPER)
    assert refusal(annex(plain_paper("x"), main=approved.code)) == "APPENDIX_MAIN_NOT_ISSUED"
    main = signing.sign(approved.content, "seal")
    assert refusal(annex(main.content, main=main.code)) == "APPENDIX_IS_MAIN"
    signing.enrol("other", "agency-seal", subject="O=SỞ KHÁC,CN=SỞ KHÁC,UID=MST:0101243150-002,L=Hà Nội,C=VN")
    other = lambda: signing.sign(plain_paper("x"), "other", intent="appendix", particulars=Particulars(main.code))  # noqa: E731
    assert refusal(other) == "APPENDIX_OF_ANOTHER_AGENCY"
    assert refusal(annex(plain_paper("x"), main="23456789ABCDEFGHJKLM")) in {"CODE_MISTYPED", "CODE_NOT_FOUND"}


@pytest.mark.parametrize(
    ("form", "source", "shown"),
    [
        ("sao-y", "paper", "SAO Y"),
        ("sao-luc", "paper", "SAO LỤC"),
        ("trich-sao", "paper", "TRÍCH SAO"),
        ("trich-sao", "electronic", "TRÍCH SAO"),
        ("sao-y", "electronic", None),
        ("sao-luc", "electronic", None),
    ],
)
def test_only_the_copies_that_the_law_knows_are_made(
    signing: SigningWorld, form: str, source: str, shown: str | None
) -> None:
    untold = Particulars(form=form)
    assert refusal(lambda: signing.sign(PAPER, "seal", intent="copy", particulars=untold)) == "COPY_FORM_MISSING"
    make = lambda: signing.sign(PAPER, "seal", intent="copy", particulars=Particulars(form=form, source=source))  # noqa: E731
    if shown is None:
        assert refusal(make) == "COPY_FORM_NOT_ALLOWED"
        return
    lines = text_at_the_top(make().content)
    assert (lines[0], lines[-1]) == (shown, "21/11/2026 10:15:30 +07:00")


def test_a_signed_file_is_no_copy_of_paper(signing: SigningWorld) -> None:
    signed = signing.sign(PAPER).content
    told = Particulars(form="sao-y", source="paper")
    assert refusal(lambda: signing.sign(signed, "seal", intent="copy", particulars=told)) == "COPY_OF_SIGNED_FILE"
    extract = Particulars(form="trich-sao", source="electronic")
    assert signing.sign(signed, "seal", intent="copy", particulars=extract).intent == "copy"


def test_a_remark_is_shown_and_approves_nothing(signing: SigningWorld) -> None:
    assert refusal(lambda: signing.sign(PAPER, intent="comment")) == "COMMENT_MISSING"
    told = parse_particulars(comment="  Đồng ý {time}, trình lãnh đạo  ")
    remarked = signing.sign(PAPER, intent="comment", particulars=told)
    assert text_at_the_top(remarked.content)[0] == "Đồng ý {time}, trình lãnh đạo"
    assert refusal(lambda: signing.sign(remarked.content, "seal")) == "ISSUE_WITHOUT_OFFICER"
    # The same person's signature under it does.
    approved = signing.sign(remarked.content)
    assert approved.code == remarked.code
    issued = signing.sign(approved.content, "seal")
    assert (issued.issued, issued.number) == (True, 1)
    assert signing.verdict(issued.content).conclusion == "valid"


def test_any_other_file_is_signed_without_a_mark_and_neither_approved_nor_issued(signing: SigningWorld) -> None:
    for credential in ("officer", "seal"):
        signed = signing.sign(PAPER, credential, intent="file")
        assert (signed.placed, signed.number, signed.issued) == (None, None, False)
        assert refusal(lambda: signing.sign(signed.content, "seal")) == "ISSUE_WITHOUT_OFFICER"  # noqa: B023


def test_who_may_what(signing: SigningWorld) -> None:
    for intent in ("issue", "income", "appendix", "copy"):
        assert refusal(lambda: signing.sign(PAPER, intent=intent)) == "INTENT_NOT_ALLOWED"  # noqa: B023
    for intent in ("approve", "comment"):
        assert refusal(lambda: signing.sign(PAPER, "seal", intent=intent)) == "INTENT_NOT_ALLOWED"  # noqa: B023
    assert refusal(lambda: signing.sign(PAPER, intent="bless")) == "INTENT_UNKNOWN"
    told = Particulars(comment="x")
    assert refusal(lambda: signing.sign(PAPER, particulars=told)) == "PARTICULAR_NOT_WANTED"


def test_blocks_stand_beside_each_other_and_where_there_is_no_room_the_signature_is_refused(
    signing: SigningWorld,
) -> None:
    first = signing.sign(PAPER, "seal", intent="income")
    extract = Particulars(form="trich-sao", source="electronic")
    both = signing.sign(first.content, "seal", intent="copy", particulars=extract)
    lines = " ".join(text_at_the_top(both.content))
    assert "ĐẾN" in lines and "TRÍCH SAO" in lines  # noqa: PT018
    small = plain_paper("x", size=(100, 40))
    assert refusal(lambda: signing.sign(small, "seal", intent="income")) == "CORNER_WITHOUT_ROOM"
    assert signing.sign(small, "seal", intent="income", placement="none").placed is None
    assert signing.rows("SELECT number, state, reason FROM numbers WHERE state = 'void'") == [
        (2, "void", "CORNER_WITHOUT_ROOM")
    ]


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"main": "nonsense"}, "CODE_MALFORMED"),
        ({"form": "fax"}, "COPY_FORM_UNKNOWN"),
        ({"source": "stone"}, "COPY_SOURCE_UNKNOWN"),
        ({"comment": "a\nb"}, "COMMENT_MALFORMED"),
        ({"comment": "x" * 501}, "COMMENT_MALFORMED"),
    ],
)
def test_nonsense_is_refused(told: dict[str, str], code: str) -> None:
    assert refusal(lambda: parse_particulars(**told)) == code


def test_the_time_of_the_world_is_that_of_the_lines() -> None:
    assert START.isoformat() == "2026-11-21T03:15:30+00:00"
