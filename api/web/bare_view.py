"""A bare certificate as a part of the page: whose it is, who issued it, until when, in which tree."""

from __future__ import annotations

from dataclasses import dataclass

from api.web.text import Attribute, in_groups, masked, short_name, shown, subject_attributes
from certs.clock import for_people
from signer.validation.bare import JudgedCertificate


@dataclass(frozen=True)
class BareCertificate:
    """A certificate that somebody wants to know about."""

    name: str
    organization: str
    subject: tuple[Attribute, ...]
    issuer: str
    serial: str
    begin: str
    end: str
    trust: str
    revocation: str
    fingerprint: str
    above: tuple[str, ...]


def view_bare(judged: JudgedCertificate) -> BareCertificate:
    """The facts of a certificate, personal numbers masked."""
    facts = judged.facts
    above = judged.path.certificates[1:] if judged.path is not None else ()
    return BareCertificate(
        name=masked(shown(facts.common_name or facts.organization or "")),
        organization=masked(shown(facts.organization or "")),
        subject=subject_attributes(facts.subject),
        issuer=short_name(facts.issuer),
        serial=shown(facts.serial),
        begin=for_people(facts.not_before),
        end=for_people(facts.not_after),
        trust=judged.trust,
        revocation=judged.revocation,
        fingerprint=in_groups(facts.sha256),
        above=tuple(short_name(each.subject) for each in above),
    )
