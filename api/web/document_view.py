"""A document of the register as everybody may see it by its code: status first, public facts, no names of files or people."""

from __future__ import annotations

from dataclasses import dataclass

from api.web.document_link import DocumentLink, advice_with, links
from api.web.purposes import main_documents
from api.web.sentences import Sentence
from api.web.text import masked, shown
from api.web.verdict_view import VerdictView
from certs.clock import for_people
from signer.admission import awaits_seal
from signer.codes import grouped
from signer.documents import Document
from signer.lineage import CORRECTED, REPLACED, Lineage
from signer.numbering import written

# Word, sentence and advice for a document that is out of force.
_ENDED = {
    "recalled": ("WEB_WORD_DOC_RECALLED", "DOC_RECALLED", "RECALLED"),
    REPLACED: ("WEB_WORD_DOC_REPLACED", "DOC_REPLACED", "REPLACED"),
}


@dataclass(frozen=True)
class DocumentView:
    """The upper half of the page. `word` and `sentence` are codes, `advice` is the part of two: why, and what to do.

    `read_on` leads to what holds now or belongs to it, `before` to what it took the place of.
    """

    tone: str
    word: str
    sentence: str
    advice: str
    agency: str
    kind: str
    number: str
    date: str
    subject: str
    ended: str
    code: str
    pending: Sentence | None
    file_link: str
    json_link: str
    receipt_link: str
    read_on: tuple[DocumentLink, ...]
    before: tuple[DocumentLink, ...]


def view_document(document: Document, lineage: Lineage, verdict: VerdictView) -> DocumentView:
    """What the register says, unless the signatures of the stored file say something worse."""
    tone, word, sentence, advice = _headline(document, verdict)
    read_on = _read_on(document, lineage)
    ended = next((each for each in reversed(lineage.changes) if each.status in _ENDED), None)
    own = f"/api/v1/documents/{document.code}"
    return DocumentView(
        tone=tone,
        word=word,
        sentence=sentence,
        advice=advice_with(advice, read_on),
        agency=masked(shown(document.agency)),
        kind=shown(str(document.details.get("TypeName", ""))),
        number=_number(document),
        date=for_people(document.issued_at)[:10] if document.issued_at else "",
        subject=masked(shown(document.subject)),
        ended=for_people(ended.changed_at) if ended and document.status in _ENDED else "",
        code=grouped(document.code),
        pending=Sentence("WEB_LEVEL_PENDING", {"level": document.pending.level}) if document.pending else None,
        file_link=f"{own}/file",
        json_link=own,
        receipt_link=f"/v/{document.code}/receipt",
        read_on=read_on,
        before=(
            *links("WEB_REPLACES", lineage.replaces),
            *links("WEB_CORRECTS", lineage.corrects),
            *links("WEB_APPENDIX_OF", main_documents(document)),
        ),
    )


def _read_on(document: Document, lineage: Lineage) -> tuple[DocumentLink, ...]:
    if document.status == REPLACED:
        return links("WEB_HOLDS_NOW", [lineage.holds_now] if lineage.holds_now is not None else [])
    return links("WEB_CORRECTED_BY", lineage.corrections) if document.status == CORRECTED else ()


def _headline(document: Document, verdict: VerdictView) -> tuple[str, str, str, str]:
    """Tone, word, sentence and advice."""
    if document.status in _ENDED:
        return "bad", *_ENDED[document.status]
    if verdict.headline.tone != "good":
        return verdict.headline.tone, verdict.headline.word, verdict.headline.sentence, verdict.advice
    if document.status == CORRECTED:
        return "unsure", "WEB_WORD_DOC_CORRECTED", "DOC_CORRECTED", "CORRECTED"
    if awaits_seal(document):
        return "unsure", "WEB_WORD_NOT_ISSUED", "WEB_DOCUMENT_NOT_ISSUED", "NOT_ISSUED"
    return "good", "WEB_WORD_IN_FORCE", "WEB_DOCUMENT_IN_FORCE", "DOCUMENT"


def _number(document: Document) -> str:
    if document.number is None:
        return ""
    notation = shown(document.notation or "")
    return f"{written(document.number)}/{notation}" if notation else written(document.number)
