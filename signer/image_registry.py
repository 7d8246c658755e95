"""The registry of the pictures of seals and signatures: whose each is, how large on paper, who agreed to it, for which days.

One person adds a picture, another approves it (pki/approval.py); until then, and after its end, nobody signs with it. The octets are
images.py's.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from certs.clock import VIETNAM, Clock, for_people
from certs.db import Database, hold
from certs.prepared import Prepared
from pki.approval import Approval, Deed, demand, use
from pki.approval_records import Decision, get_approval
from pki.approval_rules import Act, ApprovalRules
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.appearance.image_rules import ImageRule, Purpose
from signer.credentials import OFFICER, unknown_credential
from signer.errors import Refused, UsageWrong
from signer.metadata import parse_day
from signer.octets import sha256_of
from signer.office_policy import policy_on
from signer.storage import BlobStore
from signer.tables import CredentialRow, ImageRow

WAITING, ACTIVE, ENDED = "waiting", "active", "ended"
SEAL, SIGNATURE = "seal", "signature"
# As wide as a signature is drawn where nobody says otherwise.
SIGNATURE_MM = 45.0
_LONGEST_OWNER, _LONGEST_REASON = 64, 200
_SHOWN_DIGITS = 16


@dataclass(frozen=True)
class Checked:
    """A picture that is as the law wants it, in the form in which it is kept; pixels are those of what is drawn."""

    png: bytes
    width_px: int
    height_px: int


class PictureJudge(Protocol):
    """Looks at a stranger's picture where that can do no harm: signer/appearance/upload.py, in the judge process."""

    def __call__(self, png: bytes, purpose: Purpose, width_mm: float, rule: ImageRule, file: str, /) -> Checked:
        """Raises Refused or InputUnreadable with what is wrong with it."""
        ...


@dataclass(frozen=True)
class NewImage:
    """What is to be registered. `file`: its name, for people. Days are Vietnam's; `starts` None: the day on which it is approved."""

    png: bytes
    file: str
    purpose: Purpose
    owner: str
    width_mm: float
    starts: str | None = None
    ends: str | None = None


@dataclass(frozen=True)
class Image:
    """One picture of the registry; ImageRow says what its fields mean."""

    id: int
    purpose: Purpose
    owner: str
    state: str
    sha256: str
    source_sha256: str
    width_mm: float
    width_px: int | None
    height_px: int | None
    starts: str | None
    ends: str | None
    added_by: str
    added_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None

    def state_on(self, day: str) -> str:
        """As people see it: waiting, to come, in force, over or ended."""
        if self.state != ACTIVE:
            return self.state
        if self.starts is not None and day < self.starts:
            return "to come"
        return "over" if self.ends is not None and day > self.ends else "in force"


@dataclass(frozen=True)
class ImageDeps:
    """What registering works with."""

    database: Database
    clock: Clock
    approvals: ApprovalRules
    blobs: BlobStore
    check: PictureJudge


@dataclass(frozen=True)
class SigningImages:
    """What a signature is drawn with: its own picture, None for a signer who never had one; the diameter of the agency's seal, if known."""

    own: Image | None = None
    seal_mm: float | None = None


NO_IMAGES = SigningImages()


def add_image(new: NewImage, actor: Actor, deps: ImageDeps) -> Image:
    """Check it and let it wait for a second person; asked again when that one has agreed, it is registered. ApprovalNeeded until then.

    The same picture of the same owner, size and days is there once.
    """
    require(actor, Permission.MANAGE_CREDENTIALS)
    new, checked = _taken(new, deps)
    sha256 = deps.blobs.put(checked.png)
    image = _propose(new, checked, sha256, actor, deps)
    if image.state == ACTIVE:
        return image
    deed = Deed(
        Act.IMAGE_ADD,
        f"{image.owner}: {image.purpose} {image.width_mm:g} mm, {image.sha256[:_SHOWN_DIGITS]}",
        {
            "purpose": image.purpose, "owner": image.owner, "picture": image.sha256, "uploaded": image.source_sha256,
            "width_mm": f"{image.width_mm:g}", "from": image.starts, "to": image.ends,
        },
        {"image": image.id},
    )  # fmt: skip
    # Whatever the home asks for other deeds: nobody gives himself the picture of an office.
    approval = demand(deed, max(1, deps.approvals.needed(Act.IMAGE_ADD)), actor, deps)
    assert approval is not None
    return _activate(image.id, approval, actor, deps)


def found_image(new: NewImage, actor: Actor, deps: ImageDeps) -> Image:
    """The picture that a demonstration's credential is made with: there is nobody yet to agree to it, and its row says so."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    new, checked = _taken(new, deps)
    sha256 = deps.blobs.put(checked.png)
    now = deps.clock.now()
    with deps.database.write() as session:
        hold(session, f"images {new.owner}")
        row = _same(session, new, sha256)
        if row is None:
            row = _row(new, checked, sha256, actor, now)
            row.state, row.starts = ACTIVE, new.starts or _day(now)
            session.add(row)
            session.flush()
            _note(session, deps, actor, "image.found", row)
        return _read(row)


def end_image(number: int, reason: str, actor: Actor, database: Database, clock: Clock) -> Image:
    """Nobody signs with it from now on; also one that still waits."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    reason = " ".join(unicodedata.normalize("NFC", reason).split())
    if not reason or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise UsageWrong("CREDENTIAL_TEXT_WRONG", field="reason", limit=str(_LONGEST_REASON))
    with database.write() as session:
        row = session.get(ImageRow, number, with_for_update=True)
        if row is None:
            raise UsageWrong("IMAGE_UNKNOWN", id=str(number))
        if row.state == ENDED:
            raise Refused("IMAGE_ENDED_BEFORE", id=str(number))
        row.state, row.ended_at, row.end_reason = ENDED, clock.now(), reason
        append(session, clock, actor, "image.end", "image", str(number), sha256=row.sha256, reason=reason)
        session.flush()
        return _read(row)


def list_images(session: Session, owner: str | None = None) -> list[Image]:
    """The newest first, those that are over too."""
    query = select(ImageRow).order_by(ImageRow.id.desc())
    return [_read(row) for row in session.scalars(query if owner is None else query.where(ImageRow.owner == owner))]


def get_image(session: Session, number: int) -> Image:
    """One of them; UsageWrong IMAGE_UNKNOWN."""
    row = session.get(ImageRow, number)
    if row is None:
        raise UsageWrong("IMAGE_UNKNOWN", id=str(number))
    return _read(row)


def owner_of(session: Session, credential: str) -> tuple[Purpose, str]:
    """What picture a credential signs with, and whose that is: of a seal the agency's, else its own."""
    row = session.get(CredentialRow, credential) if credential.isprintable() else None
    if row is None:
        raise unknown_credential(session, credential)
    return ("signature", row.name) if row.role == OFFICER else ("seal", row.agency)


def images_for(
    database: Database, purpose: Purpose, owner: str | None, linked: str | None, agency: str, now: datetime
) -> SigningImages:
    """What somebody signs with now; Refused when the owner's pictures are none that may be signed with today.

    `linked`: the digest of the picture that the credential was made with, which may be that of the one before it.
    """
    day = _day(now)
    with database.look() as connection:
        rows = _of_signer().run(connection, {"purpose": purpose, "owner": owner, "linked": linked, "agency": agency})
    images = [Image(*row) for row in rows]
    seals = [each for each in images if (each.purpose, each.owner) == (SEAL, agency)]
    seal = next((each for each in seals if each.state_on(day) == "in force"), None)
    own = [each for each in images if each.purpose == purpose and (each.owner == owner or each.sha256 == linked)]
    best = next((each for each in own if each.state_on(day) == "in force"), None)
    if own and best is None:
        raise _unusable(own[0], day)
    return SigningImages(best, seal.width_mm if seal is not None else None)


@functools.cache
def _of_signer() -> Prepared:
    """The pictures that a signer may have, and the seals of his agency: the newest first."""
    columns = [ImageRow.__table__.c[name] for name in Image.__dataclass_fields__]
    row = ImageRow
    mine = (row.purpose == bindparam("purpose")) & or_(
        row.owner == bindparam("owner"), row.sha256 == bindparam("linked")
    )
    seals = (row.purpose == SEAL) & (row.owner == bindparam("agency"))
    return Prepared(select(*columns).where(or_(mine, seals)).order_by(row.id.desc()))


def _unusable(image: Image, day: str) -> Refused:
    facts = {"id": str(image.id), "owner": image.owner}
    state = image.state_on(day)
    if state == WAITING:
        return Refused("IMAGE_NOT_APPROVED", **facts)
    if state == "to come":
        return Refused("IMAGE_NOT_BEGUN", **facts, day=image.starts or "")
    if state == "over":
        return Refused("IMAGE_OVER", **facts, day=image.ends or "")
    when = for_people(image.ended_at) if image.ended_at else ""
    return Refused("IMAGE_ENDED", **facts, when=when, reason=image.end_reason or "")


def _taken(new: NewImage, deps: ImageDeps) -> tuple[NewImage, Checked]:
    """What is asked for, in one spelling, and the picture after the judge process has looked at it."""
    owner = unicodedata.normalize("NFC", new.owner).strip()
    if not owner or len(owner) > _LONGEST_OWNER or not owner.isprintable():
        raise UsageWrong("CREDENTIAL_TEXT_WRONG", field="owner", limit=str(_LONGEST_OWNER))
    starts, ends = (_parsed(each) if each else None for each in (new.starts, new.ends))
    today = _day(deps.clock.now())
    if ends is not None and ends < (starts or today):
        raise UsageWrong("IMAGE_ENDS_BEFORE", starts=starts or today, ends=ends)
    rule = policy_on(deps.clock.now().astimezone(VIETNAM).date()).images[new.purpose]
    checked = deps.check(new.png, new.purpose, new.width_mm, rule, new.file)
    return NewImage(new.png, new.file, new.purpose, owner, new.width_mm, starts, ends), checked


def _propose(new: NewImage, checked: Checked, sha256: str, actor: Actor, deps: ImageDeps) -> Image:
    """The row that waits, or the one that is there already."""
    with deps.database.write() as session:
        hold(session, f"images {new.owner}")
        row = _same(session, new, sha256)
        if row is None:
            row = _row(new, checked, sha256, actor, deps.clock.now())
            session.add(row)
            session.flush()
            _note(session, deps, actor, "image.add", row)
        return _read(row)


def _activate(number: int, approval: Approval, actor: Actor, deps: ImageDeps) -> Image:
    """One commit: the approval is used, the picture is registered, the trail says who agreed."""
    now = deps.clock.now()
    with deps.database.write() as session:
        row = session.get_one(ImageRow, number, with_for_update=True)
        if row.state != WAITING:
            # Ended while it waited, or registered by the same command in another process.
            raise Refused("IMAGE_ENDED_BEFORE", id=str(number))
        use(session, approval, approval.deed, actor, deps.clock)
        votes = get_approval(session, approval.id).votes
        row.state, row.approved_at, row.starts = ACTIVE, now, row.starts or _day(now)
        row.approved_by = ", ".join(each.person for each in votes if each.decision is Decision.APPROVE)
        _note(session, deps, actor, "image.approve", row, approved_by=row.approved_by)
        session.flush()
        return _read(row)


def _same(session: Session, new: NewImage, sha256: str) -> ImageRow | None:
    """The same wish that has not ended. One that waits was approved as it was asked; the day of an active one may have come of that."""
    row = ImageRow
    query = select(row).where(
        row.purpose == new.purpose, row.owner == new.owner, row.sha256 == sha256, row.width_mm == new.width_mm,
        row.state != ENDED,
    )  # fmt: skip
    for found in session.scalars(query.order_by(row.id.desc()).with_for_update()):
        same_end = found.ends == new.ends
        if same_end and (found.starts == new.starts or (new.starts is None and found.state == ACTIVE)):
            return found
    return None


def _row(new: NewImage, checked: Checked, sha256: str, actor: Actor, now: datetime) -> ImageRow:
    return ImageRow(
        purpose=new.purpose, owner=new.owner, state=WAITING, sha256=sha256, source_sha256=sha256_of(new.png),
        width_mm=new.width_mm, width_px=checked.width_px, height_px=checked.height_px, starts=new.starts,
        ends=new.ends, added_by=actor.name, added_at=now,
    )  # fmt: skip


def _note(session: Session, deps: ImageDeps, actor: Actor, action: str, row: ImageRow, **more: str) -> None:
    append(
        session, deps.clock, actor, action, "image", str(row.id), purpose=row.purpose, owner=row.owner,
        sha256=row.sha256, width_mm=f"{row.width_mm:g}", starts=row.starts or "", ends=row.ends or "", **more,
    )  # fmt: skip


def _day(moment: datetime) -> str:
    return moment.astimezone(VIETNAM).date().isoformat()


def _parsed(typed: str) -> str:
    day = parse_day(typed)
    if day is None:
        raise UsageWrong("DAY_MALFORMED", typed=typed[:20])
    return day.isoformat()


def _read(row: ImageRow) -> Image:
    return Image(*(getattr(row, name) for name in Image.__dataclass_fields__))
