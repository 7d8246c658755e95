"""The bidirectional algorithm (Unicode annex 9): levels of a paragraph, and the order of a line.

Embeddings and isolates are left out, because such characters are never drawn.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_PAIRS = {"(": ")", "[": "]", "{": "}", "\u2039": "\u203a", "\u00ab": "\u00bb", "<": ">"}
_MIRROR = _PAIRS | {close: opens for opens, close in _PAIRS.items()}
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_RIGHT = {"R", "AL", "AN"}
_NEUTRAL = {"B", "S", "WS", "ON"}


def has_right_to_left(text: str) -> bool:
    """Whether any letter or number of a text runs from right to left, or asks where it stands among such."""
    return any(unicodedata.bidirectional(char) in _RIGHT for char in text)


def is_right_to_left(text: str) -> bool:
    """Whether a paragraph begins with a letter that runs from right to left (P2, P3)."""
    kinds = (unicodedata.bidirectional(char) for char in text)
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"


def mirrored(char: str) -> str:
    """What is drawn for a bracket among letters from right to left (L4)."""
    return _MIRROR.get(char, char)


def levels_of(text: str) -> list[int]:
    """The level of every character of a paragraph: even from left to right, odd from right to left."""
    base = int(is_right_to_left(text))
    side = "R" if base else "L"
    kinds = [unicodedata.bidirectional(char) or "L" for char in text]
    _resolve_weak(kinds, side)
    _resolve_brackets(text, kinds, base)
    _resolve_neutral(kinds, side)
    rises = {"L": base, "R": 1 - base, "AN": 2 - base, "EN": 2 - base}  # I1, I2
    return [base + rises[kind] for kind in kinds]


def visual_order(levels: Sequence[int]) -> list[int]:
    """The indices of a line from left to right (L2)."""
    order = list(range(len(levels)))
    odd = [level for level in levels if level % 2]
    for least in range(max(levels, default=0), min(odd, default=1) - 1, -1):
        at = 0
        while at < len(order):
            if levels[order[at]] < least:
                at += 1
                continue
            end = at
            while end < len(order) and levels[order[end]] >= least:
                end += 1
            order[at:end] = reversed(order[at:end])
            at = end
    return order


def _resolve_weak(kinds: list[str], side: str) -> None:
    """W1 to W7."""
    for at, kind in enumerate(kinds):
        if kind == "NSM":
            kinds[at] = kinds[at - 1] if at else side
        elif kind == "BN":
            kinds[at] = "ON"
    strong = side
    for at, kind in enumerate(kinds):
        if kind in ("L", "R", "AL"):
            strong = kind
        elif kind == "EN" and strong == "AL":
            kinds[at] = "AN"
    kinds[:] = ["R" if kind == "AL" else kind for kind in kinds]
    for at in range(1, len(kinds) - 1):
        before, after = kinds[at - 1], kinds[at + 1]
        if before == after and (
            (kinds[at] == "ES" and before == "EN") or (kinds[at] == "CS" and before in ("EN", "AN"))
        ):
            kinds[at] = before
    at = 0
    while at < len(kinds):
        end = at
        while end < len(kinds) and kinds[end] == "ET":
            end += 1
        if end > at:
            beside = (at > 0 and kinds[at - 1] == "EN") or (end < len(kinds) and kinds[end] == "EN")
            kinds[at:end] = ["EN" if beside else "ON"] * (end - at)
        at = end + 1
    kinds[:] = ["ON" if kind in ("ES", "ET", "CS") else kind for kind in kinds]
    strong = side
    for at, kind in enumerate(kinds):
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[at] = "L"


def _resolve_brackets(text: str, kinds: list[str], base: int) -> None:
    """N0: brackets stand with what they hold, or with what stands before them."""
    waiting: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    for at, char in enumerate(text):
        if kinds[at] != "ON":
            continue
        if char in _BRACKETS:
            waiting.append((_BRACKETS[char], at))
        elif char in _BRACKETS.values():
            depth = next((deep for deep in range(len(waiting) - 1, -1, -1) if waiting[deep][0] == char), None)
            if depth is not None:
                pairs.append((waiting[depth][1], at))
                del waiting[depth:]
    inside, across = ("R", "L") if base else ("L", "R")
    for opens, closes in sorted(pairs):
        held = {_strong(kind) for kind in kinds[opens + 1 : closes]}
        if inside in held:
            kind = inside
        elif across in held:
            before = next((_strong(one) for one in reversed(kinds[:opens]) if _strong(one)), inside)
            kind = across if before == across else inside
        else:
            continue
        kinds[opens] = kinds[closes] = kind


def _resolve_neutral(kinds: list[str], side: str) -> None:
    """N1, N2: between two of a kind they are of it, else as the paragraph."""
    at = 0
    while at < len(kinds):
        end = at
        while end < len(kinds) and kinds[end] in _NEUTRAL:
            end += 1
        if end > at:
            before = _strong(kinds[at - 1]) if at else side
            after = _strong(kinds[end]) if end < len(kinds) else side
            kinds[at:end] = [before if before == after else side] * (end - at)
        at = end + 1


def _strong(kind: str) -> str:
    """Numbers that were not taken by the letters before them count as from right to left (N0, N1)."""
    return "L" if kind == "L" else "R" if kind in ("R", "AN", "EN") else ""
