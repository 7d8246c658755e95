"""Shapes: what makes two certificates alike to a linter, and which shapes the second opinion has passed already.

A pass is a file named after the shape, which holds what was reported. It saves time and decides nothing else: a missing,
damaged or unreadable file means that the certificate is judged again, and only a pass is ever written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from certs.csr import check_public_key
from certs.lint.twin import Twin


def shape_of(twin: Twin, linter: str) -> str:
    """The name of a shape: linter, profile, issuer, kinds of keys, attributes and extensions as they follow each other."""
    certificate = twin.certificate
    key = check_public_key(certificate.public_key())
    parts = [
        linter,
        # With all its values: a changed profile is another one.
        hashlib.sha256(repr(twin.profile).encode()).hexdigest(),
        twin.issuer.fingerprint(hashes.SHA256()).hex() if twin.issuer is not None else "",
        key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else f"rsa {key.key_size}",
        certificate.signature_algorithm_oid.dotted_string,
        *(pair["type"].dotted for rdn in twin.tbs["subject"].chosen for pair in rdn),
        *(part for extension in certificate.extensions for part in _parts_of(extension)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


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


def _parts_of(extension: x509.Extension[x509.ExtensionType]) -> Iterator[str]:
    yield f"{extension.oid.dotted_string} {extension.critical}"
    value = extension.value
    if isinstance(value, x509.SubjectAlternativeName):
        yield from (type(name).__name__ for name in value)
    # Addresses differ in their last part from one CRL to the next; what a linter says depends on scheme and host.
    if isinstance(value, x509.CRLDistributionPoints):
        yield from (_place(name.value) for point in value for name in point.full_name or ())
    if isinstance(value, x509.AuthorityInformationAccess):
        yield from (f"{each.access_method.dotted_string} {_place(each.access_location.value)}" for each in value)


def _place(url: object) -> str:
    parts = urlsplit(str(url))
    return f"{parts.scheme}://{parts.netloc}"
