"""Certificates as facts: names, serials, keys and usages read with asn1crypto, cleaned for people to read."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from asn1crypto import x509

from certs.names import parse_name, rfc4514
from certs.serial import serial_hex
from signer.validation.facts import CertificateFacts, CrlFacts, base64_text
from signer.validation.signature_check import readable_key, scheme_of

_LONGEST = 600
_LONGEST_ADDRESS = 1000
_MOST_ADDRESSES = 3
_BROKEN = (ValueError, TypeError, KeyError, AttributeError, IndexError)

# The same certificates come in file after file. What is large is somebody's attack and is not kept.
REMEMBERED_OCTETS = 16 * 1024
_REMEMBERED = 256


def plain_text(text: str, longest: int = _LONGEST) -> str:
    """Text of a stranger made fit to be shown: NFC, no control, bidirectional or private characters, not endless."""
    kept = (
        " " if character in "\t\n\r" else character
        for character in unicodedata.normalize("NFC", text[: longest * 4])
        if character in "\t\n\r" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    cleaned = "".join(kept)
    return cleaned if len(cleaned) <= longest else cleaned[: longest - 1] + "…"


def name_text(name: x509.Name) -> str:
    """A distinguished name as the rest of Antin writes it; a name that cannot be written so, as asn1crypto would."""
    try:
        return plain_text(rfc4514(parse_name(name.dump())))
    except (ValueError, TypeError, KeyError, AttributeError):
        return plain_text(str(name.human_friendly))


def certificate_facts(certificate: x509.Certificate, crls: tuple[CrlFacts, ...] = ()) -> CertificateFacts:
    """The facts of one certificate. May raise anything that asn1crypto raises on a hostile one."""
    der = certificate.dump()
    facts = _read_facts(certificate, der) if len(der) > REMEMBERED_OCTETS else _remembered_facts(der)
    return replace(facts, crls=crls) if crls else facts


@lru_cache(_REMEMBERED)
def _remembered_facts(der: bytes) -> CertificateFacts:
    return _read_facts(x509.Certificate.load(der), der)


def _read_facts(certificate: x509.Certificate, der: bytes) -> CertificateFacts:
    validity = certificate["tbs_certificate"]["validity"]
    key_type, key_bits = _key(certificate)
    usage, extended = certificate.key_usage_value, certificate.extended_key_usage_value
    return CertificateFacts(
        sha256=hashlib.sha256(der).hexdigest(),
        subject=name_text(certificate.subject),
        common_name=_first(certificate.subject, "common_name"),
        organization=_first(certificate.subject, "organization_name"),
        serial=_serial(certificate.serial_number),
        issuer=name_text(certificate.issuer),
        not_before=utc(validity["not_before"].native),
        not_after=utc(validity["not_after"].native),
        key_type=key_type,
        key_bits=key_bits,
        signature_hash=signature_hash(certificate),
        key_usage=tuple(sorted(usage.native)) if usage is not None else None,
        der=base64_text(der),
        extended_key_usage=tuple(plain_text(str(purpose), 60) for purpose in extended.native) if extended else None,
        extended_key_usage_critical="extended_key_usage" in certificate.critical_extensions,
        ocsp_addresses=_addresses(_ocsp_addresses(certificate)),
        crl_addresses=_addresses(_crl_addresses(certificate)),
    )


def _addresses(urls: Iterable[str]) -> tuple[str, ...]:
    """Addresses of the web, not endless and few: whoever made the certificate wrote them."""
    kept = [url for url in urls if url.startswith(("http://", "https://")) and len(url) <= _LONGEST_ADDRESS]
    return tuple(url for url in kept if url.isascii() and url.isprintable())[:_MOST_ADDRESSES]


def _ocsp_addresses(certificate: x509.Certificate) -> list[str]:
    try:
        return [str(url) for url in certificate.ocsp_urls]
    except _BROKEN:
        return []  # an extension that cannot be read names nobody to ask


def _crl_addresses(certificate: x509.Certificate) -> list[str]:
    """Of complete lists by the issuer itself: one for some reasons only, or of another authority, does not say that all is well."""
    found: list[str] = []
    try:
        for point in certificate.crl_distribution_points_value or ():
            name = point["distribution_point"]
            whole = point["reasons"].native is None and point["crl_issuer"].native is None
            if whole and name.native is not None and name.name == "full_name":
                found += [str(each.native) for each in name.chosen if each.name == "uniform_resource_identifier"]
    except _BROKEN:
        return []
    return found


def signature_hash(certificate: x509.Certificate) -> str | None:
    """The digest under the issuer's signature, or None for algorithms that name none (Ed25519) or are unknown."""
    digest = scheme_of(certificate["signature_algorithm"]).digest
    return None if digest is None else digest.replace("_", "-")


def _serial(number: int) -> str:
    return serial_hex(number) if number >= 0 else "-" + serial_hex(-number)  # negative ones exist, against RFC 5280


def has_misencoded_key(certificate: x509.Certificate) -> bool:
    """Whether its key could be read only as what it means, not as what it says."""
    return readable_key(certificate.public_key) is not certificate.public_key


def _key(certificate: x509.Certificate) -> tuple[str, int]:
    key = readable_key(certificate.public_key)
    kind = str(key.algorithm)
    if kind == "rsa":
        return kind, int(key["public_key"].parsed["modulus"].native).bit_length()
    if kind == "ec":
        return kind, int(key.bit_size or 0)
    return kind, 0


def _first(name: x509.Name, wanted: str) -> str | None:
    value = name.native.get(wanted)
    if isinstance(value, list):
        value = value[0] if value else None
    return plain_text(str(value)) if value is not None else None


def utc(moment: datetime) -> datetime:
    """An aware time in UTC; a time without zone is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
