"""What happened after a backup, from exports of the audit trail: put back where that can be done, and named where it cannot.

The rows of the exports themselves go on with the restored chains, so the trail is whole again. `REPLAYED`, `LOST` and `TRACELESS` of the
packages say what becomes of each kind of act; a kind that is in none of them is of a later release, and named like what is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

import pki.replay
import signer.replay
from api.auth.tables import TokenRow
from certs.clock import Clock, rfc3339
from certs.inventory import get_certificate
from pki.approval_rules import Act
from pki.audit import AuditRecord
from pki.audit_export import Checkpoint, check_export, refuse_revoked_signer
from pki.audit_import import count_missing, goes_on, import_acts
from pki.authorities import list_authorities
from pki.errors import AuditExportWrong
from pki.replay import Replay, close_approvals, move_crl_numbers, replay_act, reserve_registrations

# So many acts are named one by one; the numbers are always right.
MOST_NAMED = 1000


def _revoke_token(session: Session, act: AuditRecord, _replay: Replay) -> bool:
    """A token of after the backup has no row, and is good for nothing anyway."""
    row = session.scalar(select(TokenRow).where(TokenRow.name == act.subject_id))
    if row is not None and row.revoked_at is None and row.created_at <= act.time:
        row.revoked_at = act.time
        session.flush()
    return True


Deed = Callable[[Session, AuditRecord, Replay], bool]


def _without_replay(deed: signer.replay.Deed) -> Deed:
    return lambda session, act, _replay: deed(session, act)


REPLAYED: Mapping[str, Deed] = {
    **pki.replay.REPLAYED,
    **{action: _without_replay(deed) for action, deed in signer.replay.REPLAYED.items()},
    "token.revoke": _revoke_token,
}
LOST = pki.replay.LOST | signer.replay.LOST | {Act.TOKEN_ISSUE.value}
TRACELESS = (
    pki.replay.TRACELESS
    | signer.replay.TRACELESS
    | {"key.purpose", "key.purpose.intent", "backup.create", "backup.restore"}
)


@dataclass
class Reconciled:
    """What came of it. `known_until`: when the newest export was made, None without one; `missing`: acts that it has counted and
    none of the files has; `lost`, `unknown`: acts as `action subject (time)`.
    """

    known_until: str | None = None
    acts: int = 0
    replayed: dict[str, int] = field(default_factory=dict)
    lost_count: int = 0
    lost: list[str] = field(default_factory=list)
    unknown_count: int = 0
    unknown: list[str] = field(default_factory=list)
    missing: int = 0
    approvals_closed: int = 0


def reconcile(session: Session, exports: Sequence[Path], clock: Clock) -> Reconciled:
    """Bring a restored database, in the caller's transaction, up to the newest export. Without one: only what must not go backwards.

    AuditExportWrong, AuditExportUnreadable, AuditExportGap or AuditExportForeign when an export cannot be believed or does not fit.
    """
    result = Reconciled()
    replay = Replay(clock.now())
    counted: Counter[str] = Counter()
    checkpoints = _checked(session, exports)
    waiting = list(checkpoints)
    while waiting:
        # One that another has to come before waits for it. Where none fits, taking one in says what is missing.
        file, checkpoint = waiting.pop(next((at for at, each in enumerate(waiting) if goes_on(session, each[1])), 0))
        for act in import_acts(session, file, checkpoint):
            result.acts += 1
            _take(session, act, replay, counted, result)
    for _, checkpoint in checkpoints:
        # Only now is it known whether the signer was revoked in those days.
        refuse_revoked_signer(session, checkpoint)
    if checkpoints:
        result.known_until = rfc3339(max(each.stamp.time for _, each in checkpoints))
        result.missing = max(count_missing(session, each) for _, each in checkpoints)
    result.replayed = dict(sorted(counted.items()))
    result.approvals_closed = close_approvals(session, replay.last_approval)
    reserve_registrations(session, replay.last_registration)
    move_crl_numbers(session)
    return result


def _take(session: Session, act: AuditRecord, replay: Replay, counted: Counter[str], result: Reconciled) -> None:
    if act.action in TRACELESS:
        return
    deed = REPLAYED.get(act.action)
    if deed is not None and replay_act(deed, session, act, replay):
        counted[act.action] += 1
        return
    named = f"{act.action} {act.subject_id} ({rfc3339(act.time)})"
    if deed is not None or act.action in LOST:
        result.lost_count += 1
        result.lost += [named] if len(result.lost) < MOST_NAMED else []
    else:
        result.unknown_count += 1
        result.unknown += [named] if len(result.unknown) < MOST_NAMED else []


def _checked(session: Session, exports: Sequence[Path]) -> list[tuple[Path, Checkpoint]]:
    """Every export with its checkpoint; AuditExportWrong unless each is as it was signed."""
    anchors = _own_authorities(session) if exports else []
    found = []
    for file in exports:
        checkpoint, reports = check_export(file, anchors)
        broken = next((each for report in reports for each in report.breaks), None)
        if broken is not None:
            raise AuditExportWrong(
                f"{file.name} is broken",
                part="rows",
                problem=f"chain {broken.chain}, row {broken.position}: {broken.kind}",
            )
        found.append((file, checkpoint))
    return found


def _own_authorities(session: Session) -> list[x509.Certificate]:
    """The authorities of the backup stand behind the signatures."""
    ders = [get_certificate(session, each.serial).der for each in list_authorities(session) if each.serial is not None]
    return [x509.load_der_x509_certificate(der) for der in ders if der is not None]
