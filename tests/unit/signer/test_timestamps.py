"""A signature of level B-T bears our own time-stamp, others read it, and it proves when the signature was there, no more and no less."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import cms, x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from hsm import der
from hsm.errors import TokenAway
from hsm.spec import KeySpec
from signer.cms import timestamp_attribute
from signer.documents import open_intents
from signer.errors import Refused
from signer.evidence import OwnEvidence
from signer.timestamps import OwnTimestamper
from tests.attacks.documents import page_pdf
from tests.unit.signer.office import open_office

CONTENTS = re.compile(rb"/Contents\s*<([0-9a-fA-F]+)>")


@pytest.fixture
def office(tmp_path, judge):
    office = open_office(tmp_path, judge)
    yield office
    office.world.close()


def embedded(pdf: bytes) -> tuple[cms.ContentInfo, tuple[int, int]]:
    """The CMS of the last signature, and where its hex digits begin and end."""
    *_, found = CONTENTS.finditer(pdf)
    start, end = found.span(1)
    return cms.ContentInfo.load(bytes.fromhex(pdf[start:end].decode())), (start, end)


def token_of(pdf: bytes) -> bytes:
    (attribute,) = embedded(pdf)[0]["content"]["signer_infos"][0]["unsigned_attrs"]
    assert attribute["type"].native == "signature_time_stamp_token"
    (token,) = attribute["values"]
    return token.dump()


def children(element: bytes) -> list[bytes]:
    """The encodings side by side in a constructed one."""
    _, start, stop = der.element(element, 0)
    out = []
    while start < stop:
        _, _, end = der.element(element, start)
        out.append(element[start:end])
        start = end
    return out


def with_token(pdf: bytes, token: bytes) -> bytes:
    """The file with another token in the unsigned attributes, which nothing protects."""
    content, (start, end) = embedded(pdf)
    oid, explicit = children(content.dump())
    *before, signers = children(children(explicit)[0])
    parts = [part for part in children(children(signers)[0]) if part[0] != 0xA1]
    signer = der.sequence(*parts, timestamp_attribute(token))
    changed = der.sequence(oid, der.explicit(0, der.sequence(*before, der.set_of([signer]))))
    digits = changed.hex().encode()
    assert len(digits) <= end - start
    return pdf[:start] + digits.ljust(end - start, b"0") + pdf[end:]


def value_of(pdf: bytes) -> bytes:
    return embedded(pdf)[0]["content"]["signer_infos"][0]["signature"].native


@pytest.mark.parametrize("spec", [KeySpec.P_256, KeySpec.P_384, KeySpec.RSA_2048])
def test_the_token_is_over_the_signature_value(tmp_path, judge, spec):
    office = open_office(tmp_path, judge, spec)
    signed = office.sign()
    value = value_of(signed)
    info = cms.ContentInfo.load(token_of(signed))["content"]["encap_content_info"]["content"].parsed
    assert info["message_imprint"]["hashed_message"].native == hashlib.sha256(value).digest()
    judged = office.judged(signed)
    assert (judged.conclusion, judged.reason, judged.facts.level) == ("valid", "VALID", "PAdES-B-T")
    assert judged.proven_time == office.world.clock.now()
    office.world.close()


def test_another_library_finds_signature_and_timestamp_valid_and_trusted(office):
    signed = office.sign()
    root = x509.Certificate.load(office.world.root.certificate.public_bytes(Encoding.DER))
    context = ValidationContext(trust_roots=[root], moment=office.world.clock.now(), revocation_mode="soft-fail")
    (signature,) = PdfFileReader(io.BytesIO(signed)).embedded_signatures
    status = validate_pdf_signature(signature, context, ts_validation_context=context)
    assert status.bottom_line
    stamp = status.timestamp_validity
    assert (stamp.intact, stamp.valid, stamp.trusted) == (True, True, True)
    assert stamp.timestamp == office.world.clock.now()


def test_level_b_b_has_no_timestamp_and_proves_no_time(office):
    judged = office.judged(office.sign("B-B"))
    assert (judged.reason, judged.facts.level, judged.proven_time) == ("VALID", "PAdES-B-B", None)


def test_a_signature_with_proof_outlives_its_certificate(office):
    with_proof, without = office.sign(), office.sign("B-B")
    signed_at = office.world.clock.now()
    office.world.clock.advance(days=732)
    judged = office.judged(with_proof)
    assert (judged.conclusion, judged.reason, judged.proven_time) == ("valid", "VALID_LATER_EXPIRED", signed_at)
    assert office.judged(without).reason == "UNKNOWN_EXPIRED_NO_TIME"


def test_a_signature_with_proof_outlives_the_revocation_of_its_certificate(office):
    with_proof, without = office.sign(), office.sign("B-B")
    office.world.clock.advance(days=10)
    office.world.revoke(office.serial)
    office.world.clock.advance(days=1)
    judged = office.judged(with_proof)
    assert (judged.conclusion, judged.reason, judged.revocation) == ("valid", "VALID", "revoked")
    assert office.judged(without).reason == "UNKNOWN_REVOKED_NO_TIME"


def test_signed_and_stamped_after_the_key_became_suspect_is_invalid(office):
    office.world.clock.advance(days=10)
    with_proof, without = office.sign(), office.sign("B-B")
    office.world.clock.advance(days=1)
    office.world.revoke(office.serial, days=3)
    judged = office.judged(with_proof)
    assert (judged.conclusion, judged.reason, judged.sub_indication) == ("invalid", "INVALID_REVOKED", "REVOKED")
    assert office.judged(without).reason == "UNKNOWN_REVOKED_NO_TIME"


def test_a_stamp_that_came_after_the_revocation_does_not_prove_that_the_signing_did(office):
    signed = office.sign("B-B")
    value = value_of(signed)
    office.world.clock.advance(days=10)
    office.world.revoke(office.serial)
    office.world.clock.advance(days=1)
    later = with_token(signed, OwnTimestamper(office.services.tsa).timestamp(value))
    judged = office.judged(later)
    assert (judged.conclusion, judged.reason) == ("indeterminate", "UNKNOWN_REVOKED_NO_TIME")
    assert judged.proven_time == office.world.clock.now()


def test_a_hold_does_not_touch_what_was_proved_to_be_there_before_it(office):
    before = office.sign()
    office.world.clock.advance(days=1)
    office.world.revoke(office.serial, "certificateHold")
    judged = office.judged(before)
    assert (judged.reason, judged.revocation) == ("VALID", "suspended")


def broken_token(pdf: bytes) -> bytes:
    token = token_of(pdf)
    return with_token(pdf, token[:-1] + bytes((token[-1] ^ 1,)))


def test_a_damaged_token_takes_only_the_proof_away(office):
    signed = broken_token(office.sign())
    judged = office.judged(signed)
    assert (judged.conclusion, judged.reason, judged.proven_time) == ("valid", "VALID", None)
    office.world.clock.advance(days=732)
    assert office.judged(signed).reason == "UNKNOWN_EXPIRED_NO_TIME"


def test_the_token_of_another_signature_proves_nothing(office):
    first = office.sign()
    other = office.sign(pdf=page_pdf("Quyet dinh khac"))
    assert office.judged(with_token(first, token_of(other))).proven_time is None


@pytest.mark.parametrize("what", [der.sequence(), der.sequence(der.oid("1.2.3"), der.integer(1)), der.integer(5)])
def test_what_is_no_token_at_all_proves_nothing(office, what):
    signed = office.sign()
    assert office.judged(with_token(signed, what)).proven_time is None


def test_a_token_from_a_tsa_that_nobody_trusts_proves_nothing(office, tmp_path, judge):
    (tmp_path / "other").mkdir()
    stranger = open_office(tmp_path / "other", judge)
    signed = office.sign()
    value = value_of(signed)
    foreign = OwnTimestamper(stranger.services.tsa).timestamp(value)
    assert office.judged(with_token(signed, foreign)).proven_time is None
    stranger.world.close()


@pytest.mark.parametrize(("reason", "holds"), [("keyCompromise", False), ("unspecified", False), ("superseded", True)])
def test_a_revoked_tsa_proves_the_past_only_when_its_key_was_not_at_fault(office, reason, holds):
    signed = office.sign()
    stamped_at = office.world.clock.now()
    office.world.clock.advance(days=1)
    office.revoke_tsa(reason)
    office.world.clock.advance(days=1)
    judged = office.judged(signed)
    assert judged.conclusion == "valid"
    assert judged.proven_time == (stamped_at if holds else None)


def test_a_time_before_the_stamp_is_not_proved_by_it(office):
    signed = office.sign()
    judged = office.judged(signed, at=office.world.clock.now() - timedelta(hours=1) + timedelta(minutes=59))
    assert judged.proven_time is None


def test_without_a_tsa_the_signature_is_not_lost(office):
    office.revoke_tsa("superseded")
    judged = office.judged(office.sign())
    assert (judged.reason, judged.facts.level) == ("VALID", "PAdES-B-B")
    office.world.clock.advance(hours=1)
    with office.world.database.read() as session:
        assert open_intents(session, office.world.clock.now()) == []


def test_levels_that_are_not_there_are_refused(office):
    with pytest.raises(Refused) as refused:
        office.sign("B-X")
    assert refused.value.code == "LEVEL_UNAVAILABLE"
    office.deps = replace(office.deps, extender=None)
    for level in ("B-T", "B-LT", "B-LTA"):
        with pytest.raises(Refused):
            office.sign(level)


class StampsSomethingElse(OwnTimestamper):
    """A time-stamper whose answers belong to another signature."""

    def timestamp(self, signature: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
        return super().timestamp(signature + b"x", meanwhile)


class StampsNothing(OwnTimestamper):
    """A time-stamper that answers with an element that is no token."""

    def timestamp(self, signature: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
        return b"\x30\x00"


@pytest.mark.parametrize("kind", [StampsSomethingElse, StampsNothing])
def test_a_wrong_token_never_leaves_and_costs_no_signature(office, kind):
    office.deps = replace(office.deps, extender=replace(office.deps.extender, timestamper=kind(office.services.tsa)))
    signed = office.signed()
    assert (signed.level, signed.pending) == ("B-B", "B-T")
    assert embedded(signed.content)[0]["content"]["signer_infos"][0]["unsigned_attrs"].native is None
    assert office.judged(signed.content).conclusion == "valid"
    assert office.rows("SELECT failure FROM level_requests") == [("SELF_CHECK_FAILED",)]


class StampsDocumentsWrong(OwnTimestamper):
    """A time-stamper whose document time-stamps belong to another document."""

    def timestamp_digest(self, hashed: bytes) -> bytes:
        if not self.breaks:
            return super().timestamp_digest(hashed)
        return super().timestamp_digest(hashlib.sha256(hashed).digest())

    breaks = False

    def timestamp(self, signature: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
        token = super().timestamp(signature, meanwhile)
        self.breaks = True
        return token


def test_a_wrong_archive_time_stamp_never_leaves_and_costs_neither_signature_nor_proofs(office):
    office.world.crls()
    stamper = StampsDocumentsWrong(office.services.tsa)
    office.deps = replace(office.deps, extender=replace(office.deps.extender, timestamper=stamper))
    signed = office.signed("B-LTA")
    assert (signed.level, signed.pending) == ("B-LT", "B-LTA")
    assert office.judged(signed.content).facts.level == "PAdES-B-LT"
    assert office.rows("SELECT failure FROM level_requests") == [("SELF_CHECK_FAILED",)]


class WorksMeanwhile(OwnTimestamper):
    """A time-stamper whose key is in another process: what may be done while that signs is done, twice because a second server may be asked."""

    def timestamp(self, signature: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
        assert meanwhile is not None
        token = super().timestamp(signature)
        meanwhile()
        meanwhile()
        return token


class CountsAnswers:
    """The responder, which fails as often as it is told to first."""

    def __init__(self, responder, failures):
        self.responder, self.failures, self.asked = responder, failures, []

    def about(self, authority, serial):
        self.asked.append(serial)
        if self.failures:
            self.failures -= 1
            raise TokenAway("away", retry_after="1", reason="told to")
        return self.responder.about(authority, serial)


@pytest.mark.parametrize(("failures", "asked"), [(0, 1), (1, 2), (2, 3), (9, 3)])
def test_evidence_is_asked_for_while_the_time_stamp_is_made_and_again_only_when_it_failed(office, failures, asked):
    office.world.crls()
    extender = office.deps.extender
    answers = CountsAnswers(office.services.ocsp, failures)
    evidence = OwnEvidence(office.world.database, office.world.clock, answers)
    stamper = WorksMeanwhile(office.services.tsa)
    office.deps = replace(office.deps, extender=replace(extender, timestamper=stamper, evidence=evidence))
    signed = office.signed("B-LT")
    assert signed.level == ("B-LT" if failures < 9 else "B-T")
    assert answers.asked.count(office.serial) == asked
    assert office.judged(signed.content).facts.level == f"PAdES-{signed.level}"
