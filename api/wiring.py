"""Builds the parts of an installation once, from its home and settings, for every process and the tests alike (law 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import Self

from api.ahead import judge_limits, serving_limits
from api.auth.tokens import TokenActors
from api.database_url import database_url
from api.errors import UsageError
from api.fetching import HttpFetcher
from api.home import Home, locate_home
from api.judges import JudgePool
from api.keys import open_key_store
from api.leaning import fetcher_of, leaning_of
from api.practice import catalogue_of, code_wish, font_shelf, is_for_training, print_deps
from api.setting_rules import refuse_value
from api.settings import Settings, load_settings
from api.stamp_anchors import read_servers, trusted_for_stamps
from api.stamp_watch import StampWatch
from api.stampers import chain_of, stampers_by_url
from certs.catalogue import Catalogue
from certs.clock import Clock, SystemClock
from certs.db import Database
from certs.lint.second_opinion import SecondOpinion
from certs.lint.shapes import PassedShapes
from hsm.client import ClientStore
from pki.appointment import PersonDeps
from pki.approval_rules import ApprovalRules
from pki.authorities import find_issuing_today
from pki.crl import CrlDeps, CrlPolicy
from pki.expiry_notices import NoticeDesk, NoticePolicy
from pki.issuance import IssuingDeps, TwinKeys
from pki.issuer import Issuer, load_issuer
from pki.ocsp import OcspResponder
from pki.ocsp_store import AnswerSigner
from pki.registration import RegistrationDeps
from pki.revocation import RevocationDeps
from pki.service_keys import ServiceDesk
from pki.tsa.authority import TimeStampingAuthority, TsaPolicy
from signer.appearance.font_shelf import FontShelf
from signer.batch_work import BatchDeps
from signer.consent import ConsentDeps
from signer.credentials import CredentialDesk
from signer.evidence import OwnEvidence
from signer.extending import Extender
from signer.factor_seal import FactorSeal
from signer.findings import NO_LOOK
from signer.handing_over import HandoverDeps
from signer.image_registry import ImageDeps
from signer.images import ImageShelf
from signer.judging import JudgeDesk, Leaning
from signer.leveling import LevelingDeps
from signer.official import OfficialDeps
from signer.official_standing import OfficialStanding
from signer.outside_credentials import OutsideDeps
from signer.outside_timestamps import OutsideServer, OutsideTimestamper
from signer.printing import PrintDeps
from signer.revocation_cache import FolderCache
from signer.sandbox import Judge
from signer.signing import SigningDeps
from signer.storage import BlobStore
from signer.strangers import FetchPolicy, StrangerEvidence
from signer.timestamps import OwnTimestamper, Timestamper
from signer.trust_lists import TrustLists
from signer.trust_store import TrustDeps
from signer.trusted_evidence import TrustedEvidence
from signer.upgrading import UpgradeDeps
from signer.uploads import UploadStore
from signer.validation.facts import TrustAnchor, ValidationInputs


@dataclass(frozen=True)
class Installation:
    """One home with its settings.

    Parts are made when first asked for: a command that needs no key asks no key process, one that judges nothing starts
    no judge. `starts_keys`: where no key process runs, this one may start one for itself (commands do, web processes not).
    """

    home: Home
    settings: Settings
    clock: Clock
    judge: Judge
    starts_keys: bool = True

    @cached_property
    def database(self) -> Database:
        return Database(database_url(self.home, self.settings), busy_timeout=self.settings.database.busy_seconds)

    @cached_property
    def keys(self) -> ClientStore:
        return open_key_store(self.home, self.settings, starts=self.starts_keys)

    @cached_property
    def catalogue(self) -> Catalogue:
        return catalogue_of(self.settings, training=self.training)

    @cached_property
    def training(self) -> bool:
        return is_for_training(self.database)

    @cached_property
    def second_opinion(self) -> SecondOpinion:
        return SecondOpinion(PassedShapes(self.home.passed_shapes))

    @cached_property
    def twins(self) -> TwinKeys:
        return TwinKeys(self.second_opinion)

    @cached_property
    def blobs(self) -> BlobStore:
        return BlobStore(self.home.blobs)

    @cached_property
    def images(self) -> ImageShelf:
        return ImageShelf(self.blobs, self.home.images, self.home.cache)

    @cached_property
    def image_registry(self) -> ImageDeps:
        return ImageDeps(self.database, self.clock, self.approvals, self.blobs, self.judging.check_picture)

    @cached_property
    def fonts(self) -> FontShelf:
        return font_shelf(self.settings, self.home.cache)

    def issuer(self, name: str) -> Issuer:
        """An authority ready to sign."""
        deltas = self.settings.crl.deltas_in_certificates
        return load_issuer(self.database, self.keys, name, self.settings.http.public_url, names_deltas=deltas)

    def issuing(self, name: str = "issuing") -> IssuingDeps:
        """What issuing by an authority needs."""
        return IssuingDeps(
            self.database,
            self.clock,
            self.issuer(name),
            self.catalogue,
            self.twins,
            approvals=self.approvals,
            by_registration=self.by_registration,
        )

    def issuing_today(self, after: str = "issuing") -> IssuingDeps:
        """What issuing needs by the authority that issues today what `after` issued: another one when that was rotated."""
        with self.database.read() as session:
            name = find_issuing_today(session, after, self.clock.now())
        return self.issuing(name)

    @cached_property
    def by_registration(self) -> frozenset[str]:
        """The profiles that are issued by registration only. One that no officer registers would wait in vain, and is refused."""
        wanted = self.settings.registration.required
        for profile in wanted:
            if not self.catalogue.get(profile).registration:
                refuse_value("registration.required", "profiles that a registration can be complete for", profile)
        return frozenset(wanted)

    @cached_property
    def registrations(self) -> RegistrationDeps:
        return RegistrationDeps(self.database, self.clock, self.catalogue)

    @cached_property
    def approvals(self) -> ApprovalRules:
        """What this home asks for before a deed. A profile that does not exist is refused: it would be waited for in vain."""
        wanted = self.settings.approvals
        for profile in wanted.profiles:
            self.catalogue.get(profile)
        return ApprovalRules(frozenset(wanted.profiles), frozenset(wanted.acts), wanted.days)

    @cached_property
    def revocation(self) -> RevocationDeps:
        return RevocationDeps(self.database, self.clock, self.approvals)

    @cached_property
    def notices(self) -> NoticeDesk:
        wanted = self.settings.notices
        return NoticeDesk(self.database, self.clock, NoticePolicy(wanted.days, sends=bool(wanted.webhook)))

    @cached_property
    def persons(self) -> PersonDeps:
        return PersonDeps(self.database, self.clock, self.approvals)

    @cached_property
    def crls(self) -> CrlDeps:
        """What making CRLs needs besides an issuer."""
        wanted = self.settings.crl
        policy = CrlPolicy(
            lifetime=timedelta(days=wanted.days),
            root_lifetime=timedelta(days=wanted.root_days),
            delta_lifetime=timedelta(hours=wanted.delta_hours) if wanted.delta_hours else None,
            delay=timedelta(seconds=wanted.delay_seconds),
            keep_expired=wanted.keep_expired,
        )
        spool = self.home.cache if self.home.cache.is_dir() else None
        return CrlDeps(self.database, self.clock, policy, spool, self.second_opinion.check_crl, self.twins)

    @cached_property
    def desk(self) -> CredentialDesk:
        standing = OfficialStanding(self.database, self.clock, self.trust_lists, self.trusted_evidence(offline=False))
        return CredentialDesk(self.database, self.keys, self.clock, standing)

    @cached_property
    def trust_lists(self) -> TrustLists:
        return TrustLists()

    def trusted_evidence(self, *, offline: bool) -> TrustedEvidence:
        """What proves the state of strangers' certificates: the network where it may be asked, else lists that were brought here."""
        strangers = None if offline else self.strangers
        return TrustedEvidence(self.database, self.clock, self.trust_lists, strangers)

    @cached_property
    def trust(self) -> TrustDeps:
        return TrustDeps(self.database, self.clock)

    @cached_property
    def consent(self) -> ConsentDeps:
        return ConsentDeps(self.database, self.clock, FactorSeal(self.home.factor_key))

    @cached_property
    def official(self) -> OfficialDeps:
        """What official certificates are asked for and taken in with."""
        return OfficialDeps(self.database, self.keys, self.clock, self.trust_lists, self.settings.sign.rsa_padding)

    @cached_property
    def judging(self) -> JudgeDesk:
        return JudgeDesk(self.judge, self.database, self.clock, self.stamp_anchors, self.leaning)

    @cached_property
    def leaning(self) -> Leaning:
        """What judging goes by besides the file and the register."""
        return leaning_of(self.home, self.settings, FolderCache(self.home.cache))

    @cached_property
    def outside_servers(self) -> tuple[OutsideServer, ...]:
        """The time-stamping authorities of others that the settings name, each with its anchors out of their files."""
        return read_servers(self.settings.tsa, self.home.root)

    @cached_property
    def stamp_anchors(self) -> tuple[TrustAnchor, ...]:
        """Whom the time of others is believed by: nobody of them is believed about who signed."""
        return trusted_for_stamps(self.outside_servers)

    @cached_property
    def services(self) -> ServiceDesk:
        return ServiceDesk(self.database, self.keys, self.clock)

    @cached_property
    def ocsp(self) -> OcspResponder:
        return OcspResponder(self.database, self.clock, self.services)

    @cached_property
    def ocsp_signer(self) -> AnswerSigner:
        return AnswerSigner(self.database, self.clock, self.keys, self.ocsp)

    @cached_property
    def tsa(self) -> TimeStampingAuthority:
        policy = TsaPolicy(self.settings.tsa.policy, self.settings.tsa.accuracy_seconds)
        return TimeStampingAuthority(self.database, self.clock, self.services, policy)

    @cached_property
    def extender(self) -> Extender:
        """What levels above B-B are made with."""
        evidence = OwnEvidence(self.database, self.clock, self.ocsp)
        return Extender(self.timestamper, evidence, self.judging, self.trusted_evidence(offline=False))

    @cached_property
    def stamp_watch(self) -> StampWatch:
        return StampWatch()

    @cached_property
    def fetcher(self) -> HttpFetcher:
        return fetcher_of(self.settings)

    @cached_property
    def outside_timestampers(self) -> dict[str, OutsideTimestamper]:
        """By the address of their servers."""
        return stampers_by_url(self.outside_servers, self.fetcher, self.clock, self.stamp_watch)

    @cached_property
    def timestamper(self) -> Timestamper:
        """Whoever stamps documents: our own authority, or those of the settings in their order."""
        return chain_of(self.settings.tsa.servers, OwnTimestamper(self.tsa), self.outside_timestampers)

    @cached_property
    def strangers(self) -> StrangerEvidence | None:
        """None where the settings do not allow to ask others about their certificates."""
        wanted = self.settings.validation
        return StrangerEvidence(self.fetcher, self.clock, FetchPolicy(wanted.fetch_seconds)) if wanted.fetch else None

    def upgrading(self, extra: ValidationInputs | None = None, *, offline: bool = False) -> UpgradeDeps:
        """What raising any signed file needs; `extra` is what the caller trusts besides our own. `offline`: nobody outside is asked."""
        limit = self.settings.validation.max_bytes
        extender = self.extender
        if offline:
            strangers = self.trusted_evidence(offline=True)
            extender = replace(extender, timestamper=OwnTimestamper(self.tsa), strangers=strangers)
        return UpgradeDeps(
            self.database,
            self.clock,
            extender,
            lambda: self.judging.verifier(None, extra, file_limit=limit, offline=True),
            self.judging.serial_of,
        )

    def raising(self, extra: ValidationInputs | None = None, *, offline: bool = False) -> LevelingDeps:
        """The same with the blobs that documents of the register are kept in."""
        return LevelingDeps(self.upgrading(extra, offline=offline), self.blobs)

    @cached_property
    def leveling(self) -> LevelingDeps:
        return self.raising()

    @cached_property
    def handover(self) -> HandoverDeps:
        """What documents that wait for their signature are made and finished with."""
        wanted = self.settings.sign
        return HandoverDeps(self.signing, self.upgrading, timedelta(hours=wanted.prepared_hours), wanted.rsa_padding)

    @cached_property
    def outside(self) -> OutsideDeps:
        """What enrolling certificates from outside needs."""
        return OutsideDeps(self.database, self.clock, self.approvals, self.settings.sign.rsa_padding)

    @cached_property
    def signing(self) -> SigningDeps:
        return SigningDeps(
            database=self.database,
            clock=self.clock,
            desk=self.desk,
            preparer=self.judging,
            judge_earlier=self.judging.earlier_signatures,
            blobs=self.blobs,
            image=self.images.image,
            font=self.fonts.font,
            seal_diameter_mm=self.settings.sign.seal_diameter_mm,
            max_bytes=self.settings.sign.max_bytes,
            extender=self.extender,
            findings=self.settings.sign.findings_policy(),
            training=self.training,
            code=code_wish(self.settings),
        )

    @cached_property
    def printing(self) -> PrintDeps:
        return print_deps(self.settings, self.database, self.clock, self.blobs, self.fonts)

    @cached_property
    def uploads(self) -> UploadStore:
        return UploadStore(self.home.uploads, self.home.uploads_key)

    @cached_property
    def batches(self) -> BatchDeps:
        """What the worker signs batches with."""
        return BatchDeps(self.signing_many, self.uploads, TokenActors(self.database, self.clock).actor_of)

    @cached_property
    def preparers(self) -> JudgePool:
        """Judge processes for a long row of documents: to prepare a visible one takes longer than to sign it."""
        return JudgePool(
            self.settings.sign.preparers,
            serving_limits(self.settings),
            self.database,
            self.clock,
            self.stamp_anchors,
            self.leaning,
            preload="prepare",
            first=self.judge,
        )

    @cached_property
    def signing_many(self) -> SigningDeps:
        """`signing` for a long row of documents."""
        pool = self.preparers
        policy = self.signing.findings
        return replace(
            self.signing,
            findings=policy if self.settings.sign.findings_in_batches or policy.refuses else NO_LOOK,
            preparer=pool,
            judge_earlier=pool.earlier_signatures,
            prepared_at_once=self.settings.sign.preparers,
        )

    def close(self) -> None:
        """Give back what was opened; nothing is opened for it."""
        self.judge.close()
        opened = vars(self)
        for part in ("preparers", "second_opinion", "keys", "database"):
            if part in opened:
                opened[part].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def locate(environment: Mapping[str, str]) -> tuple[Home, Settings]:
    """The home and its settings, whether or not anything is there yet."""
    home = locate_home(environment)
    return home, load_settings(home.settings_file, environment)


def open_installation(
    environment: Mapping[str, str], clock: Clock | None = None, judge: Judge | None = None, *, starts_keys: bool = True
) -> Installation:
    """The installation of an existing home; UsageError HOME_MISSING where there is none. A judge that runs already is taken over."""
    home, settings = locate(environment)
    if not home.exists():
        raise UsageError("HOME_MISSING", home=str(home.root))
    return Installation(home, settings, clock or SystemClock(), judge or Judge(judge_limits(settings)), starts_keys)
