"""What a certification with P=3 leaves open (ISO 32000-2 12.8.2.2, table 257): annotations come, go and change, and nothing else.

With an annotation come the array of its page, the page's order of tabs (12.5) and its place in the structure tree (14.7.5.3). Form fields
are the business of the rules for forms. Whether an annotation deceives is asked in annotations.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import HistoricalResolver
from pyhanko.sign.diff_analysis import SuspiciousModification
from pyhanko.sign.diff_analysis.commons import compare_dicts
from pyhanko.sign.diff_analysis.rules_api import Context, ReferenceUpdate, WhitelistRule

from signer.validation.signature_value import entry
from signer.validation.structure_tree import kept_nodes

_OPEN = frozenset(["/Annots", "/Tabs"])
_ORDERS = ("/R", "/C", "/S", "/A", "/W")
_DEEPEST = 64
_ANNOTS = "/Annots"
_TREE = ("/Root", "/StructTreeRoot")


class AnnotationRule(WhitelistRule):
    """`touched`: what later revisions changed, and all that leads there."""

    def __init__(self, touched: set[int]) -> None:
        self._touched = touched

    def apply(self, old: HistoricalResolver, new: HistoricalResolver) -> Iterable[ReferenceUpdate]:
        pages = list(self._pages(old.root["/Pages"], new.root["/Pages"], 0))
        brought: list[Any] = []
        for reference, was, now in pages:
            compare_dicts(was, now, _OPEN)
            if entry(now, "/Tabs") not in (*_ORDERS, entry(was, "/Tabs")):
                raise SuspiciousModification("an order of tabs that there is not")
            yield ReferenceUpdate(reference)
            brought += annotations_of(now)
            held = now.raw_get(_ANNOTS) if _ANNOTS in now else None
            if isinstance(held, generic.IndirectObject):
                brought.append(held)
        nodes = kept_nodes(old, new, self._touched) or frozenset()
        changed = new.explicit_refs_in_revision()
        for reference in changed:
            if old.is_ref_unassignable(reference):
                continue
            approved = list(self._replaced(reference, old, new, nodes))
            yield from approved
            brought += [new(reference)] if approved else []
        # What is new can be seen only by way of what was replaced, and that was looked at.
        fresh = {each for item in brought for each in new.collect_dependencies(item, old.revision + 1)}
        yield from (ReferenceUpdate(each) for each in fresh & changed if old.is_ref_unassignable(each))

    def _replaced(
        self, reference: generic.Reference, old: HistoricalResolver, new: HistoricalResolver, nodes: frozenset[int]
    ) -> Iterator[ReferenceUpdate]:
        for path in old._get_usages_of_ref(reference):  # noqa: SLF001  as the library's own rules ask
            # What hangs on an annotation and on something else is asked for there as well: each path for itself.
            parts = tuple(path.path)
            is_node = parts[:2] == _TREE and reference.idnum in nodes
            if is_node or _is_below_annotation(parts, old, new):
                yield ReferenceUpdate(reference, context_checked=Context.from_absolute(old, path))

    def _pages(self, old: Any, new: Any, depth: int) -> Iterator[tuple[generic.Reference, Any, Any]]:
        """The pages that changed, as they were and are."""
        was, now = old["/Kids"], new["/Kids"]
        same = len(was) == len(now) and all(was.raw_get(at) == now.raw_get(at) for at in range(len(was)))
        if not same or depth > _DEEPEST:
            raise SuspiciousModification("unexpected change to the page tree")
        for at in range(len(was)):
            reference = was.raw_get(at)
            if not isinstance(reference, generic.IndirectObject) or reference.idnum not in self._touched:
                continue
            if entry(was[at], "/Type") == "/Pages":
                yield from self._pages(was[at], now[at], depth + 1)
            else:
                yield reference.reference, was[at], now[at]


def _is_below_annotation(parts: tuple[Any, ...], old: HistoricalResolver, new: HistoricalResolver) -> bool:
    """Whether a path leads to the array of a page, to an annotation that was none of a form and is none, or on from there."""
    if parts[:2] == ("/Root", "/Pages") and _ANNOTS in parts:
        end = parts.index(_ANNOTS) + 2
        if len(parts) < end:
            return True  # the array itself: what it holds now has been looked at with its page
    elif parts[:2] == _TREE and "/Obj" in parts:
        end = parts.index("/Obj") + 1
    else:
        return False
    *above, last = parts[1:end]
    holder: Any = old.root
    for part in above:
        holder = holder[part]
    held = holder.raw_get(last)
    if not is_annotation(held):
        return False
    if not isinstance(held, generic.IndirectObject) or new.is_ref_unassignable(held.reference):
        return True
    now = new(held.reference)
    return isinstance(now, generic.NullObject) or is_annotation(now)


def annotations_of(page: Any) -> list[Any]:
    """The entries of a page's /Annots as they stand, references among them; SuspiciousModification for what is no such array."""
    held = entry(page, _ANNOTS, generic.ArrayObject())
    if not isinstance(held, generic.ArrayObject):
        raise SuspiciousModification("not an array")
    return [held.raw_get(at) for at in range(len(held))]


def is_annotation(item: Any) -> bool:
    """An annotation that is no place of a form field (12.5.6.19)."""
    item = item.get_object()
    return (
        isinstance(item, generic.DictionaryObject)
        and not isinstance(item, generic.StreamObject)
        and entry(item, "/Type", "/Annot") == "/Annot"
        and isinstance(entry(item, "/Subtype"), generic.NameObject)
        and entry(item, "/Subtype") != "/Widget"
        and "/FT" not in item
    )
