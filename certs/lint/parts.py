"""Parts: where each field of a certificate stands in its octets, by a reader of our own. What a field means is for the rules."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

from certs.names import text_of
from certs.oids import SUBJECT_ATTRIBUTES
from hsm import der

_VERSION, _EXTENSIONS = 0xA0, 0xA3
# What certificates of an issuer say alike, octet by octet: extensions, and the parts of names that an agency's people share.
_KEPT = 4096


class Time(NamedTuple):
    """A time as it is written: UTCTime or GeneralizedTime, and its content."""

    tag: int
    content: bytes


class ExtensionOctets(NamedTuple):
    """One extension: its whole element, the content of its object identifier, and where in the element its value ends up."""

    whole: bytes
    oid: bytes
    critical: bool
    value: bytes


class Attribute(NamedTuple):
    """One attribute of a name; `name` is its short name, or the octets of its identifier in hex; `text` None for what is not text."""

    name: str
    tag: int
    text: str | None


class Parts(NamedTuple):
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
    version_end = fields[0][2] if fields and fields[0][0] == _VERSION else tbs_start
    if version_end != tbs_start:
        del fields[0]
    if (tag, tbs_tag, end) != (der.SEQUENCE, der.SEQUENCE, len(certificate)) or len(fields) < 6:
        raise ValueError("not a certificate")
    (_, serial_start, serial_end), (_, _, inner_end), (_, _, issuer_end), (_, times, times_end), *rest = fields
    (_, _, subject_end), (_, _, key_end), *optional = rest
    (before_tag, before, before_end), (after_tag, after, after_end) = der.elements(certificate, times, times_end)
    extensions: tuple[ExtensionOctets, ...] = ()
    for kind, begin, _ in optional:
        if kind == _EXTENSIONS:
            extensions = tuple(_extensions(certificate, begin))
    return Parts(
        version=certificate[tbs_start:version_end],
        serial=certificate[serial_start:serial_end],
        inner_algorithm=certificate[serial_end:inner_end],
        outer_algorithm=certificate[tbs_end:algorithm_end],
        issuer=certificate[inner_end:issuer_end],
        not_before=Time(before_tag, certificate[before:before_end]),
        not_after=Time(after_tag, certificate[after:after_end]),
        subject=certificate[times_end:subject_end],
        public_key=certificate[subject_end:key_end],
        extensions=extensions,
    )


def _extensions(certificate: bytes, at: int) -> Iterator[ExtensionOctets]:
    _, at, end = der.element(certificate, at)
    for _, _, stop in der.elements(certificate, at, end):
        yield _extension(certificate[at:stop])
        at = stop


@functools.lru_cache(maxsize=_KEPT)
def _extension(whole: bytes) -> ExtensionOctets:
    _, start, stop = der.element(whole, 0)
    (_, oid_start, oid_end), *mark, (kind, content, content_end) = der.elements(whole, start, stop)
    if kind != der.OCTET_STRING or content_end != stop or len(mark) > 1:
        raise ValueError("not an extension")
    critical = any(whole[place] for _, place, _ in mark)
    return ExtensionOctets(whole, whole[oid_start:oid_end], critical, whole[content:content_end])


def read_name(name: bytes) -> list[tuple[Attribute, ...]]:
    """The relative distinguished names of an X.501 name."""
    _, at, end = der.element(name, 0)
    rdns = []
    for _, _, stop in der.elements(name, at, end):
        rdns.append(_rdn(name[at:stop]))
        at = stop
    return rdns


@functools.lru_cache(maxsize=_KEPT)
def _rdn(whole: bytes) -> tuple[Attribute, ...]:
    _, start, stop = der.element(whole, 0)
    return tuple(_attribute(whole, begin, end) for _, begin, end in der.elements(whole, start, stop))


def _attribute(name: bytes, start: int, end: int) -> Attribute:
    (_, oid_start, oid_end), (tag, value_start, value_end) = der.elements(name, start, end)
    oid = name[oid_start:oid_end]
    return Attribute(_SHORT_NAMES.get(oid, oid.hex()), tag, text_of(tag, name[value_start:value_end]))


# By the content of the object identifier.
_SHORT_NAMES = {der.oid(oid.dotted_string)[2:]: short for short, oid in SUBJECT_ATTRIBUTES.items()}
