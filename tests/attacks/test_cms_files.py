"""CMS files and what stands beside them: honest ones are valid, of the level they are of; none that was tampered with ever is."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from asn1crypto import cms, core
from cryptography.x509 import ReasonFlags

from signer.validation.policy import JudgedFile
from tests.attacks import cms_files
from tests.attacks.cms_files import (
    TEXT,
    Attributes,
    attribute,
    certificate,
    cms_file,
    countersigned_file,
    indefinite,
    pem,
    reply,
    sign_octets,
    signed_data,
    signer_info,
    stamp,
    stamped_file,
)
from tests.attacks.pki import NOW, Party, Pki, make, make_crl, usage

Judging = Callable[..., JudgedFile]


def only(judged: JudgedFile) -> tuple[str, str, str]:
    (signature,) = judged.signatures
    return judged.reason, signature.facts.level, signature.integrity


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("detached", [False, True])
def test_a_signature_with_its_content_inside_or_beside_is_valid(
    pki: Pki, judging: Judging, digest: str, detached: bool
) -> None:
    file = cms_file(pki.officer, digest=digest, detached=detached)
    judged = judging(file, content=TEXT if detached else None)
    assert only(judged) == ("VALID", "CAdES-B-B", "intact")
    assert judged.signatures[0].facts.claimed_time == NOW


def test_every_armour_says_the_same(pki: Pki, judging: Judging) -> None:
    file = cms_file(pki.officer)
    lines = base64.encodebytes(file)
    for each in (
        pem(file),
        pem(file, "PKCS7"),
        lines,
        b"\r\n" + lines.replace(b"\n", b"\r\n"),
        indefinite(file),
        file + b"\n",
    ):
        assert only(judging(each)) == ("VALID", "CAdES-B-B", "intact")


def test_the_level_is_what_the_parts_make_it(pki: Pki, judging: Judging) -> None:
    assert only(judging(cms_file(pki.officer, ess=False)))[1] == "CMS"
    assert only(judging(cms_file(pki.officer, moment=None)))[1] == "CAdES-E-BES"
    older = cms_file(pki.officer, ess=False, change=lambda found: [*found, cms_files.ess_v1(pki.officer)])
    assert only(judging(older)) == ("VALID", "CAdES-B-B", "intact")
    assert only(judging(stamped_file(pki.officer, pki.tsa)))[1] == "CAdES-B-T"
    assert only(judging(stamped_file(pki.officer, pki.tsa, crls=pki.crls())))[1] == "CAdES-B-LT"
    assert only(judging(cms_file(pki.officer, by_key_identifier=True)))[0] == "VALID"
    assert only(judging(cms_file(pki.officer, bare=True, ess=False))) == ("VALID", "CMS", "intact")


def test_a_time_stamp_keeps_a_signature_good_behind_its_certificates_end(pki: Pki, judging: Judging) -> None:
    made = NOW - timedelta(hours=2)
    entry = {pki.officer.certificate.serial_number: (NOW - timedelta(hours=1), ReasonFlags.key_compromise)}
    crls = (make_crl(pki.root), make_crl(pki.issuing, entry))
    assert judging(cms_file(pki.officer), crls=crls).reason == "UNKNOWN_REVOKED_NO_TIME"
    judged = judging(stamped_file(pki.officer, pki.tsa, moment=made), crls=crls)
    assert (judged.reason, judged.signatures[0].proven_time) == ("VALID", made)


def test_several_signers_are_each_judged_and_the_worst_counts(pki: Pki, judging: Judging) -> None:
    infos = [signer_info(pki.officer, TEXT), signer_info(pki.seal, TEXT, digest="sha384")]
    judged = judging(signed_data(infos, [pki.officer, pki.seal]))
    assert [(each.facts.field, each.reason) for each in judged.signatures] == [
        ("signer 1", "VALID"),
        ("signer 2", "VALID"),
    ]
    infos[1]["signature"] = bytes(infos[1]["signature"].native[:-1]) + b"\x00"
    judged = judging(signed_data(infos, [pki.officer, pki.seal]))
    assert [each.reason for each in judged.signatures] == ["VALID", "INVALID_CRYPTO"]
    assert judged.conclusion == "invalid"


def test_a_countersignature_is_said_and_never_makes_the_signature_better_or_worse(pki: Pki, judging: Judging) -> None:
    judged = judging(countersigned_file(pki.officer, pki.seal))
    assert [(each.facts.type, each.reason) for each in judged.signatures] == [
        ("signature", "VALID"),
        ("countersignature", "VALID"),
    ]
    other = judging(countersigned_file(pki.officer, pki.seal, change=lambda value: value + b"x"))
    assert [each.reason for each in other.signatures] == ["VALID", "INVALID_MODIFIED"]
    assert other.conclusion == "valid"


def test_without_its_content_nobody_can_say_whether_it_changed(pki: Pki, judging: Judging) -> None:
    for file in (cms_file(pki.officer, detached=True), cms_file(pki.officer, detached=True, bare=True, ess=False)):
        judged = judging(file)
        assert (judged.conclusion, judged.reason) == ("indeterminate", "UNKNOWN_NO_CONTENT")
        assert judged.signatures[0].sub_indication == "SIGNED_DATA_NOT_FOUND"
        assert judged.signatures[0].integrity == "unknown"


def test_foreign_and_unknown_issuers_are_unknown_and_not_forged(pki: Pki, judging: Judging) -> None:
    file = cms_file(pki.officer)
    assert only(judging(file, anchors=[])) == ("UNKNOWN_ISSUER", "CAdES-B-B", "intact")
    assert judging(file, crls=[]).reason == "UNKNOWN_REVOCATION"


# Attacks: each is a file that somebody might take for the officer's.


def with_another_content(pki: Pki) -> bytes:
    return signed_data([signer_info(pki.officer, TEXT)], [pki.officer], b"Noi dung khac")


def with_another_type(pki: Pki) -> bytes:
    return signed_data([signer_info(pki.officer, TEXT)], [pki.officer], TEXT, kind="1.2.3.4.5")


def without_attributes_of_a_type(pki: Pki) -> bytes:
    return signed_data([signer_info(pki.officer, TEXT, bare=True, ess=False)], [pki.officer], TEXT, kind="1.2.3.4.5")


def attributes_as_content(pki: Pki) -> bytes:
    """What an honest signer signed, his attributes, shown as the content of a signature without attributes (RFC 5652 5.4)."""
    info = signer_info(pki.officer, TEXT)
    content = info["signed_attrs"].untag().dump()
    del info["signed_attrs"]
    return signed_data([info], [pki.officer], content)


def attributes_left_out(pki: Pki) -> bytes:
    info = signer_info(pki.officer, TEXT)
    del info["signed_attrs"]
    return signed_data([info], [pki.officer])


def doubled(kind: str) -> Callable[[Pki], bytes]:
    def change(found: Attributes) -> Attributes:
        same = next(each for each in found if each["type"].native == kind)
        other = attribute(kind, bytes(32)) if kind == "message_digest" else same.copy()
        return [*found, other]

    return lambda pki: cms_file(pki.officer, change=change)


def without(kind: str) -> Callable[[Pki], bytes]:
    return lambda pki: cms_file(
        pki.officer, change=lambda found: [each for each in found if each["type"].native != kind]
    )


def digest_renamed(pki: Pki) -> bytes:
    info = signer_info(pki.officer, TEXT)
    info["digest_algorithm"] = {"algorithm": "sha384"}
    return signed_data([info], [pki.officer])


def algorithm_mismatch(pki: Pki) -> bytes:
    """Digest by SHA-256, signature by an algorithm with SHA-384, honestly made."""
    info = signer_info(pki.officer, TEXT)
    info["signature_algorithm"] = {"algorithm": "sha384_ecdsa"}
    info["signature"] = sign_octets(pki.officer.key, info["signed_attrs"].untag().dump(), "sha384")
    return signed_data([info], [pki.officer])


def ess_of_another(pki: Pki) -> bytes:
    return cms_file(pki.officer, ess=False, change=lambda found: [*found, cms_files.ess_v2(pki.seal)])


def weak_digest(pki: Pki) -> bytes:
    return cms_file(pki.officer, digest="sha1")


def of_a_stranger_with_the_same_name(pki: Pki) -> bytes:
    root = make("Thử Nghiệm Root CA", ca=True)
    return cms_file(make("Nguyễn Thị Thử", make("Thử Nghiệm Issuing CA", root, ca=True)))


def certified_by_a_person(pki: Pki) -> bytes:
    return cms_file(make("Kẻ mạo danh", pki.officer))


def followed_by_more(pki: Pki) -> bytes:
    return cms_file(pki.officer) + b"\x30\x03\x02\x01\x05 va them noi dung"


def envelope_around_nothing(pki: Pki) -> bytes:
    return signed_data([], [pki.officer])


def signature_of_zeros(pki: Pki) -> bytes:
    info = signer_info(pki.officer, TEXT)
    info["signature"] = b"\x30\x06\x02\x01\x00\x02\x01\x00"
    return signed_data([info], [pki.officer])


def indefinite_and_swapped(pki: Pki) -> bytes:
    return indefinite(with_another_content(pki))


def never_ending(pki: Pki) -> bytes:
    return b"\x30\x80" * 50_000


def cut_off(pki: Pki) -> bytes:
    return cms_file(pki.officer)[:-40]


def nested(pki: Pki) -> bytes:
    """A signature over a signature: the inner content is not what a reader would show."""
    inner = cms_file(pki.officer)
    stranger = make("Người lạ")
    return signed_data([signer_info(stranger, inner)], [stranger], inner)


ATTACKS: dict[str, Callable[[Pki], bytes]] = {
    each.__name__: each
    for each in (
        with_another_content, with_another_type, without_attributes_of_a_type, attributes_as_content, attributes_left_out, digest_renamed,
        algorithm_mismatch, ess_of_another, weak_digest, of_a_stranger_with_the_same_name, certified_by_a_person, followed_by_more,
        envelope_around_nothing, signature_of_zeros, indefinite_and_swapped, never_ending, cut_off, nested,
    )
}  # fmt: skip
ATTACKS |= {f"two_of_{kind}": doubled(kind) for kind in ("message_digest", "content_type")}
ATTACKS |= {f"without_{kind}": without(kind) for kind in ("message_digest", "content_type")}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_tampered_file_is_valid(pki: Pki, judging: Judging, name: str) -> None:
    file = ATTACKS[name](pki)
    judged = judging(file)
    assert judged.conclusion != "valid", judged.reason
    assert judging(pem(file)).conclusion != "valid"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("with_another_content", "INVALID_MODIFIED"),
        ("with_another_type", "INVALID_FORMAT"),
        ("attributes_as_content", "INVALID_FORMAT"),
        ("attributes_left_out", "INVALID_CRYPTO"),
        ("algorithm_mismatch", "UNKNOWN_ALGORITHM"),
        ("ess_of_another", "UNKNOWN_SIGNER"),
        ("weak_digest", "UNKNOWN_ALGORITHM"),
        ("of_a_stranger_with_the_same_name", "UNKNOWN_ISSUER"),
        ("followed_by_more", "UNKNOWN_CHANGES"),
        ("envelope_around_nothing", "BARE_CERTIFICATES"),
        ("two_of_message_digest", "INVALID_FORMAT"),
    ],
)
def test_a_tampered_file_is_told_why(pki: Pki, judging: Judging, name: str, reason: str) -> None:
    assert judging(ATTACKS[name](pki)).reason == reason


def test_attributes_may_stand_in_any_order(pki: Pki, judging: Judging) -> None:
    for ordered in (True, False):
        file = cms_file(pki.officer, ordered=ordered, change=lambda found: found[::-1])
        assert judging(file).reason == "VALID"


def test_another_content_shown_beside_a_signature_that_has_its_own_is_a_changed_one(pki: Pki, judging: Judging) -> None:
    file = cms_file(pki.officer)
    assert judging(file, content=TEXT).reason == "VALID"
    assert judging(file, content=TEXT + b".").reason == "INVALID_MODIFIED"
    alone = cms_file(pki.officer, detached=True)
    assert judging(alone, content=TEXT + b".").reason == "INVALID_MODIFIED"


def test_signed_attributes_shown_as_a_content_beside_are_none(pki: Pki, judging: Judging) -> None:
    info = signer_info(pki.officer, TEXT)
    content = info["signed_attrs"].untag().dump()
    del info["signed_attrs"]
    judged = judging(signed_data([info], [pki.officer], None), content=content)
    assert judged.reason == "INVALID_FORMAT"


def test_any_octet_that_is_flipped_never_leaves_another_valid_content(pki: Pki, judging: Judging) -> None:
    file = cms_file(pki.officer)
    place = file.index(TEXT)
    for at in range(place, place + len(TEXT), 7):
        changed = file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]
        assert judging(changed).reason == "INVALID_MODIFIED"


def test_a_hundred_thousand_certificates_are_not_looked_through(pki: Pki, judging: Judging) -> None:
    tiny = cms_files.tlv(
        0x30, cms_files.tlv(0x30, cms_files.tlv(0x02, b"\x01")) + cms_files.tlv(0x30, b"") + b"\x03\x01\x00"
    )
    file = cms.ContentInfo.load(cms_file(pki.officer))
    content = file["content"]
    many = cms_files.tlv(0xA0, tiny * 100_000)
    parts = [content["version"].dump(), content["digest_algorithms"].dump(), content["encap_content_info"].dump(), many]
    parts.append(content["signer_infos"].dump())
    inner = cms_files.tlv(0x30, b"".join(parts))
    whole = cms_files.tlv(0x30, core.ObjectIdentifier("1.2.840.113549.1.7.2").dump() + cms_files.tlv(0xA0, inner))
    begun = time.monotonic()
    assert judging(whole).conclusion == "indeterminate" or judging(whole).conclusion == "invalid"
    assert time.monotonic() - begun < 10


def test_a_broken_list_in_the_file_is_left_out_and_blamed_on_nobody(pki: Pki, judging: Judging) -> None:
    root, issuing = pki.crls()
    file = stamped_file(pki.officer, pki.tsa, crls=[root, issuing])
    # Its name, its version and its first entries, so that no list can be read there.
    place = file.index(issuing) + 8
    judged = judging(file[:place] + bytes(20) + file[place + 20 :])
    assert judged.signatures[0].reason == "VALID"


def test_a_time_stamp_alone_is_a_time_stamp_and_no_signature(pki: Pki, judging: Judging) -> None:
    for file in (stamp(pki.tsa, TEXT).dump(), reply(pki.tsa, TEXT), pem(stamp(pki.tsa, TEXT).dump())):
        judged = judging(file, content=TEXT)
        assert (judged.conclusion, judged.reason) == ("valid", "BARE_TIMESTAMP_GOOD")
        assert [(each.facts.type, each.proven_time) for each in judged.signatures] == [("timestamp", NOW)]
        assert judging(file, content=TEXT + b".").reason == "INVALID_MODIFIED"
        assert judging(file).reason == "UNKNOWN_NO_CONTENT"
        assert judging(file, content=TEXT, anchors=[]).reason == "UNKNOWN_ISSUER"
    person = make("Không phải TSA", pki.issuing, key=pki.tsa.key, key_usage=usage(digital_signature=True))
    assert judging(stamp(person, TEXT).dump(), content=TEXT).reason == "UNKNOWN_KEY_USAGE"


def test_a_certificate_alone_is_a_certificate_and_no_document(pki: Pki, judging: Judging) -> None:
    both = pem(pki.officer.der, "CERTIFICATE") + pem(pki.issuing.der, "CERTIFICATE")
    for file in (both, b"Subject: CN=x\n" + both, pki.issuing.der, pki.root.der):
        judged = judging(file)
        assert (judged.conclusion, judged.reason, judged.signatures) == ("valid", "BARE_CERTIFICATE_GOOD", ())
    assert judging(both, anchors=[]).reason == "UNKNOWN_ISSUER"
    assert judging(both, crls=[]).reason == "UNKNOWN_REVOCATION"
    late, early = NOW + timedelta(days=366), NOW - timedelta(days=31)
    assert judging(both, at=late).reason == "BARE_CERTIFICATE_EXPIRED"
    assert judging(both, at=early).reason == "BARE_CERTIFICATE_NOT_YET_VALID"
    for reason, said in ((ReasonFlags.key_compromise, "REVOKED"), (ReasonFlags.certificate_hold, "SUSPENDED")):
        entry = {pki.officer.certificate.serial_number: (NOW - timedelta(hours=1), reason)}
        crls = (make_crl(pki.root), make_crl(pki.issuing, entry))
        assert judging(both, crls=crls).reason == f"BARE_CERTIFICATE_{said}"


def test_a_party_of_the_pki_is_itself(pki: Pki) -> None:
    held: Party = pki.officer
    assert certificate(held).dump() == held.der
