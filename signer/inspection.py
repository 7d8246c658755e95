"""The look at a file before it is signed: what in it could make it say or do other than whoever signs it sees. Judges nothing.

Runs in the judge process. Every object is visited, and PDFium is asked what covers text and what form fields show (showing.py).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.errors import InputUnreadable, Refused
from signer.findings import MOST, SafetyFinding, clean
from signer.form import value_of
from signer.octets import Octets, whole
from signer.password import Password
from signer.plain_look import look_at_plain
from signer.plain_pdf import NotPlain
from signer.showing import ShownField, look_at_pages
from signer.unlocking import unlock

_MOST_OBJECTS = 50_000
_MOST_OCTETS = 32 * 1024 * 1024
_MOST_PAGES = 5_000
# Actions that lead to, or take from, another file or place (ISO 32000-2 table 201). A link to an address is what it looks like.
_LEAVING = ("/GoToR", "/GoToE", "/SubmitForm", "/ImportData", "/Movie", "/Rendition")
_UNSEEN = 0x02 | 0x20  # annotation flags Hidden and NoView
_UPWARDS = ("/Parent", "/P", "/StructParent", "/Prev")
_FIELD_DEPTH = 30


def inspect_task(header: dict[str, Any], blobs: list[Any]) -> tuple[dict[str, Any], list[bytes]]:
    """The judge process's task `inspect`: blob 0 is the file."""
    try:
        found = inspect(blobs[0], Password(str(header.get("password", ""))))
    except (Refused, InputUnreadable) as error:
        return {"error": type(error).__name__, "code": error.code, "facts": error.facts}, []
    return {"findings": [[each.kind, each.page, each.detail] for each in found]}, []


def inspect(octets: Octets, password: Password) -> tuple[SafetyFinding, ...]:
    """All findings, each once, in the order of kinds and pages; InputUnreadable or Refused for what does not open."""
    if b"%PDF-" not in octets[:1024]:
        raise InputUnreadable("INPUT_NOT_PDF")
    if len(octets) > _MOST_OCTETS:
        # What is not in memory while it is signed is not taken into it for this either.
        return (SafetyFinding("not-looked-through"),)
    pdf = whole(octets)
    found = list(_structure(pdf))
    try:
        return _in_order([*found, *look_at_plain(pdf)])
    except NotPlain:
        return _in_order(_look_thoroughly(pdf, password, found))


def _in_order(found: Sequence[SafetyFinding]) -> tuple[SafetyFinding, ...]:
    unique = dict.fromkeys(SafetyFinding(each.kind, each.page, clean(each.detail)) for each in found)
    return tuple(sorted(unique, key=lambda each: (each.kind, each.page or 0, each.detail))[:MOST])


def _look_thoroughly(pdf: bytes, password: Password, structure: Sequence[SafetyFinding]) -> list[SafetyFinding]:
    """Every object by the library, every page by PDFium."""
    found = list(structure)
    reader = _open(pdf, password, found)
    shown: list[ShownField] = []
    if reader is not None:
        look = _Look(reader)
        try:
            look.walk()
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  a broken file makes the library fail in many ways, and that is what is to be said
            found.append(SafetyFinding("broken-structure", None, type(error).__name__))
        found += look.found
        shown = look.shown
    pages = list(look_at_pages(pdf, password.text, shown))
    if reader is None:
        if any(each.kind == "broken-structure" for each in pages):
            raise InputUnreadable("INPUT_DAMAGED", kind=found[-1].detail)
        found.append(SafetyFinding("not-looked-through"))
    return found + pages


def _structure(pdf: bytes) -> Iterator[SafetyFinding]:
    """What stands before the beginning or behind the end: readers differ in what they make of it (ISO 32000-2 7.5.2, 7.5.5)."""
    if not pdf.startswith(b"%PDF-"):
        yield SafetyFinding("broken-structure", None, "octets before the header")
    end = pdf.rfind(b"%%EOF")
    if end < 0:
        yield SafetyFinding("broken-structure", None, "no end")
    elif pdf[end + 5 :].strip(b"\0\t\n\x0c\r "):
        yield SafetyFinding("broken-structure", None, "octets behind the end")


def _open(pdf: bytes, password: Password, found: list[SafetyFinding]) -> PdfFileReader | None:
    """The file for the walk; None where the library cannot read it."""
    for strict in (True, False):
        try:
            reader = PdfFileReader(io.BytesIO(pdf), strict=strict)
            unlock(reader, password)
            _ = reader.root["/Pages"]
        except (Refused, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  the lenient pass is next, and what is wrong is said
            found.append(SafetyFinding("broken-structure", None, type(error).__name__))
            continue
        return reader
    return None


@dataclass
class _Look:
    """The walk through all objects that pages and catalog lead to."""

    reader: PdfFileReader
    found: list[SafetyFinding] = field(default_factory=list)
    shown: list[ShownField] = field(default_factory=list)
    pages: dict[int, int] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    def walk(self) -> None:
        """Pages first, so that what they use is said to be theirs; then whatever else the catalog leads to."""
        root = self.reader.root
        self._layers(root)
        for number, page in enumerate(self._page_references(root), 1):
            self.pages[page.idnum] = number - 1
            self._visit(page, number)
        for key in root:
            if key != "/Pages":
                self._visit(root.raw_get(key), None)
        form = value_of(root, "/AcroForm")
        if isinstance(form, generic.DictionaryObject):
            self._fields(value_of(form, "/Fields"), "", {}, 0)

    def note(self, kind: str, page: int | None, detail: str = "") -> None:
        if len(self.found) < MOST:
            self.found.append(SafetyFinding(kind, page, detail))

    def _page_references(self, root: Any) -> list[Any]:
        pages: list[Any] = []
        waiting, seen = [root.raw_get("/Pages")], set()
        while waiting:
            reference = waiting.pop()
            if not isinstance(reference, generic.IndirectObject) or reference.idnum in seen:
                continue
            seen.add(reference.idnum)
            node = reference.get_object()
            kids = value_of(node, "/Kids") if isinstance(node, generic.DictionaryObject) else None
            if isinstance(kids, generic.ArrayObject):
                waiting += [kids.raw_get(at) for at in reversed(range(len(kids)))]
            elif len(pages) < _MOST_PAGES:
                pages.append(reference)
            else:
                self.note("not-looked-through", None)
                break
        return pages

    def _visit(self, start: Any, page: int | None) -> None:
        waiting = [start]
        while waiting:
            item = waiting.pop()
            if isinstance(item, generic.IndirectObject):
                if item.idnum in self.seen:
                    continue
                if len(self.seen) >= _MOST_OBJECTS:
                    self.note("not-looked-through", None)
                    return
                self.seen.add(item.idnum)
                item = item.get_object()
            if isinstance(item, generic.DictionaryObject):
                self._dictionary(item, page)
                waiting += [item.raw_get(each) for each in item if each not in _UPWARDS]
            elif isinstance(item, generic.ArrayObject):
                waiting += [item.raw_get(at) for at in range(len(item))]

    def _dictionary(self, item: Any, page: int | None) -> None:
        action = value_of(item, "/S")
        if action == "/JavaScript" or "/JS" in item:
            self.note("javascript", page)
        elif action == "/Launch":
            self.note("launch-action", page, _text(value_of(item, "/F")))
        elif action in _LEAVING and ("/F" in item or action in ("/GoToE", "/Rendition")):
            self.note("external-reference", page, f"{action[1:]} {_text(value_of(item, '/F'))}".strip())
        if isinstance(item, generic.StreamObject) and "/F" in item:
            self.note("external-reference", page, _text(value_of(item, "/F")))
        if value_of(item, "/Subtype") == "/Form" and "/Ref" in item:
            self.note("external-reference", page, "reference XObject")

    def _layers(self, root: Any) -> None:
        """Optional content that is not shown, or shown on one device only (ISO 32000-2 8.11.4)."""
        properties = value_of(root, "/OCProperties")
        if not isinstance(properties, generic.DictionaryObject):
            return
        usual = value_of(properties, "/D", {})
        off = {each.idnum for each in _references(usual, "/OFF")}
        on = {each.idnum for each in _references(usual, "/ON")}
        base_off = value_of(usual, "/BaseState") == "/OFF"
        for reference in _references(properties, "/OCGs"):
            layer = reference.get_object()
            usage = value_of(layer, "/Usage", {})
            states = [
                value_of(part, key) for name, key in (("/View", "/ViewState"), ("/Print", "/PrintState"))
                if isinstance(part := value_of(usage, name), generic.DictionaryObject)
            ]  # fmt: skip
            hidden = reference.idnum in off or (base_off and reference.idnum not in on)
            if hidden or "/OFF" in states:
                self.note("hidden-layer", None, _text(value_of(layer, "/Name")))

    def _fields(self, kids: Any, prefix: str, inherited: dict[str, Any], depth: int) -> None:
        """The fields whose value people read: where it is shown, and what it is."""
        if not isinstance(kids, generic.ArrayObject) or depth > _FIELD_DEPTH:
            return
        for at in range(len(kids)):
            item = kids[at]
            if not isinstance(item, generic.DictionaryObject):
                continue
            values = inherited | {key: item[key] for key in ("/FT", "/V", "/Ff") if key in item}
            own = _text(value_of(item, "/T"))
            name = f"{prefix}.{own}".strip(".") if own else prefix
            if "/Rect" in item:
                self._widget(item, name, values)
            if "/Kids" in item:
                self._fields(item["/Kids"], name, values, depth + 1)

    def _widget(self, widget: Any, name: str, values: dict[str, Any]) -> None:
        kind, value = values.get("/FT"), values.get("/V")
        if int(value_of(widget, "/F", 0)) & _UNSEEN:
            return
        page = self.pages.get(widget.raw_get("/P").idnum) if "/P" in widget and _is_reference(widget) else None
        number = None if page is None else page + 1
        appearance = value_of(widget, "/AP", {})
        normal = value_of(appearance, "/N") if isinstance(appearance, generic.DictionaryObject) else None
        if kind == "/Btn" and isinstance(normal, generic.DictionaryObject) and not int(values.get("/Ff", 0)) & 0x10000:
            state, states = str(value_of(widget, "/AS", "/Off")), [str(each) for each in normal]
            wanted = str(value) if value is not None and str(value) in states else "/Off"
            if state != wanted:
                self.note("value-differs", number, name)
        elif kind in ("/Tx", "/Ch") and isinstance(value, str) and isinstance(normal, generic.StreamObject):
            rect = tuple(float(each) for each in widget["/Rect"])
            if page is not None and len(rect) == 4:
                self.shown.append(ShownField(page, rect, str(value), name))


def _is_reference(widget: Any) -> bool:
    return isinstance(widget.raw_get("/P"), generic.IndirectObject)


def _references(holder: Any, key: str) -> list[Any]:
    array = value_of(holder, key) if isinstance(holder, generic.DictionaryObject) else None
    if not isinstance(array, generic.ArrayObject):
        return []
    return [each for at in range(len(array)) if isinstance(each := array.raw_get(at), generic.IndirectObject)]


def _text(value: Any) -> str:
    """A string, or the name in a file specification."""
    if isinstance(value, generic.DictionaryObject):
        value = value_of(value, "/UF", value_of(value, "/F", ""))
    return value if isinstance(value, str) else ""
