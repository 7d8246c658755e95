"""No attack is ever called valid, and the honest documents they are made from are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyhanko.sign.fields import MDPPerm

from signer.validation.policy import JudgedFile
from signer.validation.verdict import Verdict
from tests.attacks import documents
from tests.attacks.attack import Attack
from tests.attacks.families import FAMILIES
from tests.attacks.generator import flipped_signature
from tests.attacks.pki import Party, Pki
from tests.attacks.scoreboard import our_word, rows, table_of

Judging = Callable[..., JudgedFile]
PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"


def test_a_signed_document_is_valid(pki: Pki, judging: Judging) -> None:
    judged = judging(documents.sign(documents.page_pdf(), pki.officer))
    (signature,) = judged.signatures
    assert (judged.conclusion, judged.reason) == ("valid", "VALID")
    assert (signature.integrity, signature.facts.coverage, signature.facts.changes_after) == (
        "intact",
        "whole-file",
        "none",
    )
    assert (signature.trust, signature.revocation, signature.facts.level) == ("internal", "good", "PAdES-B-B")
    assert signature.facts.signer is not None
    assert signature.facts.signer.common_name == "Nguyễn Thị Thử"


@pytest.mark.parametrize("pss", [True, False])
def test_rsa_signatures_of_both_kinds_are_valid(pki: Pki, rsa_officer: Party, judging: Judging, pss: bool) -> None:
    judged = judging(documents.sign(documents.page_pdf(), rsa_officer, pss=pss))
    assert judged.reason == "VALID"
    assert judged.signatures[0].facts.signature_algorithm == ("rsassa-pss" if pss else "rsassa-pkcs1v15")


def test_the_older_subfilter_is_valid_without_a_signing_certificate_attribute(pki: Pki, judging: Judging) -> None:
    judged = judging(documents.sign(documents.page_pdf(), pki.officer, pades=False))
    assert (judged.reason, judged.signatures[0].facts.level) == ("VALID", "PDF-PKCS7")


def test_a_second_signature_extends_the_first(pki: Pki, judging: Judging) -> None:
    first = documents.sign(documents.page_pdf(), pki.officer)
    judged = judging(documents.sign(first, pki.seal, "Sig2"))
    assert (judged.conclusion, judged.reason) == ("valid", "VALID_EXTENDED")
    officer, seal = judged.signatures
    assert (officer.reason, seal.reason) == ("VALID_EXTENDED", "VALID")
    assert [(c.kind, c.text) for c in officer.facts.changes] == [("signature", "Sig2")]
    assert officer.facts.revision_end == len(first)


def test_cross_reference_streams_are_judged_like_tables(pki: Pki, judging: Judging) -> None:
    page = documents.with_stream_tables(documents.page_pdf())
    assert b"/XRef" in page
    assert b"\nxref" not in page
    both = documents.sign(documents.sign(page, pki.officer), pki.seal, "Sig2")
    assert judging(both).reason == "VALID_EXTENDED"
    assert judging(documents.timestamped(documents.filled(both), pki.tsa)).reason == "VALID_EXTENDED"
    assert judging(documents.with_other_text(both)).reason == "INVALID_MODIFIED"
    assert judging(both + b"\n5 0 obj\nnull\nendobj\n").reason == "INVALID_MODIFIED"


def test_a_form_filled_after_signing_says_what_was_filled(pki: Pki, judging: Judging) -> None:
    judged = judging(documents.filled(documents.sign(documents.page_pdf(), pki.officer), "15"))
    assert (judged.conclusion, judged.reason) == ("valid", "VALID_EXTENDED")
    (change,) = judged.signatures[0].facts.changes
    assert (change.kind, change.page) == ("field", 1)
    assert change.text == "So: ∅ → 15"


@pytest.mark.parametrize("level", [MDPPerm.NO_CHANGES, MDPPerm.FILL_FORMS])
def test_validation_data_and_timestamps_are_permitted_after_any_certification(
    pki: Pki, judging: Judging, level: MDPPerm
) -> None:
    certified = documents.sign(documents.page_pdf(), pki.officer, certify=level)
    judged = judging(documents.timestamped(documents.with_validation_data(certified, pki.root), pki.tsa))
    assert judged.reason == "VALID_EXTENDED"
    assert {c.kind for c in judged.signatures[0].facts.changes} == {"validation-data", "timestamp"}
    assert [s.facts.type for s in judged.signatures] == ["signature", "timestamp"]


def test_filling_a_form_is_permitted_after_a_certification_that_permits_it(pki: Pki, judging: Judging) -> None:
    certified = documents.sign(documents.page_pdf(), pki.officer, certify=MDPPerm.FILL_FORMS)
    assert judging(documents.filled(certified)).reason == "VALID_EXTENDED"


def test_an_appearance_changed_without_its_value_is_not_taken_for_filling_in(pki: Pki, judging: Judging) -> None:
    signed = documents.sign(documents.filled(documents.page_pdf(), "15"), pki.officer)
    judged = judging(documents.with_other_appearance(signed))
    assert (judged.conclusion, judged.reason) == ("indeterminate", "UNKNOWN_CHANGES")
    assert [(c.kind, c.page) for c in judged.signatures[0].facts.changes] == [("field", 1)]


def test_white_space_after_the_end_is_harmless_but_said(pki: Pki, judging: Judging) -> None:
    judged = judging(documents.sign(documents.page_pdf(), pki.officer) + b"\r\n \n")
    assert (judged.conclusion, judged.signatures[0].facts.changes_after) == ("valid", "permitted")


def test_a_file_with_a_timestamp_alone_is_unsigned(pki: Pki, judging: Judging) -> None:
    judged = judging(documents.timestamped(documents.page_pdf(), pki.tsa))
    assert (judged.conclusion, judged.reason) == ("unsigned", "NOT_SIGNED")
    assert [s.facts.type for s in judged.signatures] == ["timestamp"]


def test_a_broken_timestamp_leaves_the_signature_valid(pki: Pki, judging: Judging) -> None:
    stamped = documents.timestamped(documents.sign(documents.page_pdf(), pki.officer), pki.tsa)
    judged = judging(flipped_signature(stamped))
    assert [(s.facts.type, s.conclusion) for s in judged.signatures] == [
        ("signature", "valid"),
        ("timestamp", "invalid"),
    ]
    assert judged.conclusion == "valid"


def test_no_attack_is_called_valid(verdicts: dict[str, tuple[Verdict, float]]) -> None:
    assert len(verdicts) >= 220
    assert {name for name, (verdict, _) in verdicts.items() if verdict.conclusion == "valid"} == set()
    assert {name.split("_", 1)[0] for name in verdicts} == set(FAMILIES)


@pytest.mark.parametrize(
    ("family", "conclusions"),
    [
        ("usf", {"invalid"}),
        ("isa", {"invalid"}),
        ("swa", {"invalid", "unreadable"}),
        ("later", {"invalid"}),
        ("certified", {"invalid"}),
        ("two", {"invalid"}),
        ("cms", {"invalid", "indeterminate"}),
        ("eaa", {"invalid"}),
        ("note", {"invalid", "indeterminate"}),
        ("catalogue", {"invalid"}),
        ("shadow", {"invalid", "indeterminate"}),
    ],
)
def test_each_family_of_attacks_is_recognised(
    verdicts: dict[str, tuple[Verdict, float]], family: str, conclusions: set[str]
) -> None:
    members = {name: verdict for name, (verdict, _) in verdicts.items() if name.startswith(f"{family}_")}
    assert members
    for name, verdict in members.items():
        assert verdict.conclusion in conclusions, name
        assert all(
            s.integrity != "intact" or s.facts.changes_after == "forbidden"
            for s in verdict.judged.signatures
            if s.conclusion == "invalid"
        ), name


def test_no_attack_stops_the_judge_or_keeps_it_long(verdicts: dict[str, tuple[Verdict, float]]) -> None:
    """The limits end what takes more than ten seconds of processor time or half a gibibyte; none should need them."""
    stopped = {
        name for name, (verdict, _) in verdicts.items() if verdict.reason in ("UNREADABLE_LIMIT", "JUDGE_UNAVAILABLE")
    }
    assert stopped == set()
    assert all(
        verdict.reason != "UNREADABLE_DAMAGED" for name, (verdict, _) in verdicts.items() if name.startswith("bomb_")
    )


def test_the_page_says_what_is_said_of_each_attack(verdicts: dict[str, tuple[Verdict, float]]) -> None:
    told = dict(re.findall(r"^\| (\w+) \| ([^|]+) \|", table_of(PAGE.read_text(encoding="utf-8")), re.MULTILINE))
    told.pop("attack", None)
    assert told == {name: our_word(verdict) for name, (verdict, _) in verdicts.items()}, "make attacks writes it anew"


@pytest.mark.skipif(not shutil.which("pdfsig"), reason="pdfsig is not installed (apt-get install poppler-utils)")
def test_the_page_says_what_others_say_of_some(attacks: list[Attack], pki: Pki) -> None:
    page = table_of(PAGE.read_text(encoding="utf-8"))
    some = [attack for attack in attacks if attack.family != "bomb"][::30]
    for line in rows(some, pki):
        assert line in page, "make attacks writes it anew"


def test_the_reason_tells_the_defects_of_the_cms_apart(verdicts: dict[str, tuple[Verdict, float]]) -> None:
    wanted = {
        "cms_sha1": "UNKNOWN_ALGORITHM",
        "cms_rsa_1024": "UNKNOWN_ALGORITHM",
        "cms_certificate_swapped_same_key": "UNKNOWN_SIGNER",
        "cms_without_certificates": "UNKNOWN_SIGNER",
        "cms_encapsulated_content": "INVALID_FORMAT",
        "cms_of_another_document": "INVALID_MODIFIED",
        "cms_attributes_removed": "INVALID_CRYPTO",
    }
    assert {name: verdicts[name][0].reason for name in wanted} == wanted


def test_a_broken_first_signature_does_not_hide_a_good_second(attacks: list[Attack], judging: Judging) -> None:
    by_name = {attack.name: attack.pdf for attack in attacks}
    judged = judging(by_name["two_first_value_broken"])
    assert [(s.conclusion, s.integrity) for s in judged.signatures] == [("invalid", "broken"), ("valid", "intact")]
    judged = judging(by_name["two_second_without_contents"])
    assert [(s.conclusion, s.reason) for s in judged.signatures] == [
        ("valid", "VALID_EXTENDED"),
        ("invalid", "INVALID_FORMAT"),
    ]
