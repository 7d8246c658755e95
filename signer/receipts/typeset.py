"""Sets a receipt on A4 pages: blocks from top to bottom, lines broken by their widths, nothing torn apart that belongs together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from signer.appearance.lines import Line
from signer.receipts.letters import LetterCase, Letters, Weight
from signer.receipts.paper import HEIGHT, WIDTH, About, Element, Page, build_paper

MM = 72 / 25.4
LEFT, RIGHT = 20 * MM, WIDTH - 20 * MM
TOP, BOTTOM = HEIGHT - 18 * MM, 24 * MM
LABEL = 44 * MM
SIZE, LEADING = 10.0, 14.0

_COLOURS = {
    "good": (0.07, 0.42, 0.20), "bad": (0.70, 0.11, 0.11), "unsure": (0.55, 0.35, 0.0), "plain": (0.25, 0.30, 0.36),
}  # fmt: skip
_SHADES = {
    "good": (0.92, 0.97, 0.93), "bad": (0.99, 0.93, 0.92), "unsure": (1.0, 0.96, 0.88), "plain": (0.94, 0.95, 0.96),
}  # fmt: skip
_TONES = {
    "pass": "good",
    "fail": "bad",
    "unknown": "unsure",
    "valid": "good",
    "invalid": "bad",
    "indeterminate": "unsure",
}
_GREY = (0.35, 0.39, 0.44)
_BLACK = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Fact:
    """A labelled value, perhaps `more` of them, and notes below in grey."""

    label: str
    value: str
    notes: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        return (self.value, *self.more)


@dataclass(frozen=True)
class Banner:
    """The verdict itself: a tone, a word, a sentence."""

    tone: str
    word: str
    sentence: str


@dataclass(frozen=True)
class Heading:
    """A section begins."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    weight: Weight = "regular"


@dataclass(frozen=True)
class Facts:
    """A table of labels and values."""

    rows: tuple[Fact, ...]


@dataclass(frozen=True)
class Item:
    """Something with a state: a mark, a heading in bold, a sentence, and facts below."""

    state: str
    heading: str
    sentence: str
    rows: tuple[Fact, ...] = ()


Block = Banner | Heading | Text | Facts | Item


@dataclass(frozen=True)
class Sheet:
    """Everything that a receipt says. `page_label` has {page} and {pages}; `footer` stands on every page."""

    title: str
    subtitle: str
    language: str
    blocks: tuple[Block, ...]
    footer: str
    page_label: str
    reason: str
    field_label: str
    producer: str
    made_at: datetime

    def texts(self) -> Iterator[str]:
        """Every text that is drawn."""
        yield from (self.title, self.subtitle, self.footer, self.page_label, "0123456789?")
        for block in self.blocks:
            yield from _texts_of(block)


def _texts_of(block: Block) -> Iterator[str]:
    if isinstance(block, Facts | Item):
        for row in block.rows:
            yield from (row.label, *row.values, *row.notes)
    if isinstance(block, Banner):
        yield from (block.word, block.sentence)
    elif isinstance(block, Item):
        yield from (block.heading, block.sentence)
    elif isinstance(block, Heading | Text):
        yield block.text


def set_sheet(sheet: Sheet, case: LetterCase, identity: bytes, room: int) -> tuple[bytes, tuple[int, int]]:
    """The unsigned file and where its hole is."""
    setter = _Setter(sheet, case.letters(sheet.texts()))
    setter.set()
    about = About(sheet.title, sheet.language, sheet.producer, sheet.made_at, sheet.reason, sheet.field_label)
    return build_paper(setter.pages, setter.root, setter.letters.fonts, about, identity, room)


@dataclass
class _Setter:
    sheet: Sheet
    letters: Letters
    pages: list[Page] = field(default_factory=list)
    root: Element = field(default_factory=lambda: Element("Document"))
    y: float = 0.0

    @property
    def page(self) -> Page:
        return self.pages[-1]

    def set(self) -> None:
        self._next_page()
        self._lines(self.root.add("H1"), self._broken(self.sheet.title, "bold", 18, RIGHT - LEFT), LEFT, "bold", 18, 23)
        self.y -= 2
        self._lines(
            self.root.add("P"), self._broken(self.sheet.subtitle, "regular", 9.5, RIGHT - LEFT), LEFT, "regular", 9.5, 13,
            _GREY,
        )  # fmt: skip
        self.y -= 6
        for at, block in enumerate(self.sheet.blocks):
            following = self.sheet.blocks[at + 1] if at + 1 < len(self.sheet.blocks) else None
            self._block(block, following)
        for page in self.pages:
            self._footer(page)

    def _next_page(self) -> None:
        self.pages.append(Page(len(self.pages)))
        self.y = TOP

    def _need(self, height: float) -> None:
        """Begin a new page unless so much fits on this one."""
        if self.y - height < BOTTOM and self.y < TOP:
            self._next_page()

    def _block(self, block: Block, following: Block | None) -> None:
        if isinstance(block, Banner):
            self._banner(block)
        elif isinstance(block, Heading):
            # A heading never stands alone at the end of a page.
            self._need(34 + (70 if following is not None else 0))
            self.y -= 12
            self._lines(
                self.root.add("H2"), self._broken(block.text, "bold", 12.5, RIGHT - LEFT), LEFT, "bold", 12.5, 16
            )
            self._rule(_SHADES["plain"], down=1, thickness=0.8)
            self.y -= 5
        elif isinstance(block, Text):
            lines = self._broken(block.text, block.weight, SIZE, RIGHT - LEFT)
            self._need(min(len(lines), 3) * LEADING)
            self._lines(self.root.add("P"), lines, LEFT, block.weight, SIZE, LEADING)
            self.y -= 4
        elif isinstance(block, Facts):
            self._table(block.rows, LEFT)
            self.y -= 4
        else:
            self._item(block)

    def _banner(self, block: Banner) -> None:
        inside = RIGHT - LEFT - 60
        word = self._broken(block.word, "bold", 15, inside)
        sentence = self._broken(block.sentence, "regular", 11, inside)
        height = 12 + 19 * len(word) + 15 * len(sentence) + 8
        self._need(height)
        top = self.y - 2
        self.page.artifact(f"{_fill(_SHADES[block.tone])} {LEFT:.2f} {top - height:.2f} {RIGHT - LEFT:.2f} {height:.2f} re f\n"
                           f"{_fill(_COLOURS[block.tone])} {LEFT:.2f} {top - height:.2f} 4 {height:.2f} re f")  # fmt: skip
        self._mark(block.tone, LEFT + 28, top - height / 2, 12)
        self.y = top - 9
        element = self.root.add("P")
        self._lines(element, word, LEFT + 52, "bold", 15, 19, _COLOURS[block.tone])
        self._lines(element, sentence, LEFT + 52, "regular", 11, 15)
        self.y = top - height - 8

    def _item(self, block: Item) -> None:
        tone = _TONES[block.state]
        heading = self._broken(block.heading, "bold", SIZE + 0.5, RIGHT - LEFT - 22)
        sentence = self._broken(block.sentence, "regular", SIZE, RIGHT - LEFT - 22)
        first = self._row_height(block.rows[0], LEFT + 22) if block.rows else 0.0
        self._need(min((len(heading) + len(sentence)) * LEADING + 8 + first, TOP - BOTTOM))
        self._mark(tone, LEFT + 8, self.y - LEADING / 2 - 1, 6)
        self._lines(self.root.add("H3"), heading, LEFT + 22, "bold", SIZE + 0.5, LEADING)
        self._lines(self.root.add("P"), sentence, LEFT + 22, "regular", SIZE, LEADING, _COLOURS[tone])
        if block.rows:
            self.y -= 3
            self._table(block.rows, LEFT + 22)
        self.y -= 8

    def _table(self, rows: Sequence[Fact], x: float) -> None:
        table = self.root.add("Table")
        for row in rows:
            height = self._row_height(row, x)
            self._need(min(height, TOP - BOTTOM))
            line, top = table.add("TR"), self.y
            head = line.add("TH", " /A <</O /Table /Scope /Row>>")
            self._lines(head, self._broken(row.label, "regular", SIZE, LABEL - 8), x, "regular", SIZE, LEADING, _GREY)
            after, self.y = self.y, top
            cell, inside = line.add("TD"), RIGHT - x - LABEL
            for value in row.values:
                self._lines(cell, self._broken(value, "regular", SIZE, inside), x + LABEL, "regular", SIZE, LEADING)
            for note in row.notes:
                lines = self._broken(note, "regular", SIZE - 1.5, inside)
                self._lines(cell, lines, x + LABEL, "regular", SIZE - 1.5, LEADING - 2.5, _GREY)
            # Where the value went on to another page, that is where the table goes on.
            self.y = min(after, self.y) if top - height >= BOTTOM else self.y
            self.y -= 2

    def _row_height(self, row: Fact, x: float) -> float:
        inside = RIGHT - x - LABEL
        label = len(self._broken(row.label, "regular", SIZE, LABEL - 8)) * LEADING
        value = sum(len(self._broken(each, "regular", SIZE, inside)) for each in row.values) * LEADING
        notes = sum(len(self._broken(note, "regular", SIZE - 1.5, inside)) for note in row.notes) * (LEADING - 2.5)
        return max(label, value + notes) + 2

    def _lines(
        self, element: Element, lines: Sequence[Line], x: float, weight: Weight, size: float, leading: float,
        colour: tuple[float, float, float] = _BLACK,
    ) -> None:  # fmt: skip
        """Lines from here downwards; where the page ends they go on on the next one, in the same element."""
        pending: list[str] = []
        for line in lines:
            if self.y - leading < BOTTOM and self.y < TOP:
                self._flush(element, pending, colour)
                self._next_page()
            self.y -= leading
            pending.append(self._shown(line, x, self.y + leading * 0.26, weight, size))
        self._flush(element, pending, colour)

    def _flush(self, element: Element, pending: list[str], colour: tuple[float, float, float]) -> None:
        if pending:
            self.page.marked(element, f"{_fill(colour)} BT\n" + "\n".join(pending) + "\nET")
            pending.clear()

    def _shown(self, line: Line, x: float, y: float, weight: Weight, size: float) -> str:
        # A space at the end parts this line from the next for whoever copies or hears the text.
        space = f"<{line.font.encode_drawn(' ').hex()}> Tj"
        return f"1 0 0 1 {x:.2f} {y:.2f} Tm\n/{weight} {size} Tf {line.operators(weight, size)} {space}"

    def _broken(self, text: str, weight: Weight, size: float, width: float) -> list[Line]:
        return self.letters.broken(text, weight, size, width)

    def _rule(self, colour: tuple[float, float, float], *, down: float, thickness: float) -> None:
        y = self.y - down
        self.page.artifact(f"{_stroke(colour)} {thickness} w {LEFT:.2f} {y:.2f} m {RIGHT:.2f} {y:.2f} l S")
        self.y = y

    def _mark(self, tone: str, x: float, y: float, radius: float) -> None:
        """A disc with a tick, a cross, or an exclamation mark; the words beside it say the same."""
        k = radius * 0.5523
        r = radius
        disc = (
            f"{_fill(_COLOURS[tone])} {x - r:.2f} {y:.2f} m {x - r:.2f} {y + k:.2f} {x - k:.2f} {y + r:.2f} {x:.2f} {y + r:.2f} c "
            f"{x + k:.2f} {y + r:.2f} {x + r:.2f} {y + k:.2f} {x + r:.2f} {y:.2f} c "
            f"{x + r:.2f} {y - k:.2f} {x + k:.2f} {y - r:.2f} {x:.2f} {y - r:.2f} c "
            f"{x - k:.2f} {y - r:.2f} {x - r:.2f} {y - k:.2f} {x - r:.2f} {y:.2f} c f"
        )
        strokes = {
            "good": ((-0.45, 0.0, -0.1, -0.38), (-0.1, -0.38, 0.5, 0.38)),
            "bad": ((-0.36, -0.36, 0.36, 0.36), (-0.36, 0.36, 0.36, -0.36)),
            "unsure": ((0.0, 0.55, 0.0, -0.1), (0.0, -0.5, 0.0, -0.52)),
            "plain": ((-0.45, 0.0, 0.45, 0.0),),
        }[tone]
        drawn = " ".join(
            f"{x + a * r:.2f} {y + b * r:.2f} m {x + c * r:.2f} {y + d * r:.2f} l S" for a, b, c, d in strokes
        )
        self.page.artifact(f"{disc}\n1 1 1 RG {r * 0.24:.2f} w 1 J {drawn} 0 J")

    def _footer(self, page: Page) -> None:
        label = self.sheet.page_label.format(page=page.number + 1, pages=len(self.pages))
        width = self.letters.width(label, "regular", 8)
        lines = self._broken(self.sheet.footer, "regular", 8, RIGHT - LEFT - width - 16)[:3]
        drawn = [self._shown(line, LEFT, 16 * MM - at * 10, "regular", 8) for at, line in enumerate(lines)]
        numbers = self._broken(label, "regular", 8, RIGHT - LEFT)[0]
        drawn.append(self._shown(numbers, RIGHT - width, 16 * MM, "regular", 8))
        rule = f"{_stroke(_SHADES['plain'])} 0.8 w {LEFT:.2f} {19.5 * MM:.2f} m {RIGHT:.2f} {19.5 * MM:.2f} l S"
        page.artifact(f"{rule}\n{_fill(_GREY)} BT\n" + "\n".join(drawn) + "\nET")


def _fill(colour: tuple[float, float, float]) -> str:
    return "{:.2f} {:.2f} {:.2f} rg".format(*colour)


def _stroke(colour: tuple[float, float, float]) -> str:
    return "{:.2f} {:.2f} {:.2f} RG".format(*colour)
