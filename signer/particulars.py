"""What a signature is told besides who and when, by its intent: the main document of an appendix, the form of a copy, a comment."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from signer.documents import known_form
from signer.errors import UsageWrong
from signer.office_policy import FORMS, SOURCES

_LONGEST_COMMENT = 500


@dataclass(frozen=True)
class Particulars:
    """`main`: the code of the document that an appendix belongs to. `form` and `source`: what copy of which kind of original."""

    main: str = ""
    form: str = ""
    source: str = ""
    comment: str = ""

    def __bool__(self) -> bool:
        return bool(self.given())

    def given(self) -> tuple[str, ...]:
        """The names of those that were said."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name))

    def to_json(self) -> dict[str, str] | None:
        """As a row keeps them; None for nothing."""
        return {name: getattr(self, name) for name in self.given()} or None

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Particulars:
        return cls(**(data or {}))


NOTHING_PARTICULAR = Particulars()


def parse_particulars(
    main: str | None = None, form: str | None = None, source: str | None = None, comment: str | None = None
) -> Particulars:
    """As people type them; UsageWrong for a code that is none, a form that nobody knows, a comment that is no plain text."""
    if form and form not in FORMS:
        raise UsageWrong("COPY_FORM_UNKNOWN", typed=form[:40], valid=", ".join(FORMS))
    if source and source not in SOURCES:
        raise UsageWrong("COPY_SOURCE_UNKNOWN", typed=source[:40], valid=", ".join(SOURCES))
    text = unicodedata.normalize("NFC", comment or "").strip()
    if len(text) > _LONGEST_COMMENT or not text.isprintable():
        raise UsageWrong("COMMENT_MALFORMED", limit=str(_LONGEST_COMMENT))
    return Particulars(known_form(main) if main else "", form or "", source or "", text)
