"""Judging facts made by hand: what must hold for `valid`, and which reason speaks first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from signer.validation.facts import CertificateFacts, CrlFacts, FileFacts, PathFacts, SignatureFacts
from signer.validation.policy import JudgedSignature, OwnCertificate, judge_file, judge_signature, load_policy
from signer.validation.reasons import REASONS

AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = load_policy()
CRL = CrlFacts(AT - DAY, AT + DAY, None, None)
LEAF = CertificateFacts(
    "aa" * 32,
    "CN=A",
    "A",
    None,
    "01",
    "CN=CA",
    AT - 30 * DAY,
    AT + 30 * DAY,
    "ec",
    256,
    "sha256",
    ("non_repudiation",),
    "",
    (CRL,),
)
GOOD = SignatureFacts(
    "Sig1",
    "signature",
    "/ETSI.CAdES.detached",
    digest_ok=True,
    signature_ok=True,
    ess="ok",
    coverage="whole-file",
    changes_after="none",
    level="PAdES-B-B",
    digest_algorithm="sha256",
    signature_algorithm="ecdsa",
    signer=LEAF,
    path=PathFacts("government", "bb" * 32, (LEAF,)),
)


def judged(facts: SignatureFacts, own: OwnCertificate | None = None, at: datetime = AT) -> JudgedSignature:
    return judge_signature(facts, lambda _: own, at, POLICY)


def with_leaf(**changes: object) -> SignatureFacts:
    leaf = replace(LEAF, **changes)
    return replace(GOOD, signer=leaf, path=PathFacts("government", "bb" * 32, (leaf,)))


def test_the_good_facts_are_valid() -> None:
    answer = judged(GOOD)
    assert (answer.conclusion, answer.reason, answer.sub_indication) == ("valid", "VALID", None)
    assert (answer.integrity, answer.revocation, answer.trust, answer.proven_time) == (
        "intact",
        "good",
        "government",
        None,
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"digest_ok": False}, "INVALID_MODIFIED"),
        ({"digest_ok": None}, "INVALID_FORMAT"),
        ({"signature_ok": False}, "INVALID_CRYPTO"),
        ({"signature_ok": None}, "INVALID_FORMAT"),
        ({"signature_ok": None, "problem": "UNSUPPORTED_SUBFILTER"}, "UNKNOWN_ALGORITHM"),
        ({"findings": ("GAP_NOT_CONTENTS",)}, "INVALID_FORMAT"),
        ({"findings": ("TAIL_UNPARSED",)}, "INVALID_MODIFIED"),
        ({"findings": ("SOMETHING_NEW",)}, "INVALID_MODIFIED"),
        ({"changes_after": "forbidden"}, "INVALID_MODIFIED"),
        ({"changes_after": "unknown"}, "UNKNOWN_CHANGES"),
        ({"changes_after": "permitted"}, "VALID_EXTENDED"),
        ({"problem": "KeyError"}, "UNKNOWN_CHANGES"),
        ({"ess": "mismatch"}, "UNKNOWN_SIGNER"),
        ({"ess": "absent"}, "UNKNOWN_SIGNER"),
        ({"ess": "absent", "subfilter": "/adbe.pkcs7.detached"}, "VALID"),
        ({"signer": None}, "UNKNOWN_SIGNER"),
        ({"path": None}, "UNKNOWN_ISSUER"),
        ({"path": PathFacts("public", "bb" * 32, (LEAF,), "PathValidationError")}, "UNKNOWN_CHAIN"),
        ({"digest_algorithm": "sha1"}, "UNKNOWN_ALGORITHM"),
        ({"digest_algorithm": None}, "UNKNOWN_ALGORITHM"),
        ({"signature_algorithm": "dsa"}, "UNKNOWN_ALGORITHM"),
        ({"pairing_ok": False}, "UNKNOWN_ALGORITHM"),
    ],
)
def test_each_fact_that_is_not_good_has_its_reason(change: dict[str, object], reason: str) -> None:
    answer = judged(replace(GOOD, **change))
    assert answer.reason == reason
    assert answer.sub_indication in REASONS[reason].sub_indications


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"key_type": "rsa", "key_bits": 2047}, "UNKNOWN_ALGORITHM"),
        ({"key_type": "rsa", "key_bits": 2048}, "VALID"),
        ({"key_bits": 192}, "UNKNOWN_ALGORITHM"),
        ({"key_type": "dsa", "key_bits": 3072}, "UNKNOWN_ALGORITHM"),
        ({"key_type": "ed25519", "key_bits": 0, "signature_hash": None}, "VALID"),
        ({"signature_hash": "sha1"}, "UNKNOWN_ALGORITHM"),
        ({"key_usage": None}, "VALID"),
        ({"key_usage": ()}, "UNKNOWN_KEY_USAGE"),
        ({"not_before": AT}, "VALID"),
        ({"not_before": AT + timedelta(seconds=1)}, "INVALID_NOT_YET_VALID"),
        ({"not_after": AT}, "VALID"),
        ({"not_after": AT - timedelta(seconds=1)}, "UNKNOWN_EXPIRED_NO_TIME"),
        ({"crls": ()}, "UNKNOWN_REVOCATION"),
        ({"crls": (replace(CRL, next_update=None),)}, "UNKNOWN_REVOCATION"),
        ({"crls": (replace(CRL, next_update=AT - timedelta(seconds=1)),)}, "UNKNOWN_REVOCATION"),
        ({"crls": (replace(CRL, revoked_at=AT, reason="keyCompromise"),)}, "UNKNOWN_REVOKED_NO_TIME"),
        ({"crls": (replace(CRL, revoked_at=AT + timedelta(seconds=1)),)}, "VALID"),
        ({"crls": (replace(CRL, revoked_at=AT - DAY, reason="certificateHold"),)}, "UNKNOWN_SUSPENDED"),
        ({"crls": (replace(CRL, revoked_at=AT - DAY), replace(CRL, this_update=AT))}, "VALID"),
    ],
)
def test_each_property_of_the_certificate_counts(change: dict[str, object], reason: str) -> None:
    assert judged(with_leaf(**change)).reason == reason


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (OwnCertificate("good"), "VALID"),
        (OwnCertificate("revoked"), "UNKNOWN_REVOKED_NO_TIME"),
        (OwnCertificate("revoked", AT + DAY), "VALID"),
        # What became known later was not known at the time in question.
        (OwnCertificate("revoked", AT + DAY, since=AT - DAY), "VALID"),
        (OwnCertificate("revoked", AT, since=AT - DAY), "UNKNOWN_REVOKED_NO_TIME"),
        (OwnCertificate("suspended", AT - DAY), "UNKNOWN_SUSPENDED"),
        (OwnCertificate("expired"), "UNKNOWN_REVOCATION"),
    ],
)
def test_the_inventory_speaks_for_our_own(own: OwnCertificate, reason: str) -> None:
    assert judged(with_leaf(crls=()), own).reason == reason


def test_integrity_speaks_before_trust_and_trust_before_time() -> None:
    worst = replace(GOOD, digest_ok=False, path=None, digest_algorithm="sha1")
    assert judged(worst).reason == "INVALID_MODIFIED"
    assert judged(replace(GOOD, path=None), at=AT + 400 * DAY).reason == "UNKNOWN_ISSUER"
    assert judged(with_leaf(not_after=AT - DAY, crls=())).reason == "UNKNOWN_EXPIRED_NO_TIME"


@pytest.mark.parametrize(
    ("members", "conclusion", "reason"),
    [
        ([GOOD, GOOD], "valid", "VALID"),
        ([GOOD, replace(GOOD, changes_after="permitted")], "valid", "VALID_EXTENDED"),
        ([GOOD, replace(GOOD, path=None)], "indeterminate", "UNKNOWN_ISSUER"),
        ([replace(GOOD, path=None), replace(GOOD, signature_ok=False)], "invalid", "INVALID_CRYPTO"),
        ([GOOD, replace(GOOD, type="timestamp", digest_ok=False)], "valid", "VALID"),
        ([replace(GOOD, type="timestamp")], "unsigned", "NOT_SIGNED"),
        ([], "unsigned", "NOT_SIGNED"),
    ],
)
def test_a_file_is_as_good_as_its_worst_signature(members: list[SignatureFacts], conclusion: str, reason: str) -> None:
    answer = judge_file(FileFacts("cc" * 32, 1, "PDF", signatures=tuple(members)), lambda _: None, AT, POLICY)
    assert (answer.conclusion, answer.reason) == (conclusion, reason)


@pytest.mark.parametrize(
    ("code", "reason"),
    [("UNREADABLE_ENCRYPTED", "UNREADABLE_ENCRYPTED"), ("VALID", "UNREADABLE_DAMAGED"), ("X", "UNREADABLE_DAMAGED")],
)
def test_a_code_from_the_judge_process_is_taken_over_only_from_the_table(code: str, reason: str) -> None:
    answer = judge_file(FileFacts("cc" * 32, 1, unreadable=code), lambda _: None, AT, POLICY)
    assert (answer.conclusion, answer.reason) == ("unreadable", reason)
