"""Subject names: parsed from RFC 4514 text, checked character by character, built for and read from certificates.

`cryptography` counts the 64 characters of a common name in UTF-8 octets and warns at every reading of a longer one. Warning filters
are shared by all threads, so none is set here: `_Attribute` and `subject_of` pass the check by instead. Whoever needs the
subject or issuer of a certificate, CRL or request asks this module and not the object's own property.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import KeysView
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, cast

from asn1crypto import core as asn1_core
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type

from certs.errors import (
    NameAttributeRepeated,
    NameAttributeUnknown,
    NameCharacterRefused,
    NameCountryWrong,
    NameEmpty,
    NameMalformed,
    NameMultivalued,
    NameTooLong,
)
from certs.oids import ATTRIBUTE_ALIASES, DISPLAY_NAMES, SUBJECT_ATTRIBUTES
from certs.strict import nearest
from hsm import der

# Upper bounds in characters, X.520 annex C as repeated in RFC 5280 appendix A.1; UID after RFC 1274 9.3.1.
_LIMITS = {"CN": 64, "O": 64, "OU": 64, "T": 64, "serialNumber": 64, "C": 2, "ST": 128, "L": 128, "emailAddress": 255}
_LIMITS |= {"UID": 256, "SN": 64, "GN": 64, "pseudonym": 128, "organizationIdentifier": 64}
# An agency has units and several registration numbers (MST, MNS), everything else stands once.
_REPEATABLE = {"OU", "UID"}
_PRINTABLE_STRING = _ASN1Type.PrintableString  # a member that is asked for by its class's name is a call each time
# RFC 5280 4.1.2.4 and appendix A: these two are PrintableString, e-mail is IA5String, all others are written as UTF8String.
_TYPES = {
    "C": _PRINTABLE_STRING,
    "serialNumber": _PRINTABLE_STRING,
    "emailAddress": _ASN1Type.IA5String,
}
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*")
_COUNTRY = re.compile(r"[A-Z]{2}")
_ATTRIBUTE = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|[0-2](?:\.[0-9]+)+)\s*=\s*")
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")
_ESCAPABLE = frozenset(' "#+,;<=>\\')
# What RFC 4514 2.4 wants escaped, at least.
_ESCAPED = re.compile(r'[\\"+,;<>\x00]|^[# ]| $', re.MULTILINE)
_BY_SPELLING = {short.lower(): short for short in SUBJECT_ATTRIBUTES}
_BY_SPELLING |= {alias.lower(): short for alias, short in ATTRIBUTE_ALIASES.items()}
_BY_SPELLING |= {oid.dotted_string: short for short, oid in SUBJECT_ATTRIBUTES.items()}


class _Attribute(x509.NameAttribute[str]):
    """A name attribute whose length was judged in characters before, by `SubjectName`, or by the CA that made it."""

    def __init__(self, oid: x509.ObjectIdentifier, value: str, kind: _ASN1Type) -> None:
        # The parent's constructor would count octets and refuse or warn; its three fields are all there is.
        self._oid, self._value, self._type = oid, value, kind


class NameEntry(NamedTuple):
    """One attribute of a name: its short name (a key of SUBJECT_ATTRIBUTES) and its value in NFC."""

    attribute: str
    value: str


@dataclass(frozen=True)
class SubjectName:
    """A checked name. Entries stand in the order of a certificate: country first, common name last."""

    entries: tuple[NameEntry, ...]
    # By attribute, leftmost first: at every issuance a name is asked a dozen times what it holds.
    _values: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.entries:
            raise NameEmpty("a name needs at least one attribute", attribute="")
        values = self._values
        for entry in self.entries:
            attribute, value = entry.attribute, entry.value
            _check_value(attribute, value)
            others = values.get(attribute)
            if others is None:
                values[attribute] = (value,)
            elif attribute in _REPEATABLE and value not in others:
                values[attribute] = (value, *others)
            else:
                raise NameAttributeRepeated(f"{attribute} stands twice", attribute=attribute)

    @property
    def common_name(self) -> str:
        return self.first("CN")

    @property
    def organization(self) -> str:
        return self.first("O")

    def first(self, attribute: str) -> str:
        """The first value of an attribute, or an empty string."""
        values = self._values.get(attribute)
        return values[0] if values is not None else ""

    def values(self, attribute: str) -> tuple[str, ...]:
        """All values of an attribute as they were written, leftmost first."""
        return self._values.get(attribute, ())

    @property
    def attributes(self) -> KeysView[str]:
        """Each attribute that it has, once, in the order of a certificate."""
        return self._values.keys()

    @cached_property
    def der(self) -> bytes:
        """The X.501 name in DER, one attribute to a relative distinguished name: the octets of `build_name`."""
        return der.sequence(*map(_rdn, self.entries))

    @cached_property
    def _text(self) -> str:
        # No value holds the end of a line.
        if _ESCAPED.search("\n".join([entry.value for entry in self.entries])):
            return rfc4514(build_name(self))
        return ",".join(f"{entry.attribute}={entry.value}" for entry in reversed(self.entries))

    def __str__(self) -> str:
        return self._text


def parse_subject(text: str) -> SubjectName:
    """Parse `CN=…,O=…,C=VN` (RFC 4514, leftmost is the most specific) and check every value.

    Spaces around separators are forgiven; multi-valued parts, `#` hex values and unknown attributes are not.
    """
    entries: list[NameEntry] = []
    position = 0
    while True:
        match = _ATTRIBUTE.match(text, position)
        if match is None:
            raise _malformed(text, position)
        attribute = attribute_name(match.group(1))
        value, position = _parse_value(text, match.end())
        entries.append(NameEntry(attribute, _normalise(attribute, value)))
        if position >= len(text):
            break
        position += 1
    # RFC 4514 2.1: the string runs from the last element of the sequence to the first.
    return SubjectName(tuple(reversed(entries)))


def subject_name(**attributes: str) -> SubjectName:
    """A name from values that code already has: `subject_name(CN="…", O="…", C="VN")`, most specific first."""
    entries = [NameEntry(attribute_name(key), _normalise(attribute_name(key), attributes[key])) for key in attributes]
    return SubjectName(tuple(reversed(entries)))


def attribute_name(spelling: str) -> str:
    """The short name for a spelling or dotted OID; NameAttributeUnknown with the nearest one otherwise."""
    short = _BY_SPELLING.get(spelling.lower())
    if short is None:
        raise NameAttributeUnknown(
            f"unknown subject attribute {spelling!r}",
            attribute=spelling,
            nearest=nearest(spelling, [*SUBJECT_ATTRIBUTES, *ATTRIBUTE_ALIASES]),
            valid=", ".join(SUBJECT_ATTRIBUTES),
        )
    return short


def build_name(subject: SubjectName) -> x509.Name:
    """The X.501 name for a certificate, one attribute to a relative distinguished name."""
    return x509.Name(
        [
            _Attribute(SUBJECT_ATTRIBUTES[e.attribute], e.value, _TYPES.get(e.attribute, _ASN1Type.UTF8String))
            for e in subject.entries
        ]
    )


def _rdn(entry: NameEntry) -> bytes:
    oid, tag = _WRITTEN[entry.attribute]
    return der.tlv(der.SET, der.tlv(der.SEQUENCE, oid + der.tlv(tag, entry.value.encode())))


_TAGS = {
    _ASN1Type.UTF8String: der.UTF8_STRING,
    _ASN1Type.PrintableString: der.PRINTABLE_STRING,
    _ASN1Type.IA5String: der.IA5_STRING,
}
# The object identifier of each attribute in DER, and the tag of its value.
_WRITTEN = {
    short: (der.oid(oid.dotted_string), _TAGS[_TYPES.get(short, _ASN1Type.UTF8String)])
    for short, oid in SUBJECT_ATTRIBUTES.items()
}


def subject_of(holder: x509.Certificate) -> x509.Name:
    """The subject of a certificate, without the warning for names of more than 64 octets."""
    return _read(asn1_x509.Certificate.load(holder.public_bytes(Encoding.DER)).subject)


def issuer_of(holder: x509.Certificate | x509.CertificateRevocationList) -> x509.Name:
    """The issuer of a certificate or CRL, without that warning."""
    der = holder.public_bytes(Encoding.DER)
    if isinstance(holder, x509.Certificate):
        return _read(asn1_x509.Certificate.load(der).issuer)
    return _read(asn1_crl.CertificateList.load(der)["tbs_cert_list"]["issuer"])


def parse_name(der: bytes) -> x509.Name:
    """A DER-encoded X.501 name, without that warning."""
    return _read(asn1_x509.Name.load(der))


def rfc4514(name: x509.Name) -> str:
    """A name for people and JSON: RFC 4514, most specific first, Vietnamese letters as they are."""
    return name.rfc4514_string(DISPLAY_NAMES)


def common_name(name: x509.Name) -> str:
    """The common name in any certificate's name, or an empty string."""
    return _first(name, "CN")


def organization(name: x509.Name) -> str:
    """The organisation in any certificate's name, or an empty string."""
    return _first(name, "O")


def _first(name: x509.Name, attribute: str) -> str:
    found = name.get_attributes_for_oid(SUBJECT_ATTRIBUTES[attribute])
    return str(found[0].value) if found else ""


def _read(name: asn1_x509.Name) -> x509.Name:
    rdns: list[x509.RelativeDistinguishedName] = []
    for rdn in name.chosen:
        attributes: list[x509.NameAttribute[str | bytes]] = []
        for pair in rdn:
            value = pair["value"]
            while isinstance(value, asn1_core.Choice):
                value = value.chosen
            oid = x509.ObjectIdentifier(pair["type"].dotted)
            attributes.append(cast("x509.NameAttribute[str | bytes]", _attribute_from_asn1(oid, value)))
        rdns.append(x509.RelativeDistinguishedName(attributes))
    return x509.Name(rdns)


def _attribute_from_asn1(oid: x509.ObjectIdentifier, value: asn1_core.Asn1Value) -> _Attribute:
    try:
        kind, text = _ASN1Type(value.tag), value.native
        if isinstance(text, str):
            return _Attribute(oid, text, kind)
    except ValueError:
        pass
    # Somebody else's name, of an exotic type or not text at all: shown in hex (RFC 4514 2.4), never written by us.
    return _Attribute(oid, "#" + value.dump().hex(), _ASN1Type.UTF8String)


def text_of(tag: int, content: bytes) -> str | None:
    """The text of a value in a name of ours, by the tag of its string; None for what is not text as we write it."""
    encoding = _ENCODINGS.get(tag)
    if encoding is None:
        return None
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


# X.690 8.23: strings by their tags.
_ENCODINGS = {der.UTF8_STRING: "utf-8", der.PRINTABLE_STRING: "ascii", der.IA5_STRING: "ascii"}


def _parse_value(text: str, start: int) -> tuple[str, int]:
    """The value that begins at `start`, unescaped, and the position of the comma after it or the end."""
    octets = bytearray()
    significant = 0  # Trailing spaces count only when escaped.
    position = start
    while position < len(text) and text[position] != ",":
        character = text[position]
        if character == "\\":
            pair = _HEX_PAIR.match(text, position + 1)
            if pair is not None:
                octets += bytes.fromhex(pair.group())
                position += 3
            elif position + 1 < len(text) and text[position + 1] in _ESCAPABLE:
                octets += text[position + 1].encode()
                position += 2
            else:
                raise _malformed(text, position)
            significant = len(octets)
            continue
        if character == "+":
            raise NameMultivalued("multi-valued names are not written", name=text, position=str(position + 1))
        # RFC 4514 section 3: these stand escaped, and a leading # begins a hex value, which nobody can read and check.
        if character in '";<>' or (character == "#" and not octets):
            raise _malformed(text, position)
        octets += character.encode("utf-8", "surrogatepass")
        position += 1
        if character != " ":
            significant = len(octets)
    try:
        return octets[:significant].decode(), position
    except UnicodeDecodeError as error:
        raise _malformed(text, start) from error


def _normalise(attribute: str, value: str) -> str:
    # The same name must always be the same octets: NFC, no insignificant space at the ends (RFC 4518 2.6.1).
    value = unicodedata.normalize("NFC", value).strip(" ")
    return value.upper() if attribute == "C" and value.isascii() else value


def _check_value(attribute: str, value: str) -> None:
    if not value:
        raise NameEmpty(f"{attribute} is empty", attribute=attribute)
    if not value.isprintable():
        # Cc control, Cf direction and invisible, Cs/Co/Cn not letters at all, Z* other than the plain space.
        raise _character(attribute, next(character for character in value if not character.isprintable()))
    limit = _LIMITS[attribute]
    if attribute == "C" and not _COUNTRY.fullmatch(value):
        raise NameCountryWrong(f"C={value} is not two letters", value=value)
    if len(value) > limit:
        raise NameTooLong(
            f"{attribute} has {len(value)} characters", attribute=attribute, length=str(len(value)), limit=str(limit)
        )
    kind = _TYPES.get(attribute)
    unfit = ""
    if kind is _PRINTABLE_STRING:
        unfit = _PRINTABLE.sub("", value)
    elif kind is not None:
        unfit = "".join(character for character in value if not character.isascii())
    if unfit:
        raise _character(attribute, unfit[0])
    if not unicodedata.is_normalized("NFC", value):
        raise _character(
            attribute, next(c for c in value if unicodedata.normalize("NFC", c) != c or unicodedata.combining(c))
        )


def _character(attribute: str, character: str) -> NameCharacterRefused:
    shown = f"U+{ord(character):04X}"
    return NameCharacterRefused(f"{attribute} holds {shown}", attribute=attribute, character=shown)


def _malformed(text: str, position: int) -> NameMalformed:
    return NameMalformed(f"not RFC 4514 at character {position + 1}", name=text, position=str(position + 1))
