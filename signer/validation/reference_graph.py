"""Which object of a file refers to which, for the newest revision and for those before it.

The difference analysis asks by which paths a replaced object was reached. The library answers by walking every object of the signed
revision in Python; here qpdf reads them, and only what leads to a replaced object is walked (ISO 32000-2 7.3.10, 7.7.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pikepdf
from pyhanko.pdf_utils import generic, misc
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader, RawPdfPath

from signer.validation.signature_value import entry

# As qpdf writes them: one form, and never inside a name; inside a string it says too much, which is only slower.
# Bounded, because a /Contents is a string of thousands of digits. Each begins with what re can look for quickly.
_REFERENCE = re.compile(rb"([0-9]{1,10}) [0-9]{1,5} R")
_PARENT = re.compile(rb"/Parent ([0-9]{1,10}) [0-9]{1,5} R")
TRAILER = 0


@dataclass(frozen=True)
class _Held:
    """What one object refers to; /Parent apart, by which nothing is found in a way of its own."""

    down: frozenset[int]
    parents: frozenset[int]


class ReferenceGraph:
    """Edges between numbers of objects; TRAILER stands for the trailer."""

    def __init__(self, edges: dict[int, _Held]) -> None:
        self._edges = edges
        self._users: dict[int, list[int]] = {}

    @classmethod
    def of_newest(cls, other: pikepdf.Pdf) -> ReferenceGraph:
        edges = {TRAILER: _read(other.trailer.unparse(resolved=True))}
        for number, generation in other.get_xref_table():
            found = other.get_object(number, generation)
            if isinstance(found, pikepdf.Stream):
                found = found.stream_dict
            if isinstance(found, pikepdf.Object):
                edges[number] = _read(found.unparse(resolved=True))
        return cls(edges)

    def before(self, reader: PdfFileReader, revision: int) -> ReferenceGraph:
        """The same for an older revision: what was replaced since is read anew, what came since is left out."""
        table = reader.xrefs
        changed = {
            reference
            for later in range(revision + 1, table.total_revisions)
            for reference in table.explicit_refs_in_revision(later)
        }
        edges = dict(self._edges)
        resolver = reader.get_historical_resolver(revision)
        edges[TRAILER] = _held([resolver.trailer_view])
        for reference in changed:
            edges.pop(reference.idnum, None)
        for reference in changed:
            if table.get_historical_ref(reference, revision) is not None:
                edges[reference.idnum] = _held([resolver(reference)])
        return ReferenceGraph(edges)

    def with_unchanged(self, older: ReferenceGraph, changed: set[int]) -> ReferenceGraph:
        """With what an older reading of objects that have stayed says besides: qpdf leaves out references to what is freed."""
        edges = dict(self._edges)
        for number, held in older._edges.items():
            if number not in changed and number in edges:
                edges[number] = _Held(edges[number].down | held.down, edges[number].parents | held.parents)
        return ReferenceGraph(edges)

    def mentioned(self, numbers: set[int]) -> set[int]:
        """Which of these any object refers to."""
        return {number for held in self._edges.values() for number in (held.down | held.parents) & numbers}

    def leading_to(self, numbers: Iterable[int]) -> set[int]:
        """These, and every object from which one of them can be reached downwards."""
        users = self._users
        if not users:
            for number, held in self._edges.items():
                for each in held.down:
                    users.setdefault(each, []).append(number)
        found = set(numbers)
        queue = list(found)
        while queue:
            for user in users.get(queue.pop(), ()):
                if user not in found:
                    found.add(user)
                    queue.append(user)
        return found

    def reachable(self) -> set[int]:
        """Everything that a reader can come to from the trailer."""
        found = {TRAILER}
        queue = [TRAILER]
        while queue:
            held = self._edges.get(queue.pop())
            fresh = (held.down | held.parents) - found if held is not None else frozenset()
            found |= fresh
            queue += fresh
        return found


def changed_since(reader: PdfFileReader, revision: int) -> set[int]:
    """The numbers of what later revisions wrote or freed."""
    later = range(revision + 1, reader.xrefs.total_revisions)
    return {int(each.idnum) for number in later for each in reader.xrefs.explicit_refs_in_revision(number)}


_NOTHING = _Held(frozenset(), frozenset())


def _read(text: bytes) -> _Held:
    if b" R" not in text:
        return _NOTHING
    # What stands between the entries, and the number in each, in turn.
    pieces = _PARENT.split(text)
    down = _REFERENCE.findall(b"|".join(pieces[::2]))
    return _Held(frozenset(map(int, down)), frozenset(map(int, pieces[1::2])))


def _held(items: Iterable[Any]) -> _Held:
    """All references in values, not following any."""
    queue, down, parents = list(items), set[int](), set[int]()
    while queue:
        item = queue.pop()
        if isinstance(item, generic.IndirectObject):
            down.add(int(item.idnum))
        elif isinstance(item, generic.DictionaryObject):
            for key, value in item.items():
                if key == "/Parent" and isinstance(value, generic.IndirectObject):
                    parents.add(int(value.idnum))
                else:
                    queue.append(value)
        elif isinstance(item, generic.ArrayObject):
            queue += list.__iter__(item)
    return _Held(frozenset(down), frozenset(parents))


Path = misc.ConsList  # the library's own, so that its comparisons hold


class Usages(Mapping[generic.Reference, set[RawPdfPath]]):
    """By which paths the objects in question were reached in one revision: what the library finds, found along the graph.

    Held to the library's own answer by tests/unit/signer/validation/test_reference_graph.py.
    """

    def __init__(self, resolver: HistoricalResolver, graph: ReferenceGraph, numbers: Iterable[int]) -> None:
        self._resolver = resolver
        self._graph = graph
        self._asked: set[int] = set()
        self._pages: dict[generic.Reference, Any] = {}
        self._structure: set[generic.Reference] = set()
        self._paths: dict[generic.Reference, set[RawPdfPath]] = {}
        self._find(set(numbers))

    def __getitem__(self, reference: generic.Reference) -> set[RawPdfPath]:
        if reference.idnum not in self._asked:
            self._find({int(reference.idnum)})
        return self._paths[reference]

    def _find(self, numbers: set[int]) -> None:
        """Ask for more. What leads to these is walked; on the way everything else that leads there is found as well."""
        self._asked |= numbers
        self._relevant = self._graph.leading_to(numbers)
        self._pages.clear()
        self._structure.clear()
        self._found: dict[generic.Reference, set[Any]] = {}
        self._map_pages()
        self._map_structure()
        self._walk(self._resolver.trailer_view, Path.empty(), Path.empty(), in_structure=False)
        for reference, paths in self._found.items():
            if reference.idnum in numbers:
                self._paths[reference] = {RawPdfPath(*reversed(list(path))) for path in paths}

    def __iter__(self) -> Iterator[generic.Reference]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def _map_pages(self) -> None:
        """The one path by which each node of the page tree is entered; others into it say nothing of their own."""
        pages = self._resolver.root.raw_get("/Pages")
        path = Path.sing("/Root").cons("/Pages")
        queue: list[tuple[Any, Any]] = [(pages, path)]
        while queue:
            item, path = queue.pop()
            if not self._leads_on(item):
                continue
            if isinstance(item, generic.IndirectObject):
                if item.reference in self._pages:
                    raise misc.PdfReadError("Circular reference in page tree in mapping stage")
                self._pages[item.reference] = path
            node = item.get_object()
            if item is pages or ("/Type" in node and node["/Type"] == "/Pages"):
                below = path.cons("/Kids")
                queue += [(kid, below.cons(at)) for at, kid in enumerate(node["/Kids"]) if self._leads_on(kid)]

    def _leads_on(self, item: Any) -> bool:
        return not isinstance(item, generic.IndirectObject) or item.idnum in self._relevant

    def _map_structure(self) -> None:
        """The nodes of the structure tree (14.7.2), which are entered along the tree alone."""
        root = self._resolver.root
        queue: list[Any] = [root["/StructTreeRoot"]] if "/StructTreeRoot" in root else []
        while queue:
            node = queue.pop()
            held = entry(node, "/K", ())
            children = (
                list(held) if isinstance(held, generic.ArrayObject) else [node.raw_get("/K")] if held != () else []
            )
            for child in children:
                reference = child.reference if isinstance(child, generic.IndirectObject) else None
                if reference is not None and (reference.idnum not in self._relevant or reference in self._structure):
                    continue
                target = child.get_object()
                is_element = (
                    isinstance(target, generic.DictionaryObject)
                    and entry(target, "/Type", "/StructElem") == "/StructElem"
                )
                if not is_element:
                    continue
                if reference is not None:
                    self._structure.add(reference)
                queue.append(target)

    def _walk(self, item: Any, path: Any, above: Any, *, in_structure: bool) -> None:
        if isinstance(item, generic.IndirectObject):
            reference = item.reference
            if reference.idnum not in self._relevant or reference in above:
                return
            self._found.setdefault(reference, set()).add(path)
            above = above.cons(reference)
            item = self._resolver(reference)
            if path != self._pages.get(reference, path) or (not in_structure and reference in self._structure):
                return
        if isinstance(item, generic.DictionaryObject):
            for key, value in item.items():
                if key == "/Parent" or (in_structure and key == "/P"):
                    continue
                enters = key == "/K" and path.head == "/StructTreeRoot" and path.tail == Path.sing("/Root")
                self._walk(value, path.cons(key), above, in_structure=in_structure or enters)
        elif isinstance(item, generic.ArrayObject):
            for at, value in enumerate(item):
                self._walk(value, path.cons(at), above, in_structure=in_structure)
