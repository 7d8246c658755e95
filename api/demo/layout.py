"""A sheet laid out as Nghị định 30/2020/NĐ-CP, Appendix I, asks for: page, head, body, recipients, signer's block."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph

from api.demo import texts_vi as words
from api.demo.fields import Form
from signer.appearance.font_shelf import STYLE_FILES, FontShelf

REGULAR, BOLD, ITALIC, BOLD_ITALIC = "Tinos", "Tinos-Bold", "Tinos-Italic", "Tinos-BoldItalic"
SIZE = 13.0
SIGNER_ROOM = 41 * mm
"""Between title and full name: a seal of 36 mm stands there without touching either."""
NUMBER_FIELD, DATE_FIELD, SIGNER_FIELD = "SoVanBan", "NgayBanHanh", "ChuKyNguoiKy"


def register_fonts(folder: Path) -> None:
    """Tell ReportLab where Tinos is. It keeps fonts in a registry of its own; naming them twice changes nothing."""
    names = {"regular": REGULAR, "bold": BOLD, "italic": ITALIC, "bold-italic": BOLD_ITALIC}
    for style, file in STYLE_FILES.items():
        pdfmetrics.registerFont(TTFont(names[style], str(folder / file)))
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=ITALIC, boldItalic=BOLD_ITALIC)


class Sheet:
    """Pages under construction, from top to bottom; `y` is the base line of what was written last."""

    def __init__(self, title: str, shelf: FontShelf, page_size: tuple[float, float] = A4) -> None:
        self._buffer = BytesIO()
        # invariant: no clock and no chance in the file, the same papers are the same bytes.
        self.canvas: Any = Canvas(self._buffer, pagesize=page_size, invariant=1, pageCompression=1, lang="vi-VN")
        self.canvas.setTitle(title)
        self.canvas.setAuthor(words.AGENCY_NAME)
        self.canvas.setSubject(words.NOTICE)
        self.canvas.setViewerPreference("DisplayDocTitle", "true")
        self.form = Form(self.canvas)
        self._shelf = shelf
        self.width, self.height = page_size
        # ND30, Appendix I, I.3: top and bottom 20-25 mm, left 30-35 mm, right 15-20 mm.
        self.left, self.right = 30 * mm, self.width - 16 * mm
        self.top, self.bottom = self.height - 20 * mm, 20 * mm
        self.y = self.top
        self._page = 1
        self._notice()

    def centred(self, text: str, x: float, font: str = REGULAR, size: float = SIZE, *, down: float = 0.0) -> None:
        """A line around `x`, `down` points below the last one."""
        self.y -= down
        self.canvas.setFont(font, size)
        self.canvas.drawCentredString(x, self.y, text)

    def rule(self, x: float, length: float, *, down: float) -> None:
        """A thin line around `x`; the base line stays."""
        self.canvas.setLineWidth(0.7)
        self.canvas.line(x - length / 2, self.y - down, x + length / 2, self.y - down)

    def head(self, notation: str, subject: Sequence[str] = ()) -> None:
        """Agency and state in two columns, number and date left open (ND30, Appendix I, II.1-4)."""
        left_axis, right_axis = self.left + 34 * mm, self.right - 44.5 * mm
        start = self.y - 12
        self.y = start
        self.centred("UBND THÀNH PHỐ HƯƠNG GIANG", left_axis, REGULAR, 12)
        for line in ("TRUNG TÂM PHỤC VỤ", "HÀNH CHÍNH CÔNG", "THÀNH PHỐ HƯƠNG GIANG"):
            self.centred(line, left_axis, BOLD, 12, down=14.5)
        self.rule(left_axis, 52, down=6)
        self.y -= 24
        self.number_line(notation, left_axis)
        number_line = self.y
        for at, line in enumerate(subject):
            self.centred(line, left_axis, REGULAR, 12, down=19 if at == 0 else 14)
        lowest = self.y
        self.y = start
        self.centred(words.STATE, right_axis, BOLD, 12)
        self.centred(words.MOTTO, right_axis, BOLD, 13, down=15.5)
        self.rule(right_axis, self.canvas.stringWidth(words.MOTTO, BOLD, 13), down=5)
        self.y = number_line
        self.date_line(right_axis)
        self.y = lowest

    def number_line(self, notation: str, axis: float) -> None:
        """`Số: [    ]/notation` with the number as an open field."""
        before, after, room = "Số: ", f"/{notation}", 31.0
        self.canvas.setFont(REGULAR, SIZE)
        width = self.canvas.stringWidth(before) + room + self.canvas.stringWidth(after)
        x = axis - width / 2
        self.canvas.drawString(x, self.y, before)
        x += self.canvas.stringWidth(before, REGULAR, SIZE)
        self._open_field(NUMBER_FIELD, "Số văn bản", x, room, italic=False)
        self.canvas.drawString(x + room, self.y, after)

    def date_line(self, axis: float) -> None:
        """`Place, [ngày … tháng … năm …]` in italics with the date as an open field."""
        before = f"{words.CITY}, "
        room = self.canvas.stringWidth("ngày 00 tháng 00 năm 0000", ITALIC, SIZE) + 5
        x = axis - (self.canvas.stringWidth(before, ITALIC, SIZE) + room) / 2
        self.canvas.setFont(ITALIC, SIZE)
        self.canvas.drawString(x, self.y, before)
        x += self.canvas.stringWidth(before, ITALIC, SIZE)
        self._open_field(DATE_FIELD, "Ngày ban hành", x - 2, room, italic=True)

    def _open_field(self, name: str, tooltip: str, x: float, width: float, *, italic: bool) -> None:
        """Height and base line fit: a value centred in the box stands on the line that is printed."""
        font = self._shelf.font("italic" if italic else "regular")
        low, high = self.y + font.descent * SIZE / 1000, self.y + font.ascent * SIZE / 1000
        rect = (x, low, x + width, high)
        label = "TinosItalic" if italic else "Tinos"
        self.form.text(name, tooltip, rect, label, font, SIZE, centred=not italic)

    def paragraph(
        self, text: str, *, indent: float = 10 * mm, gap: float = 6.0, size: float = 13.5, centre: bool = False
    ) -> None:
        """Justified text with an indented first line (ND30, Appendix I, II.6)."""
        style = ParagraphStyle(
            "body",
            fontName=REGULAR,
            fontSize=size,
            leading=size * 1.32,
            firstLineIndent=0 if centre else indent,
            alignment=TA_CENTER if centre else TA_JUSTIFY,
        )
        made = Paragraph(text, style)
        _, height = made.wrap(self.right - self.left, self.height)
        self.y -= gap + height
        made.drawOn(self.canvas, self.left, self.y)

    def close(self, copies: Sequence[str], title: Sequence[str], *, gap: float = 22.0) -> None:
        """Recipients at the left, the signer's title, room and full name at the right (ND30, Appendix I, II.7 and II.9)."""
        self.y -= gap
        start = self.y
        axis = self.right - 40 * mm
        self.canvas.setFont(BOLD_ITALIC, 12)
        self.canvas.drawString(self.left, self.y, "Nơi nhận:")
        self.canvas.setFont(REGULAR, 11)
        for at, line in enumerate(copies, start=1):
            self.canvas.drawString(self.left, start - 2 - at * 13.5, f"- {line}")
        for at, line in enumerate(title):
            self.centred(line, axis, BOLD, 13.5, down=16 if at else 0)
        self.y -= SIGNER_ROOM + 14
        self.centred(words.OFFICER, axis, BOLD, 13.5)

    def next_page(self) -> None:
        """A new page; pages after the first bear their number at the top (ND30, Appendix I, II.9)."""
        self.canvas.showPage()
        self._page += 1
        self.canvas.setFont(REGULAR, SIZE)
        self.canvas.drawCentredString((self.left + self.right) / 2, self.height - 14 * mm, str(self._page))
        self.y = self.top
        self._notice()

    def finish(self) -> bytes:
        """The finished file."""
        self.form.finish()
        self.canvas.save()
        return self._buffer.getvalue()

    def _notice(self) -> None:
        self.canvas.setFont(ITALIC, 8)
        self.canvas.setFillGray(0.45)
        self.canvas.drawCentredString(self.width / 2, 9 * mm, words.NOTICE)
        self.canvas.setFillGray(0)
