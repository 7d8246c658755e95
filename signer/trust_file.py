"""A trust store as a file: anchors with their trees as canonical JSON, signed as CMS by a key that signs nothing else. Keeps nothing.

Whoever reads one has the fingerprint of its signer's certificate from elsewhere. Nothing of the content is looked at before the signature
is found good, and the signature is one of ours: the reader of DER is strict, and takes no other form.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.x509 import ObjectIdentifier

from certs.clock import rfc3339
from certs.oids import TRUST_STORE_CONTENT, TRUST_STORE_SIGNING
from hsm import der
from hsm.der import Reader
from pki.audit_link import canonical_json
from pki.schemes import SignatureMismatch, check_signature, scheme_for, sign_message
from pki.service_keys import Service
from pki.signed_data import SignedParts, SignerTemplate, read_signed_data
from signer.errors import Refused, UsageWrong

FORM = "antin trust store 1"
_KEYS = {"form", "store", "version", "issued_at", "valid_until", "issuer", "anchors", "authorities"}
_ENTRY_KEYS = {"sha256", "tree", "subject", "not_before", "not_after", "certificate"}
_MOST_ENTRIES = 10_000


@dataclass(frozen=True)
class StoreEntry:
    """One certificate of a store and the tree that it stands for, as the store says it."""

    tree: str
    certificate: x509.Certificate
    subject: str
    der: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()


@dataclass(frozen=True)
class StoreFile:
    """What a store says. `store` names it for good: the SHA-256 of the root of who hands it out."""

    store: str
    version: int
    issued_at: datetime
    valid_until: datetime
    issuer: str
    anchors: tuple[StoreEntry, ...]
    authorities: tuple[StoreEntry, ...]


def content_octets(store: StoreFile) -> bytes:
    """The canonical JSON of a store: the same store has the same octets."""
    value = {
        "form": FORM,
        "store": store.store,
        "version": store.version,
        "issued_at": rfc3339(store.issued_at),
        "valid_until": rfc3339(store.valid_until),
        "issuer": store.issuer,
        "anchors": [_entry_json(each) for each in store.anchors],
        "authorities": [_entry_json(each) for each in store.authorities],
    }
    return canonical_json(value).encode("ascii")


def sign_content(content: bytes, service: Service) -> bytes:
    """The file: a ContentInfo in DER. The key is used once."""
    template = SignerTemplate(service.certificate, service.scheme, TRUST_STORE_CONTENT)
    attributes = template.signed_attributes(hashlib.new(service.scheme.digest, content).digest())
    signature = sign_message(service.key, service.scheme, attributes)
    head = template.head(content) + template.certificates(service.chain)
    return template.content_info(head, attributes, signature)


def read_store(octets: bytes, fingerprint: bytes, now: datetime) -> StoreFile:
    """What a store says, once its signature was checked with the certificate whose SHA-256 somebody typed; Refused otherwise."""
    try:
        parts = read_signed_data(octets, TRUST_STORE_CONTENT)
        certificates = parts.certificates
    except (ValueError, IndexError):
        raise UsageWrong("TRUST_STORE_UNREADABLE") from None
    held = [each for each in certificates if hmac.compare_digest(hashlib.sha256(each).digest(), fingerprint)]
    if not held:
        raise Refused("TRUST_STORE_SIGNER_WRONG")
    signer = x509.load_der_x509_certificate(held[0])
    _check_signer(signer, now)
    _check_signature(parts, signer)
    # From here on it is what the signer said.
    store = _parse(parts.content)
    if not store.issued_at <= now < store.valid_until:
        raise Refused("TRUST_STORE_EXPIRED", begin=rfc3339(store.issued_at), end=rfc3339(store.valid_until))
    return store


def _check_signer(signer: x509.Certificate, now: datetime) -> None:
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        raise Refused("TRUST_STORE_NOT_FOR_THAT") from None
    if list(usage) != [ObjectIdentifier(TRUST_STORE_SIGNING)]:
        raise Refused("TRUST_STORE_NOT_FOR_THAT")
    begin, end = signer.not_valid_before_utc, signer.not_valid_after_utc
    if not begin <= now <= end:
        raise Refused("TRUST_STORE_SIGNER_EXPIRED", begin=rfc3339(begin), end=rfc3339(end))


def _check_signature(parts: SignedParts, signer: x509.Certificate) -> None:
    key: Any = signer.public_key()
    try:
        scheme = scheme_for(key)
        template = SignerTemplate(signer, scheme, TRUST_STORE_CONTENT)
        expected = template.signed_attributes(hashlib.new(scheme.digest, parts.content).digest())
        if Reader(expected).take(der.SET) != parts.attributes:
            raise Refused("TRUST_STORE_ALTERED")
        check_signature(key, scheme, parts.signature, expected)
    except SignatureMismatch:
        raise Refused("TRUST_STORE_ALTERED") from None


def _entry_json(entry: StoreEntry) -> dict[str, str]:
    certificate = entry.certificate
    return {
        "sha256": entry.sha256,
        "tree": entry.tree,
        "subject": entry.subject,
        "not_before": rfc3339(certificate.not_valid_before_utc),
        "not_after": rfc3339(certificate.not_valid_after_utc),
        "certificate": base64.b64encode(entry.der).decode("ascii"),
    }


def _parse(content: bytes) -> StoreFile:
    try:
        value = json.loads(content)
        if value["form"] != FORM or set(value) != _KEYS or canonical_json(value).encode("ascii") != content:
            raise UsageWrong("TRUST_STORE_UNREADABLE")
        anchors, authorities = ([_parse_entry(each) for each in value[key]] for key in ("anchors", "authorities"))
        if len(anchors) + len(authorities) > _MOST_ENTRIES or type(value["version"]) is not int:
            raise UsageWrong("TRUST_STORE_UNREADABLE")
        return StoreFile(
            store=bytes.fromhex(value["store"]).hex(),
            version=value["version"],
            issued_at=datetime.fromisoformat(value["issued_at"]),
            valid_until=datetime.fromisoformat(value["valid_until"]),
            issuer=str(value["issuer"])[:500],
            anchors=tuple(anchors),
            authorities=tuple(authorities),
        )
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise UsageWrong("TRUST_STORE_UNREADABLE") from None


def _parse_entry(value: dict[str, str]) -> StoreEntry:
    octets = base64.b64decode(value["certificate"], validate=True)
    entry = StoreEntry(str(value["tree"]), x509.load_der_x509_certificate(octets), str(value["subject"])[:2000], octets)
    if set(value) != _ENTRY_KEYS or entry.sha256 != value["sha256"]:
        raise ValueError("an entry that contradicts itself")
    return entry
