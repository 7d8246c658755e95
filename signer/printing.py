"""Printing: a document of the register as a rendition for paper, which says where the original is, who printed it, where and when
(Luật 20/2023/QH15 Đ.12). Only what is valid and in force is printed, and every print is in the audit trail.

The pages are drawn in the judge process (rendition.py).
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from certs.clock import VIETNAM, Clock, for_people
from certs.db import Database
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.admission import awaits_seal, out_of_force
from signer.appearance.fonts import EmbeddedFont, Style, drawable
from signer.codes import grouped
from signer.documents import OPEN, document_by_code, find_by_code, find_by_revisions
from signer.errors import Refused, UsageWrong
from signer.lineage import CORRECTED, lineage_of
from signer.marking import LOOPBACK, check_address, code_lines
from signer.octets import Octets
from signer.office_policy import policy_on
from signer.page_marks import CodeMark
from signer.qr import qr_modules
from signer.rendition_strip import STYLES, Strip
from signer.storage import BlobStore
from signer.validation.verdict import Verdict

LONGEST = 120
# Characters that turn text around or hide in it.
_FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}


class Renderer(Protocol):
    """Judges a file and draws the rendition of one, both in a judge process."""

    def verify(self, pdf: Octets, name: str, /) -> Verdict: ...

    def render(self, pdf: Octets, strip: Strip, fonts: tuple[EmbeddedFont, ...], /) -> bytes:
        """Raises InputUnreadable or Unavailable."""
        ...


@dataclass(frozen=True)
class PrintDeps:
    """What printing works with. `system`, `owner` and `place` as the installation has them set."""

    database: Database
    clock: Clock
    blobs: BlobStore
    font: Callable[[Style, str], EmbeddedFont]
    address: str
    system: str
    owner: str
    place: str


@dataclass(frozen=True)
class PrintWish:
    """Which document (by its code), and where and by whom it is printed; empty: as the installation has it."""

    code: str
    place: str = ""
    printer: str = ""


@dataclass(frozen=True)
class Printed:
    """A rendition. `sha256` is what the audit trail has of it."""

    code: str
    content: bytes
    sha256: str


def print_document(wish: PrintWish, renderer: Renderer, actor: Actor, deps: PrintDeps) -> Printed:
    """The rendition of a document's newest file; Refused unless it is valid and in force."""
    require(actor, Permission.PRINT_DOCUMENTS)
    place, printer = _told(wish.place or deps.place, "place"), _told(wish.printer or deps.owner, "printer")
    address = urlsplit(deps.address)
    if address.scheme != "https" and address.hostname not in LOOPBACK:
        raise Refused("CODE_ADDRESS_NOT_HTTPS", url=deps.address)
    with deps.database.read() as session:
        document = document_by_code(session, wish.code)
        known = find_by_code(session, document.code)
        if document.sha256 is None or known is None:
            raise UsageWrong("CODE_NOT_FOUND", typed=document.code)
        if document.status not in OPEN:
            raise out_of_force(session, known)
        if awaits_seal(document):
            raise Refused("PRINT_NOT_ISSUED", code=grouped(document.code))
        corrections = lineage_of(session, document.code).corrections if document.status == CORRECTED else ()
    content = deps.blobs.open(document.sha256)
    verdict = renderer.verify(content, document.code)
    judged = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
    if not judged or not all(each.is_sound for each in judged):
        raise Refused("PRINT_NOT_VALID", code=grouped(document.code), reason=verdict.reason)
    strip = _strip(document.code, corrections, place, printer, deps)
    text = " ".join((strip.title, *strip.lines, *strip.code.lines))
    made = renderer.render(content, strip, tuple(deps.font(style, text) for style in STYLES))
    sha256 = hashlib.sha256(made).hexdigest()
    with deps.database.write() as session:
        # Recalled while it was drawn: nobody is given it.
        found = find_by_code(session, document.code)
        if found is None or found.status not in OPEN:
            raise out_of_force(session, found or known)
        append(
            session, deps.clock, actor, "document.print", "document", document.code,
            sha256=sha256, of=document.sha256, place=place, printer=printer,
        )  # fmt: skip
    return Printed(document.code, made, sha256)


def code_of_file(pdf: Octets, renderer: Renderer, database: Database) -> str:
    """The code of the document that a file is of; Refused for one that the register does not know, or that is not valid."""
    verdict = renderer.verify(pdf, "")
    if verdict.document is not None:
        return verdict.document.code
    with database.read() as session:
        found = find_by_revisions(session, [verdict.sha256] if verdict.sha256 is not None else [])
    if found is None:
        raise Refused("PRINT_UNKNOWN_FILE", reason=verdict.reason)
    return found.code


def _strip(code: str, corrections: tuple[str, ...], place: str, printer: str, deps: PrintDeps) -> Strip:
    now = deps.clock.now()
    rule = policy_on(now.astimezone(VIETNAM).date())
    said = {
        "code": grouped(code), "address": deps.address.rstrip("/"), "system": deps.system, "owner": deps.owner, "place": place,
        "printer": printer, "time": for_people(now), "see": ", ".join(map(grouped, corrections)),
    }  # fmt: skip
    lines = rule.print.lines + (rule.print.corrected if corrections else ())
    shown = rule.code
    mark = CodeMark(
        code_lines(code),
        qr_modules(check_address(deps.address, code)),
        shown.qr_mm,
        shown.text_size,
        shown.edge_mm,
        True,
    )
    return Strip(rule.print.title, tuple(_filled(line, said) for line in lines), mark)


def _filled(line: str, said: dict[str, str]) -> str:
    """One name at a time, from the left: what people typed is never read as a form to be filled. The page's number comes later."""
    out, rest = "", line
    while rest:
        before, brace, after = rest.partition("{")
        name, end, follows = after.partition("}")
        out += before
        if not brace:
            break
        out += said.get(name, f"{{{name}}}") if end else ""
        rest = follows
    return out


def _told(typed: str, what: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", typed).split())
    if not text:
        raise UsageWrong("PRINT_WORD_MISSING", what=what)
    hides = any(unicodedata.category(character) in _FORBIDDEN for character in text)
    # Braces stand for what is filled in when a page is drawn.
    if len(text) > LONGEST or hides or "{" in text or drawable(text) != text:
        raise UsageWrong("PRINT_WORD_MALFORMED", what=what, limit=str(LONGEST))
    return text
