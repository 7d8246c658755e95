"""A new field's place in a tagged document: a Form element in the structure, so that a screen reader finds it (ISO 14289-1 7.18.4).

Only in the first signature: to an earlier one a change of the structure is a change of the document.
"""

from __future__ import annotations

from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from signer.errors import InputUnreadable

_MOST_KIDS = 100_000


def tag_field(writer: IncrementalPdfFileWriter, reference: generic.IndirectObject, description: str) -> None:
    """Put a field, which is its own widget and stands on a page, into the structure; `description` is read out (/TU)."""
    field = reference.get_object()
    page = field.raw_get("/P")
    if not isinstance(page, generic.IndirectObject):
        page = generic.IndirectObject(page.idnum, page.generation, writer)
    field[pdf_name("/TU")] = generic.TextStringObject(description)
    root = writer.root["/StructTreeRoot"]
    key = _next_key(root)
    parent_reference, parent = _document_element(writer, root)
    element = writer.add_object(
        _dictionary(
            {
                "/Type": pdf_name("/StructElem"),
                "/S": pdf_name("/Form"),
                "/P": parent_reference,
                "/Pg": page,
                "/K": _dictionary({"/Type": pdf_name("/OBJR"), "/Obj": reference, "/Pg": page}),
            }
        )
    )
    kids = parent.raw_get("/K") if "/K" in parent else generic.ArrayObject()
    followed = kids.get_object() if isinstance(kids, generic.IndirectObject) else kids
    several = followed if isinstance(followed, generic.ArrayObject) else generic.ArrayObject([kids])
    parent[pdf_name("/K")] = generic.ArrayObject([*(several.raw_get(at) for at in range(len(several))), element])
    writer.update_container(parent)
    _add_to_parent_tree(writer, root, key, element)
    root[pdf_name("/ParentTreeNextKey")] = generic.NumberObject(key + 1)
    writer.update_container(root)
    field[pdf_name("/StructParent")] = generic.NumberObject(key)
    writer.update_container(field)
    shown = page.get_object()
    if "/Tabs" not in shown:
        # ISO 14289-1 7.18.3: with the tab key one goes through the fields in the order of the structure.
        shown[pdf_name("/Tabs")] = pdf_name("/S")
        writer.update_container(shown)


def _document_element(
    writer: IncrementalPdfFileWriter, root: generic.DictionaryObject
) -> tuple[generic.IndirectObject, generic.DictionaryObject]:
    """The element that holds the whole document where there is one, else the root itself."""
    kids: Any = root.raw_get("/K") if "/K" in root else None
    followed = kids.get_object() if isinstance(kids, generic.IndirectObject) else kids
    if isinstance(followed, generic.ArrayObject) and len(followed) == 1:
        kids = followed.raw_get(0)
        followed = kids.get_object() if isinstance(kids, generic.IndirectObject) else None
    if isinstance(kids, generic.IndirectObject) and isinstance(followed, generic.DictionaryObject):
        return kids, followed
    own = writer.root.raw_get("/StructTreeRoot")
    if not isinstance(own, generic.IndirectObject):
        raise InputUnreadable("INPUT_DAMAGED", kind="StructTreeRoot")
    return own, root


def _next_key(root: generic.DictionaryObject) -> int:
    """A key that the parent tree does not have. What the file names as the next one is believed only where it is the larger."""
    named = int(root["/ParentTreeNextKey"]) if "/ParentTreeNextKey" in root else 0
    largest = -1
    waiting = [root["/ParentTree"]] if "/ParentTree" in root else []
    seen = 0
    while waiting:
        node = waiting.pop()
        seen += 1
        if seen > _MOST_KIDS:
            raise InputUnreadable("INPUT_BEYOND_LIMITS", reason="ParentTree")
        if "/Nums" in node and len(node["/Nums"]) > 1:
            # In ascending order (ISO 32000-2 7.9.7): the last pair's.
            largest = max(largest, int(node["/Nums"][len(node["/Nums"]) - 2]))
        if "/Kids" in node and len(node["/Kids"]):
            waiting.append(node["/Kids"][len(node["/Kids"]) - 1])
    return max(named, largest + 1)


def _add_to_parent_tree(
    writer: IncrementalPdfFileWriter, root: generic.DictionaryObject, key: int, element: generic.IndirectObject
) -> None:
    number = generic.NumberObject(key)
    if "/ParentTree" not in root:
        tree = _dictionary({"/Nums": generic.ArrayObject([number, element])})
        root[pdf_name("/ParentTree")] = writer.add_object(tree)
        return
    tree = root["/ParentTree"]
    if "/Kids" in tree:
        # A leaf of its own behind all others: the key is larger than theirs.
        leaf = _dictionary(
            {"/Limits": generic.ArrayObject([number] * 2), "/Nums": generic.ArrayObject([number, element])}
        )
        _append(tree, "/Kids", writer.add_object(leaf))
    else:
        _append(tree, "/Nums", number, element)
    writer.update_container(tree)


def _append(dictionary: generic.DictionaryObject, key: str, *values: generic.PdfObject) -> None:
    present = dictionary[key] if key in dictionary else generic.ArrayObject()
    kept = [present.raw_get(at) for at in range(len(present))]
    dictionary[pdf_name(key)] = generic.ArrayObject([*kept, *values])


def _dictionary(entries: dict[str, Any]) -> generic.DictionaryObject:
    built: generic.DictionaryObject = generic.DictionaryObject({pdf_name(key): value for key, value in entries.items()})
    return built
