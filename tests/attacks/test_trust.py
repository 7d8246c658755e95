"""Whose signature it is: paths, revocation and time. The document itself is intact in all of these."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography.x509 import ReasonFlags

from signer.validation.policy import JudgedFile, OwnCertificate
from tests.attacks import documents
from tests.attacks.pki import NOW, Party, Pki, build_pki, make, make_crl, usage

Judging = Callable[..., JudgedFile]


@pytest.fixture(scope="module")
def signed(pki: Pki) -> bytes:
    return documents.sign(documents.page_pdf(), pki.officer)


def outcome(judged: JudgedFile) -> tuple[str, str | None, str, str]:
    (signature,) = judged.signatures
    assert signature.integrity == "intact"
    return judged.reason, signature.sub_indication, signature.revocation, signature.trust


def signed_by(party: Party, claimed: datetime = NOW) -> bytes:
    return documents.sign(documents.page_pdf(), party, claimed=claimed)


def test_an_unknown_issuer_is_unknown_and_not_forged(signed: bytes, judging: Judging) -> None:
    judged = judging(signed, anchors=[])
    assert judged.conclusion == "indeterminate"
    assert outcome(judged) == ("UNKNOWN_ISSUER", "NO_CERTIFICATE_CHAIN_FOUND", "unknown", "unknown")


def test_a_root_of_the_same_name_and_another_key_is_no_anchor(signed: bytes, judging: Judging) -> None:
    assert outcome(judging(signed, anchors=[build_pki().root]))[0] == "UNKNOWN_ISSUER"


def test_the_order_of_anchors_changes_nothing(signed: bytes, pki: Pki, judging: Judging) -> None:
    others = [build_pki().root, pki.root, make("Khác", ca=True)]
    assert outcome(judging(signed, anchors=others)) == outcome(judging(signed, anchors=others[::-1]))
    assert outcome(judging(signed, anchors=others))[0] == "VALID"


def test_without_any_revocation_answer_nothing_is_valid(signed: bytes, judging: Judging) -> None:
    assert outcome(judging(signed, crls=[])) == ("UNKNOWN_REVOCATION", "TRY_LATER", "unknown", "internal")


def test_a_list_for_the_leaf_alone_does_not_speak_for_the_authority(signed: bytes, pki: Pki, judging: Judging) -> None:
    assert outcome(judging(signed, crls=[make_crl(pki.issuing)]))[0] == "UNKNOWN_REVOCATION"


@pytest.mark.parametrize(
    "stale",
    [
        {"this_update": NOW - timedelta(days=9), "next_update": NOW - timedelta(days=2)},
        {"this_update": NOW + timedelta(days=1), "next_update": NOW + timedelta(days=8)},
    ],
)
def test_a_list_of_another_time_says_nothing(
    signed: bytes, pki: Pki, judging: Judging, stale: dict[str, object]
) -> None:
    assert (
        outcome(judging(signed, crls=[make_crl(pki.root), make_crl(pki.issuing, **stale)]))[0] == "UNKNOWN_REVOCATION"
    )


def test_a_forged_list_says_nothing(signed: bytes, pki: Pki, judging: Judging) -> None:
    forged = make_crl(pki.issuing, signed_by=build_pki().issuing)
    assert outcome(judging(signed, crls=[make_crl(pki.root), forged]))[0] == "UNKNOWN_REVOCATION"


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        (ReasonFlags.key_compromise, ("UNKNOWN_REVOKED_NO_TIME", "REVOKED_NO_POE", "revoked", "internal")),
        (ReasonFlags.certificate_hold, ("UNKNOWN_SUSPENDED", "TRY_LATER", "suspended", "internal")),
    ],
)
def test_a_revoked_or_suspended_certificate_without_proof_of_time_is_indeterminate(
    signed: bytes, pki: Pki, judging: Judging, reason: ReasonFlags, wanted: tuple[str, ...]
) -> None:
    entry = {pki.officer.certificate.serial_number: (NOW - timedelta(days=1), reason)}
    crls = [make_crl(pki.root), make_crl(pki.issuing, entry)]
    assert outcome(judging(signed, crls=crls)) == wanted
    assert (
        outcome(judging(signed, crls=[*crls, make_crl(pki.issuing, this_update=NOW - timedelta(days=3))]))[0]
        == wanted[0]
    )


def test_a_revoked_authority_has_its_own_sub_indication(signed: bytes, pki: Pki, judging: Judging) -> None:
    entry = {pki.issuing.certificate.serial_number: (NOW - timedelta(days=1), ReasonFlags.ca_compromise)}
    assert outcome(judging(signed, crls=[make_crl(pki.root, entry), make_crl(pki.issuing)]))[1] == "REVOKED_CA_NO_POE"


@pytest.mark.parametrize(
    ("days", "wanted"),
    [
        (-31, ("INVALID_NOT_YET_VALID", "NOT_YET_VALID")),
        (366, ("UNKNOWN_EXPIRED_NO_TIME", "OUT_OF_BOUNDS_NO_POE")),
    ],
)
def test_outside_its_validity_a_certificate_proves_nothing(
    signed: bytes, pki: Pki, judging: Judging, days: int, wanted: tuple[str, str]
) -> None:
    at = NOW + timedelta(days=days)
    good = OwnCertificate("good")
    assert outcome(judging(signed, at=at, own_status=lambda _: good))[:2] == wanted


def test_the_inventory_speaks_before_any_list(signed: bytes, pki: Pki, judging: Judging) -> None:
    own = {
        pki.officer.sha256: OwnCertificate("revoked", NOW - timedelta(hours=2), "keyCompromise"),
        pki.issuing.sha256: OwnCertificate("good"),
    }
    assert outcome(judging(signed, own_status=own.get))[0] == "UNKNOWN_REVOKED_NO_TIME"
    assert (
        outcome(judging(signed, crls=[], own_status={**own, pki.officer.sha256: OwnCertificate("good")}.get))[0]
        == "VALID"
    )
    earlier = NOW - timedelta(hours=3)
    assert outcome(judging(signed_by(pki.officer, earlier), at=earlier, own_status=own.get))[0] == "VALID"


def test_a_key_under_suspicion_counts_as_revoked_from_then_on(signed: bytes, pki: Pki, judging: Judging) -> None:
    own = {
        pki.officer.sha256: OwnCertificate(
            "revoked", NOW - timedelta(hours=2), "keyCompromise", since=NOW - timedelta(days=2)
        ),
        pki.issuing.sha256: OwnCertificate("good"),
    }
    stamped = documents.timestamped(signed, pki.tsa, NOW - timedelta(days=1))
    found = judging(stamped, own_status={**own, pki.tsa.sha256: OwnCertificate("good")}.get).signatures[0]
    assert (found.proven_time, found.reason) == (NOW - timedelta(days=1), "INVALID_REVOKED")
    # What was found out later was not known then.
    then = NOW - timedelta(days=1)
    assert outcome(judging(signed_by(pki.officer, then), at=then, own_status=own.get))[0] == "VALID"


def test_a_state_the_inventory_does_not_know_is_not_good(signed: bytes, judging: Judging) -> None:
    assert outcome(judging(signed, crls=[], own_status=lambda _: OwnCertificate("intent")))[0] == "UNKNOWN_REVOCATION"


def test_a_signer_that_is_itself_an_anchor_is_trusted(signed: bytes, pki: Pki, judging: Judging) -> None:
    assert outcome(judging(signed, anchors=[pki.officer], crls=[])) == ("VALID", None, "good", "internal")


def broken_chains(pki: Pki) -> dict[str, tuple[Party, list[Party]]]:
    """Leaf and anchors, by the rule of RFC 5280 that the chain breaks."""
    no_ca = make("Không phải CA", pki.issuing)
    below = make("CA thứ ba", pki.issuing, ca=True)
    no_sign = make("CA không ký", pki.root, ca=True, key_usage=usage(crl_sign=True))
    fenced = make("CA giới hạn", ca=True, permitted_dns="KR")
    return {
        "a leaf issues": (make("Lá", no_ca), [pki.root]),
        "path too long": (make("Lá", below), [pki.root]),
        "an authority that may not certify": (make("Lá", no_sign), [pki.root]),
        "a name outside the anchor's constraints": (make("Lá", fenced), [fenced]),
    }


@pytest.mark.parametrize(
    "rule",
    ["a leaf issues", "path too long", "an authority that may not certify", "a name outside the anchor's constraints"],
)
def test_a_chain_that_breaks_a_rule_is_not_trusted(pki: Pki, judging: Judging, rule: str) -> None:
    leaf, anchors = broken_chains(pki)[rule]
    chain = [Party(link, leaf.key) for link in leaf.chain]
    pdf = signed_by(leaf)
    judged = judging(pdf, anchors=[*anchors, *()], own_status=lambda _: OwnCertificate("good"))
    assert chain
    assert judged.conclusion == "indeterminate"
    assert judged.reason in ("UNKNOWN_CHAIN", "UNKNOWN_ISSUER")
    assert judged.signatures[0].trust == "unknown"


def test_a_certificate_for_something_else_does_not_sign_documents(pki: Pki, judging: Judging) -> None:
    leaf = make("Chỉ mã hóa", pki.issuing, key_usage=usage(key_encipherment=True))
    judged = judging(signed_by(leaf))
    assert (judged.reason, judged.signatures[0].sub_indication) == ("UNKNOWN_KEY_USAGE", "CHAIN_CONSTRAINTS_FAILURE")


def test_a_changed_file_of_an_unknown_signer_is_invalid(signed: bytes, judging: Judging) -> None:
    judged = judging(documents.with_other_text(signed), anchors=[])
    assert (judged.conclusion, judged.reason) == ("invalid", "INVALID_MODIFIED")


def test_certificates_that_all_bear_one_name_end_in_bounded_time(pki: Pki, judging: Judging) -> None:
    key = pki.root.key
    same = [make("Một tên", ca=True, key=key) for _ in range(40)]
    leaf = make("Lá", same[0])
    leaf.chain.extend(party.certificate for party in same)
    assert judging(signed_by(leaf), anchors=[]).reason == "UNKNOWN_ISSUER"
