"""What came after a signature, in the same words on the page, in the receipt and in the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from api.web.sentences import Sentence
from api.web.text import masked, shown
from signer.validation.facts import ChangeFacts, SignatureFacts

# How signer/validation/changes.py writes a field that was empty before.
_FILLED = re.compile(r"([^:]+): ∅ → (.+)")
# And one whose value stayed and whose appearance did not.
_REDRAWN = re.compile(r"([^:]+): (.+) → \2")
# What no certification forbids, not even one that closes the document (ISO 32000-2 12.8.2.2).
_ALWAYS_PERMITTED = frozenset({"validation-data", "timestamp"})
_TONES: Mapping[str, str] = MappingProxyType(
    {"WEB_AFTER_FORBIDDEN": "bad", "WEB_AFTER_UNCLEAR": "unsure", "WEB_AFTER_PERMITTED": ""}
)


@dataclass(frozen=True)
class LaterChanges:
    """Changes under one heading: not permitted, not clear or permitted; `tone` is bad, unsure or nothing."""

    heading: str
    tone: str
    sentences: tuple[Sentence, ...]


def later_changes(facts: SignatureFacts) -> tuple[LaterChanges, ...]:
    """The worst first. Several objects of one page make one sentence about it."""
    groups: dict[str, list[Sentence]] = {heading: [] for heading in _TONES}
    for change in facts.changes:
        told, sentence = groups[_heading(change, facts.changes_after)], _tell(change)
        if sentence not in told:
            told.append(sentence)
    return tuple(LaterChanges(heading, _TONES[heading], tuple(told)) for heading, told in groups.items() if told)


def _heading(change: ChangeFacts, changes_after: str) -> str:
    if change.kind == "forbidden":
        return "WEB_AFTER_FORBIDDEN"
    if changes_after == "forbidden" and change.kind not in _ALWAYS_PERMITTED:
        return "WEB_AFTER_FORBIDDEN"
    # A time-stamp may be what is not clear: it should show nothing, and may have been given a face.
    if changes_after == "unknown" and change.kind != "validation-data":
        return "WEB_AFTER_UNCLEAR"
    return "WEB_AFTER_PERMITTED"


def _tell(change: ChangeFacts) -> Sentence:
    """One change in plain words; the numbers of objects, which an engineer finds in the JSON, are left out."""
    facts = {"page": str(change.page or ""), "text": masked(shown(change.text))}
    if change.kind == "forbidden":
        return (
            Sentence("WEB_FORBIDDEN_PAGE", {"page": facts["page"]}) if change.page else Sentence("WEB_FORBIDDEN_FILE")
        )
    if change.kind == "description":
        return Sentence("WEB_AFTER_DESCRIPTION", facts)
    if change.kind == "validation-data":
        return Sentence("WEB_AFTER_DATA")
    if change.kind == "annotation":
        return Sentence("WEB_AFTER_ANNOTATION_PAGE" if change.page else "WEB_AFTER_ANNOTATION", facts)
    if change.kind == "field":
        filled = _FILLED.fullmatch(facts["text"])
        if filled is not None:
            facts |= {"field": filled[1], "value": filled[2]}
            return Sentence("WEB_AFTER_FILLED_PAGE" if change.page else "WEB_AFTER_FILLED", facts)
        redrawn = _REDRAWN.fullmatch(facts["text"])
        if redrawn is not None:
            facts |= {"field": redrawn[1], "value": redrawn[2]}
            return Sentence("WEB_AFTER_REDRAWN_PAGE" if change.page else "WEB_AFTER_REDRAWN", facts)
        return Sentence("WEB_AFTER_FIELD_PAGE" if change.page else "WEB_AFTER_FIELD", facts)
    return Sentence("WEB_AFTER_SIGNATURE" if change.kind == "signature" else "WEB_AFTER_TIMESTAMP", facts)
