"""The strip under the pages of a print rendition, as a value that travels to the process that draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signer.appearance.fonts import Style
from signer.page_marks import CodeMark

# The fonts that come with it, in this order.
STYLES: tuple[Style, ...] = ("regular", "bold")


@dataclass(frozen=True)
class Strip:
    """What stands under every page: a title, lines (`{page}` and `{pages}` are filled in), and the QR."""

    title: str
    lines: tuple[str, ...]
    code: CodeMark

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "lines": list(self.lines), "code": vars(self.code)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Strip:
        code = values["code"] | {name: tuple(values["code"][name]) for name in ("lines", "modules")}
        return cls(values["title"], tuple(values["lines"]), CodeMark(**code))
