"""POST /api/v1/certificates/{serial}/revoke, suspend, reinstate, renew: what a registration system does with certificates.

What is so already is answered like the change itself, so that a client whose answer was lost may simply ask again.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.auth.tokens import TokenRecord
from api.cli.context import parse_time
from api.errors import RequestError
from api.routes.certificates import describe_certificate
from api.services import Services
from certs.csr import parse_csr
from certs.inventory import CertificateRecord, State
from certs.serial import parse_serial
from pki.audit import Actor
from pki.errors import AlreadyRevoked, AlreadySuspended, NotSuspended
from pki.renewal import RenewalRequest
from pki.revocation import HOLD, parse_reason

_SCOPE = "ra"
# Two requests of the largest key with all that people put into them.
_LONGEST_CSR = 64 * 1024


async def revoke(request: Request) -> Response:
    """For good; the reason is one of RFC 5280, `since` the time from which on the key is suspect."""
    token = await _token(request)
    body = await _read_object(request, {"reason": str, "since": str}, required=("reason",))
    reason = parse_reason(body["reason"])
    if reason is HOLD:
        raise RequestError("FORM_VALUE_WRONG", field="reason", valid="POST …/suspend")
    since = parse_time(body["since"]) if "since" in body else None
    return await _answer(request, partial(_revoke, request.path_params["serial"], reason.value, since, token.actor))


async def suspend(request: Request) -> Response:
    """For a while; revoking and reinstating both can follow."""
    token = await _token(request)
    body = await _read_object(request, {"since": str})
    since = parse_time(body["since"]) if "since" in body else None
    return await _answer(request, partial(_revoke, request.path_params["serial"], HOLD.value, since, token.actor))


async def reinstate(request: Request) -> Response:
    """The end of a suspension."""
    token = await _token(request)
    await _read_object(request, {})
    return await _answer(request, partial(_reinstate, request.path_params["serial"], token.actor))


async def renew(request: Request) -> Response:
    """The certificate that follows: with the same key, or with the one of a CSR."""
    token = await _token(request)
    body = await _read_object(request, {"csr": str, "days": int, "force": bool})
    csr = body.get("csr")
    if csr is not None and len(csr) > _LONGEST_CSR:
        raise RequestError("FORM_VALUE_WRONG", field="csr", valid="PEM")
    days = body.get("days")
    if days is not None and not 1 <= days <= 36_525:
        raise RequestError("FORM_VALUE_WRONG", field="days", valid="1 – 36525")
    key = None if csr is None else parse_csr(csr.encode())
    wanted = RenewalRequest(request.path_params["serial"], key, days, body.get("force", False))
    state = request.app.state
    record: CertificateRecord = await state.lanes.sign.run(state.services.renew, wanted, token.actor)
    location = {"Location": f"/api/v1/certificates/{record.serial}"}
    return JSONResponse(describe_certificate(record, record.state, None, known=True), 201, location)


async def _token(request: Request) -> TokenRecord:
    token: TokenRecord = await request.app.state.access.require(request, _SCOPE)
    return token


async def _answer(request: Request, deed: partial[CertificateRecord]) -> Response:
    state = request.app.state
    record: CertificateRecord = await state.lanes.quick.run(deed, state.services)
    number = await state.lanes.quick.run(state.services.registration_of, record.serial)
    lost = await state.lanes.quick.run(state.services.loss_of, record)
    now = state.services.installation.clock.now()
    return JSONResponse(describe_certificate(record, record.state_at(now), number, lost, known=True))


def _revoke(serial: str, reason: str, since: datetime | None, actor: Actor, services: Services) -> CertificateRecord:
    try:
        return services.revoke(serial, reason, since, actor)
    except (AlreadySuspended, AlreadyRevoked) as refusal:
        record = _record(services, serial)
        # The same reason, and no other date of suspicion: nothing is left to do. Anything else contradicts what was decided.
        same = record.revocation_reason == reason and since in (None, record.suspect_since)
        if not same:
            raise refusal from None
        return record


def _reinstate(serial: str, actor: Actor, services: Services) -> CertificateRecord:
    try:
        return services.reinstate(serial, actor)
    except NotSuspended:
        record = _record(services, serial)
        if record.state is not State.ACTIVE:
            raise
        return record


def _record(services: Services, serial: str) -> CertificateRecord:
    return services.certificate(parse_serial(serial))


async def _read_object(request: Request, members: dict[str, type], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON object of a request, with these members and no others; nothing at all is an object without members."""
    raw = await request.body()
    if not raw and not required:
        return {}
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise RequestError("MEDIA_TYPE_WRONG", wanted="application/json")
    try:
        value: object = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise RequestError("BODY_NOT_JSON") from None
    names = ", ".join(f'"{name}"' for name in members)
    if not isinstance(value, dict) or not set(value) <= set(members) or not set(required) <= set(value):
        raise RequestError("FORM_VALUE_WRONG", field="body", valid=f"{{{names}}}")
    for name, content in value.items():
        # True is an int to Python and not to JSON.
        if type(content) is not members[name]:
            raise RequestError("FORM_VALUE_WRONG", field=name, valid=_KINDS[members[name]])
    return value


_KINDS: dict[type, str] = {str: "text", int: "a whole number", bool: "true, false"}

routes = [
    Route("/api/v1/certificates/{serial}/revoke", revoke, methods=["POST"]),
    Route("/api/v1/certificates/{serial}/suspend", suspend, methods=["POST"]),
    Route("/api/v1/certificates/{serial}/reinstate", reinstate, methods=["POST"]),
    Route("/api/v1/certificates/{serial}/renew", renew, methods=["POST"]),
]
