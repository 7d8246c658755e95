"""Whether a structure tree (ISO 32000-2 14.7) lost or gained nothing but the places of annotations between two revisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import HistoricalResolver
from pyhanko.sign.diff_analysis import SuspiciousModification

from signer.validation.signature_value import entry

_MOST_NODES = 20_000
_DEEPEST = 64
_ROOT_OPEN = frozenset(["/K", "/ParentTree", "/ParentTreeNextKey"])
_NODE_OPEN = frozenset(["/K"])


def kept_nodes(old: HistoricalResolver, new: HistoricalResolver, touched: set[int]) -> frozenset[int] | None:
    """The nodes whose change the annotations explain; None without a tree, SuspiciousModification for another change."""
    if "/StructTreeRoot" not in old.root or "/StructTreeRoot" not in new.root:
        return None
    found: set[int] = set()
    was, now = old.root["/StructTreeRoot"], new.root["/StructTreeRoot"]
    _note(old.root.raw_get("/StructTreeRoot"), found)
    _compare(was, now, _ROOT_OPEN)
    queue: list[tuple[Any, Any, int]] = [(was, now, 0)]
    budget = _MOST_NODES
    while queue:
        before, after, depth = queue.pop()
        budget -= 1
        if not budget or depth > _DEEPEST:
            raise SuspiciousModification("a structure tree of too many nodes")
        for item, is_now in _kept_kids(before, after):
            if isinstance(item, generic.IndirectObject) and item.idnum in touched and item.idnum not in found:
                then, later = item.get_object(), is_now.get_object()
                if isinstance(then, generic.DictionaryObject) and entry(then, "/Type", "/StructElem") == "/StructElem":
                    found.add(int(item.idnum))
                    _compare(then, later, _NODE_OPEN)
                    queue.append((then, later, depth + 1))
            elif isinstance(item, generic.DictionaryObject):
                queue.append((item, is_now, depth + 1))
    _compare_numbers(was, now, found)
    return frozenset(found)


def _compare(old: Any, new: Any, ignored: frozenset[str]) -> None:
    """Every entry but the open ones stands as it stood; what a reference leads to is asked for by itself."""
    if not isinstance(new, generic.DictionaryObject) or isinstance(new, generic.StreamObject):
        raise SuspiciousModification("a node of the structure tree became something else")
    if any(_raw(old, key) != _raw(new, key) for key in (set(old) | set(new)) - ignored):
        raise SuspiciousModification("a node of the structure tree changed")


def _raw(holder: Any, key: str) -> Any:
    return holder.raw_get(key) if key in holder else None


def _kids(node: Any) -> list[Any]:
    held = _raw(node, "/K")
    target = held.get_object() if isinstance(held, generic.IndirectObject) else held
    if isinstance(target, generic.ArrayObject):
        return [target.raw_get(at) for at in range(len(target))]
    return [] if held is None else [held]


def _kept_kids(before: Any, after: Any) -> Iterator[tuple[Any, Any]]:
    """The kids that are in both, in their order; those that went or came are the places of annotations."""
    was, now = _kids(before), _kids(after)
    kept, at = [], 0
    for item in was:
        try:
            found = next(place for place in range(at, len(now)) if _is_same(now[place], item))
        except StopIteration:
            _refuse_content(item)
            continue
        for came in now[at:found]:
            _refuse_content(came)
        kept.append((item, now[found]))
        at = found + 1
    for came in now[at:]:
        _refuse_content(came)
    yield from kept


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _refuse_content(item: Any, depth: int = 0) -> None:
    """A node with a part of the page's content in it is more than the place of an annotation."""
    node = item.get_object()
    if not isinstance(node, generic.DictionaryObject) or depth > _DEEPEST or "/ActualText" in node:
        raise SuspiciousModification("structure came or went that is no annotation's")
    if entry(node, "/Type") == "/OBJR":
        held = entry(node, "/Obj")
        if not isinstance(held, generic.DictionaryObject) or entry(held, "/Subtype") in (None, "/Widget"):
            raise SuspiciousModification("structure came or went that is no annotation's")
        return
    kids = _kids(node)
    if not kids:
        raise SuspiciousModification("structure came or went that is no annotation's")
    for kid in kids[:_MOST_NODES]:
        _refuse_content(kid, depth + 1)


def _compare_numbers(was: Any, now: Any, found: set[int]) -> None:
    """The parent tree (14.7.5.4): numbers may be added, and those of annotations may go."""
    if "/ParentTree" not in was:
        return
    old, new = dict(_numbers(_raw(was, "/ParentTree"), found)), dict(_numbers(_raw(now, "/ParentTree"), set()))
    for number, value in old.items():
        if number not in new:
            _refuse_content(value)
        elif not _is_same(new[number], value):
            raise SuspiciousModification("a number of the parent tree changed")


def _numbers(item: Any, found: set[int]) -> Iterator[tuple[int, Any]]:
    queue, budget = [item], _MOST_NODES
    while queue:
        each = queue.pop()
        budget -= 1
        node = each.get_object() if each is not None else None
        if not isinstance(node, generic.DictionaryObject) or not budget:
            raise SuspiciousModification("not a number tree")
        _note(each, found)
        kids, numbers = entry(node, "/Kids", ()), entry(node, "/Nums", ())
        queue += [kids.raw_get(at) for at in range(len(kids))]
        held = _raw(node, "/Nums")
        _note(held, found)
        for at in range(0, len(numbers) - 1, 2):
            yield int(numbers[at]), numbers.raw_get(at + 1)


def _note(item: Any, found: set[int]) -> None:
    if isinstance(item, generic.IndirectObject):
        found.add(int(item.idnum))
