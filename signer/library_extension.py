"""Appends a document security store and an empty document time-stamp to any PDF that the library reads; runs in the judge process.

The store is put together here; the library only reads what is there and writes the revision.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigFieldSpec
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigObjSetup
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp

from signer.appearance.pdf_objects import PdfParts
from signer.appearance.stamps import empty_stamp
from signer.conformance import conformance_of
from signer.errors import InputUnreadable
from signer.extension import Appended, ExtensionPlan
from signer.octets import Octets
from signer.revision_writer import RevisionWriter
from signer.unlocking import refuse_unless_allowed, unlock_for_writing

# More than a store ever needs; a stranger's may hold anything.
_MOST_HELD = 2000


def extend_by_library(pdf: Octets, plan: ExtensionPlan, *, strict: bool) -> Appended:
    """The appended revision; Refused for a file that does not unlock, or allows no field for the time-stamp."""
    writer = RevisionWriter(pdf, strict=strict)
    rights = unlock_for_writing(writer.prev, plan.password)
    if plan.stamp_octets:
        refuse_unless_allowed(rights, new_field=True)
    if plan.data:
        _update_store(writer, plan)
    if not plan.stamp_octets:
        return Appended(*writer.revision(), "")
    field = f"Timestamp-{secrets.token_hex(8)}"
    steps = PdfCMSEmbedder(SigFieldSpec(field, empty_field_appearance=False)).write_cms(field, writer)
    widget = next(steps).get_object()
    if conformance_of(writer).archive_part == 1:
        # ISO 19005-1 6.9: every field has an appearance. Elsewhere it would be one change more for a validator to ponder.
        widget[pdf_name("/AP")] = generic.DictionaryObject({pdf_name("/N"): PdfParts(writer).form(empty_stamp(0, 0))})
    stamp = DocumentTimestamp(bytes_reserved=2 * plan.stamp_octets)
    steps.send(SigObjSetup(stamp))
    return Appended(*writer.revision(stamp), field)


def _update_store(writer: IncrementalPdfFileWriter, plan: ExtensionPlan) -> None:
    root = writer.root
    store: Any = root["/DSS"] if "/DSS" in root else generic.DictionaryObject({pdf_name("/Type"): pdf_name("/DSS")})
    if not isinstance(store, generic.DictionaryObject):
        raise InputUnreadable("INPUT_DAMAGED", kind="DSS")
    new = {
        kind: _add_all(writer, store, f"/{kind}s", ders)
        for kind, ders in (("Cert", plan.data.certificates), ("OCSP", plan.data.ocsps), ("CRL", plan.data.crls))
    }
    if plan.signatures:
        related = {
            pdf_name(f"/{kind}"): generic.ArrayObject(references) for kind, references in new.items() if references
        }
        entries = dict(store["/VRI"]) if "/VRI" in store else {}
        for name in plan.signatures:
            # What a viewer has been told about a signature stays: a changed entry makes some validators refuse the file.
            if f"/{name}" not in entries:
                entry = generic.DictionaryObject({pdf_name("/Type"): pdf_name("/VRI"), **related})
                entries[pdf_name(f"/{name}")] = writer.add_object(entry)
        store[pdf_name("/VRI")] = generic.DictionaryObject(entries)
    if "/DSS" in root:
        writer.update_container(store)
    else:
        root[pdf_name("/DSS")] = writer.add_object(store)
        writer.register_extension(ESIC_EXTENSION_1)
    writer.update_root()


def _add_all(
    writer: IncrementalPdfFileWriter, store: generic.DictionaryObject, key: str, ders: Iterable[bytes]
) -> list[generic.IndirectObject]:
    """Append to one array of the store what it does not hold yet; references to all of `ders`."""
    present: Any = store[key] if key in store else generic.ArrayObject()
    kept = [present.raw_get(at) for at in range(min(len(present), _MOST_HELD))]
    if len(present) > _MOST_HELD:
        raise InputUnreadable("INPUT_BEYOND_LIMITS", reason="DSS")
    known = {_digest_of(reference): reference for reference in kept}
    found = []
    for der in ders:
        digest = hashlib.sha256(der).digest()
        if digest not in known:
            known[digest] = writer.add_object(generic.StreamObject(stream_data=der))
            kept.append(known[digest])
        found.append(known[digest])
    store[pdf_name(key)] = generic.ArrayObject(kept)
    return found


def _digest_of(reference: Any) -> bytes:
    stream = reference.get_object()
    return hashlib.sha256(stream.data if isinstance(stream, generic.StreamObject) else b"").digest()
