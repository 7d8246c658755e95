"""Honest documents to attack: one page with a form field, signed by pyHanko with software keys."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from datetime import datetime

from asn1crypto import keys, x509
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name, pdf_string
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import BasePdfFileWriter, copy_into_new_writer
from pyhanko.sign import fields, signers
from pyhanko.sign.signers.pdf_signer import PdfSigningSession
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore
from reportlab.pdfgen.canvas import Canvas

from tests.attacks.pki import NOW, Party


def page_pdf(text: str = "Quyet dinh so 15/QD-UBND", *, pages: int = 1, form: bool = True) -> bytes:
    """A page of text, with a text field `So` on the first page."""
    out = io.BytesIO()
    canvas = Canvas(out, invariant=1)
    for page in range(pages):
        canvas.drawString(72, 720, f"{text} trang {page + 1}")
        if form and page == 0:
            canvas.acroForm.textfield(name="So", x=72, y=600, width=120, height=20)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def simple_signer(
    party: Party, certificate: x509.Certificate | None = None, *, pss: bool = False
) -> signers.SimpleSigner:
    store = SimpleCertificateStore()
    for link in party.chain[:1]:
        store.register(x509.Certificate.load(link.public_bytes(serialization.Encoding.DER)))
    pkcs8 = party.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return signers.SimpleSigner(
        signing_cert=certificate or x509.Certificate.load(party.der),
        signing_key=keys.PrivateKeyInfo.load(pkcs8),
        cert_registry=store,
        prefer_pss=pss,
        embed_roots=False,
    )


class PdfSignerOfThen(signers.PdfSigner):
    """The library's, at another time than now."""

    claimed = NOW

    def init_signing_session(self, pdf_out: BasePdfFileWriter, existing_fields_only: bool = False) -> PdfSigningSession:
        session = super().init_signing_session(pdf_out, existing_fields_only)
        session.system_time = self.claimed
        return session


def sign(
    pdf: bytes,
    party: Party,
    field: str = "Sig1",
    *,
    certify: fields.MDPPerm | None = None,
    digest: str = "sha256",
    pades: bool = True,
    pss: bool = False,
    new_field: bool = True,
    bytes_reserved: int = 16384,
    claimed: datetime = NOW,
    strict: bool = True,
) -> bytes:
    """The document with one more signature, in a revision of its own. `claimed`: when it says that it was made."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf), strict=strict)
    if new_field:
        fields.append_signature_field(writer, fields.SigFieldSpec(field, box=(300, 100, 400, 160)))
    subfilter = fields.SigSeedSubFilter.PADES if pades else fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED
    meta = signers.PdfSignatureMetadata(
        field_name=field,
        md_algorithm=digest,
        subfilter=subfilter,
        certify=certify is not None,
        docmdp_permissions=certify or fields.MDPPerm.FILL_FORMS,
    )
    out = io.BytesIO()
    signer = PdfSignerOfThen(meta, simple_signer(party, pss=pss))
    signer.claimed = claimed
    signer.sign_pdf(writer, output=out, bytes_reserved=bytes_reserved)
    return out.getvalue()


def sign_digest(party: Party, value: bytes, digest: str) -> bytes:
    """A detached CMS with the attributes of PAdES over a digest, whatever it is of."""
    return asyncio.run(simple_signer(party).async_sign(value, digest, use_pades=True)).dump()


def stamper_of(tsa: Party, moment: datetime = NOW) -> DummyTimeStamper:
    signer = simple_signer(tsa)
    return DummyTimeStamper(signer.signing_cert, signer.signing_key, signer.cert_registry, fixed_dt=moment)


def timestamped(pdf: bytes, tsa: Party, moment: datetime = NOW, *, field: str | None = None) -> bytes:
    """The document with a document timestamp after it, in a field that is there or in a new one."""
    stamper = stamper_of(tsa, moment)
    out = io.BytesIO()
    signers.PdfTimeStamper(stamper, field_name=field).timestamp_pdf(
        IncrementalPdfFileWriter(io.BytesIO(pdf)), "sha256", output=out, bytes_reserved=16384
    )
    return out.getvalue()


def filled(pdf: bytes, value: str = "15") -> bytes:
    """The document after somebody filled in the field `So`: it holds the value and shows it."""
    return _with_field(pdf, value, value)


def with_other_appearance(pdf: bytes, text: str = "99") -> bytes:
    """The document after the field `So` was given another appearance and kept its value: the shadow `replace` of 2020."""
    return _with_field(pdf, None, text)


def _with_field(pdf: bytes, value: str | None, text: str) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    for reference in writer.root["/AcroForm"]["/Fields"]:
        field = reference.get_object()
        if field.get("/T") == "So":
            old = field["/AP"]["/N"]
            shown = generic.StreamObject(dict(old), stream_data=f"/Tx BMC BT /Helv 12 Tf ({text}) Tj ET EMC".encode())
            for key in ("/Filter", "/Length", "/DecodeParms"):
                shown.pop(key, None)
            field["/AP"] = generic.DictionaryObject({pdf_name("/N"): writer.add_object(shown)})
            if value is not None:
                field["/V"] = pdf_string(value)
            writer.mark_update(reference)
    return _written(writer)


def with_validation_data(pdf: bytes, party: Party) -> bytes:
    """The document with a document security store (EN 319 142-1 5.4.2)."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    held = writer.add_object(generic.StreamObject(stream_data=party.der))
    store = generic.DictionaryObject(
        {pdf_name("/Type"): pdf_name("/DSS"), pdf_name("/Certs"): generic.ArrayObject([held])}
    )
    writer.root["/DSS"] = writer.add_object(store)
    writer.update_root()
    return _written(writer)


def with_lists(pdf: bytes, parties: Sequence[Party], crls: Sequence[bytes]) -> bytes:
    """The document with a security store of certificates and revocation lists."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    parts = {"/Certs": [each.der for each in parties], "/CRLs": crls}
    store = generic.DictionaryObject({pdf_name("/Type"): pdf_name("/DSS")})
    for name, held in parts.items():
        streams = [writer.add_object(generic.StreamObject(stream_data=each)) for each in held]
        store[pdf_name(name)] = generic.ArrayObject(streams)
    writer.root["/DSS"] = writer.add_object(store)
    writer.update_root()
    return _written(writer)


def with_annotation(pdf: bytes, text: str = "Da sua") -> bytes:
    """The document with a note laid over the first page: the evil annotation of 2021."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    page = writer.root["/Pages"]["/Kids"][0].get_object()
    note = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Annot"),
            pdf_name("/Subtype"): pdf_name("/FreeText"),
            pdf_name("/Rect"): generic.ArrayObject(map(generic.NumberObject, (72, 700, 300, 740))),
            pdf_name("/Contents"): pdf_string(text),
            pdf_name("/DA"): pdf_string("/Helv 12 Tf"),
        }
    )
    page["/Annots"] = generic.ArrayObject([*page.get("/Annots", ()), writer.add_object(note)])
    writer.update_container(page["/Annots"])
    return _written(writer)


def with_other_page(pdf: bytes, *, remove: bool = False) -> bytes:
    """The document with its pages changed by a clean incremental update."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    pages = writer.root["/Pages"]
    kids = pages["/Kids"]
    pages["/Kids"] = generic.ArrayObject(list(kids)[:-1] if remove else [*kids, kids[0]])
    pages["/Count"] = generic.NumberObject(len(pages["/Kids"]))
    writer.mark_update(writer.root.raw_get("/Pages"))
    return _written(writer)


def with_stream_tables(pdf: bytes) -> bytes:
    """The same document with a cross-reference stream instead of a table (ISO 32000-2 7.5.8)."""
    out = io.BytesIO()
    copy_into_new_writer(PdfFileReader(io.BytesIO(pdf)), writer_kwargs={"stream_xrefs": True}).write(out)
    return out.getvalue()


def with_other_text(pdf: bytes, text: str = "GIA MAO") -> bytes:
    """The document with the first page's content replaced by a clean incremental update."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    page = writer.root["/Pages"]["/Kids"][0].get_object()
    content = generic.StreamObject(stream_data=f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode())
    page["/Contents"] = writer.add_object(content)
    writer.mark_update(writer.root["/Pages"]["/Kids"].raw_get(0))
    return _written(writer)


def _written(writer: IncrementalPdfFileWriter) -> bytes:
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
