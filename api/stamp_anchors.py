"""The certificates that outside time-stamping authorities must lead to, out of the files that the settings name."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from api.errors import ComponentError

_LARGEST = 1024 * 1024


def read_anchors(file: Path) -> tuple[x509.Certificate, ...]:
    """Certificates in PEM, or one in DER; ComponentError when there is none: without them no answer could be believed."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST)
        found = (
            [x509.load_der_x509_certificate(data)] if data.startswith(b"0") else x509.load_pem_x509_certificates(data)
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no certificate in it"
        raise ComponentError("TSA_ANCHORS_UNREADABLE", path=str(file), reason=reason) from error
    return tuple(found)
