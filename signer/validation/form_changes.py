"""What happened to the fields of a form after a signature, and whether each still shows what it holds.

Filling in is permitted (ISO 32000-2 12.8.2.2). It is not filling in when a field shows something else than its value, comes out of
hiding, or lies over the page: the shadow attacks of 2020 and the sneaky signatures of 2021 are made of these.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pyhanko.pdf_utils import generic

from signer.validation.appearances import drawn_text, is_blank_appearance
from signer.validation.certificates import plain_text
from signer.validation.signature_value import entry

_MOST_NODES = 20_000
_MOST_WIDGETS = 100
# 12.5.3: Invisible, Hidden, NoView. What becomes seen, or no longer is, is more than a value.
_UNSEEN = 1 | 2 | 32
_PASSWORD = 1 << 13
_A4_AREA = 595.0 * 842.0


@dataclass(frozen=True)
class FieldState:
    """What a field holds and what it shows. `text` is None where what it shows cannot be read."""

    page: int | None = None
    kind: str = ""
    value: str = ""
    appearance: bytes = b""
    states: tuple[str, ...] = ()
    unseen: int = 0
    writing: str = ""
    text: str | None = ""
    draws: bool = False
    share: float = 0.0
    options: tuple[str, ...] = ()
    secret: bool = False


NO_FIELD = FieldState()


@dataclass(frozen=True)
class FieldChange:
    """One field that differs. `deceptive`: it does not show what it says."""

    name: str
    page: int | None
    text: str
    deceptive: bool


def field_changes(before: Any, after: Any, names: Iterable[str]) -> list[FieldChange]:
    """The fields that differ between two catalogues."""
    wanted = sorted(set(names))
    if not wanted:
        return []
    old_states, new_states = field_states(before, wanted), field_states(after, wanted)
    changes = []
    for name in wanted:
        old, new = old_states.get(name, NO_FIELD), new_states.get(name, NO_FIELD)
        if old == new:
            continue  # another signature wrote the field anew, as it was
        text = plain_text(f"{name}: {old.value or '∅'} → {new.value or '∅'}")
        changes.append(FieldChange(name, new.page, text, is_deceptive(old, new)))
    return changes


def is_deceptive(old: FieldState, new: FieldState) -> bool:
    """Whether the change is more than a value that came in and is shown."""
    if new.kind == "/Sig":
        return new.draws and old.appearance != new.appearance  # an empty place for a signature says nothing yet
    if old.unseen != new.unseen or (old.value == new.value and old != new):
        return True
    if new.share > 0.5:
        return True  # whoever filled that in could have written a page
    if new.kind == "/Btn":
        # 12.7.5.2: the faces of a button are there from the beginning, and its value picks one.
        return old.appearance != new.appearance or not set(new.states) <= {new.value, "/Off"}
    if new.kind == "/Ch":
        return new.text is None or not _is_of(new.text, (new.value, *new.options))
    return not new.secret and (new.text is None or _plain(new.text) != _plain(new.value))


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _is_of(text: str, choices: tuple[str, ...]) -> bool:
    """Whether a choice field shows its choices and nothing else (12.7.5.4)."""
    rest = _plain(text)
    for choice in sorted(map(_plain, choices), key=len, reverse=True):
        rest = rest.replace(choice, "") if choice else rest
    return not rest


def field_states(root: Any, names: Iterable[str]) -> dict[str, FieldState]:
    """The wanted fields by full name, as a catalogue has them."""
    wanted, found = set(names), dict[str, FieldState]()
    try:
        form = root["/AcroForm"]
        queue: list[tuple[str, Any, str, int]] = [("", item, "", 0) for item in form["/Fields"]]
    except (KeyError, TypeError):
        return found
    defaults = entry(form, "/DR")
    budget = _MOST_NODES
    while queue and budget:
        budget -= 1
        prefix, item, kind, flags = queue.pop()
        field = item.get_object()
        if not isinstance(field, generic.DictionaryObject):
            continue
        part = entry(field, "/T")
        name = prefix if part is None else (f"{prefix}.{part}" if prefix else str(part))
        kind, flags = str(entry(field, "/FT", kind)), _number(entry(field, "/Ff", flags))
        if name in wanted and name not in found:
            found[name] = _state(field, kind, flags, defaults)
        kids = entry(field, "/Kids")
        if isinstance(kids, generic.ArrayObject):
            queue += [(name, kid, kind, flags) for kid in kids]
    return found


def _state(field: generic.DictionaryObject, kind: str, flags: int, defaults: Any) -> FieldState:
    widgets = list(_widgets(field))
    faces = [face for widget in widgets for face in _faces(widget)]
    normal = [entry(widget, "/AP") for widget in widgets]
    shown = [entry(each, "/N") for each in normal if isinstance(each, generic.DictionaryObject)]
    streams = [each for each in shown if isinstance(each, generic.StreamObject)]
    value = entry(field, "/V", "")
    is_text = kind in ("/Tx", "/Ch")
    return FieldState(
        page=_page_of(field),
        kind=kind,
        value="" if kind == "/Sig" else _value(value),
        appearance=hashlib.sha256(b"".join(face.encoded_data for face in faces)).digest() if faces else b"",
        states=tuple(str(widget["/AS"]) for widget in widgets if "/AS" in widget),
        unseen=sum((_number(entry(widget, "/F", 0)) & _UNSEEN) << 8 * at for at, widget in enumerate(widgets[:8])),
        writing=f"{entry(field, '/DA', '')} {entry(field, '/Q', '')}",
        text=_text(streams, defaults, _value(value)) if is_text else None,
        draws=any(_area(widget) and not _is_blank(widget) for widget in widgets),
        share=max((_area(widget) / _page_area(widget) for widget in widgets), default=0.0),
        options=tuple(_options(entry(field, "/Opt"))) if kind == "/Ch" else (),
        secret=kind == "/Tx" and bool(flags & _PASSWORD),
    )


def _text(streams: list[generic.StreamObject], defaults: Any, value: str) -> str | None:
    """What all the widgets of one field show: the same, or nobody can tell. Without a face the viewer makes one of the value."""
    texts = {drawn_text(stream, defaults) for stream in streams[:_MOST_WIDGETS]}
    if not texts:
        return value
    return next(iter(texts)) if len(texts) == 1 else None


def _value(value: Any) -> str:
    if isinstance(value, generic.ArrayObject):
        return ", ".join(map(str, value))
    if isinstance(value, generic.StreamObject):
        return value.data.decode("utf-8", "replace")
    return "" if isinstance(value, generic.NullObject) else str(value)


def _options(options: Any) -> Iterator[str]:
    for item in options if isinstance(options, generic.ArrayObject) else ():
        yield str(item[1]) if isinstance(item, generic.ArrayObject) and len(item) == 2 else str(item)


def _widgets(field: generic.DictionaryObject) -> Iterator[generic.DictionaryObject]:
    kids = entry(field, "/Kids")
    if not isinstance(kids, generic.ArrayObject):
        yield field
        return
    for kid in islice(kids, _MOST_WIDGETS):
        widget = kid.get_object()
        if isinstance(widget, generic.DictionaryObject) and "/T" not in widget:
            yield widget


def _faces(widget: generic.DictionaryObject) -> Iterator[generic.StreamObject]:
    """Every stream of /AP, in the order of the keys."""
    queue: list[Any] = [entry(widget, "/AP")]
    budget = _MOST_WIDGETS
    while queue and budget:
        budget -= 1
        item = queue.pop(0)
        if isinstance(item, generic.StreamObject):
            yield item
        elif isinstance(item, generic.DictionaryObject):
            queue += [item[key] for key in sorted(item)]


def _is_blank(widget: generic.DictionaryObject) -> bool:
    return all(is_blank_appearance(face) for face in _faces(widget))


def _area(widget: generic.DictionaryObject) -> float:
    return _rectangle(entry(widget, "/Rect"))


def _rectangle(box: Any) -> float:
    try:
        left, low, right, high = (float(each) for each in box)
    except (TypeError, ValueError):
        return 0.0
    return abs(right - left) * abs(high - low)


def _page_area(widget: generic.DictionaryObject) -> float:
    """The area of the page that a widget names; of A4 when it names none."""
    node: Any = entry(widget, "/P")
    for _ in range(20):
        if not isinstance(node, generic.DictionaryObject):
            break
        area = _rectangle(entry(node, "/MediaBox"))
        if area:
            return area
        node = entry(node, "/Parent")
    return _A4_AREA


def _page_of(field: generic.DictionaryObject) -> int | None:
    """The object number of the page that the field's first widget names."""
    widget = next(_widgets(field), field)
    page = widget.raw_get("/P") if "/P" in widget else None
    return int(page.idnum) if isinstance(page, generic.IndirectObject) else None


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int) else 0
