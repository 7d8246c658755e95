"""What time-stamps prove, on facts made by hand: newest first, each judged when it is known to have existed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from signer.validation.facts import CertificateFacts, FileFacts, PathFacts, SignatureFacts, TokenFacts
from signer.validation.policy import JudgedSignature, OwnCertificate, judge_file, load_policy

AT = datetime(2030, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = load_policy()
ANCHOR = "bb" * 32


def certificate(name: str, *, start: datetime, end: datetime, stamps: bool = False) -> CertificateFacts:
    purposes = ("time_stamping",) if stamps else None
    return CertificateFacts(
        sha256=name, subject=f"CN={name}", common_name=name, organization=None, serial="01", issuer="CN=CA",
        not_before=start, not_after=end, key_type="ec", key_bits=256, signature_hash="sha256",
        key_usage=("digital_signature",) if stamps else ("non_repudiation",), der="",
        extended_key_usage=purposes, extended_key_usage_critical=stamps,
    )  # fmt: skip


def path(leaf: CertificateFacts) -> PathFacts:
    return PathFacts("internal", ANCHOR, (leaf,))


SIGNER = certificate("signer", start=AT - 900 * DAY, end=AT - 200 * DAY)
OLD_TSA = certificate("old-tsa", start=AT - 900 * DAY, end=AT - 100 * DAY, stamps=True)
NEW_TSA = certificate("new-tsa", start=AT - 300 * DAY, end=AT + 300 * DAY, stamps=True)


def token(days_ago: float, tsa: CertificateFacts, **changes: object) -> TokenFacts:
    good = TokenFacts(
        digest_ok=True, signature_ok=True, ess="ok", digest_algorithm="sha256", signature_algorithm="ecdsa",
        time=AT - days_ago * DAY, signer=tsa, path=path(tsa),
    )  # fmt: skip
    return replace(good, **changes)


def signature(end: int = 100, *tokens: TokenFacts, claimed: float = 400, changes: str = "none") -> SignatureFacts:
    return SignatureFacts(
        "Sig1", "signature", "/ETSI.CAdES.detached", digest_ok=True, signature_ok=True, ess="ok",
        coverage="whole-file", changes_after=changes, level="PAdES-B-B", digest_algorithm="sha256",
        signature_algorithm="ecdsa", signer=SIGNER, path=path(SIGNER), claimed_time=AT - claimed * DAY,
        revision_end=end, timestamps=tokens,
    )  # fmt: skip


def stamp(end: int, days_ago: float, tsa: CertificateFacts, **changes: object) -> SignatureFacts:
    good = SignatureFacts(
        f"Stamp{end}", "timestamp", "/ETSI.RFC3161", digest_ok=True, signature_ok=True, ess="ok",
        coverage="earlier-revision", changes_after="permitted", level="DocTimeStamp", digest_algorithm="sha256",
        signature_algorithm="ecdsa", signer=tsa, path=path(tsa), claimed_time=AT - days_ago * DAY, revision_end=end,
    )  # fmt: skip
    return replace(good, **changes)


def judged(*facts: SignatureFacts, at: datetime = AT, **own: OwnCertificate) -> tuple[JudgedSignature, ...]:
    known = {name.replace("_", "-"): status for name, status in own.items()}
    file = FileFacts("00" * 32, 1000, signatures=facts)
    return judge_file(file, lambda sha256: known.get(sha256, OwnCertificate("good")), at, POLICY).signatures


def test_a_signature_timestamp_proves_its_time():
    (answer,) = judged(signature(100, token(400, NEW_TSA, time=AT - 250 * DAY)))
    assert (answer.reason, answer.proven_time) == ("VALID_LATER_EXPIRED", AT - 250 * DAY)


def test_the_earliest_time_that_is_proved_counts():
    sig = signature(100, token(210, NEW_TSA), token(250, NEW_TSA), changes="permitted")
    first, _ = judged(sig, stamp(200, 205, NEW_TSA))
    assert first.proven_time == AT - 250 * DAY


def test_an_ended_timestamp_alone_proves_nothing_any_more():
    (answer,) = judged(signature(100, token(400, OLD_TSA)))
    assert (answer.reason, answer.proven_time) == ("UNKNOWN_EXPIRED_NO_TIME", None)


def test_a_newer_document_timestamp_keeps_an_ended_one_alive():
    answers = judged(signature(100, token(400, OLD_TSA), changes="permitted"), stamp(200, 150, NEW_TSA))
    assert (answers[0].reason, answers[0].proven_time) == ("VALID_EXTENDED", AT - 400 * DAY)


def test_a_newer_one_that_came_after_the_end_of_the_older_saves_nothing():
    answers = judged(signature(100, token(400, OLD_TSA), changes="permitted"), stamp(200, 50, NEW_TSA))
    assert answers[0].reason == "UNKNOWN_EXPIRED_NO_TIME"
    assert answers[0].proven_time == AT - 50 * DAY


def test_a_chain_of_document_timestamps_is_followed_down():
    middle = certificate("middle", start=AT - 500 * DAY, end=AT - 120 * DAY, stamps=True)
    sig = signature(100, changes="permitted")
    answers = judged(sig, stamp(200, 350, middle), stamp(300, 150, NEW_TSA))
    assert [answer.conclusion for answer in answers] == ["valid"] * 3
    assert answers[0].proven_time == AT - 350 * DAY
    assert judged(sig, stamp(200, 350, middle))[0].reason == "UNKNOWN_EXPIRED_NO_TIME"


def test_a_document_timestamp_proves_only_what_it_covers():
    answers = judged(stamp(50, 250, NEW_TSA), signature(100))
    assert answers[1].proven_time is None


@pytest.mark.parametrize(
    "changes",
    [
        {"digest_ok": False},
        {"signature_ok": False},
        {"problem": "NOT_A_TIMESTAMP"},
        {"ess": "absent"},
        {"ess": "mismatch"},
        {"digest_algorithm": "sha1"},
        {"pairing_ok": False},
        {"path": None},
        {"path": replace(path(NEW_TSA), problem="PathValidationError")},
        {"time": None},
        {"time": AT + DAY},
        {"time": NEW_TSA.not_before - DAY},
        {"signer": replace(NEW_TSA, extended_key_usage=None)},
        {"signer": replace(NEW_TSA, extended_key_usage=("time_stamping", "code_signing"))},
        {"signer": replace(NEW_TSA, extended_key_usage_critical=False)},
    ],
)
def test_a_token_with_one_thing_wrong_proves_nothing_and_harms_nothing(changes):
    wrong = signature(100, token(250, NEW_TSA, **changes))
    (answer,) = judged(wrong)
    assert (answer.reason, answer.proven_time) == ("UNKNOWN_EXPIRED_NO_TIME", None)
    (earlier,) = judged(wrong, at=SIGNER.not_after - DAY)
    assert (earlier.reason, earlier.proven_time) == ("VALID", None)
    (beside,) = judged(signature(100, token(250, NEW_TSA, **changes), token(240, NEW_TSA)))
    assert beside.proven_time == AT - 240 * DAY


def test_a_changed_document_timestamp_proves_nothing_and_counts_for_nothing():
    sig = signature(100, changes="permitted")
    for changes in ({"changes_after": "forbidden"}, {"findings": ("GAP_NOT_CONTENTS",)}, {"digest_ok": False}):
        answers = judged(sig, stamp(200, 250, NEW_TSA, **changes), at=SIGNER.not_after - DAY)
        assert answers[0].reason == "VALID_EXTENDED"
        assert answers[0].proven_time is None
        assert answers[1].conclusion == "invalid"
        assert answers[1].proven_time is None


def revoked(days_ago: float, reason: str = "keyCompromise") -> OwnCertificate:
    return OwnCertificate("revoked", AT - days_ago * DAY, reason)


def test_revoked_after_the_proof_is_valid_and_says_revoked():
    (answer,) = judged(signature(100, token(250, NEW_TSA)), signer=revoked(240))
    assert (answer.conclusion, answer.revocation) == ("valid", "revoked")


def test_revoked_before_the_proof_is_invalid_only_when_the_signing_came_after_too():
    claims_before = signature(100, token(250, NEW_TSA), claimed=400)
    assert judged(claims_before, signer=revoked(300))[0].reason == "UNKNOWN_REVOKED_NO_TIME"
    claims_after = signature(100, token(250, NEW_TSA), claimed=260)
    (answer,) = judged(claims_after, signer=revoked(300))
    assert (answer.reason, answer.sub_indication) == ("INVALID_REVOKED", "REVOKED")


def test_a_signature_over_a_token_of_a_later_time_was_made_after_the_revocation_whatever_it_claims():
    # The first signer is somebody else, whose token of day 250 stands in what the second signature covers.
    other = certificate("other", start=AT - 900 * DAY, end=AT + DAY)
    first = replace(signature(50, token(250, NEW_TSA), changes="permitted"), signer=other, path=path(other))
    second = signature(100, claimed=400)
    answers = judged(first, second, signer=revoked(300))
    assert answers[1].reason == "INVALID_REVOKED"
    assert judged(second, first, signer=revoked(200))[0].reason == "UNKNOWN_REVOKED_NO_TIME"


def test_signed_after_the_end_of_the_certificate_is_invalid_when_the_signer_says_so_too():
    late = token(100, NEW_TSA)
    assert judged(signature(100, late, claimed=101))[0].reason == "INVALID_EXPIRED"
    assert judged(signature(100, late, claimed=300))[0].reason == "UNKNOWN_EXPIRED_NO_TIME"


def test_proved_before_the_certificate_began_is_invalid():
    early = replace(SIGNER, not_before=AT - 220 * DAY)
    facts = replace(signature(100, token(250, NEW_TSA)), signer=early, path=path(early))
    assert judged(facts)[0].reason == "INVALID_NOT_YET_VALID"


@pytest.mark.parametrize(
    ("reason", "proves"),
    [
        ("superseded", True), ("affiliationChanged", True), ("cessationOfOperation", True),
        ("keyCompromise", False), ("unspecified", False), ("cACompromise", False),
    ],
)  # fmt: skip
def test_what_a_revoked_tsa_stamped_before_stands_by_its_reason(reason, proves):
    (answer,) = judged(signature(100, token(250, NEW_TSA)), new_tsa=revoked(100, reason))
    assert (answer.proven_time is not None) is proves
    (after,) = judged(signature(100, token(250, NEW_TSA)), new_tsa=revoked(251, reason))
    assert after.proven_time is None


def test_a_compromised_tsa_is_believed_for_what_a_sound_one_proves_to_be_older():
    sig = signature(100, token(250, OLD_TSA, signer=OLD_TSA), changes="permitted")
    answers = judged(sig, stamp(200, 150, NEW_TSA), old_tsa=revoked(140))
    assert answers[0].proven_time == AT - 250 * DAY
    answers = judged(sig, stamp(200, 150, NEW_TSA), old_tsa=revoked(160))
    assert answers[0].proven_time == AT - 150 * DAY


def test_a_revoked_intermediate_is_never_called_the_signers_fault():
    intermediate = certificate("issuing", start=AT - 900 * DAY, end=AT + 900 * DAY)
    chain = PathFacts("internal", ANCHOR, (SIGNER, intermediate))
    facts = replace(signature(100, token(250, NEW_TSA), claimed=260), path=chain)
    (answer,) = judged(facts, issuing=revoked(300))
    assert (answer.reason, answer.sub_indication) == ("UNKNOWN_REVOKED_NO_TIME", "REVOKED_CA_NO_POE")
    assert judged(facts, issuing=revoked(240))[0].conclusion == "valid"
