"""What `--trust` names: certificates and revocation lists out of files, for this call alone."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.context import read_input
from api.cli.parser import TypedPath
from api.errors import UsageError
from signer.validation.facts import TrustAnchor

_TRUST_FILE = 16 * 1024 * 1024
_CRL_BEGIN, _CRL_END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"


def read_trusted(files: Sequence[TypedPath]) -> tuple[tuple[TrustAnchor, ...], tuple[bytes, ...]]:
    """Certificates and CRLs of the --trust files, in PEM or a single certificate in DER. Which tree they stand for is unknown."""
    anchors: list[TrustAnchor] = []
    crls: list[bytes] = []
    for file in files:
        data = read_input(file, _TRUST_FILE)
        try:
            if data.startswith(b"0"):
                found = [x509.load_der_x509_certificate(data)]
            else:
                found = x509.load_pem_x509_certificates(data) if b"-----BEGIN CERTIFICATE-----" in data else []
                crls += [crl.public_bytes(Encoding.DER) for crl in _crls(data)]
        except ValueError:
            raise UsageError("TRUST_UNREADABLE", path=file.typed) from None
        if not found and _CRL_BEGIN not in data:
            raise UsageError("TRUST_UNREADABLE", path=file.typed)
        anchors += [TrustAnchor(each.public_bytes(Encoding.DER), "unknown") for each in found]
    return tuple(anchors), tuple(crls)


def _crls(data: bytes) -> list[x509.CertificateRevocationList]:
    parts = data.split(_CRL_BEGIN)[1:]
    return [x509.load_pem_x509_crl(_CRL_BEGIN + part.split(_CRL_END)[0] + _CRL_END + b"\n") for part in parts]
