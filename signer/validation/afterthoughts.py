"""What the library's difference analysis lets pass and a reader would show all the same.

Each function answers for one way; what it returns goes into the list of changes, and then the answer is no longer "permitted".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader

from signer.validation.reference_graph import ReferenceGraph
from signer.validation.signature_value import entry

_TOLD = ("/Title", "/Author", "/Subject", "/Keywords")
_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"


def completed_references(
    reader: PdfFileReader, signed_revision: int, changed: set[int], signed: ReferenceGraph
) -> list[int]:
    """Objects that the signed revision refers to without having them, and that came afterwards.

    A reference to nothing is null (7.3.10), so a page may be signed with a part of its content missing, which an update then
    brings along: nothing that was signed changes, and everybody sees another page.
    """
    known = {
        int(reference.idnum)
        for revision in range(signed_revision + 1)
        for reference in reader.xrefs.explicit_refs_in_revision(revision)
    }
    return sorted(signed.mentioned(changed - known))


def changed_form(before: Any, after: Any) -> Iterator[str]:
    """How the form as a whole draws its fields: asked to draw them anew, or with another font under an old name (12.7.3)."""
    old, new = _dictionary(before, "/AcroForm"), _dictionary(after, "/AcroForm")
    if new is None:
        return
    if entry(new, "/NeedAppearances") and not (old is not None and entry(old, "/NeedAppearances")):
        yield "NeedAppearances"
    if old is None:
        return
    was, now = _dictionary(old, "/DR"), _dictionary(new, "/DR")
    for kind in was or ():
        held, holds = _dictionary(was, kind), _dictionary(now, kind)
        if held is None:
            continue
        for name in held:
            if holds is None or name not in holds or repr(held.raw_get(name)) != repr(holds.raw_get(name)):
                yield f"DR {kind} {name}"


def changed_description(before: HistoricalResolver, after: HistoricalResolver) -> Iterator[str]:
    """What the document says of itself, and what windows and searches show of it (14.3). Dates and producers may change."""
    old, new = _description(before), _description(after)
    for key in _TOLD:
        if old.get(key) != new.get(key) and (key in old or key in new):
            yield key[1:]
    told, tells = _metadata(before.root), _metadata(after.root)
    if told and tells != told:
        yield "Metadata"


def _description(resolver: HistoricalResolver) -> dict[str, str]:
    try:
        held = resolver.trailer_view.raw_get("/Info")
    except KeyError:
        return {}
    # The trailer would follow the reference into the newest revision.
    info = resolver(held.reference) if isinstance(held, generic.IndirectObject) else held
    if not isinstance(info, generic.DictionaryObject):
        return {}
    return {key: str(entry(info, key)) for key in _TOLD if key in info}


def _metadata(root: Any) -> dict[str, str]:
    """The Dublin Core of the XMP packet: title, creator, subject and the rest, as texts."""
    stream = entry(root, "/Metadata")
    if not isinstance(stream, generic.StreamObject):
        return {}
    try:
        packet = ET.fromstring(stream.data)  # noqa: S314  see the import
    except (ET.ParseError, ValueError, LookupError):
        return {}
    return {
        element.tag: " ".join("".join(element.itertext()).split())
        for element in packet.iter()
        if element.tag.startswith(_DUBLIN_CORE)
    }


def _dictionary(holder: Any, key: str) -> generic.DictionaryObject | None:
    value = entry(holder, key) if isinstance(holder, generic.DictionaryObject) else None
    return value if isinstance(value, generic.DictionaryObject) else None
