"""Attacks inside /Contents: the PDF is in order, and the CMS signature is not (RFC 5652)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from asn1crypto import algos, cms, core, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.attacks import documents
from tests.attacks.attack import Attack
from tests.attacks.generator import contents, replace_contents
from tests.attacks.pki import Party, Pki, make


def cms_defects(page: bytes, signed: bytes, pki: Pki, rsa_party: Party, short: Party) -> Iterator[Attack]:
    """The PDF is in order; the CMS inside is not."""
    yield Attack("cms_sha1", documents.sign(page, rsa_party, digest="sha1"))
    yield Attack("cms_rsa_1024", documents.sign(page, short))
    twin = make("Nguyễn Thị Thử (khác)", pki.issuing, key=pki.officer.key, serial=pki.officer.certificate.serial_number)
    info = contents(signed)
    info["content"]["certificates"] = [
        cms.CertificateChoices("certificate", x509.Certificate.load(der)) for der in (twin.der, pki.issuing.der)
    ]
    yield Attack("cms_certificate_swapped_same_key", replace_contents(signed, info.dump(force=True)))
    info = contents(signed)
    info["content"]["certificates"] = []
    yield Attack("cms_without_certificates", replace_contents(signed, info.dump(force=True)))
    info = contents(signed)
    info["content"]["signer_infos"] = []
    yield Attack("cms_without_signer", replace_contents(signed, info.dump(force=True)))
    info = contents(signed)
    info["content"]["signer_infos"] = [info["content"]["signer_infos"][0], info["content"]["signer_infos"][0]]
    yield Attack("cms_two_signers", replace_contents(signed, info.dump(force=True)))
    info = contents(signed)
    info["content"]["encap_content_info"] = {"content_type": "data", "content": core.OctetString(b"hello")}
    yield Attack("cms_encapsulated_content", replace_contents(signed, info.dump(force=True)))
    info = contents(signed)
    info["content"]["signer_infos"][0]["digest_algorithm"] = algos.DigestAlgorithm({"algorithm": "sha384"})
    yield Attack("cms_digest_renamed", replace_contents(signed, info.dump(force=True)))
    info = contents(signed)
    del info["content"]["signer_infos"][0]["signed_attrs"]
    yield Attack("cms_attributes_removed", replace_contents(signed, info.dump(force=True)))
    other = documents.sign(documents.page_pdf("Van ban khac"), pki.officer)
    yield Attack("cms_of_another_document", replace_contents(signed, contents(other).dump()))
    yield Attack("cms_truncated", replace_contents(signed, contents(signed).dump()[:300]))
    yield Attack("cms_garbage", replace_contents(signed, b"\x30\x80" + bytes(range(200))))


def cms_contradictions(page: bytes, signed: bytes, pki: Pki) -> Iterator[Attack]:
    """Parts of one CMS that do not agree with each other, some of them signed by the signer's own key."""

    def signed_again(name: str, change: Callable[[cms.CMSAttributes], None]) -> Attack:
        info = contents(signed)
        signer = info["content"]["signer_infos"][0]
        change(signer["signed_attrs"])
        text = bytes(signer["signed_attrs"].untag().dump(force=True))
        assert isinstance(pki.officer.key, ec.EllipticCurvePrivateKey)
        signer["signature"] = pki.officer.key.sign(text, ec.ECDSA(hashes.SHA256()))
        return Attack(f"cms_{name}", replace_contents(signed, info.dump(force=True)))

    def without(kind: str) -> Callable[[cms.CMSAttributes], None]:
        def change(attributes: cms.CMSAttributes) -> None:
            for at in reversed(range(len(attributes))):
                if attributes[at]["type"].native == kind:
                    del attributes[at]

        return change

    def doubled(kind: str) -> Callable[[cms.CMSAttributes], None]:
        def change(attributes: cms.CMSAttributes) -> None:
            attributes.append(next(each for each in attributes if each["type"].native == kind).copy())

        return change

    def other_digest(attributes: cms.CMSAttributes) -> None:
        for each in attributes:
            if each["type"].native == "message_digest":
                each["values"] = [bytes(32)]

    def two_digests(attributes: cms.CMSAttributes) -> None:
        for each in attributes:
            if each["type"].native == "message_digest":
                each["values"] = [each["values"][0].native, bytes(32)]

    def other_type(attributes: cms.CMSAttributes) -> None:
        for each in attributes:
            if each["type"].native == "content_type":
                each["values"] = ["signed_data"]

    for kind in ("message_digest", "content_type", "signing_certificate_v2"):
        yield signed_again(f"without_{kind}", without(kind))
    for kind in ("message_digest", "content_type"):
        yield signed_again(f"two_of_{kind}", doubled(kind))
    yield signed_again("digest_of_zeros", other_digest)
    yield signed_again("two_values_of_message_digest", two_digests)
    yield signed_again("content_of_another_type", other_type)
    info = contents(signed)
    info["content"]["signer_infos"][0]["sid"] = cms.SignerIdentifier(
        "issuer_and_serial_number",
        {"issuer": x509.Certificate.load(pki.seal.der).issuer, "serial_number": pki.seal.certificate.serial_number},
    )
    info["content"]["certificates"].append(cms.CertificateChoices("certificate", x509.Certificate.load(pki.seal.der)))
    yield Attack("cms_names_another_signer", replace_contents(signed, info.dump(force=True)))
    info = contents(signed)
    info["content"]["signer_infos"][0]["signature"] = b""
    yield Attack("cms_signature_empty", replace_contents(signed, info.dump(force=True)))
    info = contents(signed)
    info["content"]["signer_infos"][0]["signature"] = b"\x30\x06\x02\x01\x00\x02\x01\x00"
    yield Attack("cms_signature_of_zeros", replace_contents(signed, info.dump(force=True)))
    info = contents(signed)
    info["content"]["signer_infos"][0]["signature_algorithm"] = {"algorithm": "sha384_ecdsa"}
    yield Attack("cms_signature_algorithm_renamed", replace_contents(signed, info.dump(force=True)))
    yield Attack(
        "cms_envelope_instead",
        replace_contents(signed, cms.ContentInfo({"content_type": "data", "content": b"x"}).dump()),
    )
    yield Attack("cms_two_in_one_hole", replace_contents(signed, b"\x30\x00" + contents(signed).dump()))
    forger = make(
        "Nguyễn Thị Thử",
        pki.issuing.issuer and make("Thử Nghiệm Issuing CA", make("Thử Nghiệm Root CA", ca=True), ca=True),
    )
    yield Attack("cms_signer_of_a_root_of_the_same_name", documents.sign(page, forger))
    yield Attack("cms_signer_without_authority", documents.sign(page, make("Tự ký")))
    middle = make("Không phải CA", pki.issuing)
    yield Attack("cms_certified_by_a_person", documents.sign(page, make("Kẻ mạo danh", middle)))
