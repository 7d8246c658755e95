"""Raising files: ours and strangers', several signatures, what is refused; and levels that were missed are reached later."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.x509 import ReasonFlags
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, MDPPerm, SigFieldSpec, append_signature_field
from sqlalchemy import text

from certs.errors import DatabaseUnavailable
from pki.service_keys import ServiceKind
from signer.documents import document_by_code
from signer.errors import InputUnreadable, Refused, Unavailable, UsageWrong
from signer.evidence import OwnEvidence
from signer.leveling import LevelingDeps, has_due, reach_due
from signer.levels import LEVELS
from signer.password import Password
from signer.raising import upgrade_document, upgrade_file
from signer.recall import recall_document
from signer.renewal import has_renewals, renew_due
from signer.signing_parts import EarlierSignatures
from signer.storage import BlobStore
from signer.timestamps import OwnTimestamper
from signer.upgrading import UpgradeDeps
from signer.validation.facts import TrustAnchor, ValidationInputs
from tests.attacks.documents import page_pdf, sign, with_stream_tables
from tests.attacks.pki import NOW, Pki, build_pki, make_crl
from tests.unit.pki.services import make_service
from tests.unit.signer.office import PDF, Office
from tests.world import ADMIN


@pytest.fixture(scope="module")
def pki() -> Pki:
    """Authorities and an officer of somebody else."""
    return build_pki()


def upgrading(office: Office, extra: ValidationInputs | None = None) -> UpgradeDeps:
    return office.upgrading(extra)


def raised(office: Office, pdf: bytes, level: str, extra: ValidationInputs | None = None) -> bytes:
    return upgrade_file(pdf, level, ADMIN, leveling(office, extra)).content


def refusal(office: Office, pdf: bytes, level: str, extra: ValidationInputs | None = None) -> str:
    with pytest.raises((Refused, InputUnreadable, Unavailable)) as refused:
        raised(office, pdf, level, extra)
    return refused.value.code


@pytest.mark.parametrize(
    ("before", "level"), [(a, b) for a in LEVELS for b in LEVELS if LEVELS.index(a) < LEVELS.index(b)]
)
def test_every_level_is_reached_from_every_lower_one(office, before, level):
    pdf = office.sign(before)
    office.world.clock.advance(days=2)
    higher = raised(office, pdf, level)
    assert higher.startswith(pdf)
    judged = office.judged(higher)
    assert (judged.conclusion, judged.facts.reached) == ("valid", level)
    assert judged.proven_time is not None
    assert "document.extend" in [action for (action,) in office.rows("SELECT action FROM audit")]


def test_two_signatures_are_raised_together(office):
    pdf = office.sign("B-T", office.sign("B-B"))
    higher = raised(office, pdf, "B-LTA")
    verdict = office.judging.verify(higher, "a.pdf")
    signatures = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
    assert [(each.conclusion, each.facts.reached) for each in signatures] == [("valid", "B-LTA")] * 2


def test_a_raised_signature_outlives_its_certificate(office):
    pdf = raised(office, office.sign("B-B"), "B-LTA")
    office.world.clock.advance(days=10)
    office.world.revoke(office.serial)
    office.world.clock.advance(days=800)
    assert office.judged(pdf).conclusion == "valid"


def trusting(office: Office, pki: Pki, *, lists: bool) -> ValidationInputs:
    anchor = TrustAnchor(pki.root.der, "unknown")
    return ValidationInputs(office.world.clock.now(), (anchor,), (), pki.crls() if lists else ())


def test_a_strangers_file_is_raised_with_the_lists_that_are_given(office, pki):
    pdf = sign(PDF, pki.officer)
    assert refusal(office, pdf, "B-LT") == "UPGRADE_ISSUER_UNKNOWN"
    assert raised(office, pdf, "B-T").startswith(pdf)
    assert refusal(office, pdf, "B-LT", trusting(office, pki, lists=False)) == "REVOCATION_UNAVAILABLE"
    higher = raised(office, pdf, "B-LT", trusting(office, pki, lists=True))
    verdict = office.judging.verify(higher, "a.pdf", extra=trusting(office, pki, lists=False))
    (signature,) = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
    assert (signature.conclusion, signature.facts.level) == ("valid", "PAdES-B-LT")


def test_a_stranger_whose_certificate_is_revoked_is_refused(office, pki):
    revoked = {pki.officer.certificate.serial_number: (NOW - timedelta(hours=2), ReasonFlags.key_compromise)}
    lists = (make_crl(pki.root), make_crl(pki.issuing, revoked))
    extra = replace(trusting(office, pki, lists=False), crls=lists)
    assert refusal(office, sign(PDF, pki.officer), "B-T", extra) == "UPGRADE_TOO_LATE"


@pytest.mark.parametrize("permission", list(MDPPerm))
@pytest.mark.parametrize("build", [lambda pdf: pdf, with_stream_tables])
def test_a_certified_file_takes_proofs_whatever_it_permits(office, pki, permission, build):
    # ISO 32000-2 12.8.2.2.2: store and document time-stamps are no changes, not even with P=1.
    pdf = sign(build(PDF), pki.officer, certify=permission)
    extra = trusting(office, pki, lists=True)
    higher = raised(office, pdf, "B-LTA", extra)
    verdict = office.judging.verify(higher, "a.pdf", extra=extra)
    (signature,) = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
    assert (signature.conclusion, signature.facts.changes_after, signature.facts.reached) == (
        "valid",
        "permitted",
        "B-LTA",
    )


def test_a_document_time_stamp_that_would_break_a_lock_of_every_field_is_not_handed_out(office, pki):
    # A document time-stamp is a new field, and the judge counts it as a change of what is locked (ISO 32000-2 12.8.2.4).
    writer = IncrementalPdfFileWriter(io.BytesIO(PDF))
    lock = FieldMDPSpec(FieldMDPAction.ALL)
    append_signature_field(writer, SigFieldSpec("Sig1", box=(300, 100, 400, 160), field_mdp_spec=lock))
    out = io.BytesIO()
    writer.write(out)
    pdf = sign(out.getvalue(), pki.officer, new_field=False)
    assert b"/FieldMDP" in pdf
    assert refusal(office, pdf, "B-LTA", trusting(office, pki, lists=True)) == "WOULD_BREAK_EARLIER"


def test_what_cannot_be_raised_is_refused(office):
    assert refusal(office, b"no file", "B-T") == "INPUT_NOT_PDF"
    assert refusal(office, PDF, "B-LT") == "UPGRADE_UNSIGNED"
    signed = office.sign("B-LT")
    assert refusal(office, signed, "B-T") == refusal(office, signed, "B-LT") == "LEVEL_ALREADY_REACHED"
    assert refusal(office, raised(office, signed, "B-LTA"), "B-LTA") == "LEVEL_ALREADY_REACHED"
    assert refusal(office, signed, "B-B") == "LEVEL_UNAVAILABLE"
    assert refusal(office, signed.replace(b"/MediaBox", b"/mediaBox", 1), "B-LTA") == "UPGRADE_NOT_SOUND"


def test_a_revoked_signer_without_proof_of_time_is_too_late_and_with_it_is_not(office):
    bare, stamped = office.sign("B-B"), office.sign("B-T")
    office.world.clock.advance(days=1)
    office.world.revoke(office.serial)
    office.world.clock.advance(days=1)
    assert refusal(office, bare, "B-LT") == "UPGRADE_TOO_LATE"
    assert office.judged(raised(office, stamped, "B-LTA")).conclusion == "valid"


def test_an_archive_stamp_is_renewed_when_its_certificate_nears_its_end(office):
    pdf = office.sign("B-LTA")
    office.world.clock.advance(days=5 * 365 * 2 // 3 + 30)
    make_service(office.world, ServiceKind.OCSP)
    make_service(office.world, ServiceKind.TSA)
    office.world.crls()
    renewed = raised(office, pdf, "B-LTA")
    assert renewed.startswith(pdf)
    office.world.clock.advance(days=5 * 365 // 3)
    assert office.judged(pdf).conclusion == "indeterminate"
    assert office.judged(renewed).conclusion == "valid"


def renewing(office: Office) -> list[tuple[object, ...]]:
    return office.rows("SELECT level, renew_at IS NOT NULL FROM signing_acts ORDER BY id")


def on(office: Office, **step: float) -> None:
    """Time goes on, and the house keeps its services and lists as its worker does."""
    office.world.clock.advance(**step)
    make_service(office.world, ServiceKind.OCSP)
    make_service(office.world, ServiceKind.TSA)
    office.world.crls()


def test_the_worker_renews_archive_time_stamps_before_they_end(office):
    signed, plain = office.signed("B-LTA"), office.signed("B-LT", page_pdf("Van ban khac"))
    assert renewing(office) == [("B-LTA", 1), ("B-LT", 0)]
    on(office, days=5 * 365 * 2 // 3 - 2)
    assert not has_renewals(leveling(office))
    on(office, days=4)
    assert has_renewals(leveling(office))
    assert (renew_due(ADMIN, leveling(office)), has_renewals(leveling(office))) == (1, False)
    document = document_of(office, signed.code)
    content = leveling(office).blobs.get(document.sha256)
    assert content.startswith(signed.content)
    assert office.rows("SELECT action, subject_id FROM audit WHERE action = 'document.extend'") == [
        ("document.extend", signed.code)
    ]
    assert document_of(office, plain.code).sha256 == plain.sha256
    office.world.clock.advance(days=5 * 365 // 3 + 30)
    assert (office.judged(signed.content).conclusion, office.judged(content).conclusion) == ("indeterminate", "valid")


def test_a_renewal_that_cannot_be_had_is_tried_again_and_a_recalled_document_is_left_alone(office):
    signed, recalled = office.signed("B-LTA"), office.signed("B-LTA", page_pdf("Van ban khac"))
    recall_document(recalled.code, "nhầm", ADMIN, office.world.database, office.world.clock)
    on(office, days=5 * 365 * 2 // 3 + 2)
    assert renew_due(ADMIN, leveling(without_tsa(office))) == 0
    assert renewing(office) == [("B-LTA", 1), ("B-LTA", 0)]
    assert not has_renewals(leveling(office))
    office.world.clock.advance(hours=1, seconds=1)
    assert renew_due(ADMIN, leveling(office)) == 1
    assert document_of(office, signed.code).sha256 != signed.sha256
    assert document_of(office, recalled.code).sha256 == recalled.sha256


def test_a_file_whose_renewal_nobody_has_looked_at_gets_its_time_noted(office):
    signed = office.signed("B-LTA")
    before = office.rows("SELECT renew_at FROM signing_acts")
    with office.world.database.write() as session:
        session.execute(text("UPDATE signing_acts SET renew_at = finished_at"))
    assert has_renewals(leveling(office))
    assert renew_due(ADMIN, leveling(office)) == 0
    assert office.rows("SELECT renew_at FROM signing_acts") == before
    assert document_of(office, signed.code).sha256 == signed.sha256


class Away(OwnTimestamper):
    """A time-stamping authority that does not answer."""

    def timestamp(self, signature: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
        raise Unavailable("TIMESTAMP_UNAVAILABLE", reason="timeout")

    def timestamp_digest(self, hashed: bytes) -> bytes:
        raise Unavailable("TIMESTAMP_UNAVAILABLE", reason="timeout")


def leveling(office: Office, extra: ValidationInputs | None = None) -> LevelingDeps:
    return LevelingDeps(upgrading(office, extra), BlobStore(office.blobs))


def without_tsa(office: Office) -> Office:
    extender = replace(office.deps.extender, timestamper=Away(office.services.tsa))
    return replace(office, deps=replace(office.deps, extender=extender))


def document_of(office: Office, code: str):
    with office.world.database.read() as session:
        return document_by_code(session, code)


@pytest.mark.parametrize("level", ["B-T", "B-LT", "B-LTA"])
def test_a_level_that_was_missed_is_reached_when_the_authority_is_back(office, level):
    away = without_tsa(office)
    signed = away.signed(level)
    assert (signed.level, signed.pending) == ("B-B", level)
    assert not has_due(leveling(office))
    office.world.clock.advance(seconds=20)
    assert reach_due(ADMIN, leveling(away)) == 0
    pending = document_of(office, signed.code).pending
    assert (pending.attempts, pending.failure) == (2, "TIMESTAMP_UNAVAILABLE")
    assert not has_due(leveling(office))
    office.world.clock.advance(seconds=60)
    assert reach_due(ADMIN, leveling(office)) == 1
    document = document_of(office, signed.code)
    assert (document.pending, document.acts[0].level) == (None, level)
    content = leveling(office).blobs.get(document.sha256)
    assert content.startswith(signed.content)
    verdict = office.judging.verify(content, "a.pdf")
    assert (verdict.conclusion, verdict.document.code) == ("valid", signed.code)
    assert office.judged(content).facts.reached == level


def test_a_second_signature_that_came_in_between_is_what_is_raised(office):
    signed = without_tsa(office).signed("B-LTA")
    again = office.signed("B-B", signed.content)
    office.world.clock.advance(seconds=20)
    assert reach_due(ADMIN, leveling(office)) == 1
    document = document_of(office, signed.code)
    assert [act.level for act in document.acts] == ["B-B", "B-LTA"]
    assert leveling(office).blobs.get(document.sha256).startswith(again.content)


def test_a_recalled_document_is_left_alone(office):
    signed = without_tsa(office).signed("B-LT")
    recall_document(signed.code, "nhầm", ADMIN, office.world.database, office.world.clock)
    office.world.clock.advance(seconds=20)
    assert reach_due(ADMIN, leveling(office)) == 0
    document = document_of(office, signed.code)
    assert (document.pending, document.sha256) == (None, signed.sha256)


def test_a_signer_who_is_revoked_while_the_proof_waits_closes_the_request(office):
    signed = without_tsa(office).signed("B-LT")
    office.world.clock.advance(seconds=10)
    office.world.revoke(office.serial)
    office.world.clock.advance(seconds=20)
    assert reach_due(ADMIN, leveling(office)) == 0
    assert document_of(office, signed.code).pending is None
    assert office.rows("SELECT state, failure FROM level_requests") == [("closed", "UPGRADE_TOO_LATE")]


def test_a_judge_that_falls_silent_after_the_key_was_used_costs_no_signature(office):
    earlier, calls = office.deps.judge_earlier, []

    def once(pdf: bytes, password: Password) -> EarlierSignatures:
        calls.append(pdf)
        if len(calls) > 2:
            raise Unavailable("JUDGE_UNAVAILABLE")
        return earlier(pdf, password)

    first = office.sign("B-T")
    signed = replace(office, deps=replace(office.deps, judge_earlier=once)).signed("B-LT", first)
    assert (len(calls), signed.level, signed.pending) == (3, "B-T", "B-LT")
    office.world.clock.advance(seconds=20)
    assert reach_due(ADMIN, leveling(office)) == 1


def test_a_database_that_falls_silent_while_proofs_are_collected_costs_no_signature(office):
    class Silent(OwnEvidence):
        def _certificate(self, serial: str) -> object:
            raise DatabaseUnavailable("away", reason="away")

    world = office.world
    extender = replace(office.deps.extender, evidence=Silent(world.database, world.clock, office.services.ocsp))
    signed = replace(office, deps=replace(office.deps, extender=extender)).signed("B-LT")
    assert (signed.level, signed.pending) == ("B-T", "B-LT")


def test_the_register_goes_on_with_the_raised_file(office):
    signed = office.signed("B-T")
    raised_once = upgrade_file(signed.content, "B-LT", ADMIN, leveling(office))
    assert document_of(office, signed.code).sha256 == raised_once.sha256
    assert leveling(office).blobs.get(raised_once.sha256) == raised_once.content
    raised_again = upgrade_document(signed.code, "B-LTA", ADMIN, leveling(office))
    document = document_of(office, signed.code)
    assert (document.sha256, document.acts[-1].level) == (raised_again.sha256, "B-LTA")
    assert raised_again.content.startswith(raised_once.content)
    assert office.rows("SELECT renew_at IS NOT NULL FROM signing_acts") == [(1,)]
    with pytest.raises(Refused) as refused:
        upgrade_document(signed.code, "B-LTA", ADMIN, leveling(office))
    assert refused.value.code == "LEVEL_ALREADY_REACHED"


def test_what_waited_waits_no_more_when_somebody_raises_it_by_hand(office):
    signed = without_tsa(office).signed("B-LT")
    upgrade_document(signed.code, "B-T", ADMIN, leveling(office))
    assert document_of(office, signed.code).pending.level == "B-LT"
    upgrade_document(signed.code, "B-LT", ADMIN, leveling(office))
    assert document_of(office, signed.code).pending is None


def test_an_older_file_a_strangers_or_a_recalled_ones_is_raised_beside_the_register(office, pki):
    signed = office.signed("B-T")
    again = office.signed("B-T", signed.content)
    upgrade_file(signed.content, "B-LT", ADMIN, leveling(office))
    assert document_of(office, signed.code).sha256 == again.sha256
    recall_document(signed.code, "nhầm", ADMIN, office.world.database, office.world.clock)
    upgrade_file(again.content, "B-LT", ADMIN, leveling(office))
    upgrade_file(sign(PDF, pki.officer), "B-T", ADMIN, leveling(office))
    assert document_of(office, signed.code).sha256 == again.sha256
    assert office.rows("SELECT count(*) FROM audit WHERE action = 'file.upgrade'") == [(3,)]
    with pytest.raises(Refused) as refused:
        upgrade_document(signed.code, "B-LT", ADMIN, leveling(office))
    assert refused.value.code == "DOCUMENT_NOT_IN_FORCE"
    with pytest.raises(UsageWrong):
        upgrade_document("ABCD", "B-LT", ADMIN, leveling(office))
