"""Who signs trust stores in tests: a party with a certificate for it, as a service."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509 import ObjectIdentifier

from certs.oids import TRUST_STORE_SIGNING
from pki.schemes import scheme_for
from pki.service_keys import Service
from tests.attacks.pki import NOW, Party

PURPOSE = x509.ExtendedKeyUsage([ObjectIdentifier(TRUST_STORE_SIGNING)])


def service_of(party: Party) -> Service:
    key = party.key.public_key()
    return Service(
        name="trust-store", authority="issuing", issuer=party.certificate, certificate=party.certificate, chain=(),
        key=party.key, public_key=key, scheme=scheme_for(key), not_before=NOW, not_after=NOW,
    )  # fmt: skip
