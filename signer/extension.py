"""What is appended to a signed file, as values that travel to the judge process: validation data and an extension's plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from signer.password import NO_PASSWORD, Password
from signer.plan import Message


@dataclass(frozen=True)
class ValidationData:
    """What a validator needs besides the signature, in DER (ETSI EN 319 142-1 5.4.2)."""

    certificates: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.certificates or self.ocsps or self.crls)


def join(parts: Iterable[ValidationData]) -> ValidationData:
    """Everything of several, each octet string once, in the order of their first appearance."""
    found = list(parts)
    return ValidationData(
        tuple(dict.fromkeys(der for part in found for der in part.certificates)),
        tuple(dict.fromkeys(der for part in found for der in part.ocsps)),
        tuple(dict.fromkeys(der for part in found for der in part.crls)),
    )


@dataclass(frozen=True)
class ExtensionPlan:
    """One revision to be appended: a document security store, an empty document time-stamp, or both.

    `signatures` are the names of VRI entries to be written: SHA-1 of each signature's /Contents, upper-case hex (ISO 32000-2
    table 262). `stamp_octets` 0: no time-stamp.
    """

    data: ValidationData = ValidationData()
    signatures: tuple[str, ...] = ()
    stamp_octets: int = 0
    password: Password = NO_PASSWORD

    def to_message(self) -> Message:
        """Header and blobs for the judge process."""
        data = self.data
        header = {
            "counts": [len(data.certificates), len(data.ocsps), len(data.crls)],
            "signatures": list(self.signatures),
            "stamp_octets": self.stamp_octets,
            "password": self.password.text,
        }
        return header, [*data.certificates, *data.ocsps, *data.crls]

    @classmethod
    def from_message(cls, header: Mapping[str, Any], blobs: list[bytes]) -> ExtensionPlan:
        """The plan of `to_message`."""
        first, second, _ = header["counts"]
        data = ValidationData(
            tuple(blobs[:first]), tuple(blobs[first : first + second]), tuple(blobs[first + second :])
        )
        return cls(data, tuple(header["signatures"]), int(header["stamp_octets"]), Password(header["password"]))


@dataclass(frozen=True)
class Appended:
    """The appended revision. `tail` goes behind the input; `hole` counts from the input's first octet, None without a time-stamp."""

    tail: bytes
    hole: tuple[int, int] | None
    field: str

    def to_message(self) -> Message:
        """Header and blobs for the way back."""
        return {"hole": list(self.hole) if self.hole else None, "field": self.field}, [self.tail]

    @classmethod
    def from_message(cls, header: Mapping[str, Any], blobs: list[bytes]) -> Appended:
        """The answer of `to_message`. It comes from a process that parsed a stranger's file: types are made sure of."""
        hole = header["hole"]
        return cls(blobs[0], None if hole is None else (int(hole[0]), int(hole[1])), str(header["field"]))
