"""All families of attacks, each made of documents of its own; a name begins with its family."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cryptography.hazmat.primitives.asymmetric import rsa
from pyhanko.sign import fields

from tests.attacks import cms_attacks, documents, generator, hostile, overlays, preparations, updates
from tests.attacks.annotations import annotation_attacks
from tests.attacks.attack import Attack
from tests.attacks.pki import Pki, make

# What each family is about, for the table of docs/attacks.md.
FAMILIES = {
    "usf": "universal signature forgery (2019): /Contents or /ByteRange missing or of no sense",
    "isa": "incremental saving (2019): an update that some readers show and others skip",
    "swa": "signature wrapping (2019): ranges that leave out more than the signature",
    "later": "a clean update changes what was signed",
    "certified": "a change that the certification forbids",
    "two": "one of two signatures is broken",
    "cms": "the CMS contradicts itself, is weak, or is of somebody else",
    "ssa": "sneaky signature (2021): a new field or time-stamp is laid over the page",
    "eaa": "evil annotation (2021): a note, stamp or link is laid over the page",
    "note": "notes and marks after a certification: not permitted, like the page to look at, or a cover for other changes",
    "field": "a field is filled in and shows something else, or more happens than that",
    "form": "the form as a whole is drawn anew",
    "resource": "what the words are drawn with is replaced",
    "catalogue": "layers, actions, files or pages come by the catalogue",
    "description": "the document calls itself something else",
    "shadow": "shadow (2020): prepared before signing, switched afterwards",
    "ambiguous": "something stands there twice, and each reader takes the one it likes",
    "bomb": "wants time or memory",
    "secret": "encrypted, or sends away what it holds (PDFex, 2019)",
}
_METADATA = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" rdf:about=""><dc:title><rdf:Alt>'
    b'<rdf:li xml:lang="x-default">QUYET DINH</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta>'
)


def described(page: bytes) -> bytes:
    """The document with XMP metadata (ISO 32000-2 14.3.2)."""
    number, root = updates.size_of(page), int(updates.root_of(page).split()[0])
    catalogue = overlays.with_entry(updates.object_of(page, root), b"/Metadata", b"%d 0 R" % number)
    packet = updates.stream(_METADATA, b"/Type /Metadata /Subtype /XML")
    return updates.appended(page, {number: packet, root: catalogue})


def all_attacks(pki: Pki) -> list[Attack]:
    """Every hostile file; the names are unique and stay."""
    rsa_officer = make("Người ký RSA", pki.issuing, key=rsa.generate_private_key(65537, 2048))
    short = make("Người ký RSA ngắn", pki.issuing, key=rsa.generate_private_key(65537, 1024))
    page, two_pages = documents.page_pdf(), documents.page_pdf(pages=2)
    signed, long = documents.sign(page, pki.officer), documents.sign(two_pages, pki.officer)
    filled = documents.sign(documents.filled(page, "15"), pki.officer)
    certified_1 = documents.sign(two_pages, pki.officer, certify=fields.MDPPerm.NO_CHANGES)
    certified_2 = documents.sign(two_pages, pki.officer, certify=fields.MDPPerm.FILL_FORMS)
    makers: list[Callable[[], Iterable[Attack]]] = [
        lambda: generator.universal_forgeries(long),
        lambda: generator.incremental_savings(long),
        lambda: generator.signature_wrappings(long, pki.officer),
        lambda: generator.later_changes(long, certified_1, certified_2),
        lambda: generator.several_signatures(two_pages, pki),
        lambda: cms_attacks.cms_defects(two_pages, long, pki, rsa_officer, short),
        lambda: cms_attacks.cms_contradictions(page, signed, pki),
        lambda: overlays.new_fields(signed, pki),
        lambda: annotation_attacks(pki),
        lambda: overlays.changed_fields(filled),
        lambda: overlays.resources(signed),
        lambda: overlays.catalogue(signed, documents.sign(described(page), pki.officer)),
        lambda: preparations.shadows(page, pki),
        lambda: hostile.ambiguities(filled),
        lambda: hostile.bombs(signed),
        lambda: hostile.secrets(page, signed),
    ]
    return [attack for maker in makers for attack in maker()]
