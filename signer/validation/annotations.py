"""What happened to the annotations of pages after a certification that lets them change, and whether they could deceive.

A note, a line under words and a highlight say that they were added. Whatever can put words, pictures or colour over what was signed
looks like a part of it (the evil annotation attacks of 2021): that it is permitted is then no reason to call the file unchanged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils import generic

from signer.validation.annotation_rules import annotations_of, is_annotation
from signer.validation.appearances import operations
from signer.validation.certificates import plain_text
from signer.validation.signature_value import entry

_MOST_NODES = 2_000
_MOST_PAGES = 20_000
# 12.5.6.4, 12.5.6.14: an icon, and a window that a viewer opens. 12.5.6.10: what marks words.
_ICONS, _WINDOW = ("/Text", "/Caret"), "/Popup"
_MARKS = ("/Underline", "/StrikeOut", "/Squiggly")
_HIGHLIGHT = "/Highlight"
_LARGEST_ICON = 32.0
_THICKEST_LINE = 2.5
# They lead to somewhere else, or back up.
_ELSEWHERE = ("/P", "/Parent", "/Popup", "/IRT")
_STATES = frozenset(b"q Q J j M d i ri gs BMC BDC EMC w".split())
_COLOURS = frozenset(b"g G rg RG k K cs CS sc SC scn SCN".split())
_PATHS = frozenset(b"m l c v y h re n W W*".split())
_STROKES = frozenset(b"S s".split())
_FILLS = frozenset(b"f F f* B B* b b*".split())


@dataclass(frozen=True)
class AnnotationChange:
    """One annotation that came, went or became another. `page`: number of the page's object."""

    page: int
    text: str
    deceptive: bool


def annotation_changes(before: Any, after: Any, touched: set[int]) -> Iterator[AnnotationChange]:
    """What differs on the pages among `touched`; both are catalogues of the same page tree."""
    for number, was, now in _pages(before, after, touched):
        old, new = _by_place(was), _by_place(now)
        for place in sorted(old.keys() | new.keys()):
            then, later = old.get(place), new.get(place)
            if then is not None and later is not None and _print_of(then) == _print_of(later):
                continue
            said = " → ".join("∅" if each is None else _said(each) for each in (then, later))
            deceptive = any(each is not None and could_deceive(each) for each in (then, later))
            yield AnnotationChange(number, plain_text(said), deceptive)


def _pages(before: Any, after: Any, touched: set[int]) -> Iterator[tuple[int, Any, Any]]:
    queue: list[tuple[Any, Any]] = [(before["/Pages"], after["/Pages"])]
    budget = _MOST_PAGES
    while queue and budget:
        was, now = queue.pop()
        for at, item in enumerate(list.__iter__(was["/Kids"])):
            budget -= 1
            if not isinstance(item, generic.IndirectObject) or item.idnum not in touched:
                continue
            then, later = was["/Kids"][at], now["/Kids"][at]
            if entry(then, "/Type") == "/Pages":
                queue.append((then, later))
            else:
                yield int(item.idnum), then, later


def _by_place(page: Any) -> dict[tuple[int, str], Any]:
    """Annotations that belong to no form, by their number; those that stand in the array itself by what they are."""
    found: dict[tuple[int, str], Any] = {}
    for item in annotations_of(page):
        if is_annotation(item):
            is_named = isinstance(item, generic.IndirectObject)
            found[(int(item.idnum), "") if is_named else (0, _print_of(item))] = item.get_object()
    return found


def _said(annotation: Any) -> str:
    words = str(entry(annotation, "/Contents", ""))
    return f"{str(annotation['/Subtype'])[1:]}{': ' if words else ''}{words}"


def _print_of(annotation: Any) -> str:
    """A fingerprint of all that hangs on an annotation."""
    digest, queue, seen, budget = hashlib.sha256(), [annotation], set[int](), _MOST_NODES
    while queue:
        item = queue.pop()
        budget -= 1
        if isinstance(item, generic.IndirectObject):
            if item.idnum in seen:
                digest.update(b"again %d " % item.idnum)
                continue
            seen.add(int(item.idnum))
            item = item.get_object()
        if isinstance(item, generic.DictionaryObject):
            for key in sorted(item):
                digest.update(f"{key} ".encode())
                if key not in _ELSEWHERE:
                    queue.append(item.raw_get(key))
            if isinstance(item, generic.StreamObject):
                digest.update(hashlib.sha256(item.encoded_data).digest())
        elif isinstance(item, generic.ArrayObject):
            digest.update(b"[%d " % len(item))
            queue += [item.raw_get(at) for at in range(len(item))]
        else:
            digest.update(repr(item).encode())
        if not budget:
            return f"too much of it {id(annotation)}"
    return digest.hexdigest()


def could_deceive(annotation: Any) -> bool:
    """Whether it could pass for a part of the page, or do something."""
    kind = entry(annotation, "/Subtype")
    if "/A" in annotation or "/AA" in annotation or "/OC" in annotation:
        return True
    if kind == _WINDOW:
        return "/AP" in annotation
    if kind in _ICONS:
        left, low, right, high = _box(entry(annotation, "/Rect"))
        is_small = abs(right - left) <= _LARGEST_ICON and abs(high - low) <= _LARGEST_ICON
        return not is_small or not all(_draws_only(face, _FILLS | _STROKES) for face in _faces(annotation))
    if kind in _MARKS:
        return not all(_is_to_scale(annotation, face) and _draws_only(face, _STROKES) for face in _faces(annotation))
    if kind == _HIGHLIGHT:
        return not all(_lets_through(face) for face in _faces(annotation))
    return True


def _faces(annotation: Any) -> Iterator[generic.StreamObject]:
    held = entry(annotation, "/AP")
    queue = [held] if held is not None else []
    budget = 50
    while queue and budget:
        budget -= 1
        item = queue.pop()
        if isinstance(item, generic.StreamObject):
            yield item
        elif isinstance(item, generic.DictionaryObject):
            queue += [item[key] for key in item]


def _draws_only(face: generic.StreamObject, painting: frozenset[bytes], depth: int = 0) -> bool:
    """Whether it draws nothing but paths in this way, thin lines among them; no words, pictures, patterns."""
    for name, operands in operations(face.data):
        if name == b"Do":
            inner = _form(face, operands)
            if inner is None or depth > 3 or not _draws_only(inner, painting, depth + 1):
                return False
        elif name == b"cm":
            if painting == _STROKES and not _is_unit(operands):
                return False
        elif name == b"w" and painting == _STROKES:
            if not _is_thin(operands):
                return False
        elif name not in _STATES | _COLOURS | _PATHS | painting:
            return False
    return True


def _lets_through(face: generic.StreamObject) -> bool:
    """A highlight multiplies (11.3.5.2): what lies below is seen through it. All that it paints has to come behind that."""
    multiplies = False
    for name, operands in operations(face.data):
        if name == b"gs":
            state = _resource(face, "/ExtGState", operands)
            multiplies = isinstance(state, generic.DictionaryObject) and entry(state, "/BM") == "/Multiply"
        elif name == b"Q":
            multiplies = False
        elif name == b"Do":
            inner = _form(face, operands)
            # A group (11.6.6) is painted as one, by the state it is painted in.
            is_group = inner is not None and "/Group" in inner
            if inner is None or not multiplies or not is_group or not _draws_only(inner, _FILLS | _STROKES):
                return False
        elif name in _FILLS | _STROKES:
            if not multiplies:
                return False
        elif name not in _STATES | _COLOURS | _PATHS | {b"cm"}:
            return False
    return True


def _is_to_scale(annotation: Any, face: generic.StreamObject) -> bool:
    """Whether the appearance is as large as its place (12.5.5), so that a thin line stays one."""
    place, drawn = _box(entry(annotation, "/Rect")), _box(entry(face, "/BBox"))
    width, height = abs(place[2] - place[0]), abs(place[3] - place[1])
    return (
        width <= 1.5 * abs(drawn[2] - drawn[0])
        and height <= 1.5 * abs(drawn[3] - drawn[1])
        and _is_unit([float(each) for each in entry(face, "/Matrix", (1, 0, 0, 1, 0, 0))])
    )


def _is_unit(matrix: Any) -> bool:
    return len(matrix) == 6 and list(matrix[:4]) == [1.0, 0.0, 0.0, 1.0]


def _is_thin(operands: list[object]) -> bool:
    return len(operands) == 1 and isinstance(operands[0], float) and operands[0] <= _THICKEST_LINE


def _form(face: generic.StreamObject, operands: list[object]) -> generic.StreamObject | None:
    form = _resource(face, "/XObject", operands)
    is_form = isinstance(form, generic.StreamObject) and entry(form, "/Subtype") == "/Form"
    return form if is_form else None


def _resource(face: generic.StreamObject, kind: str, operands: list[object]) -> Any:
    held = entry(entry(face, "/Resources", {}), kind, {})
    name = operands[-1] if operands else None
    return held[name] if isinstance(name, str) and name in held else None


def _box(box: Any) -> tuple[float, float, float, float]:
    try:
        left, low, right, high = (float(each) for each in box)
    except (TypeError, ValueError):
        return 0.0, 0.0, 1e9, 1e9
    return left, low, right, high
