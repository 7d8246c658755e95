"""Mends what a death or an older release left behind: signing acts, numbers and certificates that nobody will finish, keys without
a purpose.
"""

from __future__ import annotations

import contextlib

from api.checkup import IN_PROGRESS
from api.key_uses import give_purposes
from api.publishing import publish
from api.wiring import Installation
from hsm.errors import HSMError
from pki.audit import Actor, append
from pki.revocation import revoke_intents
from pki.roles import Permission, require
from signer.documents import fail_act, open_intents
from signer.handing_over import clear_prepared
from signer.numbering import open_reservations, void_number

_REASON = "ABANDONED"


def mend(installation: Installation, actor: Actor) -> list[tuple[str, str]]:
    """Close abandoned acts as failed, numbers as void, prepared documents as expired and certificates as revoked, give keys their
    purpose, each with its audit row; what was mended, as kind and name. The keys come last: what needs no token is mended without one.
    """
    require(actor, Permission.MEND)
    clock = installation.clock
    now = clock.now()
    closed: list[tuple[str, str]] = []
    with installation.database.write() as session:
        for act in open_intents(session, now - IN_PROGRESS):
            if fail_act(session, act.id, failure=_REASON, now=now):
                append(session, clock, actor, "document.sign.fail", "act", str(act.id), reason=_REASON)
                closed.append(("act", str(act.id)))
        for one in open_reservations(session, now - IN_PROGRESS):
            if void_number(session, one.agency, one.year, one.number, _REASON, one.series):
                append(session, clock, actor, "number.void", "number", str(one), reason=_REASON, agency=one.agency)
                closed.append(("number", str(one)))
    closed += [("prepared", one) for one in clear_prepared(actor, installation.handover)]
    closed += [("certificate", serial) for serial in revoke_intents(now - IN_PROGRESS, actor, installation.revocation)]
    # A token that is away is named by the check of the keys, which comes next; the lists stay due.
    with contextlib.suppress(HSMError):
        if any(kind == "certificate" for kind, _ in closed):
            publish(installation, actor)
        closed += [("purpose", f"{use.kind} {use.name}") for _, use in give_purposes(installation, actor)]
    return closed
