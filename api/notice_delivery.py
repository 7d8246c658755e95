"""Delivery of expiry notices: makes what is due, then writes each into the log and posts it to the webhook of the settings.

A death between sending a notice and noting that leads to the same notice with the same id once more: at least once, not exactly once.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from api.errors import ComponentError
from api.webhook import Webhook, post
from api.wiring import Installation
from certs.clock import rfc3339
from pki.audit import Actor
from pki.expiry_notices import ENDED, Notice
from pki.roles import Permission, require

_LARGEST_SECRET = 4096
_LEAST_SECRET = 16
# After so many failures one after the other the receiver is taken to be away: the rest waits for the next look.
_PATIENCE = 3


@dataclass(frozen=True)
class Carried:
    """What one round has done; `waiting` are the notices that are still to be sent."""

    made: int
    logged: int
    sent: int
    failed: int
    waiting: int


def carry_notices(
    installation: Installation, actor: Actor, logger: logging.Logger | None, *, hurry: bool = False
) -> Carried:
    """One round. `hurry`: also those whose next attempt is for later. ComponentError when the webhook's secret cannot be read.

    What is no log (`logger` None) leaves the lines to the process that has one.
    """
    require(actor, Permission.ISSUE)
    desk = installation.notices
    made = desk.make_due(actor)
    logged = 0
    while logger is not None and (waiting := desk.unlogged()):
        for notice in waiting:
            _log(notice, logger)
        desk.note_logged(waiting)
        logged += len(waiting)
    sent, failed = _send(installation, hurry=hurry)
    return Carried(made, logged, sent, failed, len(desk.unsent(hurry=True)))


def _log(notice: Notice, logger: logging.Logger) -> None:
    # Serial and profile, and no name: whoever reads logs need not know whose certificate it is.
    logger.warning(
        "certificate has ended" if notice.days == ENDED else "certificate ends soon",
        extra={
            "notice": notice.id, "serial": notice.serial, "profile": notice.profile,
            "not_after": rfc3339(notice.not_after), "days": notice.days,
        },
    )  # fmt: skip


def _send(installation: Installation, *, hurry: bool) -> tuple[int, int]:
    """How many were taken, and how many not."""
    desk = installation.notices
    waiting = desk.unsent(hurry=hurry)
    if not waiting:
        return 0, 0
    webhook = _webhook(installation)
    sent = failed = in_a_row = 0
    for notice in waiting:
        problem = post(webhook, build_body(notice), installation.clock.now())
        if problem:
            desk.note_failed(notice, problem)
            failed, in_a_row = failed + 1, in_a_row + 1
            if in_a_row == _PATIENCE:
                break
        else:
            desk.note_sent(notice)
            sent, in_a_row = sent + 1, 0
    return sent, failed


def build_body(notice: Notice) -> bytes:
    """What a receiver gets: the same octets each time, so that `id` names one message."""
    said = {
        "id": notice.id,
        "event": "certificate.ended" if notice.days == ENDED else "certificate.ends-soon",
        "serial": notice.serial,
        "profile": notice.profile,
        "issuer": notice.issuer,
        "not_after": rfc3339(notice.not_after),
        "days": notice.days,
        "made_at": rfc3339(notice.made_at),
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _webhook(installation: Installation) -> Webhook:
    wanted = installation.settings.notices
    path = installation.home.root / wanted.webhook_secret_file
    try:
        with path.open("rb") as file:
            secret = file.read(_LARGEST_SECRET + 1).strip()
    except OSError as error:
        raise ComponentError(
            "NOTICE_SECRET_UNREADABLE", path=wanted.webhook_secret_file, reason=error.strerror or ""
        ) from error
    if not _LEAST_SECRET <= len(secret) <= _LARGEST_SECRET:
        raise ComponentError(
            "NOTICE_SECRET_REFUSED",
            path=wanted.webhook_secret_file,
            least=str(_LEAST_SECRET),
            most=str(_LARGEST_SECRET),
        )
    return Webhook(wanted.webhook, secret, wanted.webhook_seconds)
