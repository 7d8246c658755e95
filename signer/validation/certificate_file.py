"""A file that is a certificate, alone or with those above it: its facts and its path. Gathers, judges nothing; in the judge process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asn1crypto import x509

from signer.validation.certificates import certificate_facts
from signer.validation.facts import FileFacts, ValidationInputs
from signer.validation.paths import PathFinder

_MOST_ABOVE = 100


def gather_certificate(ders: Sequence[bytes], unread: FileFacts, inputs: ValidationInputs) -> FileFacts:
    """The first certificate of the file; the others help to find its path."""
    first, *above = [x509.Certificate.load(der, strict=True) for der in ders[: _MOST_ABOVE + 1]]
    facts = certificate_facts(first)
    path = PathFinder(inputs).find(first, above, stamps=True)
    return replace(unread, format="X.509", bare="certificate", certificate=facts, certificate_path=path)
