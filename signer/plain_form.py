"""Form and pages of a plain PDF, read without the library: which fields there are, where they stand, what is signed.

Small as its sister: fields that are their own widgets, in one flat list. Whatever is not, raises NotPlain, and form.py takes over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signer.placing import SignatureField
from signer.plain_base import PlainPdf
from signer.plain_pdf import NotPlain, RawDictionary, read_dictionary, reference, references
from signer.plain_revision import with_references

_MOST_PAGES = 500
_MOST_FIELDS = 200
_LITERAL = re.compile(rb"\(([\x20-\x27\x2a-\x5b\x5d-\x7e]*)\)")
_HEX = re.compile(rb"<([0-9A-Fa-f\s]*)>")
_NUMBERS = re.compile(rb"\[\s*([+\-.0-9]+)\s+([+\-.0-9]+)\s+([+\-.0-9]+)\s+([+\-.0-9]+)\s*\]")
_KINDS = {b"/Sig", b"/Tx", b"/Btn", b"/Ch"}
_NONE = RawDictionary(b"<<>>", {})


@dataclass(frozen=True)
class PlainPage:
    """One page. `rotation` is inherited (ISO 32000-2 table 31)."""

    number: int
    dictionary: RawDictionary
    rotation: int


@dataclass(frozen=True)
class PlainField:
    """One field, which is its own widget."""

    number: int
    name: str
    kind: bytes
    dictionary: RawDictionary

    @property
    def is_signature(self) -> bool:
        return self.kind == b"/Sig"

    @property
    def is_signed(self) -> bool:
        return self.is_signature and b"/V" in self.dictionary.entries


@dataclass(frozen=True)
class PlainForm:
    """The form. `number` is its object's; None when it stands in the catalog, or is not there."""

    number: int | None
    dictionary: RawDictionary
    fields: tuple[PlainField, ...]

    @property
    def signed(self) -> int:
        """How many signatures the file bears."""
        return sum(field.is_signed for field in self.fields)

    def fresh_name(self, stem: str) -> str:
        """The stem with the lowest number that no field has yet."""
        if not self.fields:
            return f"{stem}1"
        taken = {field.name for field in self.fields}
        return next(name for name in (f"{stem}{at}" for at in range(1, len(taken) + 2)) if name not in taken)

    def with_fields(self, numbers: Sequence[int]) -> bytes:
        """The form with some fields more, which bear signatures."""
        if not self.dictionary.entries:
            return b"<< /Fields %b /SigFlags 3 >>" % with_references(b"[]", numbers)
        present = self.dictionary.entries.get(b"/Fields", b"[]")
        text = self.dictionary.with_entry(b"/Fields", with_references(present, numbers))
        return read_dictionary(text, 0).with_entry(b"/SigFlags", b"3")


def read_form(base: PlainPdf) -> PlainForm:
    """The form of a file; NotPlain where it is of another kind, or where an earlier signature says what later ones may do."""
    raw = base.catalog.entries.get(b"/AcroForm")
    if raw is None:
        return PlainForm(None, _NONE, ())
    number = None if raw.startswith(b"<<") else reference(raw)
    form = read_dictionary(raw, 0) if number is None else base.objects.dictionary(number)
    if b"/XFA" in form.entries:
        raise NotPlain("a form of another kind")
    numbers = references(form.entries.get(b"/Fields", b"[]"))
    if len(numbers) > _MOST_FIELDS:
        raise NotPlain("a form of many fields")
    return PlainForm(number, form, tuple(_read_field(base, each) for each in numbers))


def _read_field(base: PlainPdf, number: int) -> PlainField:
    field = base.objects.dictionary(number)
    entries = field.entries
    kind = entries.get(b"/FT", b"")
    if kind not in _KINDS or entries.get(b"/Subtype") != b"/Widget" or entries.keys() & {b"/Kids", b"/Parent"}:
        raise NotPlain("a field that is not its own widget")
    # What a form's maker demands of a signature, and what a signature forbids to later ones, is the library's to follow.
    if kind == b"/Sig" and entries.keys() & {b"/Lock", b"/SV"}:
        raise NotPlain("a field with conditions")
    if kind == b"/Sig" and b"/V" in entries:
        signature = base.objects.dictionary(reference(entries[b"/V"]))
        if b"/Reference" in signature.entries:
            raise NotPlain("a signature with conditions")
    return PlainField(number, _text(entries.get(b"/T", b"")), kind, field)


def _text(raw: bytes) -> str:
    """A field's name, of letters that need no decoding table."""
    literal, digits = _LITERAL.fullmatch(raw), _HEX.fullmatch(raw)
    if literal is not None:
        octets = literal[1]
    elif digits is not None:
        try:
            octets = bytes.fromhex(digits[1].decode("ascii"))
        except ValueError:
            raise NotPlain("half an octet") from None
    else:
        raise NotPlain("no plain name")
    try:
        name = octets[2:].decode("utf-16-be") if octets.startswith(b"\xfe\xff") else octets.decode("ascii")
    except UnicodeDecodeError:
        raise NotPlain("no plain name") from None
    if not name or "." in name:
        raise NotPlain("no plain name")  # a full stop stands between the names of a tree (ISO 32000-2 12.7.4.2)
    return name


def read_pages(base: PlainPdf) -> list[PlainPage]:
    """All pages in their order."""
    found: list[PlainPage] = []
    waiting = [(reference(base.catalog.entries.get(b"/Pages")), 0)]
    seen: set[int] = set()
    while waiting:
        number, rotation = waiting.pop()
        if number in seen or len(seen) > _MOST_PAGES:
            raise NotPlain("a tree that is none, or of many pages")
        seen.add(number)
        node = base.objects.dictionary(number)
        turned = node.entries.get(b"/Rotate")
        if turned is not None:
            rotation = _rotation(turned)
        if node.entries.get(b"/Type") == b"/Page":
            found.append(PlainPage(number, node, rotation))
        elif node.entries.get(b"/Type") == b"/Pages":
            kids = references(node.entries.get(b"/Kids", b""))
            waiting += [(kid, rotation) for kid in reversed(kids)]
        else:
            raise NotPlain("a node of no kind")
    return found


def _rotation(raw: bytes) -> int:
    try:
        return int(raw) % 360 // 90 * 90
    except ValueError:
        raise NotPlain("no plain rotation") from None


def annotation_array(base: PlainPdf, page: PlainPage) -> bytes:
    """The array of a page's annotations, wherever it stands."""
    raw = page.dictionary.entries.get(b"/Annots", b"[]")
    return raw if raw.startswith(b"[") else base.objects.array(reference(raw))


def signature_fields(base: PlainPdf, form: PlainForm, pages: Sequence[PlainPage]) -> list[SignatureField]:
    """The signature fields in the order of the form. /P is optional, so /Annots decides on which page one stands."""
    wanted = [field for field in form.fields if field.is_signature]
    standing: dict[int, tuple[int, int]] = {}
    if wanted:
        for index, page in enumerate(pages):
            for number in references(annotation_array(base, page)):
                standing[number] = (index, page.rotation)
    return [_signature_field(field, standing) for field in wanted]


def _signature_field(field: PlainField, standing: Mapping[int, tuple[int, int]]) -> SignatureField:
    nowhere = SignatureField(field.name, not field.is_signed, None, None)
    found = _NUMBERS.fullmatch(field.dictionary.entries.get(b"/Rect", b""))
    if found is None or field.number not in standing:
        return nowhere
    try:
        x0, y0, x1, y1 = map(float, found.groups())
    except ValueError:
        return nowhere
    if abs(x1 - x0) <= 1 or abs(y1 - y0) <= 1:
        return nowhere
    page, rotation = standing[field.number]
    return SignatureField(
        field.name, not field.is_signed, (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), page, rotation
    )
