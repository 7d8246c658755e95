"""The tables of /docs, each read from where its values are decided: metadata, scopes, problem codes, reasons of a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator

from api.auth.tokens import SCOPES
from api.problems import STATUS_OF_CODE
from api.words import read_catalogues
from signer.metadata import LENGTHS
from signer.validation.reasons import REASONS

Row = tuple[str, str, str]
_ALLOWS = {
    "sign": "sign and recall documents, see all that is recorded of them",
    "print": "print documents that are in force, for kiosks and counters",
    "verify": "see all that is recorded of documents",
    "ra": "issue certificates, see them whole; renew, suspend, reinstate and revoke them",
    "ca": "see certificates whole",
    "audit": "see documents and certificates whole",
}
_SAID_OF_METADATA = {
    "CodeNumber": "the number, digits alone; left out, the seal takes the next of the series",
    "CodeNotation": "the symbol without the number, like UBND-VP; the seal adds the number",
    "IssuedDate": "yyyy-mm-dd or dd/mm/yyyy",
    "DueDate": "yyyy-mm-dd or dd/mm/yyyy",
    "Subject": "what the document is about",
    "To.OrganName": "To is one object or a list of them",
    "SignerInfo.FullName": "SignerInfo is an object",
}


def scopes() -> Iterator[Row]:
    """Each scope and what it allows."""
    return ((scope, "", _ALLOWS[scope]) for scope in SCOPES)


def metadata_names() -> Iterator[Row]:
    """The names of Decree 30/2020, Appendix VI, and how many characters each takes; a dot leads into an object."""
    return ((name, f"up to {length}", _SAID_OF_METADATA.get(name, "")) for name, length in LENGTHS.items())


def problem_codes() -> Iterator[Row]:
    """Each code that a client may meet, with its status and sentence."""
    sentences = read_catalogues("en")
    for code, status in sorted(STATUS_OF_CODE.items(), key=lambda item: (item[1], item[0])):
        yield code, str(status), _plain(sentences[code])


def verdict_reasons() -> Iterator[Row]:
    """Each `reason` of a verdict, with the conclusion it leads to and its sentence."""
    sentences = read_catalogues("en")
    for reason in REASONS.values():
        if reason.code != "CODE_NOT_FOUND":  # said of codes, never of files
            yield reason.code, reason.conclusion or "as the signatures are", sentences[reason.code]


def _plain(sentence: str) -> str:
    """A sentence of the catalogue as one of its own, its facts shown as dots."""
    text = re.sub(r"(?<!\{)\{\w+\}(?!\})", "…", sentence).replace("{{", "{").replace("}}", "}")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
