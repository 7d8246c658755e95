"""Honest CMS files to check and to attack: CAdES and plain CMS with software keys, made part by part so that any part can be another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from asn1crypto import algos, cms, core, crl, keys, parser, tsp, x509
from asn1crypto import pem as armour
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from tests.attacks.pki import NOW, Key, Party

TEXT = "Kính gửi các sở: nội dung công văn.\n".encode()
Attributes = list[cms.CMSAttribute]
Change = Callable[[Attributes], Attributes]
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sha1": hashes.SHA1,
}


def attribute(kind: str, *values: Any) -> cms.CMSAttribute:
    return cms.CMSAttribute({"type": kind, "values": list(values)})


def certificate(party: Party) -> x509.Certificate:
    return x509.Certificate.load(party.der)


def ess_v2(party: Party) -> cms.CMSAttribute:
    named = tsp.ESSCertIDv2(
        {"hash_algorithm": {"algorithm": "sha256"}, "cert_hash": hashlib.sha256(party.der).digest()}
    )
    return attribute("signing_certificate_v2", tsp.SigningCertificateV2({"certs": [named]}))


def ess_v1(party: Party) -> cms.CMSAttribute:
    named = tsp.ESSCertID({"cert_hash": hashlib.sha1(party.der, usedforsecurity=False).digest()})
    return attribute("signing_certificate", tsp.SigningCertificate({"certs": [named]}))


def sign_octets(key: Key, octets: bytes, digest: str) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(octets, ec.ECDSA(_HASHES[digest]()))
    return key.sign(octets, padding.PKCS1v15(), _HASHES[digest]())


def signer_info(
    party: Party,
    content: bytes,
    *,
    digest: str = "sha256",
    kind: str | None = "data",
    ess: bool = True,
    moment: datetime | None = NOW,
    bare: bool = False,
    by_key_identifier: bool = False,
    change: Change = lambda attributes: attributes,
    ordered: bool = True,
    unsigned: Sequence[cms.CMSAttribute] = (),
) -> cms.SignerInfo:
    """One signer; `change` works on the attributes before they are signed."""
    attributes: Attributes = [attribute("message_digest", hashlib.new(digest, content).digest())]
    if kind is not None:
        attributes.insert(0, attribute("content_type", kind))
    if moment is not None:
        attributes.append(attribute("signing_time", cms.Time({"utc_time": core.UTCTime(moment)})))
    attributes += [ess_v2(party)] if ess else []
    pieces = [each.dump() for each in change(attributes)]
    signed = cms.CMSAttributes.load(tlv(0x31, b"".join(sorted(pieces) if ordered else pieces)))
    signature = sign_octets(party.key, content if bare else signed.dump(), digest)
    kind_of_key = "rsa" if isinstance(party.key, rsa.RSAPrivateKey) else "ecdsa"
    held = certificate(party)
    sid = (
        cms.SignerIdentifier("subject_key_identifier", held.key_identifier)
        if by_key_identifier
        else cms.SignerIdentifier(
            "issuer_and_serial_number", {"issuer": held.issuer, "serial_number": held.serial_number}
        )
    )
    parts: dict[str, Any] = {
        "version": "v3" if by_key_identifier else "v1",
        "sid": sid,
        "digest_algorithm": {"algorithm": digest},
        "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": f"{digest}_{kind_of_key}"}),
        "signature": signature,
    }
    if not bare:
        parts["signed_attrs"] = signed
    if unsigned:
        parts["unsigned_attrs"] = list(unsigned)
    return cms.SignerInfo(parts)


def tlv(tag: int, body: bytes) -> bytes:
    """One element in DER."""
    length = len(body)
    if length < 0x80:
        return bytes([tag, length]) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body


def signed_data(
    infos: Sequence[cms.SignerInfo],
    parties: Sequence[Party],
    content: bytes | None = TEXT,
    *,
    kind: str = "data",
    crls: Sequence[bytes] = (),
    extra: Sequence[x509.Certificate] = (),
) -> bytes:
    """The file: signers with their certificates and those above; `content` None for one that stands beside."""
    certificates: dict[bytes, x509.Certificate] = {}
    for party in parties:
        for each in (party.certificate, *party.chain):
            der = each.public_bytes(serialization.Encoding.DER)
            certificates[der] = x509.Certificate.load(der)
    encapsulated: dict[str, Any] = {"content_type": kind}
    if content is not None:
        encapsulated["content"] = core.ParsableOctetString(content)
    parts: dict[str, Any] = {
        "version": "v3",
        "digest_algorithms": [{"algorithm": "sha256"}],
        "encap_content_info": cms.EncapsulatedContentInfo(encapsulated),
        "certificates": [cms.CertificateChoices("certificate", each) for each in (*certificates.values(), *extra)],
        "signer_infos": list(infos),
    }
    if crls:
        parts["crls"] = [cms.RevocationInfoChoice("crl", crl.CertificateList.load(each)) for each in crls]
    whole: bytes = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(parts)}).dump()
    return whole


def cms_file(party: Party, content: bytes = TEXT, *, detached: bool = False, **wishes: Any) -> bytes:
    """One signer over a content, inside or beside."""
    return signed_data([signer_info(party, content, **wishes)], [party], None if detached else content)


def stamp(tsa: Party, octets: bytes, moment: datetime = NOW) -> cms.ContentInfo:
    """A time-stamp token over octets (RFC 3161)."""
    pkcs8 = tsa.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    store = SimpleCertificateStore()
    for each in tsa.chain:
        store.register(x509.Certificate.load(each.public_bytes(serialization.Encoding.DER)))
    stamper = DummyTimeStamper(certificate(tsa), keys.PrivateKeyInfo.load(pkcs8), store, fixed_dt=moment)
    request = tsp.TimeStampReq(
        {
            "version": 1,
            "message_imprint": {
                "hash_algorithm": {"algorithm": "sha256"},
                "hashed_message": hashlib.sha256(octets).digest(),
            },
            "cert_req": True,
        }
    )
    return stamper.request_tsa_response(request)["time_stamp_token"]


def reply(tsa: Party, octets: bytes) -> bytes:
    """The same as the reply of a time-stamping authority."""
    answer: bytes = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": stamp(tsa, octets)}).dump()
    return answer


def stamped_file(party: Party, tsa: Party, *, crls: Sequence[bytes] = (), moment: datetime = NOW) -> bytes:
    """A CAdES signature with a time-stamp over its value; with lists it is of the level B-LT."""
    info = signer_info(party, TEXT)
    token = attribute("signature_time_stamp_token", stamp(tsa, info["signature"].native, moment))
    info["unsigned_attrs"] = [token]
    return signed_data([info], [party, tsa], crls=crls)


def countersigned_file(party: Party, other: Party, *, change: Callable[[bytes], bytes] = lambda value: value) -> bytes:
    """A signature that somebody else signed (RFC 5652 11.4); `change` works on what he signs."""
    info = signer_info(party, TEXT)
    beneath = signer_info(other, change(info["signature"].native), kind=None)
    info["unsigned_attrs"] = [attribute("counter_signature", beneath)]
    return signed_data([info], [party, other])


def pem(der: bytes, label: str = "CMS") -> bytes:
    armoured: bytes = armour.armor(label, der)
    return armoured


def indefinite(der: bytes) -> bytes:
    """The file in BER with an indefinite length outside, as programs write it that stream (X.690 8.1.3.6)."""
    _, _, _, _, body, _ = parser.parse(der)
    return b"\x30\x80" + bytes(body) + b"\x00\x00"
