"""A world with an OCSP responder and a time-stamping authority, and the little that their tests share."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from certs.names import parse_subject
from hsm.spec import KeySpec
from pki.ocsp import OcspResponder
from pki.service_keys import ServiceDesk, ServiceKind, ServiceRecord, ensure_service
from pki.tsa.authority import TimeStampingAuthority, TsaPolicy
from tests.world import ADMIN, World

POLICY = "2.25.195083350197969538904333480239290237894"
SUBJECTS = {
    ServiceKind.OCSP: "CN=Hương Giang OCSP,O=Sở Khoa học và Công nghệ Hương Giang,C=VN",
    ServiceKind.TSA: "CN=Hương Giang TSA,O=Sở Khoa học và Công nghệ Hương Giang,C=VN",
}


@dataclass(frozen=True)
class Services:
    """Both services of a world."""

    world: World
    desk: ServiceDesk
    ocsp: OcspResponder
    tsa: TimeStampingAuthority


def make_service(world: World, kind: ServiceKind, name: str = "", spec: KeySpec = KeySpec.P_256) -> ServiceRecord:
    subject = parse_subject(SUBJECTS[kind])
    return ensure_service(name or kind.value, kind, subject, world.keys, ADMIN, world.issuing_deps, spec)


def build_services(world: World, spec: KeySpec = KeySpec.P_256) -> Services:
    for kind in SUBJECTS:
        make_service(world, kind, spec=spec)
    desk = ServiceDesk(world.database, world.keys, world.clock)
    ocsp = OcspResponder(world.database, world.clock, desk)
    return Services(world, desk, ocsp, TimeStampingAuthority(world.database, world.clock, desk, TsaPolicy(POLICY)))


def openssl(*arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
