"""An office in memory: an officer's credential, OCSP responder and TSA, all that signing at every level and judging need."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from certs.serial import serial_hex
from hsm.spec import KeySpec, spki_der
from pki.schemes import scheme_for
from pki.service_keys import ServiceKind, list_services
from signer.credentials import CredentialDesk, NewCredential, register_credential
from signer.evidence import OwnEvidence
from signer.extending import Extender
from signer.handing_over import HandoverDeps
from signer.judging import JudgeDesk
from signer.sandbox import Judge
from signer.signing import SignedDocument, SigningDeps, SignRequest, sign_document
from signer.storage import BlobStore
from signer.timestamps import OwnTimestamper
from signer.upgrading import UpgradeDeps
from signer.validation.facts import ValidationInputs
from tests.attacks.documents import page_pdf
from tests.unit.pki.services import Services, build_services
from tests.world import ADMIN, AGENCY, World, build_world

PDF = page_pdf()


def never(*_: object) -> None:
    raise AssertionError("nothing is drawn in these tests")


@dataclass
class Office:
    """An officer's credential with everything that signing and verifying need."""

    world: World
    services: Services
    serial: str
    deps: SigningDeps
    judging: JudgeDesk
    blobs: Path

    def sign(self, level: str = "B-T", pdf: bytes = PDF) -> bytes:
        return self.signed(level, pdf).content

    def signed(self, level: str = "B-T", pdf: bytes = PDF, **wishes: Any) -> SignedDocument:
        wishes = {"credential": "officer"} | wishes
        request = SignRequest(pdf=pdf, name="a.pdf", level=level, placement="none", **wishes)
        return sign_document(request, ADMIN, self.deps)

    def judged(self, pdf: bytes, **how: object):
        verdict = self.judging.verify(pdf, "a.pdf", **how)
        return next(each for each in verdict.judged.signatures if each.facts.type == "signature")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database, by SQL."""
        with self.world.database.read() as session:
            return [tuple(row) for row in session.execute(text(query))]

    def upgrading(self, extra: ValidationInputs | None = None) -> UpgradeDeps:
        assert self.deps.extender is not None
        return UpgradeDeps(
            self.world.database,
            self.world.clock,
            self.deps.extender,
            lambda: self.judging.verifier(None, extra),
            self.judging.serial_of,
        )

    @property
    def handover(self) -> HandoverDeps:
        return HandoverDeps(self.deps, self.upgrading, timedelta(days=3), "pss")

    @property
    def tsa_serial(self) -> str:
        return serial_hex(self.services.tsa.service().certificate.serial_number)

    def revoke_tsa(self, reason: str) -> None:
        with self.world.database.read() as session:
            (record,) = list_services(session, ServiceKind.TSA)
        self.world.revoke(record.serial, reason)


def open_office(tmp_path: Path, judge: Judge, spec: KeySpec = KeySpec.P_256) -> Office:
    world = build_world(tmp_path)
    services = build_services(world)
    officer = world.officer(spec=spec)
    public_key = officer.ref.public_key()
    credential = NewCredential(
        "officer", "officer", AGENCY, spki_der(public_key), officer.record.serial, scheme_for(public_key), None, None
    )
    with world.database.write() as session:
        register_credential(session, credential, world.clock.now())
    judging = JudgeDesk(judge, world.database, world.clock)
    deps = SigningDeps(
        database=world.database,
        clock=world.clock,
        desk=CredentialDesk(world.database, world.keys, world.clock),
        preparer=judging,
        judge_earlier=judging.earlier_signatures,
        blobs=BlobStore(tmp_path / "blobs"),
        image=never,
        font=never,
        seal_diameter_mm=36.0,
        max_bytes=1024 * 1024,
        extender=Extender(
            OwnTimestamper(services.tsa), OwnEvidence(world.database, world.clock, services.ocsp), judging
        ),
    )
    return Office(world, services, officer.record.serial, deps, judging, tmp_path / "blobs")
