"""What an OCSP answer says of one certificate, once its signature and its signer's right to speak were checked (RFC 6960 3.2).

Runs in the judge process; whether the answer is fresh enough is standing.py's to say.
"""

from __future__ import annotations

import hashlib

from asn1crypto import algos, ocsp, x509

from signer.validation.certificates import utc
from signer.validation.facts import CrlFacts
from signer.validation.signature_check import check_value, scheme_of

_MOST_SINGLES = 50
_MOST_CERTIFICATES = 10
_DIGESTS = frozenset({"sha1", "sha256", "sha384", "sha512"})
# Names of hashes above may be SHA-1, signatures may not: whoever brings a file along chooses which answers stand in it.
_WEAK = frozenset({"md2", "md5", "sha1"})


def read_ocsp(
    answer: ocsp.BasicOCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> CrlFacts | None:
    """What the answer says, or None when it is about another certificate, says "unknown", or comes from nobody who may speak.

    May raise anything that asn1crypto raises on a hostile one.
    """
    data = answer["tbs_response_data"]
    single = _single(data, certificate, issuer)
    if single is None or not _is_signed(answer, issuer):
        return None
    status = single["cert_status"]
    next_update = single["next_update"].native
    this_update = utc(single["this_update"].native)
    until = utc(next_update) if next_update is not None else None
    digest = _digest_of(answer)
    if status.name == "good":
        return CrlFacts(this_update, until, None, None, kind="ocsp", digest=digest)
    if status.name == "revoked":
        info = status.chosen
        reason = info["revocation_reason"].native
        revoked_at, named = utc(info["revocation_time"].native), _REASONS.get(reason, "unspecified")
        return CrlFacts(this_update, until, revoked_at, named, kind="ocsp", digest=digest)
    return None


def _digest_of(answer: ocsp.BasicOCSPResponse) -> str | None:
    digest = scheme_of(answer["signature_algorithm"]).digest
    return None if digest is None else digest.replace("_", "-")  # Ed25519 and its like name none


def _single(
    data: ocsp.ResponseData, certificate: x509.Certificate, issuer: x509.Certificate
) -> ocsp.SingleResponse | None:
    """The newest answer about this certificate of this issuer."""
    found = None
    for at, single in enumerate(data["responses"]):
        if at == _MOST_SINGLES:
            break
        asked = single["cert_id"]
        if asked["serial_number"].native != certificate.serial_number:
            continue
        digest = asked["hash_algorithm"]["algorithm"].native
        if digest not in _DIGESTS:
            continue
        # RFC 6960 4.1.1: the key's bits without tag, length and the count of unused bits.
        key = issuer.public_key["public_key"].contents[1:]
        name = issuer.subject.dump()
        same_name = asked["issuer_name_hash"].native == hashlib.new(digest, name, usedforsecurity=False).digest()
        same_key = asked["issuer_key_hash"].native == hashlib.new(digest, key, usedforsecurity=False).digest()
        if same_name and same_key and (found is None or single["this_update"].native > found["this_update"].native):
            found = single
    return found


def _is_signed(answer: ocsp.BasicOCSPResponse, issuer: x509.Certificate) -> bool:
    """Whether the issuer itself signed, or somebody whom it delegated that to by a certificate (RFC 6960 4.2.2.2)."""
    produced = answer["tbs_response_data"]["produced_at"].native
    held = (
        []
        if not answer["certs"]
        else [answer["certs"][at] for at in range(min(len(answer["certs"]), _MOST_CERTIFICATES))]
    )
    for signer in (issuer, *held):
        if not _is_named(answer, signer):
            continue
        if signer.dump() != issuer.dump() and not _is_delegated(signer, issuer):
            continue
        validity = signer["tbs_certificate"]["validity"]
        if not validity["not_before"].native <= produced <= validity["not_after"].native:
            continue
        if _has_signed(
            answer["signature"].native, answer["tbs_response_data"].dump(), signer, answer["signature_algorithm"]
        ):
            return True
    return False


def _is_named(answer: ocsp.BasicOCSPResponse, signer: x509.Certificate) -> bool:
    responder = answer["tbs_response_data"]["responder_id"]
    if responder.name == "by_key":
        key = signer.public_key["public_key"].contents[1:]
        # RFC 6960 4.2.1: SHA-1, whatever else is used; it only names.
        named: bytes = responder.chosen.native
        return named == hashlib.sha1(key, usedforsecurity=False).digest()
    return bool(responder.chosen == signer.subject)


def _is_delegated(signer: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Its revocation is not asked for: ours carry nocheck, and what others do instead would need a store without end."""
    usage = signer.extended_key_usage_value
    if usage is None or "ocsp_signing" not in usage.native or signer.issuer.dump() != issuer.subject.dump():
        return False
    return _has_signed(
        signer["signature_value"].native, signer["tbs_certificate"].dump(), issuer, signer["signature_algorithm"]
    )


def _has_signed(
    signature: bytes, message: bytes, signer: x509.Certificate, algorithm: algos.SignedDigestAlgorithm
) -> bool:
    try:
        if scheme_of(algorithm).digest in (None, *_WEAK):
            return False
        check_value(signature, message, signer.public_key, algorithm)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  a key or algorithm that cannot be used has signed nothing
        return False
    return True


# CRLReason as asn1crypto names them, in the words of RFC 5280 5.3.1 that the lists' reasons come in.
_REASONS = {
    "unspecified": "unspecified", "key_compromise": "keyCompromise", "ca_compromise": "cACompromise",
    "affiliation_changed": "affiliationChanged", "superseded": "superseded", "cessation_of_operation": "cessationOfOperation",
    "certificate_hold": "certificateHold", "remove_from_crl": "removeFromCRL", "privilege_withdrawn": "privilegeWithdrawn",
    "aa_compromise": "aACompromise",
}  # fmt: skip
