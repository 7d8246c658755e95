"""GET /api/v1/certificates/{serial}: a certificate of ours and its state, now or in the past. Changes are certificate_deeds.py's."""

from __future__ import annotations

import re
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.auth.tokens import TokenRecord
from api.cli.context import parse_time
from api.errors import RequestError
from api.past_report import describe_gap, describe_past
from api.web.text import masked
from certs.clock import rfc3339
from certs.inventory import CertificateRecord, State
from pki.history import Gap, History

# Who sees persons' numbers in names, and the certificate itself, which holds them.
_READERS = ("ra", "ca", "audit")
_ZONE = re.compile(r" (\d\d:\d\d)$")


async def show(request: Request) -> Response:
    """State and names; with a token for registration or audit the whole certificate."""
    state = request.app.state
    token: TokenRecord | None = await state.access.welcome(request)
    known = token is not None and bool(token.scopes.intersection(_READERS))
    if "at" in request.query_params:
        history = await _past(request)
        now = state.services.installation.clock.now()
        number = await state.lanes.quick.run(state.services.registration_of, history.record.serial) if known else None
        whole = describe_certificate(history.record, history.record.state_at(now), number, history.lost, known=known)
        whole.pop("pem", None)
        return JSONResponse(describe_past(history, whole))
    record = await state.lanes.quick.run(state.services.certificate, request.path_params["serial"])
    number = await state.lanes.quick.run(state.services.registration_of, record.serial) if known else None
    now = state.services.installation.clock.now()
    lost = await state.lanes.quick.run(state.services.loss_of, record)
    return JSONResponse(describe_certificate(record, record.state_at(now), number, lost, known=known))


async def show_answer(request: Request) -> Response:
    """The stored OCSP answer that was the newest good one at a time, in DER."""
    await request.app.state.access.welcome(request)
    history = await _past(request)
    if history.answer is None:
        raise RequestError("OCSP_ANSWER_NONE")
    return Response(history.answer.octets, 200, media_type="application/ocsp-response")


async def _past(request: Request) -> History:
    state = request.app.state
    # A plus sign that was not escaped arrives as a blank.
    at = parse_time(_ZONE.sub(r"+\1", request.query_params.get("at", "")))
    # A long list is read through for it, and anybody may ask: not on the lane of what takes milliseconds.
    history: History = await state.lanes.judge.run(state.services.past, request.path_params["serial"], at)
    return history


def describe_certificate(
    record: CertificateRecord, state: State, registration: int | None, lost: Gap | None = None, *, known: bool
) -> dict[str, Any]:
    """A certificate as the API shows it; to whom is `known` with the numbers in names, PEM and registration.

    `lost`: the days with which its record was lost.
    """
    shown = {
        "serial": record.serial,
        "profile": record.profile,
        "subject": record.subject if known else masked(record.subject),
        "common_name": record.common_name if known else masked(record.common_name),
        "issuer": record.issuer,
        "state": state.value,
        "not_before": rfc3339(record.not_before),
        "not_after": rfc3339(record.not_after),
        "sha256": record.sha256,
        "revoked_at": rfc3339(record.revoked_at) if record.revoked_at else None,
        "revocation_reason": record.revocation_reason,
        "record_lost": describe_gap(lost),
    }
    if not known:
        return shown
    inside = {
        "registration": registration,
        "replaces": record.replaces,
        "suspect_since": rfc3339(record.suspect_since) if record.suspect_since else None,
    }
    # An intent that was revoked has no certificate to show.
    if record.der is None:
        return shown | inside
    return shown | inside | {"pem": record.certificate().public_bytes(Encoding.PEM).decode()}


routes = [
    Route("/api/v1/certificates/{serial}", show, methods=["GET"]),
    Route("/api/v1/certificates/{serial}/ocsp", show_answer, methods=["GET"]),
]
