"""Does again, in a restored home, what the audit trail says was done to certificates, authorities and persons after the backup.

Nothing here uses a key or asks for a role: the acts were allowed when they happened, and only their traces are put back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, func, select, text, update
from sqlalchemy.orm import Session

from certs.errors import CertificateNotFound, CertsError
from certs.inventory import CertificateRecord, State, get_certificate
from certs.lost import LostCertificate, add_lost
from pki.approval_records import OPEN, ApprovalState
from pki.approval_rules import Act
from pki.audit import AuditRecord
from pki.authorities import find_authority, set_crl_partitions
from pki.errors import PkiError
from pki.persons import PersonState, find_person, write_roles
from pki.registration_records import RegistrationState
from pki.registration_tables import RegistrationRow
from pki.revocation import HOLD, is_worse, parse_reason, write_reinstatement, write_revocation
from pki.roles import Role
from pki.tables import ApprovalRow, AuthorityRow, PersonRow

# How far CRL numbers jump after a restore: nobody knows what was published after the last act that is known. At one list
# in two seconds this is good for three weeks.
CRL_MARGIN = 1_000_000
# The end of a certificate of an authority that is not there any more: none of ours lasts longer.
_LONGEST = timedelta(days=40 * 366)

_REFUSALS = {
    "registration.refuse": RegistrationState.REFUSED,
    "registration.withdraw": RegistrationState.WITHDRAWN,
}

_APPROVALS = cast("Table", ApprovalRow.__table__)
_REGISTRATIONS = cast("Table", RegistrationRow.__table__)
_AUTHORITIES = cast("Table", AuthorityRow.__table__)


@dataclass
class Replay:
    """One reconciliation: its moment, and what has to be remembered until its end."""

    now: datetime
    last_approval: int = field(default=0)
    last_registration: int = field(default=0)


Deed = Callable[[Session, AuditRecord, Replay], bool]


def _intend(session: Session, act: AuditRecord, _replay: Replay) -> bool:
    """A serial was given: the inventory keeps it, and it can be revoked."""
    name = act.details["issuer"]
    authority = find_authority(session, name)
    not_after, partitions = act.time + _LONGEST, 0
    if authority is not None:
        partitions = authority.crl_partitions
        if authority.serial is not None:
            # No certificate outlives the one that certifies it.
            not_after = get_certificate(session, authority.serial).not_after
    # As `Issuer.shard_of` gave it: the partitions of that moment, which the acts before this one have set.
    shard = int(act.subject_id, 16) % partitions + 1 if partitions else None
    add_lost(
        session,
        LostCertificate(
            act.subject_id, act.details["profile"], act.details["subject"], name, act.time, not_after, shard
        ),
    )
    if "registration" in act.details:
        # It is used: no second certificate is made of it.
        _decide_registration(
            session, int(act.details["registration"]), RegistrationState.ISSUED, certificate_serial=act.subject_id
        )
    return True


def _revoke(session: Session, act: AuditRecord, replay: Replay) -> bool:
    record = _certificate(session, act)
    if record is None:
        return False
    flag = parse_reason(act.details["reason"])
    since = _moment(act.details.get("since"))
    if record.state is State.REVOKED and not is_worse(record, flag, since):
        return True
    if record.state is State.SUSPENDED and flag is HOLD:
        return True
    # A hold that becomes final keeps its date, to the last digit where the backup has it.
    at = record.revoked_at or _moment(act.details.get("at")) or act.time
    write_revocation(session, record, flag, at, since, replay.now)
    return True


def _reinstate(session: Session, act: AuditRecord, replay: Replay) -> bool:
    record = _certificate(session, act)
    if record is None:
        return False
    if record.state is State.SUSPENDED:
        write_reinstatement(session, record, replay.now)
    return True


def _note_number(session: Session, act: AuditRecord, _replay: Replay) -> bool:
    """A CRL number was used."""
    number = int(act.details["number"])
    same = update(_AUTHORITIES).where(_AUTHORITIES.c.name == act.subject_id, _AUTHORITIES.c.crl_number < number)
    session.execute(same.values(crl_number=number))
    return find_authority(session, act.subject_id) is not None


def _partition(session: Session, act: AuditRecord, _replay: Replay) -> bool:
    if find_authority(session, act.subject_id) is None:
        return False
    set_crl_partitions(session, act.subject_id, int(act.details["partitions"]))
    return True


def _add_person(session: Session, act: AuditRecord, _replay: Replay) -> bool:
    if find_person(session, act.subject_id) is None:
        row = PersonRow(
            name=act.subject_id,
            full_name=act.details["full_name"],
            roles=act.details["roles"],
            state=PersonState.ACTIVE.value,
            created_at=act.time,
        )
        session.add(row)
        session.flush()
    return True


def _change_person(session: Session, act: AuditRecord, _replay: Replay) -> bool:
    row = session.get(PersonRow, act.subject_id)
    if row is None:
        return False
    roles = frozenset(Role(each) for each in row.roles.split())
    if act.action == Act.PERSON_GRANT:
        row.roles = write_roles(roles | {Role(act.details["role"])})
    elif act.action == Act.PERSON_WITHDRAW:
        row.roles = write_roles(roles - {Role(act.details["role"])})
    else:
        row.state = (PersonState.DISABLED if act.action == Act.PERSON_DISABLE else PersonState.ACTIVE).value
    session.flush()
    return True


def _note_approval(_session: Session, act: AuditRecord, replay: Replay) -> bool:
    """A request's number was given. The requests themselves are all closed: what they allowed may have been done since."""
    replay.last_approval = max(replay.last_approval, int(act.subject_id))
    return True


def _note_registration(_session: Session, act: AuditRecord, replay: Replay) -> bool:
    """A registration's number was given. What was registered or confirmed since has to be seen again by an officer."""
    replay.last_registration = max(replay.last_registration, int(act.subject_id))
    return False


def _refuse_registration(session: Session, act: AuditRecord, _replay: Replay) -> bool:
    state = _REFUSALS[act.action]
    decided = {"decided_by": act.actor, "decided_at": act.time, "reason": act.details["reason"]}
    return _decide_registration(session, int(act.subject_id), state, **decided)


def _decide_registration(session: Session, number: int, state: RegistrationState, **more: Any) -> bool:
    c = _REGISTRATIONS.c
    deciding = update(_REGISTRATIONS).where(c.id == number).values(state=state.value, **more)
    return session.execute(deciding.returning(c.id)).one_or_none() is not None


# What is done again.
REPLAYED: Mapping[str, Deed] = {
    "certificate.intend": _intend,
    "certificate.revoke": _revoke,
    "certificate.suspend": _revoke,
    "certificate.reinstate": _reinstate,
    "crl.sign": _note_number,
    "crl.partition": _partition,
    Act.PERSON_ADD.value: _add_person,
    Act.PERSON_GRANT.value: _change_person,
    Act.PERSON_WITHDRAW.value: _change_person,
    Act.PERSON_DISABLE.value: _change_person,
    Act.PERSON_ENABLE.value: _change_person,
    "registration.add": _note_registration,
    "registration.confirm": _note_registration,
    **dict.fromkeys(_REFUSALS, _refuse_registration),
    **{f"approval.{what}": _note_approval for what in ("request", "approve", "reject", "withdraw", "use", "close")},
}
# What cannot be: the octets of a certificate, or the key in a token that was made after the backup.
LOST = frozenset(
    {
        "certificate.issue", "authority.create", "authority.activate", "authority.import",
        "service.create", "service.activate", "service.renew",
    }
)  # fmt: skip
# What leaves nothing behind but its row.
# A notice of those days is made, and sent, once more.
TRACELESS = frozenset({"crl.entries.restore", "tsa.tally", "notice.make"})


def replay_act(deed: Deed, session: Session, act: AuditRecord, replay: Replay) -> bool:
    """Do one act again; False when what it was done to is not there, or is not what the act says."""
    try:
        return deed(session, act, replay)
    except (CertsError, PkiError, KeyError, ValueError):
        # Written by another release, or about what was lost: it is named to whoever restores.
        return False


def close_approvals(session: Session, last: int) -> int:
    """Every open request is over, because it may have been used since; how many were. No number up to `last` is given again."""
    open_states = [each.value for each in OPEN]
    closing = update(_APPROVALS).where(_APPROVALS.c.state.in_(open_states)).values(state=ApprovalState.EXPIRED.value)
    closed = len(session.execute(closing.returning(_APPROVALS.c.id)).all())
    _reserve_numbers(session, _APPROVALS, last)
    return closed


def reserve_registrations(session: Session, last: int) -> None:
    """No number of a registration up to `last` is given again: audit rows and files of papers name them."""
    _reserve_numbers(session, _REGISTRATIONS, last)


def _reserve_numbers(session: Session, table: Table, last: int) -> None:
    highest = session.scalar(select(func.max(table.c.id))) or 0
    if last <= highest:
        return
    facts = {"name": table.name, "last": last}
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"), facts)
        return
    # sqlite.org/autoinc.html: the table may be written to.
    session.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), facts)
    session.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), facts)


def move_crl_numbers(session: Session) -> None:
    """Every authority goes on well above the last number that is known, and its lists are due: relying parties have newer ones."""
    session.execute(
        update(_AUTHORITIES).values(
            crl_number=_AUTHORITIES.c.crl_number + CRL_MARGIN, revocation_epoch=_AUTHORITIES.c.revocation_epoch + 1
        )
    )


def _certificate(session: Session, act: AuditRecord) -> CertificateRecord | None:
    try:
        return get_certificate(session, act.subject_id, lock=True)
    except CertificateNotFound:
        return None


def _moment(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)
