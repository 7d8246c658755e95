"""The look at a plain file before it is signed, without library and renderer: text on pages, and nothing behind it.

It finds what inspection.py finds, in a tenth of the time, or raises NotPlain: then that way decides. Nothing is passed over: an object
that is not understood, a name that could lead to a finding, a page on which something is painted after text, are not plain.
"""

from __future__ import annotations

import re

from signer.findings import SafetyFinding
from signer.plain_base import read_plain
from signer.plain_fonts import Fonts
from signer.plain_form import read_pages
from signer.plain_objects import PlainObjects
from signer.plain_pdf import NotPlain, RawDictionary, read_dictionary, skip_blank, skip_value
from signer.plain_text import read_text

# What inspection.py looks at more closely wherever it stands, and whatever another reader might take for an object elsewhere.
_TELLING = re.compile(
    rb"#|/(?:JavaScript|JS|Launch|GoToR|GoToE|SubmitForm|ImportData|Movie|Rendition|OCProperties|Ref|Tx|Btn|Ch|XFA|ObjStm|XRef|XRefStm|Encrypt"
    rb"|Font\s*\[|F(?!\s*\d{1,5}\s*[/>]))(?![^\x00\t\n\x0c\r ()<>\[\]{}/%])"
)
_REFERENCES = re.compile(rb"\b(\d{1,10})\s++(\d{1,5})\s++R\b")
_DEEPEST = 20
_MOST_PAGES = 500


def look_at_plain(pdf: bytes) -> tuple[SafetyFinding, ...]:
    """The findings in the order of pages: which fonts are not in the file. NotPlain for whatever may hold others."""
    base = read_plain(pdf)
    objects = PlainObjects(pdf, base)
    everything = b"\n".join((*objects.values.values(), base.trailer.text))
    if _TELLING.search(everything) is not None:
        raise NotPlain("something to look at")
    for number, generation in set(_REFERENCES.findall(everything)):
        if generation != b"0" or int(number) not in objects.values:
            raise NotPlain("a reference to nothing")
    for dictionary in objects.dictionaries.values():
        _refuse_double(dictionary, 0)
    pages = read_pages(base)
    if len(pages) > _MOST_PAGES:
        raise NotPlain("many pages")
    fonts, found = Fonts(objects), []
    for number, page in enumerate(pages, 1):
        names = fonts.missing(page.dictionary, read_text(objects, page.dictionary))
        found += [SafetyFinding("font-not-embedded", number, name) for name in names]
    return tuple(found)


def _refuse_double(dictionary: RawDictionary, depth: int) -> None:
    """A key that stands twice is for the library to judge, however deep."""
    for value in dictionary.entries.values():
        if b"<<" in value:
            _refuse_double_in(value, depth + 1)


def _refuse_double_in(value: bytes, depth: int) -> None:
    if depth > _DEEPEST:
        raise NotPlain("too deep")
    if value.startswith(b"<<"):
        _refuse_double(read_dictionary(value, 0), depth)
    elif value.startswith(b"["):
        at = skip_blank(value, 1)
        while value[at : at + 1] != b"]":
            end = skip_value(value, at)
            if b"<<" in value[at:end]:
                _refuse_double_in(value[at:end], depth + 1)
            at = skip_blank(value, end)
