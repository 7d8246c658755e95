"""What is judged: a certificate signed by a throwaway key, its profile, and the issuer's real certificate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.profile import Profile

E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True)
class Twin:
    """A certificate about to be issued. `issuer` is None when it will sign itself."""

    certificate: x509.Certificate
    profile: Profile
    issuer: x509.Certificate | None

    @cached_property
    def asn1(self) -> asn1_x509.Certificate:
        """The same octets by a second reader, for what the first one hides: types of strings and times."""
        return asn1_x509.Certificate.load(self.certificate.public_bytes(Encoding.DER))

    @property
    def tbs(self) -> asn1_x509.TbsCertificate:
        return self.asn1["tbs_certificate"]

    def extension(self, kind: type[E]) -> x509.Extension[E] | None:
        """The extension of this class, or None."""
        try:
            return cast("x509.Extension[E]", self.certificate.extensions.get_extension_for_class(kind))
        except x509.ExtensionNotFound:
            return None
