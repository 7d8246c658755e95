"""A document signed today, judged in 2, 5 and 15 years: each level keeps what its standard promises, and no more.

The house lives on meanwhile: its services are renewed, its issuing authority gets a successor, and its worker renews archive
time-stamps when they are due.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import Enum

import pytest
from pyhanko.sign.validation import ades
from pyhanko_certvalidator.ltv import ades_past, poe

from certs.names import parse_subject
from pki.ceremony import CeremonyDeps, create_issuing
from pki.crl import sign_crl
from pki.issuer import Issuer, load_issuer
from pki.service_keys import ServiceKind
from signer.documents import document_by_code
from signer.leveling import LevelingDeps
from signer.renewal import has_renewals, renew_due
from signer.sandbox import Judge
from signer.storage import BlobStore
from signer.upgrading import UpgradeDeps
from tests.attacks.documents import page_pdf
from tests.fakes.clock import FixedClock
from tests.unit.pki.services import make_service
from tests.unit.signer.confirming import by_a_stranger, confirmed
from tests.unit.signer.office import Office
from tests.world import ADMIN, ISSUING_SUBJECT, PUBLIC_URL

# The officer's certificate lasts two years, that of the time-stamping authority five, the issuing authority's ten, the root's twenty.
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
SUCCESSION = 5


@dataclass
class House:
    """An office that is kept for years: what a worker and an admin do there."""

    office: Office
    issuers: list[Issuer] = field(default_factory=list)
    lists: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        self.issuers.append(self.office.world.issuing)

    @property
    def leveling(self) -> LevelingDeps:
        office, world = self.office, self.office.world
        deps = UpgradeDeps(
            world.database, world.clock, office.deps.extender, office.judging.verifier, office.judging.serial_of
        )
        return LevelingDeps(deps, BlobStore(office.blobs))

    def live(self, years: int) -> None:
        """Let years go by."""
        for _ in range(years):
            self.office.world.clock.advance(days=365.25)
            self._keep()

    def _keep(self) -> None:
        world = self.office.world
        if world.clock.now() > self.issuers[-1].certificate.not_valid_before_utc + timedelta(days=SUCCESSION * 365):
            self._change_authority()
        make_service(world, ServiceKind.TSA, self._named("tsa"))
        alive = [each for each in self.issuers if world.clock.now() < each.certificate.not_valid_after_utc]
        for issuer in alive:
            # Who asks about a certificate of an authority that issues no more gets an answer all the same.
            world.issuing = issuer
            make_service(world, ServiceKind.OCSP, f"ocsp-{issuer.name}")
        self.lists = tuple(sign_crl(issuer, ADMIN, world.crl_deps).der for issuer in (world.root, *alive))
        while has_renewals(self.leveling):
            assert renew_due(ADMIN, self.leveling)

    def answers(self) -> tuple[bytes, ...]:
        """What the responders say now of every signer and stamper whose certificate has not ended."""
        world, ocsp = self.office.world, self.office.services.ocsp
        rows = self.office.rows("SELECT serial FROM certificates WHERE profile IN ('tsa', 'officer')")
        records = [world.record(serial) for (serial,) in rows]
        found = [ocsp.about(each.issuer, each.serial) for each in records if world.clock.now() < each.not_after]
        return tuple(each.der for each in found if each is not None)

    def _named(self, service: str) -> str:
        return service if len(self.issuers) == 1 else f"{service}-{len(self.issuers)}"

    def _change_authority(self) -> None:
        """A new issuing authority below the same root, with services of its own."""
        world = self.office.world
        deps = CeremonyDeps(
            world.database, world.clock, world.keys, world.catalogue, PUBLIC_URL, world.twins, approvals=world.approvals
        )
        number = len(self.issuers) + 1
        subject = ISSUING_SUBJECT.replace("Issuing CA", f"Issuing CA {number}")
        create_issuing(f"issuing-{number}", "root", parse_subject(subject), ADMIN, deps)
        world.issuing = load_issuer(world.database, world.keys, f"issuing-{number}", PUBLIC_URL)
        self.issuers.append(world.issuing)


def newest(house: House, code: str) -> bytes:
    with house.office.world.database.read() as session:
        document = document_by_code(session, code)
    return BlobStore(house.office.blobs).get(document.sha256)


def give_clock(monkeypatch: pytest.MonkeyPatch, clock: FixedClock) -> None:
    """PyHanko takes a moment for the present, and asks the machine for it once more where it looks into the past."""

    class Moment(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return clock.now().astimezone(tz)

    for module in (ades, ades_past, poe):
        monkeypatch.setattr(module, "datetime", Moment)


def verdicts(house: House, judge: Judge, content: bytes, *others: str) -> tuple[str, ...]:
    """Ours, that of a stranger who has the root and the newest lists, and where it is expected to say something another library's."""
    office = house.office
    level = office.judged(content).facts.reached
    stranger = by_a_stranger(office, judge, content, lists=house.lists)
    found = (office.judged(content).reason, stranger.reason)
    if not others:
        return found
    other = ""
    if level in ("B-LT", "B-LTA"):
        answer = confirmed(office, content, archive=level == "B-LTA", lists=house.lists[:1], answers=house.answers())
        other = answer.name if isinstance(answer, Enum) else str(answer)
    return (*found, other)


EXPIRED = "UNKNOWN_EXPIRED_NO_TIME"
LASTS = ("VALID_EXTENDED", "VALID_EXTENDED", "OK")
OVER = (EXPIRED, EXPIRED, "OUT_OF_BOUNDS_NO_POE")
# What is said of each level after so many years.
PROMISED = {
    # The signer's certificate lasts one day more.
    2: {"B-B": ("VALID", "VALID", ""), "B-T": ("VALID", "VALID", ""), "B-LT": LASTS, "B-LTA": LASTS, "renewed": LASTS},
    # It has ended. The time-stamps last one day more; whoever has no installation finds nothing of back then in a file of B-T.
    5: {
        "B-B": (EXPIRED, EXPIRED, ""), "B-T": ("VALID_LATER_EXPIRED", "UNKNOWN_REVOCATION", ""), "B-LT": LASTS, "B-LTA": LASTS,
        "renewed": LASTS,
    },
    # The time-stamps have ended too: what was covered by younger ones in time is as good as ever.
    9: {"B-B": (EXPIRED, EXPIRED, ""), "B-T": (EXPIRED, EXPIRED, ""), "B-LT": OVER, "B-LTA": OVER, "renewed": LASTS},
    # The authority that issued all of them has ended as well. PyHanko slides no path across that (`past_validate`), and is not asked.
    15: {
        "B-B": (EXPIRED, EXPIRED, ""), "B-T": (EXPIRED, EXPIRED, ""), "B-LT": OVER[:2], "B-LTA": OVER[:2], "renewed": LASTS[:2],
    },
}  # fmt: skip


def test_a_document_of_today_in_two_five_and_fifteen_years(
    office: Office, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(office)
    give_clock(monkeypatch, office.world.clock)
    signed = {level: office.signed(level, page_pdf(f"Van ban {level}")) for level in LEVELS}
    lived = 0
    for years, promised in PROMISED.items():
        house.live(years - lived)
        lived = years
        files = {level: each.content for level, each in signed.items()}
        files["renewed"] = newest(house, signed["B-LTA"].code)
        for level, content in files.items():
            said = verdicts(house, judge, content, *promised[level][2:])
            assert said == promised[level], (years, level)
    assert files["renewed"].startswith(signed["B-LTA"].content)
