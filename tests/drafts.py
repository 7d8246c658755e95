"""Pages under construction with the few things that placing a stamp needs: text, a signer's block, recipients, form fields."""

from __future__ import annotations

import io

from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName, PDFString
from reportlab.pdfgen.canvas import Canvas

A4 = (595.0, 842.0)
NAME = "Nguyễn Thị Minh Hạnh"


class Draft:
    """A page under construction with the few things the tests need."""

    def __init__(self, size=A4) -> None:
        self.buffer = io.BytesIO()
        self.canvas = Canvas(self.buffer, pagesize=size, invariant=1)
        self.fields: list[object] = []

    def write(self, text, x, y, size=13, *, centred=False, font="Tinos-Test") -> Draft:
        self.canvas.setFont(font, size)
        (self.canvas.drawCentredString if centred else self.canvas.drawString)(x, y, text)
        return self

    def fill(self, top=780, bottom=60) -> Draft:
        for y in range(top, bottom, -16):
            self.write(
                "Trung tâm Phục vụ hành chính công thành phố trân trọng thông báo để biết và thực hiện.", 70, y, 12
            )
        return self

    def signer(self, title="GIÁM ĐỐC", y=300, room=120, axis=430, name=NAME) -> Draft:
        for at, line in enumerate(title.split("\n")):
            self.write(line, axis, y - 16 * at, centred=True)
        y -= 16 * title.count("\n")
        return self.write(name, axis, y - room, centred=True) if name else self

    def recipients(self, y=300) -> Draft:
        self.write("Nơi nhận:", 85, y, 12)
        for at in range(1, 5):
            self.write("- Ủy ban nhân dân;", 85, y - 14 * at, 11)
        return self

    def field(self, name, rect, kind="Sig", **more) -> Draft:
        entries = {
            "Type": PDFName("Annot"),
            "Subtype": PDFName("Widget"),
            "FT": PDFName(kind),
            "T": PDFString(name),
            "F": 4,
        }
        self.canvas._addAnnotation(PDFDictionary({**entries, "Rect": PDFArray(rect), **more}), name)
        self.fields.append(self.canvas._doc.refAnnotation(name))
        return self

    def next_page(self) -> Draft:
        self.canvas.showPage()
        return self

    def done(self) -> bytes:
        if self.fields:
            self.canvas._doc.Catalog.AcroForm = PDFDictionary({"Fields": PDFArray(self.fields)})
        self.canvas.showPage()
        self.canvas.save()
        return self.buffer.getvalue()
