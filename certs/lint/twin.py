"""What is judged: a certificate with a throwaway signature, its profile, and the issuer's real certificate."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, Self, TypeVar, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.csr import parse_public_key
from certs.lint.parts import Attribute, ExtensionOctets, Parts, read_name, read_parts
from certs.profile import Profile
from certs.template import key_identifier_of
from hsm import der
from hsm.spec import PublicKey

E = TypeVar("E", bound=x509.ExtensionType)

# More issuers than are in use at a time.
_ISSUERS = 64
# By the content of the object identifier: the two extensions that are a certificate's own.
KEY_IDENTIFIER = der.oid(x509.SubjectKeyIdentifier.oid.dotted_string)[2:]
ALTERNATIVE_NAMES = der.oid(x509.SubjectAlternativeName.oid.dotted_string)[2:]


@dataclass(frozen=True)
class Frame:
    """What thousands of certificates have in common: profile, issuer, and the extensions, without the two that are a
    certificate's own: of these only that they are there, and whether they are critical.

    Equal frames have the same octets, so what was said of one holds for the other. Nothing else of a certificate can be seen here.
    """

    profile: Profile
    issuer: x509.Certificate | None
    octets: tuple[bytes, ...]
    _certificate: x509.Certificate = field(compare=False, repr=False)

    def __hash__(self) -> int:
        # Asked for every certificate, and the hash of the issuer's takes longer than all that is looked up by it.
        return hash(self.octets)

    def extension(self, kind: type[E]) -> x509.Extension[E] | None:
        """The extension of this class, or None; LookupError for one that is a certificate's own."""
        if kind in _OWN:
            raise LookupError(f"{kind.__name__} is not of the frame")
        return _extension(self._certificate, kind)

    def extensions(self) -> Iterator[tuple[x509.ObjectIdentifier, bool, x509.ExtensionType | None]]:
        """Identifier, criticality and value of each, as they follow each other; no value of those that are a certificate's own."""
        for each in self._certificate.extensions:
            yield each.oid, each.critical, None if isinstance(each.value, _OWN) else each.value

    @property
    def issuer_key_identifier(self) -> bytes:
        """Of who signs: the issuer, or the certificate itself, whose frame is kept for no other (judge.py)."""
        return key_identifier_of(self.issuer or self._certificate)


_OWN = (x509.SubjectKeyIdentifier, x509.SubjectAlternativeName)


@dataclass(frozen=True)
class Twin:
    """A certificate about to be issued. `issuer` is None when it will sign itself."""

    certificate: x509.Certificate
    profile: Profile
    issuer: x509.Certificate | None

    @classmethod
    def load(cls, octets: bytes, profile: Profile, issuer: x509.Certificate | None) -> Self:
        """The twin that has these octets."""
        twin = cls(x509.load_der_x509_certificate(octets), profile, issuer)
        vars(twin)["octets"] = octets  # else the first reader would have to write them again
        return twin

    @cached_property
    def octets(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @cached_property
    def parts(self) -> Parts:
        """The same octets by a second reader, for what the first one hides: types of strings and times."""
        return read_parts(self.octets)

    @cached_property
    def subject(self) -> list[tuple[Attribute, ...]]:
        """The subject as it is written."""
        return read_name(self.parts.subject)

    @cached_property
    def validity(self) -> tuple[datetime, datetime]:
        """From when until when."""
        return self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc

    @cached_property
    def public_key(self) -> PublicKey:
        """The key as it is written; KeyWeak for one of a kind that Antin does not certify, or that anybody knows."""
        return parse_public_key(self.parts.public_key)

    @cached_property
    def issuer_says(self) -> IssuerSays | None:
        """What it must agree with in its issuer's certificate, if it has one."""
        return _issuer_says(self.issuer) if self.issuer is not None else None

    @cached_property
    def frame(self) -> Frame:
        octets = tuple(map(_octets_in_frame, self.parts.extensions))
        return Frame(self.profile, self.issuer, octets, self.certificate)

    @property
    def key_identifiers(self) -> list[ExtensionOctets]:
        """The subject key identifiers, of which there should be one."""
        return [each for each in self.parts.extensions if each.oid == KEY_IDENTIFIER]

    @cached_property
    def alternative_names(self) -> x509.Extension[x509.SubjectAlternativeName] | None:
        # Most certificates have none, and the first reader takes all extensions at once.
        for each in self.parts.extensions:
            if each.oid == ALTERNATIVE_NAMES:
                return _extension(self.certificate, x509.SubjectAlternativeName)
        return None


class IssuerSays(NamedTuple):
    """The subject of an issuer's certificate as it is written, and from when until when it is valid."""

    subject: bytes
    not_before: datetime
    not_after: datetime


@functools.lru_cache(maxsize=_ISSUERS)
def _issuer_says(issuer: x509.Certificate) -> IssuerSays:
    subject = read_parts(issuer.public_bytes(Encoding.DER)).subject
    return IssuerSays(subject, issuer.not_valid_before_utc, issuer.not_valid_after_utc)


def _octets_in_frame(extension: ExtensionOctets) -> bytes:
    # No extension begins like these marks do, so none can be taken for one.
    if extension.oid == KEY_IDENTIFIER:
        return b"key identifier, critical" if extension.critical else b"key identifier"
    if extension.oid == ALTERNATIVE_NAMES:
        return b"alternative names, critical" if extension.critical else b"alternative names"
    return extension.whole


def _extension(certificate: x509.Certificate, kind: type[E]) -> x509.Extension[E] | None:
    try:
        return cast("x509.Extension[E]", certificate.extensions.get_extension_for_class(kind))
    except x509.ExtensionNotFound:
        return None
