"""The QR of an address: error correction M (ISO/IEC 18004), as rows of modules."""

from __future__ import annotations

from typing import Any

from reportlab.graphics.barcode import qrencoder


def qr_modules(text: str) -> tuple[str, ...]:
    """The rows from the top, `1` for a dark module; as small a symbol as holds the text."""
    code: Any = qrencoder.QRCode(None, qrencoder.QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    count = code.getModuleCount()
    return tuple("".join("1" if code.isDark(row, column) else "0" for column in range(count)) for row in range(count))
