"""What the signing cycle takes, works with and gives back: values and protocols. The cycle itself is signing.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from certs.clock import VIETNAM, Clock
from certs.db import Database
from pki.audit import Actor
from signer.appearance.fonts import EmbeddedFont, Style
from signer.appearance.image_rules import Purpose
from signer.appearance.images import StampImage
from signer.credentials import CredentialDesk, Signatory
from signer.documents import Reached
from signer.extending import Extender, Raised
from signer.findings import NO_LOOK, FindingsPolicy, SafetyFinding
from signer.image_registry import NO_IMAGES, SigningImages
from signer.metadata import Metadata
from signer.numbering import GivenNumber
from signer.octets import Octets, sha256_of, whole
from signer.office_policy import ISSUE, IntentRule, OfficePolicy, policy_on
from signer.pades import PreparedPdf
from signer.particulars import NOTHING_PARTICULAR, Particulars
from signer.password import NO_PASSWORD, Password
from signer.plan import Plan, Prepared
from signer.protection import NO_PROTECTION, Protection
from signer.storage import BlobStore
from signer.subfilters import PADES, PKCS7


@dataclass(frozen=True)
class EarlierSignatures:
    """What is known of the signatures a file already bears.

    `revisions`: SHA-256 of each signed revision. `fields`: names of the signed fields. `broken`: those whose content
    changed or whose value is wrong. `signers`: serials of our own certificates behind valid signatures. `enrolled`: credentials
    whose key is elsewhere, behind whole signatures with the very certificate that they were enrolled with. `officials`: SHA-256 of the
    certificates behind valid signatures that others have issued for keys of ours. `practised`: fields signed with our own
    certificates for training; `practised_elsewhere`: with those of another home.
    """

    revisions: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    signers: tuple[str, ...] = ()
    enrolled: tuple[str, ...] = ()
    officials: tuple[str, ...] = ()
    practised: tuple[str, ...] = ()
    practised_elsewhere: tuple[str, ...] = ()


class Preparer(Protocol):
    """Appends the revision of a plan to a file that may be anybody's: signer/preparing.py, in whatever process."""

    def prepare(self, pdf: Octets, plan: Plan) -> Prepared:
        """Raises Refused, InputUnreadable or Unavailable; uses no key."""
        ...


class EarlierJudge(Protocol):
    """Judges the signatures that a file bears already."""

    def __call__(self, pdf: Octets, password: Password, /) -> EarlierSignatures:
        """Raises Refused or InputUnreadable when that cannot be found out."""
        ...


@dataclass(frozen=True)
class SignRequest:
    """One document to be signed. `name` is the file's base name, for people. `intent` None: the credential's usual one.

    `activation`: the consent that it is signed with (activation.py), where the credential asks for one.
    `room`: octets to reserve for the CMS at the least; ours reserves what it needs without being told.
    """

    pdf: Octets
    name: str
    credential: str
    intent: str | None = None
    level: str = "B-B"
    metadata: Metadata = dataclasses.field(default_factory=dict)
    placement: str = "auto"
    field: str | None = None
    protection: Protection = NO_PROTECTION
    password: Password = NO_PASSWORD
    subfilter: str = PADES
    room: int = 0
    particulars: Particulars = NOTHING_PARTICULAR
    activation: str | None = None
    # It is only prepared now: its consent may come when it is finished.
    later: bool = False


@dataclass(frozen=True)
class SignedDocument:
    """What came out. `placed` None: nothing visible was drawn. `number` is the document's, once it has one.

    `status` is the document's as it stood when the intent was committed: a signature changes none, and the first one puts it in force.
    `sha256` is that of `file`. `issued`: the agency's seal is on it, by this signature or an earlier one.
    """

    code: str
    file: Octets
    sha256: str
    field: str
    intent: str
    level: str
    status: str
    issued: bool
    number: int | None
    placed: str | None
    filled: tuple[str, ...]
    # The level that was asked for, where `level` is below it: the worker goes on from there.
    pending: str | None = None
    # What in the file was warned of.
    findings: tuple[SafetyFinding, ...] = ()

    @property
    def content(self) -> bytes:
        """The file in memory."""
        return whole(self.file)


@dataclass(frozen=True)
class CodeWish:
    """Whether codes are drawn on documents (None: as the policy of offices has it), and the address that they are checked at."""

    drawn: str | None = None
    address: str = ""


@dataclass(frozen=True)
class SigningDeps:
    """What the cycle works with; built once in api/wiring.py.

    `image(sha256, purpose, width_mm)` and `font(style, text)` open what is drawn; `judge_earlier` reads the signatures of a file.
    Without an `extender` there is no level above B-B.
    """

    database: Database
    clock: Clock
    desk: CredentialDesk
    preparer: Preparer
    judge_earlier: EarlierJudge
    blobs: BlobStore
    image: Callable[[str, Purpose, float], StampImage]
    font: Callable[[Style, str], EmbeddedFont]
    seal_diameter_mm: float
    max_bytes: int
    extender: Extender | None = None
    # How many files the preparer works on at a time.
    prepared_at_once: int = 1
    # Whether files are looked through before they are signed, and what becomes of what is found.
    findings: FindingsPolicy = NO_LOOK
    # Whether it only serves to practise.
    training: bool = False
    code: CodeWish = CodeWish()


@dataclass(frozen=True)
class Case:
    """The decisions that stand once the request is admitted. `now` is the time that file and register will both say."""

    request: SignRequest
    actor: Actor
    signatory: Signatory
    intent: str
    now: datetime
    deps: SigningDeps
    earlier: EarlierSignatures
    # What the signer's position rests on (mandates.py).
    mandates: tuple[int, ...] = ()
    # The code that is drawn on it, and that it will bear.
    code: str | None = None
    # What it is drawn with (image_registry.py).
    images: SigningImages = NO_IMAGES

    @property
    def policy(self) -> OfficePolicy:
        """The office's policy of the day on which it is signed."""
        return policy_on(self.now.astimezone(VIETNAM).date())

    @property
    def rule(self) -> IntentRule:
        """The policy's rules for this intent."""
        return self.policy.rule(self.intent)

    @property
    def sealing(self) -> str | None:
        """The credential that is to issue the document, None for a person's signature."""
        return self.signatory.name if self.intent == ISSUE else None

    @property
    def signed_by(self) -> dict[str, str]:
        """Who signs, as audit rows say it."""
        name = self.signatory.name
        who = {"certificate": self.signatory.serial} if name is None else {"credential": name}
        if self.mandates:
            who["mandates"] = " ".join(map(str, self.mandates))
        if self.images.own is not None:
            who["image"] = str(self.images.own.id)
        return who

    @property
    def signing_time(self) -> datetime | None:
        """What stands in the CMS: nothing for PAdES, whose time is /M (EN 319 142-1 6.3)."""
        return self.now if self.request.subfilter == PKCS7 else None


@dataclass(frozen=True)
class Ready:
    """A case whose revision is appended: all that is still to come is the signature. `digest`: what it will be over."""

    case: Case
    number: GivenNumber | None
    prepared: PreparedPdf
    digest: bytes
    placed: str | None
    filled: tuple[str, ...]
    findings: tuple[SafetyFinding, ...] = ()

    def attributes(self) -> bytes:
        """The octets that the signer's key signs, wherever it is: the signed attributes, which hold the digest."""
        return self.case.signatory.template.signed_attributes(self.digest, self.case.signing_time)


class Claim(Protocol):
    """What a prepared document that was stored adds to the two commits of its signature, so that it is signed once (prepared.py)."""

    @property
    def code(self) -> str:
        """The lookup code that its document was promised."""
        ...

    def take(self, session: Session) -> None:
        """First in the commit of the intent; Refused when somebody else has it, or it may not be signed any more."""
        ...

    def begun(self, session: Session, act: int) -> None:
        """The act that it became."""
        ...

    def finish(self, session: Session, act: int) -> None:
        """First in the commit of the result; Refused when somebody else has taken it over."""
        ...

    def release(self, session: Session, act: int, reason: str) -> None:
        """Nothing came of it: it waits on."""
        ...


@dataclass(frozen=True)
class Made:
    """The signed revision, and the file that goes on behind it with the proofs of its level."""

    signed: Octets
    raised: Raised


@dataclass(frozen=True)
class Outcome(Made):
    """The same with the file stored, under its digest."""

    sha256: str

    def reached(self) -> Reached:
        if self.raised.content is self.signed:
            return Reached(self.raised.level)
        return Reached(self.raised.level, self.sha256, len(self.raised.content), self.raised.renew_at)

    def signed_sha256(self) -> str:
        return self.sha256 if self.raised.content is self.signed else sha256_of(self.signed)
