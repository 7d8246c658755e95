"""Marks on pages, drawn in the revision that the first signature covers: a watermark, and a document's code with its QR. Values alone.

Where the code stands is decided, and both are drawn, in the judge process (page_drawing.py); later they would change what was signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from signer.appearance.fonts import Style

# What watermarks are set in, and codes.
WATERMARK_STYLE: Style = "bold"
CODE_STYLE: Style = "regular"


@dataclass(frozen=True)
class CodeMark:
    """A lookup code as its QR and in letters. `modules`: the rows of the QR, `1` is dark; sizes in millimetres, `text_size` in points.

    `edge_mm`: how far it keeps from the edges of the page. `required`: no signature where it finds no room.
    """

    lines: tuple[str, ...]
    modules: tuple[str, ...]
    qr_mm: float
    text_size: float
    edge_mm: float
    required: bool


@dataclass(frozen=True)
class PageMarks:
    """What is drawn: the lines of a watermark on every page, a code on the first. False when it is nothing."""

    watermark: tuple[str, ...] = ()
    code: CodeMark | None = None

    def __bool__(self) -> bool:
        return bool(self.watermark) or self.code is not None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PageMarks:
        code = values["code"]
        if code is not None:
            code = CodeMark(**(code | {"lines": tuple(code["lines"]), "modules": tuple(code["modules"])}))
        return cls(tuple(values["watermark"]), code)


NO_MARKS = PageMarks()
