"""What the signing cycle takes, works with and gives back: values and protocols. The cycle itself is signing.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from certs.clock import Clock
from certs.db import Database
from signer.appearance.fonts import EmbeddedFont, Style
from signer.appearance.images import Purpose, StampImage
from signer.credentials import CredentialDesk
from signer.extending import Extender
from signer.metadata import Metadata
from signer.password import NO_PASSWORD, Password
from signer.plan import Plan, Prepared
from signer.protection import NO_PROTECTION, Protection
from signer.storage import BlobStore


@dataclass(frozen=True)
class EarlierSignatures:
    """What is known of the signatures a file already bears.

    `revisions`: SHA-256 of each signed revision. `fields`: names of the signed fields. `broken`: those whose content
    changed or whose value is wrong. `signers`: serials of our own certificates behind valid signatures.
    """

    revisions: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    signers: tuple[str, ...] = ()


class Preparer(Protocol):
    """Appends the revision of a plan to a file that may be anybody's: signer/preparing.py, in whatever process."""

    def prepare(self, pdf: bytes, plan: Plan) -> Prepared:
        """Raises Refused, InputUnreadable or Unavailable; uses no key."""
        ...


class EarlierJudge(Protocol):
    """Judges the signatures that a file bears already."""

    def __call__(self, pdf: bytes, password: Password, /) -> EarlierSignatures:
        """Raises Refused or InputUnreadable when that cannot be found out."""
        ...


@dataclass(frozen=True)
class SignRequest:
    """One document to be signed. `name` is the file's base name, for people. `intent` None: the credential's usual one."""

    pdf: bytes
    name: str
    credential: str
    intent: str | None = None
    level: str = "B-B"
    metadata: Metadata = dataclasses.field(default_factory=dict)
    placement: str = "auto"
    field: str | None = None
    protection: Protection = NO_PROTECTION
    password: Password = NO_PASSWORD


@dataclass(frozen=True)
class SignedDocument:
    """What came out. `placed` None: nothing visible was drawn. `number` is the document's, once it has one.

    `status` is the document's as it stood when the intent was committed: a signature changes none, and the first one puts it in force.
    `sha256` is that of `content`. `issued`: the agency's seal is on it, by this signature or an earlier one.
    """

    code: str
    content: bytes
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
    signature_width_mm: float
    max_bytes: int
    extender: Extender | None = None
    # How many files the preparer works on at a time.
    prepared_at_once: int = 1
