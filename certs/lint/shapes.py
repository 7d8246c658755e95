"""Shapes: what makes two certificates or CRLs alike to a linter, and which shapes the second opinion has passed already.

A pass is a file named after the shape, which holds what was reported. It saves time and decides nothing else: a missing,
damaged or unreadable file means that the certificate is judged again, and only a pass is ever written.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from asn1crypto import crl as asn1_crl
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from certs.lint.twin import Frame, Twin

# As many as judge.py keeps.
_KEPT_FRAMES = 4096


def shape_of(twin: Twin, linter: str) -> str:
    """The name of a shape: linter, profile, issuer, kinds of keys, attributes and extensions as they follow each other."""
    key, san = twin.public_key, twin.alternative_names
    parts = [
        linter,
        _shape_of_frame(twin.frame),
        key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else f"rsa {key.key_size}",
        twin.certificate.signature_algorithm_oid.dotted_string,
        *(pair.name for rdn in twin.subject for pair in rdn),
        *(type(name).__name__ for name in (san.value if san is not None else ())),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.lru_cache(maxsize=_KEPT_FRAMES)
def _shape_of_frame(frame: Frame) -> str:
    parts = [
        # With all its values: a changed profile is another one.
        hashlib.sha256(repr(frame.profile).encode()).hexdigest(),
        frame.issuer.fingerprint(hashes.SHA256()).hex() if frame.issuer is not None else "",
        *(part for extension in frame.extensions() for part in _parts_of(*extension)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def crl_shape_of(der: bytes, linter: str) -> tuple[str, int]:
    """The name of a CRL's shape, and its number: linter, issuer, signature, extensions, and every kind of entry that it has."""
    crl = x509.load_der_x509_crl(der)
    number = 0
    parts = [linter, "crl", crl.signature_algorithm_oid.dotted_string]
    # With the encoding of its name, which a linter looks at.
    parts.append(hashlib.sha256(asn1_crl.CertificateList.load(der).issuer.dump()).hexdigest())
    for extension in crl.extensions:
        value = extension.value
        parts.append(f"{extension.oid.dotted_string} {extension.critical}")
        if isinstance(value, x509.CRLNumber):
            number = value.crl_number
        if isinstance(value, x509.IssuingDistributionPoint):
            parts += (_place(name.value) for name in value.full_name or ())
        if isinstance(value, x509.FreshestCRL):
            parts += (_place(name.value) for point in value for name in point.full_name or ())
    parts += sorted({_kind_of(entry) for entry in crl})
    return hashlib.sha256("\n".join(parts).encode()).hexdigest(), number


def _kind_of(entry: x509.RevokedCertificate) -> str:
    """Its extensions with the reason, how long its serial is, and in which form its time is written (RFC 5280 5.1.2.6)."""
    said = [each.value.reason.value for each in entry.extensions if isinstance(each.value, x509.CRLReason)]
    kinds = [f"{each.oid.dotted_string} {each.critical}" for each in entry.extensions]
    return f"entry {entry.serial_number.bit_length() // 8} {entry.revocation_date_utc.year >= 2050} {said} {kinds}"


class PassedShapes:
    """The shapes that passed, with what was reported about each: in memory, and in a folder where there is one."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._known: dict[str, tuple[str, ...]] = {}

    def find(self, shape: str) -> tuple[str, ...] | None:
        """What was reported when the shape passed; None for one that is not known to have passed."""
        if shape not in self._known and self._folder is not None:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                kept = json.loads((self._folder / shape).read_text("ascii"))
                if kept["passed"] == shape:
                    self._known[shape] = tuple(str(code) for code in kept["reported"])
        return self._known.get(shape)

    def add(self, shape: str, reported: Sequence[str]) -> None:
        """Remember a pass. Where it cannot be written, the next process judges once more."""
        self._known[shape] = tuple(reported)
        if self._folder is None:
            return
        partial = self._folder / f"{shape}.{secrets.token_hex(4)}"
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.write_text(json.dumps({"passed": shape, "reported": list(reported)}), "ascii")
            partial.replace(self._folder / shape)

    def forget(self, shape: str) -> None:
        """A sample of the shape did not pass."""
        self._known.pop(shape, None)
        if self._folder is not None:
            with contextlib.suppress(OSError):
                (self._folder / shape).unlink()


def _parts_of(oid: x509.ObjectIdentifier, critical: bool, value: x509.ExtensionType | None) -> Iterator[str]:
    yield f"{oid.dotted_string} {critical}"
    # Addresses differ in their last part from one CRL to the next; what a linter says depends on scheme and host.
    if isinstance(value, x509.CRLDistributionPoints):
        yield from (_place(name.value) for point in value for name in point.full_name or ())
    if isinstance(value, x509.AuthorityInformationAccess):
        yield from (f"{each.access_method.dotted_string} {_place(each.access_location.value)}" for each in value)


def _place(url: object) -> str:
    parts = urlsplit(str(url))
    return f"{parts.scheme}://{parts.netloc}"
