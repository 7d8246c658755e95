"""Three papers as Vietnamese offices write them: an official letter, a decision with its list, a certificate; the same bytes each time."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, Table, TableStyle

from api.demo import texts_vi as words
from api.demo.layout import BOLD, ITALIC, REGULAR, SIGNER_FIELD, SIZE, Sheet, register_fonts
from signer.appearance.errors import FontMissing
from signer.appearance.font_shelf import STYLE_FILES, FontShelf
from signer.appearance.geometry import rect_around


@dataclass(frozen=True)
class Paper:
    """One of the papers. `metadata` uses the names of ND30, Appendix VI; number and date are not in it, they are still open."""

    path: Path
    title: str
    kind: str
    metadata: dict[str, Any]


def write_papers(folder: Path, fonts: Path, cache: Path) -> list[Paper]:
    """Write the three papers into `folder` with the Tinos fonts of `fonts`; a file that is there already and right stays untouched."""
    for file in STYLE_FILES.values():
        if not (fonts / file).is_file():
            raise FontMissing(f"no font {fonts / file}", path=str(fonts / file))
    register_fonts(fonts)
    shelf = FontShelf(fonts, cache)
    folder.mkdir(parents=True, exist_ok=True)
    papers: list[Paper] = []
    for name, kind, subject, notation, pages, draw in (
        ("cong-van.pdf", "Công văn", words.LETTER_SUBJECT, words.LETTER_NOTATION, 1, _letter),
        ("quyet-dinh.pdf", "Quyết định", words.DECISION_SUBJECT, words.DECISION_NOTATION, 3, _decision),
        (
            "giay-chung-nhan.pdf",
            "Giấy chứng nhận",
            words.CERTIFICATE_SUBJECT,
            words.CERTIFICATE_NOTATION,
            1,
            _certificate,
        ),
    ):
        title = f"{kind} {subject[0].lower()}{subject[1:]}"
        content = draw(title, shelf)
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
        metadata: dict[str, Any] = {
            "TypeName": kind,
            "CodeNotation": notation,
            "OrganName": words.AGENCY_NAME,
            "Subject": subject,
            "Language": "Tiếng Việt",
            "PageAmount": str(pages),
            "SignerInfo": {"Position": words.POSITION, "FullName": words.OFFICER},
        }
        if kind == "Công văn":
            metadata["To"] = [{"OrganName": words.LETTER_RECIPIENT}]
        papers.append(Paper(path, unicodedata.normalize("NFC", title), kind, metadata))
    return papers


def _letter(title: str, shelf: FontShelf) -> bytes:
    sheet = Sheet(title, shelf)
    sheet.head(
        words.LETTER_NOTATION,
        ("V/v đề nghị phối hợp kết nối dữ liệu", "kết quả giải quyết thủ tục hành chính"),
    )
    sheet.centred(f"Kính gửi: {words.LETTER_RECIPIENT}", (sheet.left + sheet.right) / 2, REGULAR, 13.5, down=34)
    sheet.y -= 8
    for text in words.LETTER_BODY:
        sheet.paragraph(text)
    sheet.close(words.LETTER_COPIES, ("GIÁM ĐỐC",))
    return sheet.finish()


def _decision(title: str, shelf: FontShelf) -> bytes:
    sheet = Sheet(title, shelf)
    axis = (sheet.left + sheet.right) / 2
    sheet.head(words.DECISION_NOTATION)
    sheet.centred("QUYẾT ĐỊNH", axis, BOLD, 14, down=34)
    first, second = "Về việc tặng Giấy khen cho cá nhân có thành tích xuất sắc", "trong giải quyết thủ tục hành chính"
    sheet.centred(first, axis, BOLD, 13.5, down=18)
    sheet.centred(second, axis, BOLD, 13.5, down=17)
    sheet.rule(axis, 90, down=7)
    for at, line in enumerate(words.DECISION_AUTHORITY):
        sheet.centred(line, axis, BOLD, 13.5, down=17 if at else 34)
    sheet.y -= 8
    for ground in words.DECISION_GROUNDS:
        sheet.paragraph(f"<i>{ground}</i>", gap=4)
    sheet.centred("QUYẾT ĐỊNH:", axis, BOLD, 13.5, down=26)
    sheet.y -= 4
    for label, text in words.DECISION_ARTICLES:
        sheet.paragraph(f"<b>{label}</b> {text.format(count=len(words.LIST_PEOPLE))}", gap=5)
    sheet.close(words.DECISION_COPIES, ("GIÁM ĐỐC",))
    _people(sheet)
    return sheet.finish()


def _people(sheet: Sheet) -> None:
    """The list of the decision on pages of its own, its heading repeated."""
    sheet.next_page()
    axis = (sheet.left + sheet.right) / 2
    sheet.centred(words.LIST_TITLE, axis, BOLD, 14, down=16)
    sheet.centred("Cá nhân được tặng Giấy khen có thành tích xuất sắc", axis, BOLD, SIZE, down=18)
    sheet.centred("trong giải quyết thủ tục hành chính", axis, BOLD, SIZE, down=16)
    sheet.paragraph(f"<i>{words.LIST_NOTE}</i>", gap=2, size=12.5, centre=True)
    sheet.rule(axis, 90, down=8)
    sheet.y -= 20
    cell = ParagraphStyle("cell", fontName=REGULAR, fontSize=11.5, leading=13.4)
    heading = ParagraphStyle("heading", parent=cell, fontName=BOLD, alignment=1)
    number = ParagraphStyle("number", parent=cell, alignment=1)
    rows = [[Paragraph(text, heading) for text in words.LIST_HEADINGS]]
    for at, (name, unit, merit) in enumerate(words.LIST_PEOPLE, start=1):
        rows.append([Paragraph(str(at), number), Paragraph(name, cell), Paragraph(unit, cell), Paragraph(merit, cell)])
    widths = [10 * mm, 42 * mm, 35 * mm, sheet.right - sheet.left - 87 * mm]
    table = Table(rows, colWidths=widths, repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.5, (0, 0, 0)),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    while True:
        parts = table.split(sheet.right - sheet.left, sheet.y - sheet.bottom - 8)
        _, height = parts[0].wrap(sheet.right - sheet.left, sheet.y - sheet.bottom)
        parts[0].drawOn(sheet.canvas, sheet.left, sheet.y - height)
        sheet.y -= height
        if len(parts) == 1:
            break
        table = parts[1]
        sheet.next_page()
    sheet.y -= 20
    sheet.canvas.setFont(ITALIC, SIZE)
    sheet.canvas.drawString(sheet.left, sheet.y, words.LIST_TOTAL.format(count=len(words.LIST_PEOPLE)))


def _certificate(title: str, shelf: FontShelf) -> bytes:
    sheet = Sheet(title, shelf, landscape(A4))
    axis = sheet.width / 2
    _border(sheet)
    sheet.y = sheet.height - 27 * mm
    sheet.centred(words.STATE, axis, BOLD, 13)
    sheet.centred(words.MOTTO, axis, BOLD, 13.5, down=17)
    sheet.rule(axis, sheet.canvas.stringWidth(words.MOTTO, BOLD, 13.5), down=5)
    sheet.centred(" ".join(words.DECISION_AUTHORITY), axis, BOLD, 13.5, down=38)
    sheet.centred(words.CERTIFICATE_TITLE, axis, BOLD, 32, down=46)
    sheet.centred(words.CERTIFICATE_PERSON, axis, BOLD, 18, down=36)
    sheet.centred(words.CERTIFICATE_UNIT, axis, REGULAR, 14, down=22)
    for at, line in enumerate(words.CERTIFICATE_BODY):
        sheet.centred(line, axis, REGULAR, 14, down=24 if at == 0 else 20)
    sheet.centred(words.CERTIFICATE_GRADE, axis, ITALIC, 14, down=22)
    signer = sheet.width - 92 * mm
    sheet.y -= 38
    sheet.date_line(signer)
    line = sheet.y
    sheet.number_line(words.CERTIFICATE_NOTATION, 75 * mm)
    sheet.y = line
    sheet.centred("GIÁM ĐỐC", signer, BOLD, 13.5, down=18)
    below_title = sheet.y - 3
    sheet.y -= 41 * mm + 10
    sheet.centred(words.OFFICER, signer, BOLD, 13.5)
    above_name = sheet.y + 12
    room = rect_around(signer, (below_title + above_name) / 2, 45 * mm, 20 * mm)
    sheet.form.signature(SIGNER_FIELD, "Chữ ký người ký", room)
    return sheet.finish()


def _border(sheet: Sheet) -> None:
    """A double frame with stepped corners, in a calm bronze: ornament, not ink of a seal or a signature."""
    pen = sheet.canvas
    pen.setStrokeColorRGB(0.55, 0.42, 0.18)
    for inset, thickness in ((14 * mm, 2.2), (16.2 * mm, 0.6)):
        pen.setLineWidth(thickness)
        pen.rect(inset, inset, sheet.width - 2 * inset, sheet.height - 2 * inset)
    pen.setLineWidth(0.6)
    for x in (16.2 * mm, sheet.width - 16.2 * mm):
        for y in (16.2 * mm, sheet.height - 16.2 * mm):
            across = 7 * mm if x < sheet.width / 2 else -7 * mm
            up = 7 * mm if y < sheet.height / 2 else -7 * mm
            pen.line(x + across, y, x + across, y + up)
            pen.line(x, y + up, x + across, y + up)
    pen.setStrokeColorRGB(0, 0, 0)
