"""The PDF of a receipt: pages, fonts, structure for screen readers (ISO 14289-1), and an empty signature field, in one revision.

Everything is written here, octet by octet: nothing of a stranger's file is in it but texts, which were cleaned.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from xml.sax.saxutils import escape

from certs.clock import VIETNAM
from signer.appearance.fonts import EmbeddedFont

WIDTH, HEIGHT = 595.28, 841.89
FIELD = "Receipt"
_RANGE_ROOM = 64


@dataclass
class Element:
    """One structure element. `marks`: page and number of each piece of marked content; or other elements."""

    tag: str
    kids: list[Element] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)
    attributes: str = ""

    def add(self, tag: str, attributes: str = "") -> Element:
        """A new element in this one."""
        made = Element(tag, attributes=attributes)
        self.kids.append(made)
        return made


@dataclass(frozen=True)
class About:
    """What the file says of itself. `reason` and `field_label` are of the signature and its field."""

    title: str
    language: str
    producer: str
    made_at: datetime
    reason: str
    field_label: str


class Page:
    """One page's content. `marked` pieces belong to an element; `artifact` pieces are decoration."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.marks = 0
        self._parts: list[str] = []

    def marked(self, element: Element, operators: str) -> None:
        """Content that a screen reader reads, in its element's place."""
        self._parts.append(f"/{element.tag} <</MCID {self.marks}>> BDC\n{operators}\nEMC")
        element.marks.append((self.number, self.marks))
        self.marks += 1

    def artifact(self, operators: str) -> None:
        """Content that means nothing by itself."""
        self._parts.append(f"/Artifact BMC\n{operators}\nEMC")

    def content(self) -> bytes:
        return "\n".join(self._parts).encode("ascii")


class _Objects:
    """Indirect objects by number, and the file that they make."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []

    def reserve(self) -> int:
        self._bodies.append(b"null")
        return len(self._bodies)

    def put(self, number: int, body: str | bytes) -> int:
        self._bodies[number - 1] = body if isinstance(body, bytes) else body.encode("ascii")
        return number

    def add(self, body: str | bytes) -> int:
        return self.put(self.reserve(), body)

    def stream(self, entries: str, data: bytes) -> int:
        head = f"<<{entries} /Length {len(data)}>>\nstream\n".encode("ascii")
        return self.add(head + data + b"\nendstream")

    def file(self, root: int, info: int, identity: bytes) -> bytes:
        out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        places = []
        for number, body in enumerate(self._bodies, start=1):
            places.append(len(out))
            out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
        table = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
        out += b"".join(b"%010d 00000 n \n" % place for place in places)
        name = identity.hex()
        out += (
            f"trailer\n<</Size {len(places) + 1} /Root {root} 0 R /Info {info} 0 R /ID [<{name}> <{name}>]>>\n".encode()
        )
        return bytes(out) + b"startxref\n%d\n%%%%EOF\n" % table


def build_paper(
    pages: Sequence[Page], root: Element, fonts: dict[str, EmbeddedFont], about: About, identity: bytes, room: int
) -> tuple[bytes, tuple[int, int]]:
    """The file with a hole of `room` octets for the signature, and where the hole is. `identity`: 16 octets of its own."""
    objects = _Objects()
    catalog, tree, signature, widget = (objects.reserve() for _ in range(4))
    page_numbers = [objects.reserve() for _ in pages]
    resources = " ".join(f"/{name} {_font(objects, font)} 0 R" for name, font in sorted(fonts.items()))
    parent = objects.add(
        f"<</Type /Pages /Count {len(pages)} /Kids [{' '.join(f'{number} 0 R' for number in page_numbers)}]>>"
    )
    for page, number in zip(pages, page_numbers, strict=True):
        content = objects.stream(" /Filter /FlateDecode", zlib.compress(page.content(), 9))
        annotations = f" /Annots [{widget} 0 R]" if page.number == 0 else ""
        objects.put(
            number,
            f"<</Type /Page /Parent {parent} 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Resources <</Font <<{resources}>>>>"
            f" /Contents {content} 0 R /StructParents {page.number} /Tabs /S{annotations}>>",
        )
    form = _structure(objects, tree, root, page_numbers, [page.marks for page in pages])
    objects.put(form, f"<</Type /StructElem /S /Form /P {form - 1} 0 R /Pg {page_numbers[0]} 0 R"
                      f" /K <</Type /OBJR /Obj {widget} 0 R /Pg {page_numbers[0]} 0 R>>>>")  # fmt: skip
    objects.put(
        widget,
        f"<</Type /Annot /Subtype /Widget /FT /Sig /T {_text(FIELD)} /TU {_text(about.field_label)} /F 132"
        f" /Rect [0 0 0 0] /P {page_numbers[0]} 0 R /V {signature} 0 R /StructParent {len(pages)}>>",
    )
    mark = b"/ByteRange " + b" " * _RANGE_ROOM
    hole = b"<" + b"0" * (2 * room) + b">"
    objects.put(
        signature,
        b"<</Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached "
        + f"/M {_date(about.made_at)} /Reason {_text(about.reason)} ".encode("ascii")
        + mark + b"/Contents " + hole + b">>",
    )  # fmt: skip
    metadata = objects.stream(" /Type /Metadata /Subtype /XML", _xmp(about))
    objects.put(
        catalog,
        f"<</Type /Catalog /Pages {parent} 0 R /Lang {_text(about.language)} /MarkInfo <</Marked true>>"
        f" /StructTreeRoot {tree} 0 R /Metadata {metadata} 0 R /ViewerPreferences <</DisplayDocTitle true>>"
        f" /AcroForm <</Fields [{widget} 0 R] /SigFlags 3>>>>",
    )
    info = objects.add(
        f"<</Title {_text(about.title)} /Producer {_text(about.producer)} /CreationDate {_date(about.made_at)}>>"
    )
    pdf = objects.file(catalog, info, identity)
    start = pdf.index(hole)
    end = start + len(hole)
    ranges = b"/ByteRange [0 %d %d %d]" % (start, end, len(pdf) - end)
    return pdf.replace(mark, ranges.ljust(len(mark)), 1), (start, end)


def _structure(objects: _Objects, tree: int, root: Element, pages: Sequence[int], marks: Sequence[int]) -> int:
    """The structure tree with its parent tree; the number that the signature field's element will have."""
    of_mark: dict[tuple[int, int], int] = {}

    def write(element: Element, parent: int) -> int:
        number = objects.reserve()
        kids = [f"{write(kid, number)} 0 R" for kid in element.kids]
        for page, mark in element.marks:
            of_mark[page, mark] = number
            kids.append(f"<</Type /MCR /Pg {pages[page]} 0 R /MCID {mark}>>")
        objects.put(
            number,
            f"<</Type /StructElem /S /{element.tag} /P {parent} 0 R{element.attributes} /K [{' '.join(kids)}]>>",
        )
        return number

    document = objects.reserve()
    form = objects.reserve()
    kids = [f"{write(kid, document)} 0 R" for kid in root.kids]
    objects.put(document, f"<</Type /StructElem /S /Document /P {tree} 0 R /K [{' '.join(kids)} {form} 0 R]>>")
    rows = [
        f"{page} [{' '.join(f'{of_mark[page, mark]} 0 R' for mark in range(count))}]"
        for page, count in enumerate(marks)
    ]
    numbers = objects.add(f"<</Nums [{' '.join(rows)} {len(pages)} {form} 0 R]>>")
    objects.put(
        tree,
        f"<</Type /StructTreeRoot /K {document} 0 R /ParentTree {numbers} 0 R /ParentTreeNextKey {len(pages) + 1}>>",
    )
    return form


def _font(objects: _Objects, font: EmbeddedFont) -> int:
    """A Type0 font with Identity-H (ISO 32000-1 9.7.4)."""
    file = objects.stream(f" /Filter /FlateDecode /Length1 {font.font_file_length}", font.font_file)
    unicode_map = objects.stream(" /Filter /FlateDecode", font.to_unicode)
    box = " ".join(map(str, font.bbox))
    descriptor = objects.add(
        f"<</Type /FontDescriptor /FontName /{font.base_font} /Flags {font.flags} /FontBBox [{box}]"
        f" /ItalicAngle {font.italic_angle} /Ascent {font.ascent} /Descent {font.descent} /CapHeight {font.cap_height}"
        f" /StemV {font.stem_v} /FontFile2 {file} 0 R>>"
    )
    descendant = objects.add(
        f"<</Type /Font /Subtype /CIDFontType2 /BaseFont /{font.base_font} /CIDToGIDMap /Identity"
        f" /CIDSystemInfo <</Registry (Adobe) /Ordering (Identity) /Supplement 0>> /FontDescriptor {descriptor} 0 R"
        f" /W [0 [{font.widths_text.decode('ascii')}]]>>"
    )
    return objects.add(
        f"<</Type /Font /Subtype /Type0 /BaseFont /{font.base_font} /Encoding /Identity-H"
        f" /DescendantFonts [{descendant} 0 R] /ToUnicode {unicode_map} 0 R>>"
    )


def _text(text: str) -> str:
    """A text string (ISO 32000-1 7.9.2.2), in hex so that no letter can end it."""
    return f"<{(chr(0xFEFF) + text).encode('utf-16-be').hex()}>"


def _date(moment: datetime) -> str:
    """Vietnam's zone, as everything that people read."""
    return moment.astimezone(VIETNAM).strftime("(D:%Y%m%d%H%M%S+07'00')")


def _xmp(about: About) -> bytes:
    made = about.made_at.astimezone(VIETNAM).isoformat(timespec="seconds")
    return f"""<?xpacket begin="{chr(0xFEFF)}" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{escape(about.title)}</rdf:li></rdf:Alt></dc:title>
<dc:language><rdf:Bag><rdf:li>{about.language}</rdf:li></rdf:Bag></dc:language>
<xmp:CreateDate>{made}</xmp:CreateDate><pdf:Producer>{escape(about.producer)}</pdf:Producer>
<pdfuaid:part>1</pdfuaid:part>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()
