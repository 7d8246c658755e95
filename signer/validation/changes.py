"""What came after a signature: pyHanko's difference analysis, told as a list of things a person can understand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, ModificationLevel, SuspiciousModification
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signer.validation.certificates import plain_text
from signer.validation.facts import ChangeFacts
from signer.validation.signature_value import resolved

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
    signature: EmbeddedPdfSignature, reader: PdfFileReader, later: Iterable[tuple[str, Kind]]
) -> tuple[str, tuple[ChangeFacts, ...]]:
    """none, permitted, forbidden or unknown, with the list. `later` are (field, type) of the signatures made after this one."""
    result: Any = signature.evaluate_modifications(DEFAULT_DIFF_POLICY)
    signed_later = list(later)
    if isinstance(result, SuspiciousModification):
        return "forbidden", _unexplained(reader, str(result))
    level = result.modification_level
    if level == ModificationLevel.NONE:
        return "none", ()
    changes = [ChangeFacts(kind, None, plain_text(name)) for name, kind in signed_later]
    names = {name for name, _ in signed_later}
    filled = sorted(str(name) for name in result.changed_form_fields if name not in names)
    fields, deceptive = _field_changes(reader, signature.signed_revision, filled)
    changes += fields
    if _dss(reader, signature.signed_revision) != _dss(reader, reader.xrefs.total_revisions - 1):
        changes.append(ChangeFacts("validation-data", None, ""))
    limit = signature.docmdp_level
    # ISO 32000-2 12.8.2.2: what a certification does not permit invalidates it.
    forbidden = level == ModificationLevel.OTHER or (limit is not None and level.value > limit.value)
    answer = "forbidden" if forbidden else "unknown" if deceptive else "permitted"
    return answer, tuple(changes[:_MOST_CHANGES])


def _unexplained(reader: PdfFileReader, message: str) -> tuple[ChangeFacts, ...]:
    """The objects that the analysis could not explain, each with its page where it is a page or belongs to one."""
    numbers = sorted({int(number) for number in _REFERENCE.findall(message)})[:_MOST_CHANGES]
    owners = _page_owners(reader) if numbers else {}
    return tuple(ChangeFacts("forbidden", owners.get(number), f"object {number}") for number in numbers) or (
        ChangeFacts("forbidden", None, ""),
    )


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


@dataclass(frozen=True)
class _FieldState:
    """What a field holds and what it shows."""

    page: int | None
    value: str
    appearance: bytes


_NO_FIELD = _FieldState(None, "", b"")


def _field_changes(reader: PdfFileReader, signed_revision: int, names: list[str]) -> tuple[list[ChangeFacts], bool]:
    """The fields that differ, and whether one of them shows something else while its value stayed (shadow attack, 2020)."""
    if not names:
        return [], False
    before = _field_states(reader.get_historical_resolver(signed_revision).root, names)
    after = _field_states(reader.get_historical_resolver(reader.xrefs.total_revisions - 1).root, names)
    pages = _page_numbers(reader)
    changes, deceptive = [], False
    for name in names:
        old, new = before.get(name, _NO_FIELD), after.get(name, _NO_FIELD)
        if (old.value, old.appearance) == (new.value, new.appearance):
            continue  # another signature wrote the field anew, as it was
        deceptive = deceptive or old.value == new.value
        text = plain_text(f"{name}: {old.value or '∅'} → {new.value or '∅'}")
        changes.append(ChangeFacts("field", pages.get(new.page or 0), text))
    return changes, deceptive


def _field_states(root: Any, names: list[str]) -> dict[str, _FieldState]:
    """The wanted fields by full name."""
    found: dict[str, _FieldState] = {}
    try:
        queue = [("", item) for item in root["/AcroForm"]["/Fields"]]
    except (KeyError, TypeError):
        return found
    budget = _MOST_NODES
    while queue and budget:
        budget -= 1
        prefix, item = queue.pop()
        field = item.get_object()
        if not isinstance(field, generic.DictionaryObject):
            continue
        part = field.get("/T")
        name = prefix if part is None else (f"{prefix}.{part}" if prefix else str(part))
        if name in names and name not in found:
            found[name] = _FieldState(_page_of(field), str(field.get("/V", "")), _appearance(field))
        kids = field.get("/Kids")
        if isinstance(kids, generic.ArrayObject):
            queue += [(name, kid) for kid in kids]
    return found


def _appearance(field: generic.DictionaryObject) -> bytes:
    """A digest of what the field's widgets show."""
    hasher = hashlib.sha256()
    kids = field.get("/Kids")
    queue: list[Any] = [field.get("/AP")]
    if isinstance(kids, generic.ArrayObject):
        queue += [kid.get_object().get("/AP") for kid in kids[:_MOST_CHANGES]]
    budget = _MOST_CHANGES
    while queue and budget:
        budget -= 1
        item = queue.pop(0)
        if isinstance(item, generic.StreamObject):
            hasher.update(item.encoded_data)
        elif isinstance(item, generic.DictionaryObject):
            queue += [item[key] for key in sorted(item)]
    return hasher.digest()


def _page_of(field: generic.DictionaryObject) -> int | None:
    widget = field
    kids = field.get("/Kids")
    if "/P" not in widget and isinstance(kids, generic.ArrayObject) and kids:
        widget = kids[0].get_object()
    page = widget.raw_get("/P") if "/P" in widget else None
    return int(page.idnum) if isinstance(page, generic.IndirectObject) else None


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
        kids = node.get("/Kids")
        if isinstance(kids, generic.ArrayObject):
            stack += reversed(list(kids))
        elif isinstance(reference, generic.IndirectObject):
            numbers.setdefault(int(reference.idnum), len(numbers) + 1)
    return numbers
