"""Real files, judged by each policy: algorithms by date, freshness, usages, proofs; and the same again from recorded facts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ReasonFlags

from signer.errors import UsageWrong
from signer.sandbox import Judge
from signer.validation.dossier import Dossier, parse_dossier
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.validation.policy import Policy
from signer.validation.reasons import REASONS
from signer.validation.rules import SHIPPED, load_policy, parse_policy
from signer.validation.verdict import Verdict, verdict_of
from signer.verification import Known, Verifier, verify_file
from tests.attacks import documents
from tests.attacks.pki import NOW, Party, Pki, build_pki, make, make_crl, usage
from tests.fakes.clock import FixedClock
from tests.unit.signer.validation.test_rules import OWN

PAGE = documents.page_pdf()
DAY = timedelta(days=1)
IN_2012 = datetime(2012, 6, 1, 9, 0, tzinfo=UTC)
ALWAYS = {"not_before": datetime(2008, 1, 1, tzinfo=UTC), "not_after": datetime(2040, 1, 1, tzinfo=UTC)}
# What real files below give, file by file; the test at the end holds them against the table.
SEEN: set[tuple[str, str | None]] = set()


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(preload=("gather",)) as judge:
        yield judge


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


class Bench:
    """Judges files by what one tree of certificates gives."""

    def __init__(self, judge: Judge, *anchors: Party) -> None:
        self.judge = judge
        self.anchors = tuple(TrustAnchor(each.der, "internal") for each in anchors)

    def verdict(
        self, pdf: bytes, crls: Sequence[bytes], policy: str | Policy = "vn-2025", at: datetime = NOW
    ) -> Verdict:
        inputs = ValidationInputs(at=at, anchors=self.anchors, crls=tuple(crls))
        rules = load_policy(policy) if isinstance(policy, str) else policy
        verdict = verify_file(pdf, "a.pdf", Verifier(self.judge, inputs, lambda *_: Known(), FixedClock(at), rules))
        for each in verdict.judged.signatures:
            SEEN.add((each.reason, each.sub_indication))
        return verdict

    def word(self, *asked: object, **more: object) -> tuple[str, str | None]:
        """Reason and sub-indication of the one signature."""
        verdict = self.verdict(*asked, **more)  # type: ignore[arg-type]
        (signature,) = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
        return signature.reason, signature.sub_indication


@pytest.fixture(scope="module")
def bench(judge: Judge, pki: Pki) -> Bench:
    return Bench(judge, pki.root)


@pytest.fixture(scope="module")
def signed(pki: Pki) -> bytes:
    return documents.sign(PAGE, pki.officer)


@pytest.fixture(scope="module")
def old(judge: Judge) -> tuple[Bench, Party, Party]:
    """A tree that has been there since 2008, its officer with a weak key, and a time-stamping authority."""
    root = make("Gốc cũ", ca=True, **ALWAYS)
    officer = make("Người ký cũ", root, key=rsa.generate_private_key(65537, 1024), **ALWAYS)
    tsa = make(
        "TSA cũ", root, key=rsa.generate_private_key(65537, 3072), timestamping=True,
        key_usage=usage(digital_signature=True), **ALWAYS,
    )  # fmt: skip
    return Bench(judge, root), officer, tsa


def lists_of(root: Party, *moments: datetime) -> list[bytes]:
    return [make_crl(root, this_update=each - DAY, next_update=each + 6 * DAY) for each in moments]


def test_what_was_weak_only_later_is_good_with_a_proof_of_its_time(old: tuple[Bench, Party, Party]) -> None:
    bench, officer, tsa = old
    assert officer.issuer is not None
    pdf = documents.sign(PAGE, officer, digest="sha1")
    lists = lists_of(officer.issuer, NOW, IN_2012)
    assert bench.word(pdf, lists, "basic") == ("UNKNOWN_ALGORITHM", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")
    proved = documents.timestamped(pdf, tsa, IN_2012)
    assert bench.word(proved, lists, "basic") == ("VALID_EXTENDED", None)
    # SHA-1 ended there in August 2012; and here it never began.
    later = documents.timestamped(pdf, tsa, IN_2012 + 90 * DAY)
    lists_later = lists_of(officer.issuer, NOW, IN_2012 + 90 * DAY)
    assert bench.word(later, lists_later, "basic") == ("VALID_EXTENDED", None)
    assert bench.word(later, lists_later, "eidas") == ("UNKNOWN_ALGORITHM", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")
    assert bench.word(proved, lists, "vn-2025") == ("UNKNOWN_ALGORITHM", "CRYPTO_CONSTRAINTS_FAILURE")


def test_what_is_proved_to_be_made_after_the_end_of_its_algorithm_has_no_excuse(
    old: tuple[Bench, Party, Party],
) -> None:
    bench, officer, tsa = old
    assert officer.issuer is not None
    after = datetime(2020, 1, 1, tzinfo=UTC)
    first = documents.timestamped(PAGE, tsa, after)
    late = documents.timestamped(documents.sign(first, officer, "Sig2", digest="sha1"), tsa, after + DAY)
    lists = lists_of(officer.issuer, NOW, after)
    assert bench.word(late, lists, "basic") == ("UNKNOWN_ALGORITHM", "CRYPTO_CONSTRAINTS_FAILURE")


def test_the_three_policies_differ_in_freshness_and_usage(bench: Bench, pki: Pki, signed: bytes) -> None:
    stale = [make_crl(pki.root), make_crl(pki.issuing, this_update=NOW - 9 * DAY)]
    words = {name: bench.word(signed, stale, name) for name in SHIPPED}
    assert words == {
        "vn-2025": ("VALID", None), "basic": ("VALID", None), "eidas": ("UNKNOWN_REVOCATION", "TRY_LATER"),
    }  # fmt: skip
    assert bench.word(signed, pki.crls(), "eidas") == ("VALID", None)
    first = documents.sign(PAGE, make("Thế hệ một", pki.issuing, key_usage=usage(digital_signature=True)))
    words = {name: bench.word(first, pki.crls(), name) for name in SHIPPED}
    refused = ("UNKNOWN_KEY_USAGE", "CHAIN_CONSTRAINTS_FAILURE")
    assert words == {"vn-2025": ("VALID", None), "basic": ("VALID", None), "eidas": refused}


def test_a_policy_of_ones_own_may_ask_for_a_proof_of_time(bench: Bench, pki: Pki, signed: bytes) -> None:
    strict = parse_policy(OWN.replace(b"proof_required = false", b"proof_required = true"), "own.toml")
    assert bench.word(signed, pki.crls(), strict) == ("UNKNOWN_TIME", "NO_POE")
    assert bench.word(documents.timestamped(signed, pki.tsa), pki.crls(), strict) == ("VALID_EXTENDED", None)


def test_no_list_of_a_weak_digest_speaks(bench: Bench, pki: Pki, signed: bytes) -> None:
    no_sha256 = OWN.replace(b'sha256 = "no-end"', b'sha256 = "2026-11-21"')
    policy = parse_policy(no_sha256, "own.toml")
    assert bench.word(signed, pki.crls(), policy) == ("VALID", None)
    later = NOW + 2 * DAY
    assert bench.word(signed, pki.crls(), policy, at=later)[0] == "UNKNOWN_ALGORITHM"
    assert bench.verdict(signed, pki.crls(), policy, at=later).judged.signatures[0].revocation == "unknown"


def revocation(pki: Pki, when: datetime, reason: ReasonFlags = ReasonFlags.key_compromise) -> list[bytes]:
    return [make_crl(pki.root), make_crl(pki.issuing, {pki.officer.certificate.serial_number: (when, reason)})]


def test_revocation_and_end_with_and_without_proof(bench: Bench, pki: Pki, signed: bytes) -> None:
    stamped = documents.timestamped(signed, pki.tsa)
    assert bench.word(signed, revocation(pki, NOW - DAY)) == ("UNKNOWN_REVOKED_NO_TIME", "REVOKED_NO_POE")
    assert bench.word(stamped, revocation(pki, NOW + timedelta(hours=1))) == ("VALID_EXTENDED", None)
    # Claimed and proved to be later than the revocation.
    claimed_later = revocation(pki, datetime(2020, 1, 1, tzinfo=UTC))
    assert bench.word(stamped, claimed_later) == ("INVALID_REVOKED", "REVOKED")
    suspended = revocation(pki, NOW - DAY, ReasonFlags.certificate_hold)
    assert bench.word(signed, suspended) == ("UNKNOWN_SUSPENDED", "TRY_LATER")
    above = {pki.issuing.certificate.serial_number: (NOW - DAY, ReasonFlags.ca_compromise)}
    lists = [make_crl(pki.root, above), make_crl(pki.issuing)]
    assert bench.word(signed, lists) == ("UNKNOWN_REVOKED_NO_TIME", "REVOKED_CA_NO_POE")
    ended = make("Hết hạn", pki.issuing, not_after=NOW - DAY)
    assert bench.word(documents.sign(PAGE, ended), pki.crls()) == ("UNKNOWN_EXPIRED_NO_TIME", "OUT_OF_BOUNDS_NO_POE")
    late = documents.timestamped(documents.sign(PAGE, ended), pki.tsa)
    assert bench.word(late, pki.crls()) == ("INVALID_EXPIRED", "EXPIRED")
    begins = make("Chưa hiệu lực", pki.issuing, not_before=NOW + DAY)
    assert bench.word(documents.sign(PAGE, begins), pki.crls()) == ("INVALID_NOT_YET_VALID", "NOT_YET_VALID")


def test_integrity_and_paths_do_not_depend_on_the_policy(bench: Bench, pki: Pki, signed: bytes, judge: Judge) -> None:
    changed = signed.replace(b"Generated", b"Generater", 1)
    end = signed.rindex(b"/Contents <") + len(b"/Contents <")
    digits = signed[end : signed.index(b">", end)].rstrip(b"0")
    other = signed[:end] + digits[:-2] + (b"00" if digits[-2:] != b"00" else b"01") + signed[end + len(digits) :]
    malformed = signed.replace(b"/ByteRange [0 ", b"/ByteRange [1 ", 1)
    for name in SHIPPED:
        assert bench.word(changed, pki.crls(), name) == ("INVALID_MODIFIED", "HASH_FAILURE")
        assert bench.word(documents.with_annotation(signed), pki.crls(), name)[1] == "FORMAT_FAILURE"
        assert bench.word(other, pki.crls(), name) == ("INVALID_CRYPTO", "SIG_CRYPTO_FAILURE")
        assert bench.word(malformed, pki.crls(), name)[0] in ("INVALID_FORMAT", "INVALID_MODIFIED")
        lost = Bench(judge, build_pki().root).word(signed, pki.crls(), name)
        assert lost == ("UNKNOWN_ISSUER", "NO_CERTIFICATE_CHAIN_FOUND")
        assert bench.word(signed, [], name) == ("UNKNOWN_REVOCATION", "TRY_LATER")


def test_other_open_questions(bench: Bench, pki: Pki, judge: Judge) -> None:
    fenced = make("CA giới hạn", ca=True, permitted_dns="KR")
    outside = documents.sign(PAGE, make("Ngoài giới hạn", fenced))
    word = Bench(judge, fenced).word(outside, [make_crl(fenced)])
    assert word == ("UNKNOWN_CHAIN", "CHAIN_CONSTRAINTS_FAILURE")
    shadow = documents.with_other_appearance(documents.sign(PAGE, pki.officer))
    assert bench.word(shadow, pki.crls()) == ("UNKNOWN_CHANGES", "GENERIC")


def test_facts_that_were_written_down_are_judged_the_same_again(bench: Bench, pki: Pki, signed: bytes) -> None:
    files = [
        signed, documents.timestamped(signed, pki.tsa), signed.replace(b"Generated", b"Generater", 1), PAGE,
        documents.sign(documents.filled(signed), pki.seal, "Sig2"),
    ]  # fmt: skip
    for pdf in files:
        for name in SHIPPED:
            verdict = bench.verdict(pdf, revocation(pki, NOW - DAY), name)
            assert verdict.dossier is not None
            again = parse_dossier(json.dumps(verdict.dossier.to_json()).encode(), "facts.json")
            assert again == verdict.dossier
            assert verdict_of(again, verdict.policy).to_json() == verdict.to_json()
            others = [verdict_of(again, load_policy(other)).policy.name for other in SHIPPED]
            assert others == list(SHIPPED)


@pytest.mark.parametrize("wrong", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"schema": "antin-facts-1"}'])
def test_what_holds_no_facts_is_refused(wrong: bytes) -> None:
    with pytest.raises(UsageWrong, match="FACTS_FILE_WRONG"):
        parse_dossier(wrong, "facts.json")


def test_no_proof_comes_from_the_future(bench: Bench, pki: Pki, signed: bytes) -> None:
    stamped = documents.timestamped(signed, pki.tsa, NOW)
    lists = [*pki.crls(), *lists_of(pki.root, NOW - 10 * DAY), *lists_of(pki.issuing, NOW - 10 * DAY)]
    now = bench.verdict(stamped, lists).judged.signatures[0]
    assert (now.proven_time, now.best_time) == (NOW, NOW)
    then = bench.verdict(stamped, lists, at=NOW - 10 * DAY).judged.signatures[0]
    assert (then.reason, then.proven_time, then.best_time) == ("UNKNOWN_CLAIMED_TIME", None, NOW - 10 * DAY)
    # Lists of today say nothing about ten days ago.
    assert bench.verdict(stamped, pki.crls(), at=NOW - 10 * DAY).judged.reason == "UNKNOWN_REVOCATION"
    assert Dossier.__doc__


def test_who_claims_to_have_signed_later_has_not_signed_by_then(bench: Bench, pki: Pki) -> None:
    then, lists = NOW - 10 * DAY, lists_of(pki.root, NOW - 10 * DAY) + lists_of(pki.issuing, NOW - 10 * DAY)
    earlier = documents.sign(PAGE, pki.officer, claimed=then - DAY)
    assert bench.word(earlier, lists, at=then) == ("VALID", None)
    for claimed in (then + DAY, then + timedelta(minutes=6)):
        later = documents.sign(PAGE, pki.officer, claimed=claimed)
        assert bench.word(later, lists, at=then) == ("UNKNOWN_CLAIMED_TIME", "SIG_CONSTRAINTS_FAILURE")
    # A clock that is a little ahead, and one that a time-stamp proves wrong.
    assert (
        bench.word(documents.sign(PAGE, pki.officer, claimed=then + timedelta(minutes=4)), lists, at=then)[0] == "VALID"
    )
    stamped = documents.timestamped(documents.sign(PAGE, pki.officer, claimed=then + DAY), pki.tsa, then - DAY)
    assert bench.word(stamped, lists, at=then) == ("VALID_EXTENDED", None)


def test_every_sub_indication_of_the_table_was_given_by_a_real_file() -> None:
    wanted = {
        sub
        for row in REASONS.values()
        if row.conclusion in ("valid", "invalid", "indeterminate")
        for sub in row.sub_indications
    }
    # A signature that names no certificate or another one, or comes without what it signed, is tests/attacks'.
    assert {sub for _, sub in SEEN} >= wanted - {"NO_SIGNING_CERTIFICATE_FOUND", "SIGNED_DATA_NOT_FOUND"}
