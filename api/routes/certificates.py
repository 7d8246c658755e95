"""GET /api/v1/certificates/{serial}: a certificate of ours and its state."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.auth.tokens import TokenRecord
from api.web.text import masked
from certs.clock import rfc3339
from certs.inventory import CertificateRecord, State

# Who sees persons' numbers in names, and the certificate itself, which holds them.
_READERS = ("ra", "ca", "audit")


async def show(request: Request) -> Response:
    """State and names; with a token for registration or audit the whole certificate."""
    state = request.app.state
    token: TokenRecord | None = await state.access.welcome(request)
    record = await state.lanes.quick.run(state.services.certificate, request.path_params["serial"])
    known = token is not None and bool(token.scopes.intersection(_READERS))
    return JSONResponse(_describe(record, record.state_at(state.services.installation.clock.now()), known=known))


def _describe(record: CertificateRecord, state: State, *, known: bool) -> dict[str, Any]:
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
    }
    return shown | {"pem": record.certificate().public_bytes(Encoding.PEM).decode()} if known else shown


routes = [Route("/api/v1/certificates/{serial}", show, methods=["GET"])]
