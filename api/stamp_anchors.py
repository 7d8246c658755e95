"""The certificates that outside time-stamping authorities must lead to, out of the files that the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.errors import ComponentError
from api.tsa_settings import OWN, TsaSettings
from signer.outside_timestamps import OutsideServer
from signer.trust_store import refuse_training
from signer.validation.facts import TrustAnchor

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


def read_servers(wanted: TsaSettings, home: Path) -> tuple[OutsideServer, ...]:
    """The time-stamping authorities of others that the settings name, each with its anchors."""
    return tuple(
        OutsideServer(each.url, read_anchors(home / each.anchors), each.timeout_seconds, each.parallel)
        for each in wanted.servers
        if each.url != OWN
    )


def trusted_for_stamps(servers: Sequence[OutsideServer]) -> tuple[TrustAnchor, ...]:
    """Their anchors, which are believed about times alone; none of a chain that only serves to practise (Refused)."""
    held = [
        each.public_bytes(Encoding.DER) for each in dict.fromkeys(one for server in servers for one in server.anchors)
    ]
    refuse_training(held)
    return tuple(TrustAnchor(each, "unknown", stamps_only=True) for each in held)
