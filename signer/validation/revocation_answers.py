"""Answers about one certificate that were asked for or kept: read in the judge process, like everything that a stranger wrote.

Two deeds: the OCSP request to send (`ask`), and what answers say, each once its signature and its signer's right were checked (`read`).
"""

from __future__ import annotations

import hashlib
from typing import Any

from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import pem, x509

from signer.validation.crl_facts import Listed, Position, read_crls
from signer.validation.facts import CrlFacts, encode
from signer.validation.ocsp_facts import read_ocsp

_MOST = 16


def revocation_task(header: dict[str, Any], blobs: list[Any]) -> tuple[dict[str, Any], list[bytes]]:
    """The task of the judge process: the certificate, its issuer, then answers; `kinds` says of each whether it is crl or ocsp."""
    certificate, issuer = (x509.Certificate.load(bytes(each), strict=True) for each in blobs[:2])
    if header["deed"] == "ask":
        return {}, [_request(certificate, issuer)]
    found = []
    for kind, octets in zip(header["kinds"], blobs[2 : 2 + _MOST], strict=True):
        said = _read(str(kind), bytes(octets), certificate, issuer)
        found.append(None if said is None else encode(said))
    return {"said": found}, []


def _request(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """RFC 5019 2.1.1: names hashed with SHA-1, which protects nothing here, and no nonce, so that answers can be kept."""
    named = {
        "hash_algorithm": {"algorithm": "sha1"},
        "issuer_name_hash": hashlib.sha1(issuer.subject.dump(), usedforsecurity=False).digest(),
        "issuer_key_hash": hashlib.sha1(issuer.public_key["public_key"].contents[1:], usedforsecurity=False).digest(),
        "serial_number": certificate.serial_number,
    }
    wanted = asn1_ocsp.TBSRequest({"request_list": [{"req_cert": named}]})
    request: bytes = asn1_ocsp.OCSPRequest({"tbs_request": wanted}).dump()
    return request


def _read(kind: str, octets: bytes, certificate: x509.Certificate, issuer: x509.Certificate) -> CrlFacts | None:
    """None for whatever says nothing about this certificate."""
    try:
        if kind == "ocsp":
            answer = asn1_ocsp.OCSPResponse.load(octets, strict=True)
            if answer["response_status"].native != "successful":
                return None
            return read_ocsp(answer.basic_ocsp_response, certificate, issuer)
        # Some are published in PEM, though RFC 5280 4.2.1.13 asks for DER.
        der = pem.unarmor(octets)[2] if pem.detect(octets[:64]) else octets
        listed = Listed(asn1_crl.CertificateList.load(der, strict=True), "fetched")
        place = Position(certificate, issuer, None, ())
        return next(read_crls([listed], place, lambda *_: False), None)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  what cannot be read says nothing
        return None
