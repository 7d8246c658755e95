"""Signing beside pyHanko's own PdfSigner with its PKCS11Signer: the same token, key, file, machine and run."""

from __future__ import annotations

import dataclasses
import io
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pkcs11
from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import PdfSignatureMetadata, PdfSigner
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.pkcs11 import PKCS11Signer
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator import ValidationContext
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from api.keys import module_path, token_surroundings
from api.wiring import Installation, open_installation
from certs.inventory import get_certificate
from certs.names import parse_subject
from certs.serial import serial_hex
from hsm.module import load_module
from hsm.spec import KeySpec, key_id_of
from pki.authorities import get_authority
from pki.crl_archive import crl_octets, find_latest
from pki.roles import owner
from pki.tsa.authority import TimeStampingAuthority
from signer.appending import append
from signer.credentials import Credential, credential_exists
from signer.enrolment import EnrolmentDeps, EnrolmentRequest, enrol
from signer.extension import Appended, ExtensionPlan
from signer.levels import B_LT
from signer.octets import Octets, whole
from signer.pades import accept_prepared, sign_prepared
from signer.placing import PlaceShelf
from signer.plan import Plan
from signer.preparing import prepare
from signer.signing import SignedDocument, SignRequest, sign_document
from signer.signing_chunks import sign_in_chunks
from signer.timestamps import OneStamp
from tests.bench.measure import Row, faster, interleaved
from tests.large_pdf import large_pdf

_ACTOR = owner("bench")
_RSA = "bench-rsa"
_MANY = 500
_TEXT = "Căn cứ Nghị định số 30/2020/NĐ-CP ngày 05 tháng 3 năm 2020 của Chính phủ về công tác văn thư. " * 2


def pages(count: int, lines: int = 28) -> bytes:
    """A PDF of plain text pages."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=0)
    for number in range(count):
        for line in range(lines):
            canvas.drawString(
                60, 780 - line * 24, f"{number + 1}.{line + 1} {_TEXT.encode('ascii', 'replace').decode()[:90]}"
            )
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def run(home: Path, *, full: bool) -> list[Row]:
    """Open the demo home and sign."""
    environment = {**os.environ, "ANTIN_HOME": str(home)}
    with open_installation(environment) as installation:
        credential = installation.desk.usable("officer")
        session = _session(installation)
        peer = _peer(installation, credential, session)
        rows = [
            _pades("pades, B-B, 3 pages, P-256", pages(3), credential, peer, 60, goal=25.0),
            *_whole("sign_document, everything on, 3 pages, P-256", pages(3), installation, peer, 60),
        ]
        rows.append(
            _lasting("pades, B-LT with own TSA and OCSP, 3 pages, P-256", pages(3), installation, credential, peer, 20)
        )
        rows.append(_rsa(installation, session, pages(3), 60))
        rows += _visible(pages(3, lines=12), installation, 60)
        if full:
            for kind, pdf in (("table", pages(1000)), ("streams", large_pdf(1000, streams=True))):
                rows.append(_pades(f"pades, B-B, 1,000 pages, {kind}, P-256", pdf, credential, peer, 10, goal=8.0))
    return rows


def _session(installation: Installation) -> pkcs11.Session:
    """A session of its own in this process."""
    settings, home = installation.settings, installation.home
    os.environ |= token_surroundings(home, settings)
    os.chdir(home.root)  # where SoftHSM's settings count from, each time it looks for keys
    token = load_module(module_path(settings)).lib.get_token(token_label=settings.hsm.token_label)
    return token.open(user_pin=home.pin_file.read_text())


def _rsa(installation: Installation, token: pkcs11.Session, pdf: bytes, rounds: int) -> Row:
    """Bytes to bytes with RSA-2048 and PSS, beside what one session of the token does with the bare key."""
    with installation.database.read() as session:
        is_there = credential_exists(session, _RSA)
    if not is_there:
        subject = parse_subject("CN=Nguyễn Văn B,OU=Phòng Thử nghiệm,O=Sở Thử nghiệm,C=VN")
        deps = EnrolmentDeps(installation.keys, installation.issuing_today(), "pss")
        enrol(EnrolmentRequest(_RSA, "officer", subject, KeySpec.RSA_2048), _ACTOR, deps)
    credential = installation.desk.usable(_RSA)
    key = token.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=key_id_of(credential.public_key_der))

    def bare() -> bytes:
        signature: bytes = key.sign(b"x" * 200, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS)
        return signature

    seconds = interleaved([lambda: _bytes_to_bytes(pdf, credential), bare], rounds)
    return faster("pades, RSA-2048, beside the bare key in one session", *seconds, rounds, 0.5)


def _peer(installation: Installation, credential: Credential, session: pkcs11.Session) -> PdfSigner:
    """PdfSigner on our token, with a session of its own in this process, as its users have it."""
    with installation.database.read() as database:
        certificate = get_certificate(database, credential.serial).certificate()
    signer = PKCS11Signer(
        session,
        signing_cert=asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)),
        key_id=key_id_of(credential.public_key_der),
        other_certs_to_pull=(),
        use_raw_mechanism=True,  # SoftHSM 2.6 has no ECDSA with hash
    )
    metadata = PdfSignatureMetadata(field_name="Signature1", md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES)
    assert session.get_objects({pkcs11.Attribute.ID: key_id_of(credential.public_key_der)})
    return PdfSigner(metadata, signer)


def _peer_call(pdf: bytes, peer: PdfSigner) -> bytes:
    signed: bytes = peer.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf))).getvalue()
    return signed


def _pades(
    name: str, pdf: bytes, credential: Credential, peer: PdfSigner, rounds: int, goal: float | None = None
) -> Row:
    seconds = interleaved([lambda: _bytes_to_bytes(pdf, credential), lambda: _peer_call(pdf, peer)], rounds)
    return faster(name, *seconds, rounds, goal)


def _bytes_to_bytes(pdf: bytes, credential: Credential) -> Octets:
    plan = Plan("signature", datetime.now(UTC), credential.template.reserved_octets(), placement="none")
    prepared = prepare(pdf, plan)
    accepted = accept_prepared(pdf, prepared.tail, prepared.hole, prepared.field)
    return sign_prepared(accepted, credential.template, credential.key())


def _visible(pdf: bytes, installation: Installation, rounds: int) -> list[Row]:
    """What a stamp adds, beside what it may add: the same paper with it and without, its place found once.

    A number in the document information makes every input another document of the same paper.
    """
    seal, deps = installation.desk.usable("seal"), installation.signing
    places = PlaceShelf()

    def signed(placement: str) -> bytes:
        assert seal.image_sha256 is not None
        assert seal.diameter_mm is not None
        image = deps.image(seal.image_sha256, "seal", seal.diameter_mm)
        octets = seal.template.reserved_octets()
        plan = Plan("seal", datetime.now(UTC), octets, placement, image=image, diameter_mm=seal.diameter_mm)
        prepared = prepare(pdf, plan, places)
        assert (prepared.placed is None) is (placement == "none")
        accepted = accept_prepared(pdf, prepared.tail, prepared.hole, prepared.field)
        return sign_prepared(accepted, seal.template, seal.key())

    numbers = iter(range(1_000_000))

    def whole(placement: str) -> SignedDocument:
        content = pdf.replace(b"(ReportLab", b"(%09d" % next(numbers), 1)
        assert content != pdf
        document = sign_document(SignRequest(content, "bench.pdf", "officer", placement=placement), _ACTOR, deps)
        assert (document.placed is None) is (placement == "none")
        return document

    seen, unseen = interleaved([lambda: signed("required"), lambda: signed("none")], rounds)
    stamped, plain = interleaved([lambda: whole("required"), lambda: whole("none")], 2 * rounds)
    return [
        faster("visible seal, its place known: added, of 0.5 ms", max(seen - unseen, 1e-6), 0.0005, rounds, 1.0),
        faster(
            "visible signature in sign_document: added, of 1 ms", max(stamped - plain, 1e-6), 0.001, 2 * rounds, 1.0
        ),
    ]


def _whole(name: str, pdf: bytes, installation: Installation, peer: PdfSigner, rounds: int) -> list[Row]:
    """One by one, and a hundred in a chunk. Two commits with synchronous=FULL, audit rows, the judge process, a synced blob, our own check of the output.

    A number in a comment makes every input another document, so that each blob is new and really written.
    """
    numbers = iter(range(1_000_000))

    def request() -> SignRequest:
        content = pdf.replace(b"ReportLab", b"%09d" % next(numbers), 1)
        return SignRequest(content, "bench.pdf", "officer", placement="none")

    def ours() -> bytes:
        return sign_document(request(), _ACTOR, installation.signing).content

    one, alone = interleaved([ours, lambda: _peer_call(pdf, peer)], rounds)

    def many() -> None:
        """As `antin sign` takes a folder, from the first file to the last."""
        row = sign_in_chunks((request() for _ in range(_MANY)), _ACTOR, installation.signing_many)
        assert all(isinstance(each, SignedDocument) for chunk in row for each in chunk)

    # The peer goes on one by one: it knows no chunks.
    folder, beside = interleaved([many, lambda: [_peer_call(pdf, peer) for _ in range(10)]], 3, warm_up=1)
    return [
        faster(name, one, alone, rounds, 5.0),
        faster("the same, 500 in chunks of 100, each", folder / _MANY, beside / 10, 3 * _MANY, 10.0),
    ]


class _Here:
    """Appends in this process, as the peer does."""

    def append(self, pdf: bytes, plan: ExtensionPlan) -> Appended:
        return append(pdf, plan)


class _SameAuthority(TimeStamper):
    """The peer's way to our time-stamping authority, in process too."""

    def __init__(self, authority: TimeStampingAuthority) -> None:
        super().__init__()
        self._authority = authority

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        return tsp.TimeStampResp.load(self._authority.answer(req.dump()).der)


def _lasting(
    name: str, pdf: bytes, installation: Installation, credential: Credential, peer: PdfSigner, rounds: int
) -> Row:
    """Signature, time-stamp, and a store with a fresh OCSP answer, by the same services in the same process."""
    extender = dataclasses.replace(installation.extender, appender=_Here())

    def ours() -> bytes:
        plan = Plan("signature", datetime.now(UTC), credential.template.reserved_octets(), placement="none")
        prepared = prepare(pdf, plan)
        accepted = accept_prepared(pdf, prepared.tail, prepared.hole, prepared.field)
        ahead = extender.ahead((credential.serial,), B_LT)
        stamp = OneStamp(extender.timestamper, ahead.gather)
        signed = sign_prepared(accepted, credential.template, credential.key(), stamp.timestamp)
        raised = extender.raise_signed(signed, accepted.hole, B_LT, (credential.serial,), stamp.stamped_by, ahead=ahead)
        assert raised.level == B_LT, raised.failure
        return whole(raised.content)

    theirs = _lasting_peer(pdf, installation, credential, peer)
    assert b"/DSS" in theirs()
    seconds = interleaved([ours, theirs], rounds)
    return faster(name, *seconds, rounds, 15.0)


def _lasting_peer(
    pdf: bytes, installation: Installation, credential: Credential, peer: PdfSigner
) -> Callable[[], bytes]:
    # It warns each time that nothing is fetched, which is the point.
    logging.getLogger("pyhanko").setLevel(logging.ERROR)
    tsa_certificate = installation.tsa.service().certificate
    with installation.database.read() as session:
        ders = {
            name: get_certificate(session, get_authority(session, name).serial or "").der or b""
            for name in ("root", "issuing")
        }
        newest = [find_latest(session, name) for name in ders]
        lists = [b"".join(crl_octets(session, crl)) for crl in newest if crl is not None]
    root, issuing = (asn1_x509.Certificate.load(der) for der in ders.values())
    held = [issuing, asn1_x509.Certificate.load(tsa_certificate.public_bytes(Encoding.DER))]
    kept = [_answer(installation, serial_hex(tsa_certificate.serial_number))]
    crls = [asn1_crl.CertificateList.load(der) for der in lists]
    stamper = _SameAuthority(installation.tsa)

    def call() -> bytes:
        # As ours: the signer's state is asked for now, what is above it and beside it was asked for a minute ago.
        context = ValidationContext(
            trust_roots=[root], other_certs=held, ocsps=[_answer(installation, credential.serial), *kept], crls=crls,
            allow_fetching=False, revocation_mode="hard-fail",
        )  # fmt: skip
        metadata = PdfSignatureMetadata(
            field_name="Signature1", md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES, embed_validation_info=True,
            use_pades_lta=False, validation_context=context,
        )  # fmt: skip
        return _peer_call(pdf, PdfSigner(metadata, peer.signer, timestamper=stamper))

    return call


def _answer(installation: Installation, serial: str) -> asn1_ocsp.OCSPResponse:
    answer = installation.ocsp.about("issuing", serial)
    assert answer is not None
    return asn1_ocsp.OCSPResponse.load(answer.der)
