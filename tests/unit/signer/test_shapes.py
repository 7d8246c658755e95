"""Honest files of every shape are signed, seen and unseen, without harm; what cannot be signed is refused by its name."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from reportlab.lib.pagesizes import A3, A4, landscape

from signer.errors import Refused
from tests.signing_world import SigningWorld, plain_paper, raw_pdf
from tests.unharmed import check_unharmed

PAPER = plain_paper("QUYẾT ĐỊNH".encode("ascii", "replace").decode(), "Article 1.", pages=2)
_FONT = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"


def by_qpdf(*options: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.pdf", Path(folder) / "out.pdf"
        source.write_bytes(PAPER)
        subprocess.run(["qpdf", *options, source, target], check=True)
        return target.read_bytes()


def page_of(attributes: str, text: str = "BT /F1 12 Tf 60 140 Td (A paper of another shape) Tj ET") -> bytes:
    """One page with the attributes given, and a line of text."""
    return raw_pdf(
        {
            1: "<< /Type /Catalog /Pages 2 0 R >>",
            2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: f"<< /Type /Page /Parent 2 0 R {attributes} {_FONT} /Contents 4 0 R >>",
            4: f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        }
    )


def revised() -> bytes:
    """Three revisions, the later ones with a cross-reference stream each where the first has a table."""
    pdf = PAPER
    for _ in range(2):
        writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
        writer.update_root()
        out = io.BytesIO()
        writer.write(out)
        pdf = out.getvalue()
    return pdf


def hybrid() -> bytes:
    """A classic table whose trailer names a stream besides (ISO 32000-2 7.5.8.4): the font is only in the stream's objects."""
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 6 0 R >> >> >>",
        4: b"<< /Length 47 >>\nstream\nBT /F1 12 Tf 60 700 Td (A hybrid, see?) Tj ET  \nendstream",
    }
    inside = b"6 0 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects[5] = b"<< /Type /ObjStm /N 1 /First 4 /Length %d >>\nstream\n%b\nendstream" % (len(inside), inside)
    out, offsets = bytearray(b"%PDF-1.5\n"), {}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    stream_at = len(out)
    rows = bytes([1]) + offsets[5].to_bytes(3, "big") + b"\0" + bytes([2]) + (5).to_bytes(3, "big") + b"\0"
    out += b"7 0 obj\n<< /Type /XRef /Size 8 /W [1 3 1] /Index [5 2] /Length %d >>\nstream\n%b\nendstream\nendobj\n" % (
        len(rows),
        rows,
    )
    start = len(out)
    out += b"xref\n0 8\n0000000000 65535 f \n"
    out += b"".join(b"%010d 00000 n \n" % offsets[number] for number in range(1, 5))
    out += b"0000000000 65535 f \n" * 2 + b"%010d 00000 n \n" % stream_at
    out += b"trailer\n<< /Size 8 /Root 1 0 R /XRefStm %d >>\nstartxref\n%d\n%%%%EOF\n" % (stream_at, start)
    return bytes(out)


def many_pages(count: int) -> bytes:
    text = "BT /F1 12 Tf 60 700 Td (One of many) Tj ET"
    kids = " ".join(f"{number} 0 R" for number in range(10, 10 + count))
    return raw_pdf(
        {
            1: "<< /Type /Catalog /Pages 2 0 R >>",
            2: f"<< /Type /Pages /Kids [{kids}] /Count {count} /MediaBox [0 0 595 842] {_FONT} >>",
            3: f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
            **dict.fromkeys(range(10, 10 + count), "<< /Type /Page /Parent 2 0 R /Contents 3 0 R >>"),
        }
    )


SHAPES: dict[str, Callable[[], bytes]] = {
    "cross-reference stream and object streams": lambda: by_qpdf("--object-streams=generate"),
    "linearized": lambda: by_qpdf("--linearize"),
    "linearized with object streams": lambda: by_qpdf("--linearize", "--object-streams=generate"),
    "hybrid": hybrid,
    "three revisions": revised,
    "three revisions on a stream": lambda: by_qpdf("--object-streams=generate") + b"\n",
    **{f"turned by {angle}": lambda angle=angle: by_qpdf(f"--rotate={angle}") for angle in (90, 180, 270)},
    "turned, its box elsewhere": lambda: page_of("/MediaBox [-300 -200 295 642] /Rotate 90"),
    "a box with its corners swapped": lambda: page_of("/MediaBox [595 842 0 0]"),
    "a box of fractions": lambda: page_of("/MediaBox [0.5 0.25 595.276 841.89]"),
    "cropped": lambda: page_of("/MediaBox [0 0 800 1000] /CropBox [50 100 645 942]"),
    "cropped beyond its box": lambda: page_of("/MediaBox [0 0 595 842] /CropBox [-100 -100 900 900]"),
    "cropped and turned": lambda: page_of("/MediaBox [0 0 800 1000] /CropBox [50 100 645 942] /Rotate 270"),
    "large units": lambda: page_of("/MediaBox [0 0 595 842] /UserUnit 2"),
    "A3": lambda: plain_paper("A plan", size=A3),
    "A3 across": lambda: plain_paper("A plan", size=landscape(A3)),
    "A4 across": lambda: plain_paper("A table", size=landscape(A4)),
    "a postage stamp": lambda: page_of("/MediaBox [0 0 60 60]", "BT /F1 6 Tf 5 30 Td (small) Tj ET"),
    "a banner": lambda: page_of("/MediaBox [0 0 14400 842]"),
    "5,000 pages": lambda: many_pages(5000),
}
# What has no room for a signature and a seal of their real size.
_TOO_SMALL = {"a postage stamp"}


@pytest.mark.parametrize("placement", ["auto", "none"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_of_any_shape_is_signed_without_harm(
    signing: SigningWorld, tmp_path: Path, shape: str, placement: str
) -> None:
    original, output = tmp_path / "original.pdf", tmp_path / "signed.pdf"
    original.write_bytes(SHAPES[shape]())
    signed = signing.sign(original.read_bytes(), placement=placement)
    output.write_bytes(signed.content)
    assert (signed.placed is not None) == (placement == "auto" and shape not in _TOO_SMALL)
    assert signing.verdict(signed.content).conclusion == "valid"
    check_unharmed(original, output, signed.field, tmp_path, placed=signed.placed is not None)
    sealed = signing.sign(signed.content, "seal", placement=placement)
    assert [each["conclusion"] for each in signing.verdict(sealed.content).to_json()["signatures"]] == ["valid"] * 2


@pytest.mark.parametrize("entry", ["/XFA (<xdp/>)", "/XFA [(template) 4 0 R]"])
def test_a_form_that_viewers_show_differently_is_refused(signing: SigningWorld, entry: str) -> None:
    pdf = raw_pdf(
        {
            1: f"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [] {entry} >> >>",
            2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
            4: "<< /Length 6 >>\nstream\n<xdp/>\nendstream",
        }
    )
    with pytest.raises(Refused, match="INPUT_XFA"):
        signing.sign(pdf)
