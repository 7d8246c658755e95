"""The seeds of the fuzz corpus: one small honest file for each reader of strangers' octets. `python -m tests.attacks.seeds` makes them anew.

They are kept in the repository, so that every run begins with the same octets; they are made by our own generators, and are nobody's files.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from io import BytesIO
from pathlib import Path

from asn1crypto import cms, ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as pyca_ocsp
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers

from pki.tsa.request import build_request
from signer.trust_file import StoreEntry, StoreFile, content_octets, sign_content
from tests.attacks import documents
from tests.attacks.cms_files import (
    TEXT,
    attribute,
    cms_file,
    countersigned_file,
    pem,
    reply,
    signed_data,
    signer_info,
    stamp,
    stamped_file,
)
from tests.attacks.pki import NOW, Party, Pki, build_pki, make, make_crl, usage
from tests.attacks.store_signers import PURPOSE, service_of

FOLDER = Path(__file__).parent / "corpus"
_RESERVED = 4096


def small_pdf(pki: Pki) -> bytes:
    """A signed page whose hole is no larger than it has to be."""
    writer = IncrementalPdfFileWriter(BytesIO(documents.page_pdf()))
    fields.append_signature_field(writer, fields.SigFieldSpec("Sig1", box=(300, 100, 400, 160)))
    meta = signers.PdfSignatureMetadata(
        field_name="Sig1", md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES
    )
    out = BytesIO()
    documents.PdfSignerOfThen(meta, documents.simple_signer(pki.officer)).sign_pdf(
        writer, output=out, bytes_reserved=_RESERVED
    )
    return out.getvalue()


def ocsp_answer(pki: Pki) -> bytes:
    builder = pyca_ocsp.OCSPResponseBuilder().add_response(
        pki.officer.certificate, pki.issuing.certificate, hashes.SHA256(), pyca_ocsp.OCSPCertStatus.GOOD,
        NOW - timedelta(hours=1), NOW + timedelta(days=1), None, None,
    )  # fmt: skip
    builder = builder.responder_id(pyca_ocsp.OCSPResponderEncoding.HASH, pki.issuing.certificate)
    return builder.sign(pki.issuing.key, hashes.SHA256()).public_bytes(Encoding.DER)


def with_answer(pki: Pki, answer: bytes) -> bytes:
    """A CMS file that brings an OCSP answer along (RFC 5940)."""
    info = signer_info(pki.officer, TEXT)
    info["unsigned_attrs"] = [attribute("signature_time_stamp_token", stamp(pki.tsa, info["signature"].native))]
    file = cms.ContentInfo.load(signed_data([info], [pki.officer, pki.tsa], crls=[make_crl(pki.root)]))
    held = cms.OtherRevocationInfoFormat(
        {"other_rev_info_format": "ocsp_response", "other_rev_info": ocsp.OCSPResponse.load(answer)}
    )
    file["content"]["crls"].append(cms.RevocationInfoChoice("other", held))
    whole: bytes = file.dump(force=True)
    return whole


def ocsp_question(pki: Pki) -> bytes:
    builder = pyca_ocsp.OCSPRequestBuilder().add_certificate(
        pki.officer.certificate,
        pki.issuing.certificate,
        hashes.SHA1(),
    )
    return builder.build().public_bytes(Encoding.DER)


def trust_store(pki: Pki, signer: Party) -> bytes:
    anchor = StoreEntry("government", pki.root.certificate, "CN=Gốc", pki.root.der)
    store = StoreFile(pki.root.sha256, 3, NOW, NOW + timedelta(days=30), "CN=Ai đó", (anchor,), ())
    return sign_content(content_octets(store), service_of(signer))


def make_seeds(folder: Path = FOLDER) -> list[str]:
    """Write every seed; their names."""
    pki = build_pki()
    keeper = make("Kho tin cậy", pki.issuing, key_usage=usage(digital_signature=True), more=[PURPOSE])
    seeds = {
        "root.cer": pki.root.der,
        "issuing.cer": pki.issuing.der,
        "keeper.cer": keeper.der,
        "signed.pdf": small_pdf(pki),
        "attached.p7m": cms_file(pki.officer),
        "detached.p7s": cms_file(pki.officer, detached=True),
        "armoured.pem": pem(cms_file(pki.officer)),
        "long-term.p7m": stamped_file(pki.officer, pki.tsa, crls=pki.crls()),
        "countersigned.p7m": countersigned_file(pki.officer, pki.seal),
        "with-answer.p7m": with_answer(pki, ocsp_answer(pki)),
        "stamp.tsr": reply(pki.tsa, TEXT),
        "officer.cer": pki.officer.der,
        "root.crl": make_crl(pki.root),
        "issuing.crl": make_crl(pki.issuing, {4711: (NOW, x509.ReasonFlags.superseded)}),
        "question.ocsp": ocsp_question(pki),
        "question.tsq": build_request("sha256", hashlib.sha256(TEXT).digest(), nonce=7),
        "anchors.store": trust_store(pki, keeper),
    }
    folder.mkdir(exist_ok=True)
    for name, octets in seeds.items():
        (folder / name).write_bytes(octets)
    return sorted(seeds)


if __name__ == "__main__":
    print(f"{len(make_seeds())} seeds in {FOLDER.relative_to(Path.cwd())}")
