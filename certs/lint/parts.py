"""Parts: where each field of a certificate stands in its octets, by a reader of our own. What a field means is for the rules."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from certs.names import text_of
from certs.oids import SUBJECT_ATTRIBUTES
from hsm import der

_VERSION, _EXTENSIONS = 0xA0, 0xA3


@dataclass(frozen=True, slots=True)
class Time:
    """A time as it is written: UTCTime or GeneralizedTime, and its content."""

    tag: int
    content: bytes


@dataclass(frozen=True, slots=True)
class ExtensionOctets:
    """One extension: its whole element, the content of its object identifier, and where in the element its value ends up."""

    whole: bytes
    oid: bytes
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a name; `name` is its short name, or the octets of its identifier in hex; `text` None for what is not text."""

    name: str
    tag: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Parts:
    """A certificate (RFC 5280 4.1) in pieces. Elements are whole, with tag and length, where nothing else is said."""

    version: bytes  # empty when it is the default
    serial: bytes  # the content alone
    inner_algorithm: bytes
    outer_algorithm: bytes
    issuer: bytes
    not_before: Time
    not_after: Time
    subject: bytes
    public_key: bytes
    extensions: tuple[ExtensionOctets, ...]


def read_parts(certificate: bytes) -> Parts:
    """The parts of a certificate in DER; ValueError for what is none."""
    tag, start, end = der.element(certificate, 0)
    (tbs_tag, tbs_start, tbs_end), (_, _, algorithm_end), *_ = der.elements(certificate, start, end)
    fields = der.elements(certificate, tbs_start, tbs_end)
    ends = [tbs_start, *(stop for _, _, stop in fields)]
    whole = [certificate[begin:stop] for begin, stop in itertools.pairwise(ends)]
    first = 1 if fields[0][0] == _VERSION else 0
    serial, algorithm, issuer, validity, subject, public_key = range(first, first + 6)
    if (tag, tbs_tag, end) != (der.SEQUENCE, der.SEQUENCE, len(certificate)) or len(fields) <= public_key:
        raise ValueError("not a certificate")
    _, serial_start, serial_end = fields[serial]
    times = [Time(kind, certificate[a:b]) for kind, a, b in der.elements(certificate, *fields[validity][1:])]
    not_before, not_after = times
    extensions: tuple[ExtensionOctets, ...] = ()
    for kind, begin, _ in fields[public_key + 1 :]:
        if kind == _EXTENSIONS:
            extensions = tuple(_extensions(certificate, begin))
    return Parts(
        version=whole[0] if first else b"",
        serial=certificate[serial_start:serial_end],
        inner_algorithm=whole[algorithm],
        outer_algorithm=certificate[tbs_end:algorithm_end],
        issuer=whole[issuer],
        not_before=not_before,
        not_after=not_after,
        subject=whole[subject],
        public_key=whole[public_key],
        extensions=extensions,
    )


def _extensions(certificate: bytes, at: int) -> Iterator[ExtensionOctets]:
    _, at, end = der.element(certificate, at)
    for _, start, stop in der.elements(certificate, at, end):
        (_, oid_start, oid_end), *mark, (kind, content, content_end) = der.elements(certificate, start, stop)
        if kind != der.OCTET_STRING or content_end != stop or len(mark) > 1:
            raise ValueError("not an extension")
        critical = any(certificate[place] for _, place, _ in mark)
        yield ExtensionOctets(
            certificate[at:stop], certificate[oid_start:oid_end], critical, certificate[content:content_end]
        )
        at = stop


def read_name(name: bytes) -> list[list[Attribute]]:
    """The relative distinguished names of an X.501 name."""
    _, start, end = der.element(name, 0)
    return [
        [_attribute(name, *pair[1:]) for pair in der.elements(name, begin, stop)]
        for _, begin, stop in der.elements(name, start, end)
    ]


def _attribute(name: bytes, start: int, end: int) -> Attribute:
    (_, oid_start, oid_end), (tag, value_start, value_end) = der.elements(name, start, end)
    oid = name[oid_start:oid_end]
    return Attribute(_SHORT_NAMES.get(oid, oid.hex()), tag, text_of(tag, name[value_start:value_end]))


# By the content of the object identifier.
_SHORT_NAMES = {der.oid(oid.dotted_string)[2:]: short for short, oid in SUBJECT_ATTRIBUTES.items()}
