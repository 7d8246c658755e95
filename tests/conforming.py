"""Makes PDF/A and PDF/UA files that veraPDF has found conforming, for tests of what a signature adds to one."""

from __future__ import annotations

import io
import struct
import uuid
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

from signer.appearance.font_shelf import FontShelf
from signer.appearance.pdf_objects import PdfParts
from tests.signing_world import Pictures

TITLE = "Quyết định về việc thử nghiệm"
_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"
 xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
{claims}</rdf:Description>
{schema}</rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
# PDF/A wants every schema described that it does not know itself (ISO 19005-2 6.6.2.3.3).
_UA_SCHEMA = """<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"
 xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource"><pdfaSchema:schema>PDF/UA</pdfaSchema:schema>
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI><pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource"><pdfaProperty:name>part</pdfaProperty:name>
<pdfaProperty:valueType>Integer</pdfaProperty:valueType><pdfaProperty:category>internal</pdfaProperty:category>
<pdfaProperty:description>part of ISO 14289</pdfaProperty:description></rdf:li></rdf:Seq></pdfaSchema:property></rdf:li></rdf:Bag>
</pdfaExtension:schemas></rdf:Description>
"""


class _Writer(PdfFileWriter):
    def _update_meta(self) -> None:
        """The metadata are written by hand."""


def conforming_pdf(
    pictures: Pictures, *, part: int | None = 2, conformance: str = "B", tagged: bool = False, intent: bool = True
) -> bytes:
    """One page with a line of text. `part` and `conformance` of PDF/A; `tagged`: also, or without a part only, PDF/UA-1.

    Without `intent` no colour of a device means anything in it.
    """
    writer = _Writer(stream_xrefs=False)
    writer.output_version = (1, 4) if part == 1 else (1, 7)
    line = "Căn cứ Nghị định số 30/2020/NĐ-CP"
    # CIDSet is PDF/A-1's, which this maker has no need of: a simple font would do. The stamp brings its own.
    font = FontShelf(pictures.fonts, pictures.cache).font("regular", line)
    shown = f"/CS0 cs 0 sc BT /F0 14 Tf 72 760 Td <{font.encode(line).hex()}> Tj ET"
    content = f"/P << /MCID 0 >> BDC {shown} EMC" if tagged else shown
    fonts = generic.DictionaryObject({pdf_name("/F0"): PdfParts(writer, archive_part=part).font(font)})
    resources = _dictionary({"/Font": fonts, "/ColorSpace": _dictionary({"/CS0": _gray()})})
    stream = writer.add_object(generic.StreamObject(stream_data=content.encode("ascii")))
    page = PageObject(stream, media_box=(0, 0, 595, 842), resources=resources)
    page_reference = writer.insert_page(page)
    _describe(writer, part, conformance, tagged=tagged)
    if part is not None and intent:
        entries = _dictionary({"/N": generic.NumberObject(3)})
        icc = writer.add_object(generic.StreamObject(entries, stream_data=_rgb_profile()))
        intent = {"/Type": pdf_name("/OutputIntent"), "/S": pdf_name("/GTS_PDFA1"), "/DestOutputProfile": icc,
                  "/OutputConditionIdentifier": generic.TextStringObject("sRGB")}  # fmt: skip
        writer.root["/OutputIntents"] = generic.ArrayObject([_dictionary(intent)])
    if tagged:
        _tag(writer, page_reference)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _gray() -> generic.ArrayObject:
    white = generic.ArrayObject([generic.FloatObject(each) for each in ("0.9505", "1.0", "1.089")])
    return generic.ArrayObject([pdf_name("/CalGray"), _dictionary({"/WhitePoint": white})])


def _rgb_profile() -> bytes:
    """A display profile of version 2 with the primaries of sRGB and a gamma of 2.2 (ICC.1:2001-04)."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(each * 65536)) for each in values)

    text = b"RGB\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(8 + 3 + 67)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256))
    tags = {
        b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz(0.9505, 1.0, 1.0891),
        b"rXYZ": xyz(0.4361, 0.2225, 0.0139), b"gXYZ": xyz(0.3851, 0.7169, 0.0971), b"bXYZ": xyz(0.1431, 0.0606, 0.7142),
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, octets in tags.items():
        table += name + struct.pack(">II", start + len(data), len(octets))
        data += octets + bytes(-len(octets) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(data), b"\0\0\0\0", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + data


def _describe(writer: PdfFileWriter, part: int | None, conformance: str, *, tagged: bool) -> None:
    claims = f"<pdfaid:part>{part}</pdfaid:part><pdfaid:conformance>{conformance}</pdfaid:conformance>" if part else ""
    claims += "<pdfuaid:part>1</pdfuaid:part>" if tagged else ""
    schema = _UA_SCHEMA if part and tagged else ""
    xmp = _XMP.format(title=TITLE, claims=claims, schema=schema).encode()
    entries = _dictionary({"/Type": pdf_name("/Metadata"), "/Subtype": pdf_name("/XML")})
    writer.root["/Metadata"] = writer.add_object(generic.StreamObject(entries, stream_data=xmp))
    writer.set_custom_trailer_entry(
        pdf_name("/ID"), generic.ArrayObject([generic.ByteStringObject(uuid.UUID(int=part or 9).bytes)] * 2)
    )


def _tag(writer: PdfFileWriter, page: generic.IndirectObject) -> None:
    """Marked content in a structure of a document and a paragraph (ISO 32000-1 14.7)."""
    root, document, paragraph = (writer.allocate_placeholder() for _ in range(3))
    number = generic.NumberObject
    writer.add_object(_element("/P", document, **{"/Pg": page, "/K": number(0)}), idnum=paragraph.idnum)
    writer.add_object(_element("/Document", root, **{"/K": generic.ArrayObject([paragraph])}), idnum=document.idnum)
    tree = _dictionary({"/Nums": generic.ArrayObject([number(0), generic.ArrayObject([paragraph])])})
    entries = {"/Type": pdf_name("/StructTreeRoot"), "/K": generic.ArrayObject([document]),
               "/ParentTree": writer.add_object(tree), "/ParentTreeNextKey": number(1)}  # fmt: skip
    writer.add_object(_dictionary(entries), idnum=root.idnum)
    writer.root["/StructTreeRoot"] = root
    writer.root["/MarkInfo"] = _dictionary({"/Marked": generic.BooleanObject(True)})
    writer.root["/Lang"] = generic.TextStringObject("vi-VN")
    writer.root["/ViewerPreferences"] = _dictionary({"/DisplayDocTitle": generic.BooleanObject(True)})
    shown = page.get_object()
    shown[pdf_name("/StructParents")] = number(0)
    shown[pdf_name("/Tabs")] = pdf_name("/S")


def _element(kind: str, parent: generic.PdfObject, **entries: Any) -> generic.DictionaryObject:
    return _dictionary({"/Type": pdf_name("/StructElem"), "/S": pdf_name(kind), "/P": parent, **entries})


def _dictionary(entries: dict[str, Any]) -> generic.DictionaryObject:
    return generic.DictionaryObject({pdf_name(key): value for key, value in entries.items()})
