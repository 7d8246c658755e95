"""The rules of our own for what may come after a signature: pyHanko's, with others in the place of three of them.

Objects may be freed that nothing leads to any more, the security store may be rebuilt, and a page that no change touches is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import HistoricalResolver, RawPdfPath
from pyhanko.sign.diff_analysis import (
    CatalogModificationRule,
    DocInfoRule,
    FormUpdate,
    FormUpdatingRule,
    GenericFieldModificationRule,
    MetadataUpdateRule,
    ModificationLevel,
    ObjectStreamRule,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
    SuspiciousModification,
    XrefStreamRule,
)
from pyhanko.sign.diff_analysis.commons import compare_dicts
from pyhanko.sign.diff_analysis.form_rules_api import FieldComparisonContext, FieldMDPRule
from pyhanko.sign.diff_analysis.rules_api import Context, ReferenceUpdate, RelativeContext, WhitelistRule

from signer.validation.annotation_rules import AnnotationRule, is_annotation
from signer.validation.reference_graph import ReferenceGraph
from signer.validation.signature_value import entry

_STORE = {"/Type", "/VRI", "/Certs", "/CRLs", "/OCSPs"}
_STORE_LISTS = ("/Certs", "/CRLs", "/OCSPs")
_RELATED = {"/Type", "/TU", "/TS", "/Cert", "/CRL", "/OCSP"}
_RELATED_LISTS = ("/Cert", "/CRL", "/OCSP")
_RELATED_NAME = re.compile(r"/[A-Za-z0-9]{40}")
_DEEPEST = 64


class StoreRule(WhitelistRule):
    """The document security store may be added, extended, rebuilt, and lose what no longer matters (EN 319 142-1 5.4.2).

    An entry of /VRI may change as well: it names proof of a signature and is none. Whatever hangs on the store must be data of its
    kinds, so that nothing of the document can be replaced by way of it.
    """

    def apply(self, old: HistoricalResolver, new: HistoricalResolver) -> Iterable[ReferenceUpdate]:
        if "/DSS" not in new.root:
            return
        held = new.root.raw_get("/DSS")
        _check_store(held)
        brought = new.collect_dependencies(held) & new.explicit_refs_in_revision()
        for reference in brought:
            if old.reader.xrefs.get_historical_ref(reference, old.revision) is None:
                yield ReferenceUpdate(reference)
                continue
            for path in old._get_usages_of_ref(reference):  # noqa: SLF001  as the library's own rules ask
                if tuple(path.path[:2]) == ("/Root", "/DSS"):
                    yield ReferenceUpdate(reference, context_checked=Context.from_absolute(old, path))


def _check_store(held: Any) -> None:
    store = held.get_object()
    if not isinstance(store, generic.DictionaryObject) or not set(store) <= _STORE:
        raise SuspiciousModification("something else than validation data in /DSS")
    _check_lists(store, _STORE_LISTS)
    related = entry(store, "/VRI", {})
    for name in related:
        each = related[name]
        known = isinstance(each, generic.DictionaryObject) and set(each) <= _RELATED and _RELATED_NAME.fullmatch(name)
        if not known or isinstance(each, generic.StreamObject):
            raise SuspiciousModification("something else than validation data in /VRI")
        _check_lists(each, _RELATED_LISTS)


def _check_lists(holder: generic.DictionaryObject, names: tuple[str, ...]) -> None:
    for name in names:
        for item in entry(holder, name, ()):
            if not isinstance(item.get_object(), generic.StreamObject):
                raise SuspiciousModification(f"{name} holds something else than streams")


class FreedRule(WhitelistRule):
    """An object may be freed when nothing leads to it any more (ISO 32000-2 7.5.4): what is not shown cannot be missed."""

    def __init__(self, newest: ReferenceGraph) -> None:
        self._newest = newest

    def apply(self, old: HistoricalResolver, new: HistoricalResolver) -> Iterable[ReferenceUpdate]:  # noqa: ARG002  the library's
        freed = new.refs_freed_in_revision()
        if not freed:
            return
        is_newest = new.revision == new.reader.xrefs.total_revisions - 1
        graph = self._newest if is_newest else self._newest.before(new.reader, new.revision)
        needed = graph.reachable()
        for reference in freed:
            if reference.idnum not in needed:
                yield ReferenceUpdate(reference)


class WidgetRule(FieldMDPRule):
    """New signature fields may put their widgets on pages, and nobody else may; pages that no change touches are left alone.

    The same question as the library's own rule asks of every page of both revisions.
    """

    def __init__(self, touched: set[int], *, open_to_annotations: bool = False) -> None:
        self._touched = touched
        self._open = open_to_annotations

    def apply(self, context: FieldComparisonContext) -> Iterable[tuple[ModificationLevel, FormUpdate]]:
        widgets = dict(_new_widgets(context))
        if not widgets:
            return
        for update in self._pages(context.old.root["/Pages"], context.new.root["/Pages"], widgets, context.old, 0):
            yield ModificationLevel.LTA_UPDATES, update

    def _pages(
        self, old: Any, new: Any, widgets: dict[generic.Reference, str], before: HistoricalResolver, depth: int
    ) -> Iterator[FormUpdate]:
        was, now = _references(old["/Kids"]), _references(new["/Kids"])
        if was != now or depth > _DEEPEST:
            raise SuspiciousModification("unexpected change to the page tree")
        for at, reference in enumerate(was):
            if reference.idnum not in self._touched:
                continue
            page, then = new["/Kids"][at], old["/Kids"][at]
            if entry(then, "/Type") == "/Pages":
                yield from self._pages(then, page, widgets, before, depth + 1)
            else:
                yield from _annotations(reference, then, page, widgets, before, is_open=self._open)


def _annotations(
    reference: generic.Reference,
    old: Any,
    new: Any,
    widgets: dict[generic.Reference, str],
    before: HistoricalResolver,
    *,
    is_open: bool,
) -> Iterator[FormUpdate]:
    if "/Annots" not in new:
        return
    was = set(_references(old["/Annots"])) if "/Annots" in old else set()
    now = set(_references(new["/Annots"]))
    if was == now:
        return
    added, gone = now - was, was - now
    if is_open:
        # Table 257, P=3: what belongs to no form is looked at by another rule.
        added = {each for each in added if each in widgets or not is_annotation(each)}
        gone = {each for each in gone if not is_annotation(before(each))}
    if gone or added - widgets.keys():
        raise SuspiciousModification("annotations went, or came that are of no new signature field")
    name = widgets[next(iter(added))] if len(added) == 1 else None
    compare_dicts(old, new, frozenset(["/Annots", "/Tabs"] if is_open else ["/Annots"]))
    # Pages are referred to from everywhere; that this one is the same but for /Annots holds on every path.
    yield FormUpdate(updated_ref=reference, field_name=name, valid_when_locked=name is not None, context_checked=None)
    held = new.raw_get("/Annots")
    if isinstance(held, generic.IndirectObject):
        place = old.raw_get("/Annots") if "/Annots" in old else None
        if place == held or before.is_ref_unassignable(held.reference):
            yield FormUpdate(
                updated_ref=held.reference,
                field_name=name,
                valid_when_locked=name is not None,
                context_checked=RelativeContext(reference, RawPdfPath("/Annots")),
            )


def _new_widgets(context: FieldComparisonContext) -> Iterator[tuple[generic.Reference, str]]:
    for name, spec in context.field_specs.items():
        if spec.field_type != "/Sig" or spec.old_field_ref or spec.new_field_ref is None:
            continue
        field: Any = spec.new_field_ref.get_object()
        if "/Kids" not in field:
            yield spec.new_field_ref, name
            continue
        for reference in _references(field["/Kids"]):
            kid: Any = reference.get_object()
            if "/T" not in kid:
                yield reference, name


def _references(items: Any) -> list[generic.Reference]:
    if not isinstance(items, generic.ArrayObject):
        raise SuspiciousModification("not an array")
    held = [items.raw_get(at) for at in range(len(items))]
    if not all(isinstance(item, generic.IndirectObject) for item in held):
        raise SuspiciousModification("an array holds objects where references belong")
    return [item.reference for item in held]


def difference_policy(
    newest: ReferenceGraph, touched: set[int], *, open_to_annotations: bool = False
) -> StandardDiffPolicy:
    """The rules for one signature. `touched`: what later revisions changed, and all that leads there."""
    level = ModificationLevel.LTA_UPDATES
    further = [AnnotationRule(touched).as_qualified(ModificationLevel.ANNOTATIONS)] if open_to_annotations else []
    return StandardDiffPolicy(
        global_rules=[
            CatalogModificationRule(),
            DocInfoRule().as_qualified(level),
            XrefStreamRule().as_qualified(level),
            ObjectStreamRule().as_qualified(level),
            StoreRule().as_qualified(level),
            FreedRule(newest).as_qualified(level),
            MetadataUpdateRule().as_qualified(level),
            *further,
        ],
        form_rule=FormUpdatingRule(
            field_rules=[
                SigFieldCreationRule(approve_widget_bindings=False),
                WidgetRule(touched, open_to_annotations=open_to_annotations),
                SigFieldModificationRule(),
                GenericFieldModificationRule(),
            ]
        ),
        reject_object_freeing=False,
    )
