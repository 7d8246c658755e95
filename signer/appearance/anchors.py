"""Where a Vietnamese office leaves room for its signer: a title in capitals ("KT. CHỦ TỊCH"), room, and the full name below.

ND30, Appendix I, II.7. Text is compared in NFC, upper case and without spaces, so decomposed letters and spaced capitals match.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from signer.appearance.geometry import Rect
from signer.appearance.survey import Line

_MANDATES = r"(?:TM|KT|TL|TUQ|Q|T/M|K/T|T/L)\."
_RANKS = (
    "THỦTƯỚNG", "BỘTRƯỞNG", "THỨTRƯỞNG", "CHỦTỊCH", "CHỦNHIỆM", "TỔNGGIÁMĐỐC", "GIÁMĐỐC", "TỔNGCỤCTRƯỞNG", "CỤCTRƯỞNG",
    "VỤTRƯỞNG", "CHICỤCTRƯỞNG", "CHÁNHVĂNPHÒNG", "CHÁNHTHANHTRA", "CHÁNHÁN", "TRƯỞNGBAN", "TRƯỞNGPHÒNG", "TRƯỞNGĐƠNVỊ",
    "TRƯỞNGKHOA", "HIỆUTRƯỞNG", "VIỆNTRƯỞNG", "ĐỘITRƯỞNG", "TRẠMTRƯỞNG", "THỦTRƯỞNG", "TỔNGKIỂMTOÁN", "TỔNGTHƯKÝ", "BÍTHƯ",
    "NGƯỜIĐẠIDIỆN", "ĐẠIDIỆN",
)  # fmt: skip
_TITLE = re.compile(rf"(?:{_MANDATES}.*|(?:PHÓ)?(?:{'|'.join(_RANKS)}).*)")
_DEGREE = re.compile(r"(?:(?:GS|PGS|TS|ThS|BS|KS|CN|LS|BSCK\w*)\.?\s*)+")
_RECIPIENTS = "NƠINHẬN"
_LEAST_ROOM = 28.0  # about 10 mm: two lines of a heading are closer, room for a signature never is
_TITLE_LEADING = 2.0  # lines of one title are at most this many heights apart

WORDS = (_RECIPIENTS, *_RANKS)
"""A page whose text holds none of these has no signer's block worth a closer look."""


@dataclass(frozen=True)
class SignerBlock:
    """Room for a signature: between `top` (the title's foot) and `bottom` (the name's head), around `centre`."""

    top: float
    bottom: float
    centre: float
    name: str | None
    score: int


def squeezed(text: str) -> str:
    """Text as it is compared."""
    return "".join(unicodedata.normalize("NFC", text).upper().split())


def signer_blocks(lines: Sequence[Line], page_width: float, signer: str | None = None) -> list[SignerBlock]:
    """The signer's blocks of a page, the most likely first. `signer` is the name in the certificate, if it is known."""
    recipients = [line for line in lines if squeezed(line.text).startswith(_RECIPIENTS)]
    found: dict[tuple[int, int], SignerBlock] = {}
    for line in lines:
        if not _is_title(line):
            continue
        foot, axis = _last_line(line, lines)
        below = _next_below(foot, axis, lines)
        bottom = below.rect[3] if below else 0.0
        if foot.rect[1] - bottom < _LEAST_ROOM:
            continue
        name = below.text if below and _is_name(below.text) else None
        if name is None and not recipients:
            continue  # capitals over white space alone are a heading, not a signer
        score = 0
        if name:
            score += 4
            score += 8 if signer and squeezed(_without_degree(name)) == squeezed(signer) else 0
        if any(abs(one.rect[3] - line.rect[3]) < 60 and one.rect[2] < line.rect[0] for one in recipients):
            score += 2
        score += 1 if axis > page_width / 2 else 0
        if name and below:
            axis = below.centre
        block = SignerBlock(foot.rect[1], bottom if name else 0.0, axis, name, score)
        found.setdefault((round(foot.rect[1]), round(axis)), block)
    return sorted(found.values(), key=lambda block: (-block.score, -block.centre))


def _is_title(line: Line) -> bool:
    return line.text == line.text.upper() and len(line.text) <= 80 and bool(_TITLE.fullmatch(squeezed(line.text)))


def _last_line(line: Line, lines: Sequence[Line]) -> tuple[Line, float]:
    """The foot of a title of several lines (KT. GIÁM ĐỐC / PHÓ GIÁM ĐỐC), and the axis all of them share."""
    axis = line.centre
    while True:
        follower = next(
            (
                other
                for other in lines
                if 0 < line.rect[1] - other.rect[1] < _TITLE_LEADING * line.height + 6
                and abs(other.centre - axis) < 30
                and other.text == other.text.upper()
                and any(char.isalpha() for char in other.text)
            ),
            None,
        )
        if follower is None:
            return line, axis
        line = follower


def _next_below(foot: Line, axis: float, lines: Sequence[Line]) -> Line | None:
    """The first line under a title that reaches into its column."""
    under = [
        line
        for line in lines
        if line.rect[3] <= foot.rect[1] + 1 and line.rect[0] < axis + 60 and line.rect[2] > axis - 60
    ]
    return max(under, key=lambda line: line.rect[3], default=None)


def _without_degree(text: str) -> str:
    return _DEGREE.sub("", text, count=1).strip() if _DEGREE.match(text) else text


def _is_name(text: str) -> bool:
    """Two to seven words of letters, each with a capital."""
    words = _without_degree(text).split()
    return 2 <= len(words) <= 7 and len(text) <= 60 and all(word.isalpha() and word[0].isupper() for word in words)


def room_between(block: SignerBlock, width: float, height: float, least: float) -> Rect:
    """The box of a size in the middle of a block's room; below the title when no name bounds it, `least` points high at least."""
    room = block.top - block.bottom
    middle = (block.top + block.bottom) / 2 if block.name else block.top - min(room, max(height, least) + 12) / 2
    return (block.centre - width / 2, middle - height / 2, block.centre + width / 2, middle + height / 2)
