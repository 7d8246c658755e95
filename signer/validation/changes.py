"""What came after a signature: pyHanko's difference analysis, told as a list of things a person can understand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, ModificationLevel, SuspiciousModification
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signer.validation.afterthoughts import changed_description, changed_form, completed_references
from signer.validation.annotations import annotation_changes
from signer.validation.certificates import plain_text
from signer.validation.difference_policy import difference_policy
from signer.validation.facts import ChangeFacts
from signer.validation.form_changes import field_changes, field_states
from signer.validation.reference_graph import ReferenceGraph, Usages, changed_since
from signer.validation.signature_value import entry, resolved

Kind = Literal["signature", "timestamp"]
_REFERENCE = re.compile(r"Reference\(idnum=(\d{1,10})")
_MOST_NODES = 20_000
_MOST_CHANGES = 100


def coverage_of(signature: EmbeddedPdfSignature) -> str:
    """whole-file, earlier-revision or partial; the library's analysis needs it set before it compares revisions."""
    coverage = signature.evaluate_signature_coverage()
    signature.coverage = coverage  # type: ignore[assignment]  # the library declares it as None
    if coverage == SignatureCoverageLevel.ENTIRE_FILE:
        return "whole-file"
    return "earlier-revision" if coverage == SignatureCoverageLevel.ENTIRE_REVISION else "partial"


def changes_after(
    signature: EmbeddedPdfSignature,
    reader: PdfFileReader,
    later: Iterable[tuple[str, Kind]],
    newest: ReferenceGraph | None,
) -> tuple[str, tuple[ChangeFacts, ...]]:
    """none, permitted, forbidden or unknown, with the list.

    `later` are (field, type) of the signatures made after this one, `newest` is what refers to what now; without it the
    library's own rules are all there is.
    """
    before = reader.get_historical_resolver(signature.signed_revision)
    after = reader.get_historical_resolver(reader.xrefs.total_revisions - 1)
    policy = DEFAULT_DIFF_POLICY
    touched, is_open = set[int](), False
    if newest is not None:
        changed = changed_since(reader, signature.signed_revision)
        graph = newest.before(reader, signature.signed_revision)
        completed = completed_references(reader, signature.signed_revision, changed, graph)
        if completed:
            return "forbidden", _forbidden(reader, completed)
        # Where the library looks for what it finds by walking every object of the signed revision.
        before._indirect_object_access_cache = Usages(before, graph, changed)  # type: ignore[assignment]  # noqa: SLF001
        touched = graph.leading_to(changed)
        is_open = _permission(signature, before) == MDPPerm.ANNOTATE
        policy = difference_policy(newest, touched, open_to_annotations=is_open)
    result: Any = signature.evaluate_modifications(policy)
    signed_later = list(later)
    if isinstance(result, SuspiciousModification):
        return "forbidden", _unexplained(reader, str(result))
    level = result.modification_level
    if level == ModificationLevel.NONE:
        return "none", ()
    changes = [ChangeFacts(kind, None, plain_text(name)) for name, kind in signed_later]
    deceptive = _shows_timestamp(after.root, [name for name, kind in signed_later if kind == "timestamp"])
    names = {name for name, _ in signed_later}
    filled = [str(name) for name in result.changed_form_fields if name not in names]
    fields = field_changes(before.root, after.root, filled)
    notes = list(annotation_changes(before.root, after.root, touched)) if is_open else []
    pages = _page_numbers(reader) if notes or any(change.page for change in fields) else {}
    for note in notes:
        changes.append(ChangeFacts("annotation", pages.get(note.page), note.text))
        deceptive = deceptive or note.deceptive
    for change in fields:
        changes.append(ChangeFacts("field", pages.get(change.page or 0), change.text))
        deceptive = deceptive or change.deceptive
    for said in (*changed_form(before.root, after.root), *changed_description(before, after)):
        changes.append(ChangeFacts("description", None, plain_text(said)))
        deceptive = True
    if _dss(reader, signature.signed_revision) != _dss(reader, reader.xrefs.total_revisions - 1):
        changes.append(ChangeFacts("validation-data", None, ""))
    limit = _permission(signature, before)
    # ISO 32000-2 12.8.2.2: what a certification does not permit invalidates it.
    forbidden = level == ModificationLevel.OTHER or (limit is not None and level.value > limit.value)
    answer = "forbidden" if forbidden else "unknown" if deceptive else "permitted"
    return answer, tuple(changes[:_MOST_CHANGES])


def permission_of(signature: EmbeddedPdfSignature) -> MDPPerm | None:
    """What the signature itself permits afterwards: by its DocMDP, else by the lock of its field; None when it says nothing."""
    own = certified_permission(signature.sig_object)
    if own is None:
        lock = entry(signature.sig_field, "/Lock", {})
        own = MDPPerm(entry(lock, "/P")) if "/P" in lock else None
    # The library takes a DocMDP without /P for damaged, and asks itself again wherever it compares.
    signature._docmdp, signature._docmdp_queried = own, True  # noqa: SLF001
    return own


def certified_permission(dictionary: Any) -> MDPPerm | None:
    """What the DocMDP of a signature dictionary permits; None without one."""
    for reference in entry(dictionary, "/Reference", ()):
        if entry(reference, "/TransformMethod") == "/DocMDP":
            # ISO 32000-2 table 257: 2 unless it says otherwise.
            return MDPPerm(entry(entry(reference, "/TransformParams", {}), "/P", 2))
    return None


def _permission(signature: EmbeddedPdfSignature, signed: HistoricalResolver) -> MDPPerm | None:
    """The same; where the signature says nothing, what the certification permits that it came after."""
    own = permission_of(signature)
    return own if own is not None else certified_permission(entry(entry(signed.root, "/Perms", {}), "/DocMDP", {}))


def _shows_timestamp(root: Any, names: list[str]) -> bool:
    """Whether a document time-stamp draws something: it should show nothing (ISO 32000-2 12.8.5), and a bad one would not count."""
    return any(state.draws for state in field_states(root, names).values())


def _unexplained(reader: PdfFileReader, message: str) -> tuple[ChangeFacts, ...]:
    """The objects that the analysis could not explain, each with its page where it is a page or belongs to one."""
    numbers = sorted({int(number) for number in _REFERENCE.findall(message)})
    return _forbidden(reader, numbers) or (ChangeFacts("forbidden", None, ""),)


def _forbidden(reader: PdfFileReader, numbers: Sequence[int]) -> tuple[ChangeFacts, ...]:
    owners = _page_owners(reader) if numbers else {}
    return tuple(ChangeFacts("forbidden", owners.get(n), f"object {n}") for n in numbers[:_MOST_CHANGES])


def _page_owners(reader: PdfFileReader) -> dict[int, int]:
    """Page number by the object number of a page, its content streams and its annotations."""
    owners: dict[int, int] = {}
    try:
        for number, page in _page_numbers(reader).items():
            owners[number] = page
            node = resolved(generic.Reference(number, 0, reader))
            for key in ("/Contents", "/Annots"):
                held = node.raw_get(key) if key in node else None
                items = held if isinstance(held, generic.ArrayObject) else [held, *_items(held)]
                owners.update({int(i.idnum): page for i in items if isinstance(i, generic.IndirectObject)})
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  a page number is a courtesy; the verdict does not depend on it
        return owners
    return owners


def _items(held: Any) -> list[object]:
    target = resolved(held) if isinstance(held, generic.IndirectObject) else None
    return list(target) if isinstance(target, generic.ArrayObject) else []


def _dss(reader: PdfFileReader, revision: int) -> str:
    """What tells one state of the document security store from another."""
    try:
        resolver = reader.get_historical_resolver(revision)
        store = resolver.root.raw_get("/DSS")
        return repr(store) + repr(resolver.root["/DSS"])
    except KeyError:
        return ""


def _page_numbers(reader: PdfFileReader) -> dict[int, int]:
    """Page number by object number, in reading order."""
    numbers: dict[int, int] = {}
    try:
        stack = [reader.root.raw_get("/Pages")]
    except KeyError:
        return numbers
    budget = _MOST_NODES
    while stack and budget:
        budget -= 1
        reference = stack.pop()
        node = reference.get_object()
        if not isinstance(node, generic.DictionaryObject):
            continue
        kids = entry(node, "/Kids")
        if isinstance(kids, generic.ArrayObject):
            stack += reversed(list(kids))
        elif isinstance(reference, generic.IndirectObject):
            numbers.setdefault(int(reference.idnum), len(numbers) + 1)
    return numbers
