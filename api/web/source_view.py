"""The sources of a check as a page names them: each with its last good time, and whether it is down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api.sources import Source
from api.web.sentences import Sentence
from api.web.text import short_name
from certs.clock import for_people


@dataclass(frozen=True)
class SourceLine:
    """One line of the report; one that is not good is also said where nobody overlooks it."""

    is_good: bool
    sentence: Sentence


def view_sources(sources: Iterable[Source]) -> tuple[SourceLine, ...]:
    """In the order given."""
    return tuple(SourceLine(each.is_good, _sentence(each)) for each in sources)


def _sentence(source: Source) -> Sentence:
    facts = {"owner": short_name(source.owner)} if source.owner else {}
    if source.last_good is None:
        return Sentence(f"WEB_SOURCE_{source.kind}_never", facts)
    facts["time"] = for_people(source.last_good)
    if source.due is not None:
        facts["due"] = for_people(source.due)
    return Sentence(f"WEB_SOURCE_{source.kind}_{'good' if source.is_good else 'down'}", facts)
