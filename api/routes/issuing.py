"""POST /api/v1/certificates: a certificate for the key of a request, by what a registration officer's system says or by a registration."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.auth.tokens import TokenRecord
from api.errors import RequestError
from api.routes.certificates import describe_certificate
from api.routes.reading import idempotency_key, read_json
from api.services import Services
from certs.csr import parse_csr
from certs.errors import CertsError
from certs.inventory import CertificateRecord
from certs.names import parse_subject
from pki.registration_records import Wanted

_TYPES: dict[str, type] = {
    "profile": str, "subject": str, "csr": str, "san": list, "days": int, "evidence": str, "registration": int,
}  # fmt: skip
_NAMES = {str: "string", int: "integer", list: "array of strings"}
_NEEDED = ("profile", "subject", "csr")


@dataclass(frozen=True)
class _Wish:
    """A request as it was meant: by the number of a registration, or with everything said."""

    registration: int | None
    wanted: Wanted | None
    evidence: str | None
    body_sha256: str


async def issue(request: Request) -> Response:
    """Issue it; under an Idempotency-Key once, however often it is asked."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "ra")
    key = idempotency_key(request)
    body = await read_json(request)
    answer = await state.lanes.sign.run(_issue, state.services, token, body, key)
    return JSONResponse(answer, 201, {"Location": f"/api/v1/certificates/{answer['serial']}"})


def _issue(services: Services, token: TokenRecord, body: object, key: str | None) -> dict[str, Any]:
    wish = _wish(body)
    if key is None:
        return _carry_out(services, token, wish)
    stored = services.idempotency.begin(token.id, key, wish.body_sha256, lambda since: _recover(services, wish, since))
    if stored is not None:
        return stored
    try:
        answer = _carry_out(services, token, wish)
    except Exception:
        # Should it fail: the key stays taken until its request counts as dead, and what brought us here is what is said.
        with contextlib.suppress(CertsError):
            services.idempotency.forget(token.id, key)
        raise
    # Should it fail: the certificate is issued, and the client learns so.
    with contextlib.suppress(CertsError):
        services.idempotency.finish(token.id, key, answer)
    return answer


def _carry_out(services: Services, token: TokenRecord, wish: _Wish) -> dict[str, Any]:
    if wish.registration is not None:
        return _answer(services, services.issue_registered(wish.registration, token.actor))
    assert wish.wanted is not None
    return _answer(services, services.issue(wish.wanted, wish.evidence, token.actor))


def _recover(services: Services, wish: _Wish, since: datetime) -> dict[str, Any] | None:
    """What a process that died had finished of this request. What it had only begun is for `antin doctor`."""
    record = services.issued_since(wish.registration, wish.wanted, since)
    return None if record is None else _answer(services, record)


def _answer(services: Services, record: CertificateRecord) -> dict[str, Any]:
    state = record.state_at(services.installation.clock.now())
    return describe_certificate(record, state, services.registration_of(record.serial), known=True)


def _wish(body: object) -> _Wish:
    if not isinstance(body, dict):
        raise RequestError("BODY_NOT_JSON")
    for field, value in body.items():
        if field not in _TYPES:
            raise RequestError("FORM_FIELD_UNKNOWN", field=field[:64], valid=", ".join(_TYPES))
        fits = type(value) is _TYPES[field]
        if not fits or (isinstance(value, list) and not all(isinstance(each, str) for each in value)):
            raise RequestError("FORM_VALUE_WRONG", field=field, valid=_NAMES[_TYPES[field]])
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    if "registration" in body:
        other = next((field for field in body if field != "registration"), None)
        if other is not None:
            raise RequestError("FORM_VALUE_WRONG", field=other, valid="registration")
        return _Wish(body["registration"], None, None, digest)
    for field in _NEEDED:
        if not body.get(field):
            raise RequestError("FORM_FIELD_MISSING", field=field)
    # Law 5: the request gives key and proof.
    key = parse_csr(body["csr"].encode("utf-8", "replace"))
    subject = str(parse_subject(body["subject"]))
    wanted = Wanted(body["profile"], subject, tuple(body.get("san", ())), body.get("days"), key)
    return _Wish(None, wanted, body.get("evidence"), digest)


routes = [Route("/api/v1/certificates", issue, methods=["POST"])]
