"""The policy of an office: for each intent of a signature who may, what must be there before, what is shown, what is refused and why.

The values stand in dated files (policy/*.toml), read strictly; what a need means is office_rules.py's.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from string import Formatter
from typing import Any, Literal

from signer.appearance.image_rules import ImageRule, Purpose

APPROVE, ISSUE, INCOME, APPENDIX, COPY, COMMENT, FILE = (
    "approve",
    "issue",
    "income",
    "appendix",
    "copy",
    "comment",
    "file",
)
# The verbs that other systems of the country's offices know.
INTENTS = (APPROVE, ISSUE, INCOME, APPENDIX, COPY, COMMENT, FILE)
ROLES = ("officer", "seal")
NEEDS = (
    "approved", "not-sealed-by-the-same", "not-of-the-same-agency", "not-arrived", "main", "main-issued",
    "main-of-the-same-agency", "not-main-itself", "copy-told", "copy-exists", "paper-is-unsigned", "comment",
)  # fmt: skip
PARTICULARS = ("main", "form", "source", "comment")
FORMS, SOURCES = ("sao-y", "sao-luc", "trich-sao"), ("paper", "electronic")
# What may stand in a line of text.
SHOWN = ("number", "number_and_symbol", "time", "agency", "form", "comment", "signer")
# Whether a document's code is drawn on it.
CODE_NONE, CODE_AUTO, CODE_REQUIRED = "none", "auto", "required"
CODE_WISHES = (CODE_NONE, CODE_AUTO, CODE_REQUIRED)
LEAST_QR_MM = 20.0
PRINTED = ("code", "address", "system", "owner", "place", "printer", "time", "page", "pages", "see")
Look = Literal["picture", "block", "nothing"]
Corner = Literal["top-right", "top-left"]
Series = Literal["out", "in"]


class PolicyWrong(ValueError):
    """A policy file says something that cannot be meant: a defect of the file, found when it is read."""


@dataclass(frozen=True)
class Need:
    """What must be so before the signature, and the reason with which it is refused otherwise."""

    need: str
    refused: str


@dataclass(frozen=True)
class CopyForm:
    """A form of copy that the law knows, of which kind of original, and the words that stand on it."""

    form: str
    source: str
    text: str


@dataclass(frozen=True)
class IntentRule:
    """The rules of one intent. `approves`: the signature counts as the person's that a seal needs. `series`: whose next number it takes."""

    intent: str
    roles: tuple[str, ...]
    look: Look
    takes: tuple[str, ...]
    needs: tuple[Need, ...]
    approves: bool = False
    mandate: bool = False
    series: Series | None = None
    corner: Corner = "top-right"
    lines: tuple[str, ...] = ()
    copies: tuple[CopyForm, ...] = ()

    def copy_text(self, form: str, source: str) -> str | None:
        """The words for a form of copy, None for one that the law does not know."""
        return next((each.text for each in self.copies if (each.form, each.source) == (form, source)), None)


@dataclass(frozen=True)
class BlockRule:
    """How text is set: its size in points, how wide it may be, how far from the edges of the page, how its time is written."""

    size: float
    width_mm: float
    side_mm: float
    top_mm: float
    lowest_mm: float
    time: Literal["people", "iso"]


@dataclass(frozen=True)
class CodeRule:
    """Whether a document's code and its QR are drawn with the first signature, with which intents, how large, how far from the edges.

    `drawn`: never, where there is room, or no signature without. What an installation has set of it wins.
    """

    drawn: Literal["none", "auto", "required"]
    intents: tuple[str, ...]
    qr_mm: float
    text_size: float
    edge_mm: float


@dataclass(frozen=True)
class PrintRule:
    """The words under each page of a print rendition; `corrected` only where another document corrects it."""

    title: str
    lines: tuple[str, ...]
    corrected: tuple[str, ...]


@dataclass(frozen=True)
class OfficePolicy:
    """One policy. `rules` by intent."""

    name: str
    version: str
    since: date
    sources: tuple[str, ...]
    block: BlockRule
    code: CodeRule
    print: PrintRule
    # The lines over every page of what is signed for practice.
    watermark: tuple[str, ...]
    # Whether a stamp may cover what stands where somebody has put it.
    covering: Literal["refuse", "allow"]
    images: Mapping[Purpose, ImageRule]
    rules: Mapping[str, IntentRule]

    def rule(self, intent: str) -> IntentRule:
        return self.rules[intent]

    def intents_of(self, role: str) -> tuple[str, ...]:
        """What a signer of this role may do, the usual first."""
        return tuple(intent for intent in INTENTS if role in self.rules[intent].roles)


@functools.cache
def policy_files() -> tuple[OfficePolicy, ...]:
    """All policies that ship with the package, the newest first."""
    found = files("signer").joinpath("policy").iterdir()
    policies = [parse_policy(tomllib.loads(each.read_text("utf-8"))) for each in found if each.name.endswith(".toml")]
    return tuple(sorted(policies, key=lambda each: each.since, reverse=True))


def policy_on(day: date) -> OfficePolicy:
    """The newest policy that has begun on a day; before all of them the oldest."""
    policies = policy_files()
    return next((each for each in policies if each.since <= day), policies[-1])


def parse_policy(raw: Mapping[str, Any]) -> OfficePolicy:
    """A policy out of its decoded file; PolicyWrong for a name, a value or an intent that is unknown or missing."""
    _only(
        raw,
        {"name", "version", "since", "sources", "block", "code", "print", "training", "stamp", "images", "intents"},
        "policy",
    )
    block, intents = _table(raw, "block"), _table(raw, "intents")
    _only(block, {"size", "width_mm", "side_mm", "top_mm", "lowest_mm", "time"}, "block")
    stamp, images = _table(raw, "stamp"), _table(raw, "images")
    _only(stamp, {"covering"}, "stamp")
    _only(images, {"seal", "signature"}, "images")
    if tuple(sorted(intents)) != tuple(sorted(INTENTS)):
        raise PolicyWrong(f"intents: {sorted(intents)}")
    if not isinstance(raw["since"], date):
        raise PolicyWrong("since is no date")
    sizes = {name: _number(block, name) for name in ("size", "width_mm", "side_mm", "top_mm", "lowest_mm")}
    time = _one_of(block["time"], ("people", "iso"), "time")
    return OfficePolicy(
        _text(raw, "name"), _text(raw, "version"), raw["since"], _texts(raw, "sources"),
        BlockRule(**sizes, time=time), _code(_table(raw, "code")), _print(_table(raw, "print")), _watermark(_table(raw, "training")),
        _one_of(stamp["covering"], ("refuse", "allow"), "covering"),
        {"seal": _image(_table(images, "seal")), "signature": _image(_table(images, "signature"))},
        {intent: _rule(intent, intents[intent]) for intent in INTENTS},
    )  # fmt: skip


def _code(raw: Mapping[str, Any]) -> CodeRule:
    _only(raw, {"drawn", "intents", "qr_mm", "text_size", "edge_mm"}, "code")
    sizes = {name: _number(raw, name) for name in ("qr_mm", "text_size", "edge_mm")}
    # What a reader needs on paper.
    if sizes["qr_mm"] < LEAST_QR_MM:
        raise PolicyWrong(f"qr_mm: {sizes['qr_mm']}")
    drawn = _one_of(raw["drawn"], CODE_WISHES, "drawn")
    return CodeRule(drawn, _all_of(_texts(raw, "intents"), INTENTS, "code"), **sizes)


def _print(raw: Mapping[str, Any]) -> PrintRule:
    _only(raw, {"title", "lines", "corrected"}, "print")
    lines, corrected = _texts(raw, "lines"), _texts(raw, "corrected")
    named = {name for line in (*lines, *corrected) for _, name, _, _ in Formatter().parse(line) if name is not None}
    # What the law asks for stands on every print.
    if not named <= set(PRINTED) or not {"code", "address", "system", "owner", "place", "printer", "time"} <= named:
        raise PolicyWrong(f"print: {sorted(named)}")
    return PrintRule(_text(raw, "title"), lines, corrected)


def _watermark(raw: Mapping[str, Any]) -> tuple[str, ...]:
    _only(raw, {"watermark"}, "training")
    lines = _texts(raw, "watermark")
    # Without it a document for practice looks like a real one.
    if not lines or not all(line.strip() for line in lines):
        raise PolicyWrong("training: no watermark")
    return lines


_RULE = {"roles", "look", "takes", "needs", "approves", "mandate", "series", "corner", "lines", "copies"}


def _rule(intent: str, raw: Mapping[str, Any]) -> IntentRule:
    optional = _RULE - {"roles", "look", "takes", "needs"}
    _only(raw, _RULE, intent, optional)
    look = _one_of(raw["look"], ("picture", "block", "nothing"), "look")
    lines = _texts(raw, "lines") if "lines" in raw else ()
    shown = {name for line in lines for _, name, _, _ in Formatter().parse(line) if name is not None}
    if bool(lines) != (look == "block") or not shown <= set(SHOWN):
        raise PolicyWrong(f"{intent}: lines {lines}")
    roles = _all_of(_texts(raw, "roles"), ROLES, intent)
    if not roles:
        raise PolicyWrong(f"{intent}: nobody may")
    copies = tuple(_copy(each) for each in raw.get("copies", ()))
    series = _one_of(raw["series"], ("out", "in"), "series") if "series" in raw else None
    return IntentRule(
        intent, roles, look, _all_of(_texts(raw, "takes"), PARTICULARS, intent),
        tuple(_need(each) for each in raw["needs"]), _flag(raw, "approves"), _flag(raw, "mandate"), series,
        _one_of(raw.get("corner", "top-right"), ("top-right", "top-left"), "corner"), lines, copies,
    )  # fmt: skip


def _image(raw: Mapping[str, Any]) -> ImageRule:
    _only(raw, {"hues", "share", "least_mm", "most_mm", "least_dpi"}, "image")
    hues = raw["hues"]
    if not (isinstance(hues, list) and len(hues) == 2 and all(type(each) is int and 0 <= each < 360 for each in hues)):
        raise PolicyWrong(f"hues: {hues}")
    share, least, most = (_number(raw, name) for name in ("share", "least_mm", "most_mm"))
    dpi = raw["least_dpi"]
    if share > 1 or least > most or type(dpi) is not int or not 72 <= dpi <= 2400:
        raise PolicyWrong(f"image: {dict(raw)}")
    return ImageRule(hues[0], hues[1], share, least, most, float(dpi))


def _need(raw: Mapping[str, Any]) -> Need:
    _only(raw, {"need", "refused"}, "need")
    return Need(_one_of(raw["need"], NEEDS, "need"), _text(raw, "refused"))


def _copy(raw: Mapping[str, Any]) -> CopyForm:
    _only(raw, {"form", "source", "text"}, "copy")
    return CopyForm(_one_of(raw["form"], FORMS, "form"), _one_of(raw["source"], SOURCES, "source"), _text(raw, "text"))


def _only(
    raw: Mapping[str, Any], names: AbstractSet[str], where: str, optional: AbstractSet[str] = frozenset()
) -> None:
    if not isinstance(raw, Mapping):
        raise PolicyWrong(f"{where} is no table")
    missing, unknown = names - optional - set(raw), set(raw) - names
    if missing or unknown:
        raise PolicyWrong(f"{where}: missing {sorted(missing)}, unknown {sorted(unknown)}")


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if not isinstance(raw[name], Mapping):
        raise PolicyWrong(f"{name} is no table")
    table: Mapping[str, Any] = raw[name]
    return table


def _text(raw: Mapping[str, Any], name: str) -> str:
    if not isinstance(raw[name], str) or not raw[name].strip():
        raise PolicyWrong(f"{name} is no text")
    return str(raw[name])


def _texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    if not isinstance(raw[name], list) or not all(isinstance(each, str) and each for each in raw[name]):
        raise PolicyWrong(f"{name} is no list of texts")
    return tuple(raw[name])


def _number(raw: Mapping[str, Any], name: str) -> float:
    if isinstance(raw[name], bool) or not isinstance(raw[name], int | float) or not 0 < raw[name] < 300:
        raise PolicyWrong(f"{name} is no size")
    return float(raw[name])


def _flag(raw: Mapping[str, Any], name: str) -> bool:
    value = raw.get(name, False)
    if not isinstance(value, bool):
        raise PolicyWrong(f"{name} is neither true nor false")
    return value


def _one_of(value: Any, known: tuple[str, ...], where: str) -> Any:
    if value not in known:
        raise PolicyWrong(f"{where}: {value!r}")
    return value


def _all_of(values: tuple[str, ...], known: tuple[str, ...], where: str) -> tuple[str, ...]:
    if len(set(values)) != len(values) or not set(values) <= set(known):
        raise PolicyWrong(f"{where}: {values}")
    return values
