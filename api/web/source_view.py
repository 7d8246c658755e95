"""The sources of a check as a page names them: each with its last good time, and whether it is down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api.sources import Source
from api.web.sentences import Sentence
from api.web.text import masked, short_name, shown
from certs.clock import for_people
from signer.validation.policy import Evidence, JudgedSignature


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


def view_relied(signatures: Iterable[JudgedSignature]) -> tuple[SourceLine, ...]:
    """The lists and answers of others that the signatures' certificates were judged by, each once."""
    sentences = {
        tuple(facts.items()): Sentence("WEB_SOURCE_relied", facts)
        for signature in signatures
        for each in (*signature.evidence, *(one for token in signature.tokens for one in token.evidence))
        if (facts := _relied(each))
    }
    return tuple(SourceLine(is_good=True, sentence=each) for each in sentences.values())


def _relied(evidence: Evidence) -> dict[str, str]:
    """Nothing where the register was asked, or nobody was."""
    if evidence.source in (None, "register") or evidence.this_update is None:
        return {}
    certificate = evidence.certificate
    name = masked(shown(certificate.common_name or short_name(certificate.subject)))
    return {"kind": (evidence.kind or "").upper(), "name": name, "time": for_people(evidence.this_update)}
