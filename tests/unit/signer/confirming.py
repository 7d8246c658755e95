"""What others say of a signed file at the time of the clock: pyHanko's AdES validation, and our own judge where there is no installation."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta

from asn1crypto import crl, ocsp, x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import ades
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.policy_decl import LocalKnowledge, PdfSignatureValidationSpec, SignatureValidationSpec
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer

from signer.judging import stranger_verifier
from signer.sandbox import Judge
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.verification import FILE_LIMIT, verify_file
from tests.unit.signer.office import Office


def root_of(office: Office) -> x509.Certificate:
    return x509.Certificate.load(office.world.root.certificate.public_bytes(Encoding.DER))


def known_now(office: Office) -> tuple[list[OCSPContainer], list[CRLContainer]]:
    """What a validator fetches at the time of the clock: the state of signer and TSA, and the lists."""
    answers = [office.services.ocsp.about("issuing", serial) for serial in (office.serial, office.tsa_serial)]
    loaded = [ocsp.OCSPResponse.load(answer.der) for answer in answers if answer is not None]
    lists = [crl.CertificateList.load(record.der) for record in office.world.crls()]
    return [one for each in loaded for one in OCSPContainer.load_multi(each)], [CRLContainer(each) for each in lists]


def known(lists: tuple[bytes, ...], answers: tuple[bytes, ...]) -> tuple[list[OCSPContainer], list[CRLContainer]]:
    loaded = [ocsp.OCSPResponse.load(der) for der in answers]
    held = [CRLContainer(crl.CertificateList.load(der)) for der in lists]
    return [one for each in loaded for one in OCSPContainer.load_multi(each)], held


def confirmed(
    office: Office, pdf: bytes, *, archive: bool, lists: tuple[bytes, ...] = (), answers: tuple[bytes, ...] = ()
) -> object:
    """PyHanko's verdict on the first signature at the time of the clock: by EN 319 102-1 5.6 with `archive`, else by 5.5.

    `lists`, `answers`: what it finds besides the file's store, instead of what the house says now.
    """
    now = office.world.clock.now()
    reader = PdfFileReader(io.BytesIO(pdf))
    signature = reader.embedded_regular_signatures[0]
    ocsps, crls = known_now(office) if not lists else known(lists, answers)
    certificates = []
    if not archive:
        # The archival algorithm reads the store by itself.
        store = DocumentSecurityStore.read_dss(reader)
        certificates = list(store.load_certs())
        ocsps += [
            one
            for each in store.ocsps
            for one in OCSPContainer.load_multi(ocsp.OCSPResponse.load(each.get_object().data))
        ]
        crls += [CRLContainer(crl.CertificateList.load(each.get_object().data)) for each in store.crls]
    spec = SignatureValidationSpec(
        cert_validation_policy=CertValidationPolicySpec(
            trust_manager=SimpleTrustManager.build([root_of(office)]),
            revinfo_policy=CertRevTrustPolicy(revocation_checking_policy=REQUIRE_REVINFO),
            time_tolerance=timedelta(seconds=1),
        ),
        local_knowledge=LocalKnowledge(known_ocsps=ocsps, known_crls=crls, known_certs=certificates),
    )
    timing = ades.ValidationTimingInfo(now, now, point_in_time_validation=True)
    if archive:
        answer = ades.ades_lta_validation(signature, PdfSignatureValidationSpec(spec), timing_info=timing)
        return asyncio.run(answer).ades_subindic
    answer = ades.ades_with_time_validation(
        signature.signed_data, spec, timing_info=timing, raw_digest=signature.compute_digest()
    )
    return asyncio.run(answer).ades_subindic


def by_a_stranger(office: Office, judge: Judge, pdf: bytes, *, fresh: bool = False, lists: tuple[bytes, ...] = ()):
    """Our verdict where there is no installation: the root alone is trusted, and what the file brings along."""
    if fresh:
        lists = tuple(record.der for record in office.world.crls())
    root = office.world.root.certificate.public_bytes(Encoding.DER)
    inputs = ValidationInputs(office.world.clock.now(), (TrustAnchor(root, "internal"),), (), lists)
    verdict = verify_file(pdf, "a.pdf", stranger_verifier(judge, inputs, office.world.clock, FILE_LIMIT))
    return next(each for each in verdict.judged.signatures if each.facts.type == "signature")
