"""Gathering facts about one PDF: opens it, finds its signatures, has each examined by itself. Judges nothing.

Runs in the judge process. One broken signature never hides another, and a file that does not open is still searched for
the signed revisions inside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.errors import Refused
from signer.octets import Octets, beginning_of, sha256_of, stream_of
from signer.password import Password
from signer.unlocking import unlock
from signer.validation.examination import SETTLED, Document, examine, examine_raw
from signer.validation.facts import FileFacts, SignatureFacts, ValidationInputs
from signer.validation.paths import PathFinder
from signer.validation.readers import install
from signer.validation.signature_value import entry
from signer.validation.store import read_store, with_levels
from signer.validation.structure import Finding, find_raw_signatures

# A /Contents read octet by octet is half the time that a small file takes.
install()

_MOST_FIELDS = 20_000
_MOST_SIGNATURES = 200
_MOST_ATTEMPTS = 12
# Why nothing could be read; whatever else hinders it is of the same kind.
_LOCKED = {"INPUT_PASSWORD_WRONG": "UNREADABLE_PASSWORD_WRONG"}


def gather(pdf: Octets, inputs: ValidationInputs) -> FileFacts:
    """Everything that can be found out about a PDF."""
    sha256 = sha256_of(pdf)
    unread = FileFacts(sha256=sha256, size=len(pdf))
    paths = PathFinder(inputs)
    try:
        opened = _open(pdf, inputs.password)
    except Refused as refusal:
        unreadable = _LOCKED.get(refusal.code, "UNREADABLE_ENCRYPTED")
        return _replace(unread, format="PDF", unreadable=unreadable, encrypted=True)
    if not opened:
        recovered = _recover(pdf, inputs.password, paths)
        unreadable = "" if recovered else "UNREADABLE_DAMAGED"
        return _replace(unread, format="PDF", unreadable=unreadable, lenient=True, signatures=recovered)
    document = opened[0]
    signatures, complete = _examine_all(pdf, document, paths, inputs.password)
    lenient = document.lenient
    if not signatures:
        # A form that no longer names its signatures must not make a signed file look like one that never was.
        signatures = _recover(pdf, inputs.password, paths)
        if not complete and not signatures:
            return _replace(unread, format="PDF", unreadable="UNREADABLE_DAMAGED", lenient=lenient)
    return FileFacts(
        sha256=sha256,
        size=len(pdf),
        format="PDF",
        encrypted=document.encrypted,
        lenient=lenient,
        revisions=document.reader.xrefs.total_revisions,
        signatures=signatures,
    )


def _replace(facts: FileFacts, **changed: Any) -> FileFacts:
    return FileFacts(**{**facts.__dict__, **changed})


def _open(pdf: Octets, password: Password) -> list[Document]:
    """The document, strictly read if it can be; an empty list when it cannot be read. Refused when it does not unlock."""
    for strict in (True, False):
        try:
            reader = PdfFileReader(stream_of(pdf), strict=strict)
            encrypted = reader.encrypted
            unlock(reader, password)
            root = reader.root
            if not isinstance(root, generic.DictionaryObject):
                continue
        except (Refused, MemoryError):
            raise
        except Exception:  # noqa: BLE001, S112  pyHanko raises many kinds on damaged files; the lenient pass is next
            continue
        return [Document(pdf, reader, lenient=not strict, encrypted=encrypted, password=password)]
    return []


@dataclass(frozen=True)
class _Field:
    name: str
    dictionary: Any
    failed: bool = False


def _examine_all(
    pdf: Octets, document: Document, paths: PathFinder, password: Password
) -> tuple[tuple[SignatureFacts, ...], bool]:
    """Facts of every filled signature field, in the order of the file; and whether the form could be walked."""
    complete = True
    paths = paths.with_store(read_store(document.reader))
    fields: list[_Field] = []
    try:
        for field in _signature_fields(document.reader):
            fields.append(field)
            if len(fields) == _MOST_SIGNATURES:
                break
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  what was found so far is kept
        complete = False
    document.fields = [(field.name, field.dictionary) for field in fields]
    lenient: list[Document] = []
    facts: list[SignatureFacts] = []
    for field in fields:
        found = examine(document, field.name, field.dictionary, paths)
        if found.problem and found.problem not in SETTLED and not document.lenient:
            if not lenient:
                lenient = _open_leniently(pdf, document, password)
            again = _field_named(lenient, field.name)
            if again is not None:
                second = examine(lenient[0], field.name, again, paths)
                found = found if second.problem else second
        facts.append(found)
    facts = with_levels(document.reader, document.fields, facts)
    last = len(pdf) + 1
    ordered = sorted(facts, key=lambda f: last if f.revision_end is None else f.revision_end)
    return tuple(ordered), complete


def _open_leniently(pdf: Octets, strict: Document, password: Password) -> list[Document]:
    try:
        reader = PdfFileReader(stream_of(pdf), strict=False)
        unlock(reader, password)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  then the strict reading stands
        return []
    fields = _readable_fields(reader)
    return [Document(pdf, reader, lenient=True, encrypted=strict.encrypted, fields=fields, password=password)]


def _readable_fields(reader: PdfFileReader) -> list[tuple[str, Any]]:
    try:
        return [(field.name, field.dictionary) for field in _signature_fields(reader)]
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  only used to name what came later
        return []


def _field_named(documents: list[Document], name: str) -> Any:
    try:
        return next(
            f.dictionary for document in documents for f in _signature_fields(document.reader) if f.name == name
        )
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  not found or not readable: the strict reading stands
        return None


def _signature_fields(reader: PdfFileReader) -> Iterator[_Field]:
    """Filled signature fields in the order of the form. A field that cannot be read is left out, not its neighbours."""
    try:
        form = reader.root["/AcroForm"]
        queue: list[tuple[str, Any, Any, frozenset[int]]] = [("", item, None, frozenset()) for item in form["/Fields"]]
    except KeyError:
        return
    queue.reverse()
    budget = _MOST_FIELDS
    while queue and budget:
        budget -= 1
        prefix, item, kind, above = queue.pop()
        number = int(item.idnum) if isinstance(item, generic.IndirectObject) else -1
        if number in above:
            continue
        try:
            field = item.get_object()
            part = entry(field, "/T")
            name = prefix if part is None else (f"{prefix}.{part}" if prefix else str(part))
            kind = entry(field, "/FT", kind)
            filled = kind == "/Sig" and "/V" in field and not isinstance(field.raw_get("/V"), generic.NullObject)
            kids = entry(field, "/Kids")
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001, S112  a damaged field hides only itself
            continue
        if filled:
            yield _Field(name, field)
        if isinstance(kids, generic.ArrayObject):
            queue += [(name, kid, kind, above | {number}) for kid in reversed(list(kids))]


def _recover(pdf: Octets, password: Password, paths: PathFinder) -> tuple[SignatureFacts, ...]:
    """Signatures that the bytes hold though the document, read as a whole, does not show them.

    Each is examined in the revision that it signed; what follows is then bytes that no reader accounts for.
    """
    found: list[SignatureFacts] = []
    seen: set[int] = set()
    everything = find_raw_signatures(pdf)
    for raw in everything:
        if raw.end in seen or len(seen) == _MOST_ATTEMPTS:
            continue
        seen.add(raw.end)
        revision = beginning_of(pdf, raw.end)
        for document in _open_revision(revision, password):
            examined, _ = _examine_all(revision, document, paths, password)
            found += [_after_removal(facts) for facts in examined if facts.revision_end == raw.end]
    if not found:
        raw_facts = (examine_raw(pdf, raw, paths) for raw in everything[:_MOST_ATTEMPTS])
        found = [_after_removal(facts) for facts in raw_facts if facts is not None]
    return tuple(found)


def _open_revision(revision: Octets, password: Password) -> list[Document]:
    try:
        return _open(revision, password)
    except Refused:
        return []  # what its bytes show is all that can be said


def _after_removal(facts: SignatureFacts) -> SignatureFacts:
    return SignatureFacts(
        **{
            **facts.__dict__,
            "findings": (*facts.findings, Finding.SIGNATURE_REMOVED.value),
            "coverage": "partial" if facts.findings else "earlier-revision",
            "changes_after": "forbidden",
            "lenient": True,
        }
    )
