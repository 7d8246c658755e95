"""Schemes that the library does not know and the standards do: ECDSA in plain format, RSA with SHA-3, the oldest kind of PDF signature."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from asn1crypto import algos, core, keys, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509 import load_der_x509_certificate

from signer.validation.policy import JudgedFile
from tests.attacks import documents, updates
from tests.attacks.cms_files import TEXT, signed_data, signer_info
from tests.attacks.generator import _set_byte_range, contents, ranges, replace_contents
from tests.attacks.pki import Party, Pki, make

Judging = Callable[..., JudgedFile]
PLAIN_SHA256 = "0.4.0.127.0.7.1.1.4.1.3"
RSA_SHA3_256 = "2.16.840.1.101.3.4.3.14"


def plain(key: object, octets: bytes, *, length: int = 32) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = utils.decode_dss_signature(key.sign(octets, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")


def with_algorithm(signed: bytes, oid: str, sign: Callable[[bytes], bytes]) -> bytes:
    """A PDF whose signature value is made anew by another algorithm."""
    info = contents(signed)
    signer = info["content"]["signer_infos"][0]
    signer["signature_algorithm"] = algos.SignedDigestAlgorithm({"algorithm": oid})
    signer["signature"] = sign(signer["signed_attrs"].untag().dump())
    return replace_contents(signed, info.dump(force=True))


def test_ecdsa_in_plain_format_is_ecdsa(pki: Pki, judging: Judging) -> None:
    signed = documents.sign(documents.page_pdf(), pki.officer)
    pdf = with_algorithm(signed, PLAIN_SHA256, lambda octets: plain(pki.officer.key, octets))
    judged = judging(pdf)
    assert (judged.reason, judged.signatures[0].facts.signature_algorithm) == ("VALID", "ecdsa")
    for wrong in (
        lambda octets: plain(pki.officer.key, octets)[:-1],
        lambda octets: plain(pki.officer.key, octets, length=33),
        lambda octets: plain(pki.seal.key, octets),
        lambda octets: bytes(64),
    ):
        assert judging(with_algorithm(signed, PLAIN_SHA256, wrong)).reason == "INVALID_CRYPTO"
    # Another digest than that of the attributes is a contradiction, in this format too.
    other = with_algorithm(signed, "0.4.0.127.0.7.1.1.4.1.4", lambda octets: plain(pki.officer.key, octets))
    assert judging(other).conclusion == "invalid"


def test_rsa_with_sha_3_is_rsa(pki: Pki, rsa_officer: Party, judging: Judging) -> None:
    key = rsa_officer.key
    assert isinstance(key, rsa.RSAPrivateKey)
    info = signer_info(rsa_officer, TEXT, digest="sha256")
    for each in info["signed_attrs"]:
        if each["type"].native == "message_digest":
            each["values"] = [hashlib.sha3_256(TEXT).digest()]
    info["digest_algorithm"] = {"algorithm": "sha3_256"}
    info["signature_algorithm"] = algos.SignedDigestAlgorithm({"algorithm": RSA_SHA3_256})
    octets = b"".join(sorted(each.dump() for each in info["signed_attrs"]))
    octets = b"\x31" + _length(octets) + octets
    info["signature"] = key.sign(octets, padding.PKCS1v15(), hashes.SHA3_256())
    judged = judging(signed_data([info], [rsa_officer]))
    (signature,) = judged.signatures
    assert (judged.reason, signature.facts.digest_algorithm) == ("VALID", "sha3-256")
    info["signature"] = key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    assert judging(signed_data([info], [rsa_officer])).reason == "INVALID_CRYPTO"


def _length(body: bytes) -> bytes:
    return bytes([0x82, *len(body).to_bytes(2, "big")]) if len(body) > 255 else bytes([0x81, len(body)])


def recertified(party: Party, oid: str, sign: Callable[[bytes], bytes]) -> Party:
    """The same party with a certificate that its issuer signed by another algorithm."""
    held = x509.Certificate.load(party.der)
    for place in (held["tbs_certificate"]["signature"], held["signature_algorithm"]):
        place["algorithm"] = oid
        place["parameters"] = core.Void()
    held["signature_value"] = sign(held["tbs_certificate"].dump(force=True))
    return Party(load_der_x509_certificate(held.dump(force=True)), party.key, party.issuer, party.chain)


def test_certificates_by_these_schemes_make_a_path(pki: Pki, judging: Judging) -> None:
    officer = recertified(pki.officer, PLAIN_SHA256, lambda octets: plain(pki.issuing.key, octets))
    judged = judging(signed_data([signer_info(officer, TEXT)], [officer]))
    assert judged.reason == "VALID"
    forged = recertified(pki.officer, PLAIN_SHA256, lambda octets: plain(pki.seal.key, octets))
    assert judging(signed_data([signer_info(forged, TEXT)], [forged])).reason == "UNKNOWN_ISSUER"


def oldest(pki: Pki, party: Party, digest: hashes.HashAlgorithm, *, key: rsa.RSAPrivateKey | None = None) -> bytes:
    """A document with a signature of the kind adbe.x509.rsa_sha1, made over the place of another one."""
    signed = documents.sign(documents.page_pdf(), pki.officer)
    _, start, end, _ = ranges(signed)
    certificates = b" ".join(b"<%s>" % each.hex().encode() for each in (party.der, pki.issuing.der))
    head = b"/Cert [%s] /Contents " % certificates
    begin = start - len(b"/Contents ")
    hole = end - begin - len(head)
    pdf = signed[:begin] + head + b"<" + b"0" * (hole - 2) + b">" + signed[end:]
    place = begin + len(head)
    pdf = _set_byte_range(pdf, b"/ByteRange [0 %d %d %d]" % (place, end, len(pdf) - end))
    pdf = pdf.replace(b"/ETSI.CAdES.detached", b"/adbe.x509.rsa_sha1 ")
    key = key or party.key  # type: ignore[assignment]
    assert isinstance(key, rsa.RSAPrivateKey)
    value = core.OctetString(key.sign(pdf[:place] + pdf[end:], padding.PKCS1v15(), digest)).dump()
    return pdf[: place + 1] + value.hex().encode().ljust(hole - 2, b"0") + pdf[end - 1 :]


def test_the_oldest_kind_is_as_good_as_its_digest(pki: Pki, rsa_officer: Party, judging: Judging) -> None:
    judged = judging(oldest(pki, rsa_officer, hashes.SHA256()))
    (signature,) = judged.signatures
    assert (judged.reason, signature.facts.level, signature.integrity) == ("VALID", "PDF-PKCS1", "intact")
    weak = judging(oldest(pki, rsa_officer, hashes.SHA1()))
    assert (weak.conclusion, weak.reason, weak.signatures[0].integrity) == (
        "indeterminate",
        "UNKNOWN_ALGORITHM",
        "intact",
    )


@pytest.mark.parametrize("defect", ["changed", "another key", "appended", "stranger", "no certificate"])
def test_a_tampered_one_of_the_oldest_kind_is_never_valid(
    pki: Pki, rsa_officer: Party, judging: Judging, defect: str
) -> None:
    pdf = oldest(pki, rsa_officer, hashes.SHA256())
    other = rsa.generate_private_key(65537, 2048)
    tampered, reason = {
        "changed": (pdf.replace(b"So", b"Sa", 1), "INVALID_MODIFIED"),
        "another key": (oldest(pki, rsa_officer, hashes.SHA256(), key=other), "INVALID_CRYPTO"),
        "appended": (updates.appended(pdf, {5: b"<< /Forged true >>"}), "INVALID_MODIFIED"),
        "stranger": (oldest(pki, make("Người ký RSA", key=other), hashes.SHA256()), "UNKNOWN_ISSUER"),
        "no certificate": (pdf.replace(b"/Cert [", b"/Curt ["), "UNKNOWN_SIGNER"),
    }[defect]
    judged = judging(tampered)
    assert judged.conclusion != "valid"
    if defect != "appended":
        assert judged.reason == reason


def with_negative_modulus(party: Party) -> Party:
    """The party with a certificate whose modulus lacks the zero octet before it: so a whole country issued them."""
    assert isinstance(party.key, rsa.RSAPrivateKey)
    assert party.issuer is not None
    assert isinstance(party.issuer.key, ec.EllipticCurvePrivateKey)
    held, numbers = x509.Certificate.load(party.der), party.key.public_key().public_numbers()
    negative = numbers.n - (1 << party.key.key_size)
    info = held["tbs_certificate"]["subject_public_key_info"]
    info["public_key"] = keys.RSAPublicKey({"modulus": negative, "public_exponent": numbers.e})
    octets = held["tbs_certificate"].dump(force=True)
    held["signature_value"] = party.issuer.key.sign(octets, ec.ECDSA(hashes.SHA256()))
    return Party(load_der_x509_certificate(held.dump(force=True)), party.key, party.issuer, party.chain)


def test_a_modulus_that_is_written_as_a_negative_number_is_read_leniently(
    pki: Pki, rsa_officer: Party, judging: Judging
) -> None:
    """X.690 8.3.3 makes it negative, RFC 8017 3.1 says that none is: the octets can mean one number only."""
    odd = with_negative_modulus(rsa_officer)
    file = signed_data([signer_info(odd, TEXT)], [odd])
    pdf = documents.sign(documents.page_pdf(), odd)
    for signed in (file, pdf):
        (signature,) = judging(signed).signatures
        assert (signature.reason, signature.facts.lenient) == ("VALID", True)
        assert signature.facts.signer is not None
        assert (signature.facts.signer.key_type, signature.facts.signer.key_bits) == ("rsa", 2048)
    broken = file[:-1] + bytes([file[-1] ^ 1])
    assert judging(broken).reason == "INVALID_CRYPTO"
    assert judging(documents.sign(documents.page_pdf(), rsa_officer)).signatures[0].facts.lenient is False
