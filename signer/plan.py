"""What is to be put into a PDF before it is signed, as values that travel to the preparing process: the plan and its answer."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from signer.appearance.corner import CornerRule
from signer.appearance.fonts import EmbeddedFont, Style, unpack_font
from signer.appearance.images import StampImage
from signer.appearance.stamps import Appearance, seal_stamp, signature_stamp, text_stamp
from signer.findings import SafetyFinding, read_findings
from signer.page_marks import NO_MARKS, PageMarks
from signer.password import NO_PASSWORD, Password
from signer.protection import NO_PROTECTION, Protection
from signer.subfilters import PADES

Kind = Literal["signature", "seal", "block"]
Message = tuple[dict[str, Any], list[bytes]]


@dataclass(frozen=True)
class Plan:
    """One revision to be appended.

    `kind` decides look and place: a person's signature, an agency's seal of `diameter_mm` in its actual size, or a block of text in a
    corner of the first page, as `corner` says. Without
    a picture the lines of `text` are drawn, in the regular one of `fonts`. `signer` is the person's name, which tells two
    signers' places apart. `ready_seal_mm` leaves an empty field for a seal of that diameter, because a field that comes
    later would be a change to what this signature covers. `values` go into text fields of those names where they are
    empty, and are locked then. `protection` is what the signature is to forbid besides; `keeps_open` are fields that it never locks, and
    with `keeps_signatures` no empty signature field either. `subfilter` is one of SUBFILTERS.
    """

    kind: Kind
    claimed_time: datetime
    contents_octets: int
    placement: str = "auto"
    field: str | None = None
    signer: str | None = None
    image: StampImage | None = None
    diameter_mm: float | None = None
    text: tuple[str, ...] = ()
    fonts: Mapping[Style, EmbeddedFont] = dataclasses.field(default_factory=dict)
    ready_seal_mm: float | None = None
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    protection: Protection = NO_PROTECTION
    keeps_open: tuple[str, ...] = ()
    keeps_signatures: bool = False
    password: Password = NO_PASSWORD
    subfilter: str = PADES
    # Whether the file is looked through first (inspection.py).
    inspect: bool = False
    corner: CornerRule | None = None
    text_size: float = 10.0
    text_width: float = 190.0
    # Drawn with the first signature only.
    marks: PageMarks = NO_MARKS
    # Whether the stamp may cover what stands where somebody has put it.
    may_cover: bool = False

    @functools.cached_property
    def stamp(self) -> Appearance:
        """What is drawn, in its own size."""
        if self.image is None:
            return text_stamp(self.text, self.fonts["regular"], self.text_width, self.text_size)
        if self.kind == "seal":
            return seal_stamp(self.image, self.diameter_mm or 0.0)
        return signature_stamp(self.image)

    def to_message(self) -> Message:
        """Header and blobs for the preparing process."""
        header: dict[str, Any] = {
            "kind": self.kind,
            "claimed_time": self.claimed_time.isoformat(),
            "contents_octets": self.contents_octets,
            "placement": self.placement,
            "field": self.field,
            "signer": self.signer,
            "diameter_mm": self.diameter_mm,
            "text": list(self.text),
            "ready_seal_mm": self.ready_seal_mm,
            "values": dict(self.values),
            "protection": self.protection.to_json(),
            "keeps_open": list(self.keeps_open),
            "keeps_signatures": self.keeps_signatures,
            "password": self.password.text,
            "subfilter": self.subfilter,
            "inspect": self.inspect,
            "image": None,
            "corner": None if self.corner is None else asdict(self.corner),
            "text_size": self.text_size,
            "text_width": self.text_width,
            "marks": self.marks.to_json(),
            "may_cover": self.may_cover,
        }
        header["fonts"] = list(self.fonts)
        blobs = [font.packed for font in self.fonts.values()]
        if self.image:
            header["image"] = {
                name: value for name, value in asdict(self.image).items() if name not in ("rgb", "alpha")
            }
            blobs += [self.image.rgb, self.image.alpha]
        return header, blobs

    @classmethod
    def from_message(
        cls,
        header: Mapping[str, Any],
        blobs: list[bytes],
        unpack: Callable[[bytes], EmbeddedFont] = unpack_font,
    ) -> Plan:
        """The plan of `to_message`. `unpack`: `unpack_font`, by who remembers fonts."""
        values = dict(header)
        values["claimed_time"] = datetime.fromisoformat(values["claimed_time"])
        values["text"] = tuple(values["text"])
        values["protection"] = Protection.from_json(values["protection"])
        values["keeps_open"] = tuple(values["keeps_open"])
        values["marks"] = PageMarks.from_json(values["marks"])
        values["password"] = Password(values["password"])
        values["corner"] = None if values["corner"] is None else CornerRule(**values["corner"])
        styles = values["fonts"]
        values["fonts"] = {style: unpack(blob) for style, blob in zip(styles, blobs[: len(styles)], strict=True)}
        if values["image"] is not None:
            rgb, alpha = blobs[len(styles) :]
            values["image"] = StampImage(rgb=rgb, alpha=alpha, **values["image"])
        return cls(**values)


@dataclass(frozen=True)
class Prepared:
    """The appended revision. `tail` goes behind the input; `hole` counts from the input's first octet.

    `placed` says how the place was found ("anchor", "field", "margin", "given", "reserved"), or None: nothing is drawn.
    `filled` are the text fields that got their value; `signed` is how many signatures the parser found in the file.
    """

    tail: bytes
    hole: tuple[int, int]
    field: str
    placed: str | None
    filled: tuple[str, ...]
    lenient: bool
    signed: int = 0
    findings: tuple[SafetyFinding, ...] = ()
    # The index of the page on which it is drawn; 0 where nothing is.
    page: int = 0

    def to_message(self) -> Message:
        """Header and blobs for the way back."""
        header = {name: value for name, value in vars(self).items() if name != "tail"}
        findings = [[each.kind, each.page, each.detail] for each in self.findings]
        return header | {"hole": list(self.hole), "filled": list(self.filled), "findings": findings}, [self.tail]

    @classmethod
    def from_message(cls, header: Mapping[str, Any], blobs: list[bytes]) -> Prepared:
        """The answer of `to_message`. It comes from a process that parsed a stranger's file: types are made sure of."""
        start, end = (int(offset) for offset in header["hole"])
        placed = header["placed"]
        return cls(
            tail=blobs[0],
            hole=(start, end),
            field=str(header["field"]),
            placed=None if placed is None else str(placed),
            filled=tuple(str(name) for name in header["filled"]),
            lenient=bool(header["lenient"]),
            signed=int(header["signed"]),
            findings=read_findings(header["findings"]),
            page=int(header["page"]),
        )
