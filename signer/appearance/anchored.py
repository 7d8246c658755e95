"""The place of a stamp beside a text that somebody has named: "KT. CHỦ TỊCH", "Nơi nhận:".

Under the text, if there is room; else where the nearest free room to its right or below it is. Runs in the judge process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from signer.appearance.anchors import SignerBlock, room_between, signer_blocks, squeezed
from signer.appearance.errors import AnchorAmbiguous, AnchorFewer, AnchorMissing, AnchorWithoutRoom, SurveyFailed
from signer.appearance.geometry import Place, Placement, Rect, mm_to_pt
from signer.appearance.pages import Pages, Wanted, is_free
from signer.appearance.survey import Line

_GAP = 6.0
_STEP = 6.0
_DEEPEST = mm_to_pt(90)
"""How far below the text room is looked for: further down it would belong to something else."""
_MOST_NAMED = 8


def find_at_anchor(pages: Pages, wanted: Wanted, placement: Placement) -> Place:
    """The free place nearest to the text; AnchorMissing, AnchorAmbiguous, AnchorFewer, AnchorWithoutRoom."""
    index, line, lines = _occurrence(pages, placement)
    page = pages.page(index)
    for displayed in _tries(line, lines, wanted, (page.box.width, page.box.height)):
        if is_free(pages, index, displayed, wanted):
            return Place(index, page.box.to_user(displayed), page.box.rotation, "anchor")
    raise AnchorWithoutRoom("no room at the anchor", anchor=placement.anchor, page=str(index + 1))


def _occurrence(pages: Pages, placement: Placement) -> tuple[int, Line, Sequence[Line]]:
    """The line that is meant, from the first page to the last and from top to bottom, with its page and all lines of that."""
    text = squeezed(placement.anchor)
    # Putting lines together takes ten times as long as reading the text in the order in which it was written, where it mostly is.
    found = _lines_with(text, pages, [index for index in pages.indexes if text in _words(pages, index)])
    found = found or _lines_with(text, pages, pages.indexes)
    facts = {"anchor": placement.anchor, "count": str(len(found))}
    if not found:
        raise AnchorMissing("no such text", anchor=placement.anchor, pages=str(len(pages.indexes)))
    if not placement.number and len(found) > 1:
        named = [f"#{at + 1} – {index + 1}" for at, (index, _, _) in enumerate(found[:_MOST_NAMED])]
        raise AnchorAmbiguous("the text is there more than once", **facts, where=", ".join(named))
    if placement.number > len(found):
        raise AnchorFewer("the text is not there as often", **facts, number=str(placement.number))
    return found[max(0, placement.number - 1)]


def _words(pages: Pages, index: int) -> str:
    try:
        return pages.page(index).words()
    except SurveyFailed:
        return ""  # a page whose text cannot be read has none


def _lines_with(text: str, pages: Pages, indexes: Sequence[int]) -> list[tuple[int, Line, Sequence[Line]]]:
    found: list[tuple[int, Line, Sequence[Line]]] = []
    for index in indexes:
        with suppress(SurveyFailed):
            lines = pages.page(index).lines()
            found += [(index, line, lines) for line in lines if text in squeezed(line.text)]
    return found


def _tries(line: Line, lines: Sequence[Line], wanted: Wanted, size: tuple[float, float]) -> Iterator[Rect]:
    """A signer's block that the text is the title of; under the text, in the middle; then ever farther to the right and down."""
    least = mm_to_pt(wanted.seal_mm) if wanted.seal_mm else 0.0
    for block in _blocks(line, lines, size[0]):
        x0, y0, x1, y1 = room_between(block, wanted.width, wanted.height, least)
        for nudge in range(0, 30, 2):
            yield x0 + nudge, y0, x1 + nudge, y1
    left, top = line.centre - wanted.width / 2, line.rect[1] - _GAP
    steps = (int(size[0] / _STEP), int(_DEEPEST / _STEP))
    moves = [(right * _STEP, down * _STEP) for right in range(steps[0]) for down in range(steps[1])]
    # Beside the text as well: the recipients stand at the left, and the room for the signer at their right, as high as they are.
    moves += [(right, down - line.height - _GAP) for right, down in moves if right > line.rect[2] - left]
    # What stands under a text belongs to it: where that leaves no room, rather to its right than behind all of it.
    for right, down in sorted(moves, key=lambda move: move[0] + 4 * abs(move[1])):
        x, y = left + right, top - down
        yield x, y - wanted.height, x + wanted.width, y


def _blocks(line: Line, lines: Sequence[Line], page_width: float) -> list[SignerBlock]:
    """Signers' blocks whose title this line is, or is one of the lines of."""
    return [
        block
        for block in signer_blocks(lines, page_width)
        if abs(block.centre - line.centre) < 60 and 0 <= line.rect[1] - block.top < 4 * line.height
    ]
