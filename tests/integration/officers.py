"""Officers for processes that do nothing else: one certificate after the other, each for a key of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec

from certs.inventory import CertificateRecord
from certs.names import parse_subject
from hsm.spec import spki_der
from pki.issuance import IssuanceRequest, IssuingDeps, issue
from pki.roles import Actor


def issue_officers(count: int, actor: Actor, issuing: IssuingDeps) -> Iterator[CertificateRecord]:
    """A certificate each time one is asked for."""
    for number in range(count):
        key = spki_der(ec.generate_private_key(ec.SECP256R1()).public_key())
        subject = parse_subject(f"CN=Nguyễn Văn {os.getpid()}-{number},T=Chuyên viên,O=Sở Thử nghiệm,C=VN")
        yield issue(IssuanceRequest("officer", subject, key), actor, issuing)
