"""Revocation lists that are not simply the issuer's own: of another key, of somebody whom a certificate names, deltas. And forged ones."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from asn1crypto import crl as asn1_crl
from asn1crypto import pdf as asn1_pdf
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ReasonFlags
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes

from signer.validation.policy import JudgedFile
from tests.attacks import documents, generator
from tests.attacks.cms_files import TEXT, signed_data, signer_info
from tests.attacks.pki import NOW, Party, Pki, make, make_crl, usage

Judging = Callable[..., JudgedFile]
LIST_KEY = usage(crl_sign=True)


def listing(
    name: Party,
    signer: Party,
    revoked: dict[int, x509.ReasonFlags] | None = None,
    *,
    number: int = 5,
    base: int | None = None,
    this_update: datetime = NOW - timedelta(hours=1),
    scope: x509.IssuingDistributionPoint | None = None,
) -> bytes:
    """A list in the name of one party and signed by another; with a base it is a delta."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name.certificate.subject)
        .last_update(this_update)
        .next_update(NOW + timedelta(days=1))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    if base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(base), critical=True)
    if scope is not None:
        builder = builder.add_extension(scope, critical=True)
    for serial, reason in (revoked or {}).items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - timedelta(hours=2))
        builder = builder.add_revoked_certificate(entry.add_extension(x509.CRLReason(reason), critical=False).build())
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def file_with(pki: Pki, signer: Party, *others: Party) -> bytes:
    return signed_data([signer_info(signer, TEXT)], [pki.officer, signer, *others])


@pytest.fixture(scope="module")
def lister(pki: Pki) -> Party:
    """Another key of the issuing authority, certified by the root to sign lists."""
    return make("Thử Nghiệm Issuing CA", pki.root, key_usage=LIST_KEY)


def test_a_list_of_another_key_of_the_same_authority_counts(pki: Pki, lister: Party, judging: Judging) -> None:
    crls = [make_crl(pki.root), listing(pki.issuing, lister)]
    assert judging(file_with(pki, pki.officer, lister), crls=crls).reason == "VALID"
    revoked = listing(pki.issuing, lister, {pki.officer.certificate.serial_number: x509.ReasonFlags.key_compromise})
    judged = judging(file_with(pki, pki.officer, lister), crls=[make_crl(pki.root), revoked])
    assert judged.reason == "UNKNOWN_REVOKED_NO_TIME"


def test_a_list_key_that_is_revoked_or_of_nobody_known_says_nothing(pki: Pki, lister: Party, judging: Judging) -> None:
    entry = {lister.certificate.serial_number: (NOW - timedelta(hours=3), x509.ReasonFlags.key_compromise)}
    crls = [make_crl(pki.root, entry), listing(pki.issuing, lister)]
    assert judging(file_with(pki, pki.officer, lister), crls=crls).reason == "UNKNOWN_REVOCATION"
    stranger = make("Thử Nghiệm Issuing CA", make("Thử Nghiệm Root CA", ca=True), key_usage=LIST_KEY)
    by_itself = make("Thử Nghiệm Issuing CA", key_usage=LIST_KEY)
    person = make("Thử Nghiệm Issuing CA", pki.officer, key_usage=LIST_KEY)
    cannot = make("Thử Nghiệm Issuing CA", pki.root, key_usage=usage(digital_signature=True))
    ended = make("Thử Nghiệm Issuing CA", pki.root, key_usage=LIST_KEY, not_after=NOW - timedelta(days=1))
    for forger in (stranger, by_itself, person, cannot, ended):
        crls = [make_crl(pki.root), listing(pki.issuing, forger)]
        assert judging(file_with(pki, pki.officer, forger), crls=crls).reason == "UNKNOWN_REVOCATION"


def named_in(pki: Pki, lister: Party) -> Party:
    """Somebody whose certificate says that another one keeps the list."""
    point = x509.DistributionPoint(None, None, None, [x509.DirectoryName(lister.certificate.subject)])
    return make("Người có danh sách riêng", pki.issuing, more=[x509.CRLDistributionPoints([point])])


INDIRECT = x509.IssuingDistributionPoint(
    full_name=None, relative_name=None, only_contains_user_certs=False, only_contains_ca_certs=False,
    only_some_reasons=None, indirect_crl=True, only_contains_attribute_certs=False,
)  # fmt: skip


def test_an_indirect_list_speaks_of_those_who_name_its_issuer(pki: Pki, judging: Judging) -> None:
    keeper = make("Cơ quan giữ danh sách", pki.root, key_usage=LIST_KEY)
    signer = named_in(pki, keeper)
    crls = [*pki.crls()[:1], listing(keeper, keeper, scope=INDIRECT)]
    assert judging(file_with(pki, signer, keeper), crls=crls).reason == "VALID"
    # Whoever does not name it is none of its business; nor is a list that does not call itself indirect.
    assert judging(file_with(pki, pki.officer, keeper), crls=crls).reason == "UNKNOWN_REVOCATION"
    plain = [*pki.crls()[:1], listing(keeper, keeper)]
    assert judging(file_with(pki, signer, keeper), crls=plain).reason == "UNKNOWN_REVOCATION"
    forged = make("Cơ quan giữ danh sách", key_usage=LIST_KEY)
    crls = [*pki.crls()[:1], listing(keeper, forged, scope=INDIRECT)]
    assert judging(file_with(pki, signer, forged), crls=crls).reason == "UNKNOWN_REVOCATION"


def test_a_delta_completes_its_base_and_says_nothing_alone(pki: Pki, judging: Judging) -> None:
    root, serial = make_crl(pki.root), pki.officer.certificate.serial_number
    base = listing(pki.issuing, pki.issuing, number=5, this_update=NOW - timedelta(hours=5))
    held = listing(pki.issuing, pki.issuing, {serial: x509.ReasonFlags.certificate_hold}, number=5)
    revoking = listing(pki.issuing, pki.issuing, {serial: x509.ReasonFlags.key_compromise}, number=6, base=5)
    removing = listing(
        pki.issuing, pki.issuing, {serial: x509.ReasonFlags.remove_from_crl}, number=6, base=5, this_update=NOW
    )
    nothing = listing(pki.issuing, pki.issuing, number=6, base=5, this_update=NOW)
    file = file_with(pki, pki.officer)
    assert judging(file, crls=[root, base, revoking]).reason == "UNKNOWN_REVOKED_NO_TIME"
    assert judging(file, crls=[root, base, nothing]).reason == "VALID"
    assert judging(file, crls=[root, held, nothing]).reason == "UNKNOWN_SUSPENDED"
    assert judging(file, crls=[root, held, removing]).reason == "VALID"
    assert judging(file, crls=[root, nothing]).reason == "UNKNOWN_REVOCATION"
    later = listing(pki.issuing, pki.issuing, number=9, base=7, this_update=NOW)
    assert judging(file, crls=[root, held, later]).reason == "UNKNOWN_SUSPENDED"
    forged = listing(
        pki.issuing, make("x"), {serial: x509.ReasonFlags.remove_from_crl}, number=6, base=5, this_update=NOW
    )
    assert judging(file, crls=[root, held, forged]).reason == "UNKNOWN_SUSPENDED"


def archived(pki: Pki, crls: Sequence[bytes]) -> bytes:
    """The older PKCS #7 kind, with lists among its signed attributes."""
    lists = [asn1_crl.CertificateList.load(each) for each in crls]
    archive = asn1_pdf.RevocationInfoArchival({"crl": lists}) if lists else None
    attributes = PdfCMSSignedAttributes(signing_time=NOW, adobe_revinfo_attr=archive)
    prepared = documents.sign(documents.page_pdf(), pki.officer, pades=False)
    start, end = generator.ranges(prepared)[1:3]
    digest = hashlib.sha256(prepared[:start] + prepared[end:]).digest()
    signer = documents.simple_signer(pki.officer)
    made = asyncio.run(signer.async_sign(digest, "sha256", signed_attr_settings=attributes))
    return generator.replace_contents(prepared, made.dump())


def test_lists_among_the_attributes_of_an_older_signature_count_as_the_files_own(pki: Pki, judging: Judging) -> None:
    """ISO 32000-2 12.8.3.3.2: adbe-revocationInfoArchival."""
    judged = judging(archived(pki, pki.crls()), crls=())
    assert (judged.reason, judged.signatures[0].facts.level) == ("VALID", "PDF-PKCS7")
    assert [each.source for each in judged.signatures[0].evidence] == ["embedded", "embedded"]
    entry = {pki.officer.certificate.serial_number: (NOW - timedelta(days=1), ReasonFlags.key_compromise)}
    revoked = [make_crl(pki.root), make_crl(pki.issuing, entry)]
    assert judging(archived(pki, revoked), crls=()).reason == "UNKNOWN_REVOKED_NO_TIME"
    forged = [make_crl(pki.root), make_crl(pki.issuing, signed_by=pki.officer)]
    for none in ([], forged):
        assert judging(archived(pki, none), crls=()).reason == "UNKNOWN_REVOCATION"
