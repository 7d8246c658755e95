"""What a file is, by its octets: each kind that people send has an answer of its own, whatever its name says."""

from __future__ import annotations

import io
import zipfile

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import CertificateSigningRequestBuilder, Name
from PIL import Image

from pki.tsa.request import build_request
from signer.validation.content import content_of
from signer.validation.door import FORMATS, gather
from signer.validation.facts import FileFacts, ValidationInputs
from signer.validation.reasons import OTHER_KINDS, REASONS
from signer.validation.strangers import _KINDS, _OF_LABEL, _OF_SHAPE
from tests.attacks import cms_files, documents
from tests.attacks.pki import NOW, Pki, build_pki, make_crl

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
KEY = ec.generate_private_key(ec.SECP256R1())
MAIL = b"Received: from a by b\r\nFrom: a@example.vn\r\nSubject: x\r\nMIME-Version: 1.0\r\n\r\n"


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, kind)
    return stream.getvalue()


def archive(*members: str, first: bytes = b"x") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for number, member in enumerate(members):
            packed.writestr(member, first if number == 0 else b"x")
    return stream.getvalue()


def key_in(form: PrivateFormat, encoding: Encoding) -> bytes:
    return KEY.private_bytes(encoding, form, NoEncryption())


def request() -> bytes:
    return (
        CertificateSigningRequestBuilder().subject_name(Name([])).sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    )


OTHERS = {
    "JPEG": (picture("JPEG"), "PHOTO"),
    "PNG": (picture("PNG"), "PHOTO"),
    "GIF": (picture("GIF"), "PHOTO"),
    "TIFF": (picture("TIFF"), "PHOTO"),
    "WEBP": (picture("WEBP"), "PHOTO"),
    "HEIC": (b"\x00\x00\x00\x18ftypheic\x00\x00", "PHOTO"),
    "docx": (archive("[Content_Types].xml", "word/document.xml"), "WORD"),
    "doc": (OLE + "WordDocument".encode("utf-16-le"), "WORD"),
    "xlsx": (archive("[Content_Types].xml", "xl/workbook.xml"), "EXCEL"),
    "xls": (OLE + "Workbook".encode("utf-16-le"), "EXCEL"),
    "pptx": (archive("[Content_Types].xml", "ppt/presentation.xml"), "OFFICE"),
    "odt": (archive("mimetype", "content.xml", first=b"application/vnd.oasis.opendocument.text"), "OFFICE"),
    "rtf": (rb"{\rtf1\ansi}", "OFFICE"),
    "old office": (OLE, "OFFICE"),
    "zip": (archive("a.txt"), "ZIP"),
    "rar": (b"Rar!\x1a\x07\x01\x00", "ZIP"),
    "ASiC": (archive("mimetype", "META-INF/signature.p7s", first=b"application/vnd.etsi.asic-e+zip"), "ASIC"),
    "msg": (OLE + "__substg1.0_".encode("utf-16-le"), "EMAIL"),
    "eml": (MAIL + b"text", "EMAIL"),
    "eml with armour": (MAIL + b"-----BEGIN CMS-----\nMAAA\n-----END CMS-----\n", "EMAIL"),
    "XML": (b'<?xml version="1.0"?><a/>', "XML"),
    "XML in UTF-16": ('<?xml version="1.0"?><a/>'.encode("utf-16"), "XML"),
    "edXML": (b'\xef\xbb\xbf\r\n<?xml version="1.0"?><edXML:edXML xmlns:edXML="http://www.mic.gov.vn/TBT/QCVN_102_2016"/>', "EDXML"),
    "older edXML": (b'<edXML xmlns="http://www.go.vn/eDoc"/>', "EDXML"),
    "XAdES": (b'<?xml version="1.0"?><a><x:Q xmlns:x="http://uri.etsi.org/01903/v1.3.2#"/></a>', "XADES"),
    "XML-DSig": (b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>', "XADES"),
    "HTML": (b"<!doctype html><html>", "NOT_PDF"),
    "text": ("Kính gửi: các sở\n".encode(), "NOT_PDF"),
    "words that could be base64": (b"MOTHER AND FATHER", "NOT_PDF"),
    "numbers": (bytes(range(1, 40)), "NOT_PDF"),
    "a request": (request(), "REQUEST"),
    "a request in PEM": (cms_files.pem(request(), "CERTIFICATE REQUEST"), "REQUEST"),
    "a query": (build_request("sha256", b"\x5a" * 32, nonce=7), "REQUEST"),
    "a key": (key_in(PrivateFormat.PKCS8, Encoding.DER), "PRIVATE_KEY"),
    "a key in PEM": (key_in(PrivateFormat.TraditionalOpenSSL, Encoding.PEM), "PRIVATE_KEY"),
    "an envelope": (bytes.fromhex("301006092a864886f70d010703a0030201 00".replace(" ", "")), "CMS_ENCRYPTED"),
    "data alone": (bytes.fromhex("300f06092a864886f70d010701a0020400"), "CMS_OTHER"),
    "a refusal": (bytes.fromhex("30053003020102"), "STAMP_REFUSED"),
}  # fmt: skip


def judged(file: bytes, **wishes: object) -> FileFacts:
    facts = gather(file, ValidationInputs(at=NOW, **wishes))  # type: ignore[arg-type]
    assert FileFacts.from_json(facts.to_json()) == facts
    return facts


@pytest.mark.parametrize("name", OTHERS)
def test_each_kind_of_file_has_its_own_answer(name: str) -> None:
    file, kind = OTHERS[name]
    assert judged(file).unreadable == f"UNREADABLE_{kind}"


def test_a_revocation_list_is_no_document(pki: Pki) -> None:
    for file in (make_crl(pki.root), cms_files.pem(make_crl(pki.root), "X509 CRL")):
        assert judged(file).unreadable == "UNREADABLE_CRL"


def test_every_kind_that_can_be_named_is_named_by_some_file() -> None:
    named = {f"UNREADABLE_{kind}" for _, kind in OTHERS.values()} | {"UNREADABLE_CRL"}
    assert named == OTHER_KINDS
    assert {reason for _, reason in _KINDS} | set(_OF_SHAPE.values()) | set(_OF_LABEL.values()) <= OTHER_KINDS
    assert set(REASONS) >= OTHER_KINDS


def test_what_is_judged_is_recognised_by_its_octets(pki: Pki) -> None:
    files = {
        "PDF": documents.sign(documents.page_pdf(), pki.officer),
        "CMS": cms_files.cms_file(pki.officer),
        "RFC3161": cms_files.reply(pki.tsa, b"x"),
        "X.509": pki.officer.der,
    }
    assert set(files) == {each.name for each in FORMATS}
    assert {judged(file).format for file in files.values()} == set(files)
    assert all(not judged(file).unreadable for file in files.values())
    # A PDF that holds an armour is a PDF all the same.
    assert judged(documents.page_pdf() + cms_files.pem(files["CMS"])).format == "PDF"


def test_two_files_belong_together_only_where_the_first_is_a_signature_or_a_time_stamp(pki: Pki) -> None:
    beside = content_of(b"x")
    for file in (documents.page_pdf(), pki.officer.der, OTHERS["docx"][0]):
        assert judged(file, content=beside).unreadable == "UNREADABLE_TWO_FILES"
    assert not judged(cms_files.reply(pki.tsa, b"x"), content=beside).unreadable


def test_what_only_looks_like_a_structure_is_damaged(pki: Pki) -> None:
    file = cms_files.cms_file(pki.officer)
    for broken in (
        file[:60],
        pki.officer.der[:200],
        cms_files.pem(b"\x30\x03\x02\x01\x05"),
        cms_files.pem(b"", "CERTIFICATE"),
    ):
        facts = judged(broken)
        assert facts.unreadable in ("UNREADABLE_DAMAGED", "UNREADABLE_NOT_PDF")


def test_a_key_is_not_taken_for_a_certificate_that_follows_it(pki: Pki) -> None:
    both = key_in(PrivateFormat.PKCS8, Encoding.PEM) + pki.officer.certificate.public_bytes(serialization.Encoding.PEM)
    assert judged(both).unreadable == "UNREADABLE_PRIVATE_KEY"
