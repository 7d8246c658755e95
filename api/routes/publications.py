"""What relying parties fetch: CRLs and certificates of authorities, as files in DER (RFC 5280 4.2.1.13 and 4.2.2.1)."""

from __future__ import annotations

import re
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.routes.caching import caching_headers, is_known
from certs.inventory import CertificateRecord
from pki.crl import CrlRecord

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
# A CRL of a number never changes; a certificate of an authority only when the authority gets a new one.
_FOR_EVER, _A_DAY = timedelta(days=365), timedelta(days=1)


async def latest_crl(request: Request) -> Response:
    state = request.app.state
    crl: CrlRecord = await state.lanes.quick.run(state.services.crl, request.path_params["authority"])
    now = state.services.installation.clock.now()
    headers = caching_headers(crl.sha256, crl.this_update, crl.next_update, now)
    return _file(request, crl.der, crl.sha256, "application/pkix-crl", headers)  # RFC 2585 3


async def numbered_crl(request: Request) -> Response:
    state = request.app.state
    number = request.path_params["number"]
    if not _NUMBER.fullmatch(number):
        raise HTTPException(404)
    crl: CrlRecord = await state.lanes.quick.run(state.services.crl, request.path_params["authority"], int(number))
    now = state.services.installation.clock.now()
    headers = caching_headers(crl.sha256, crl.this_update, None, now, _FOR_EVER)
    return _file(request, crl.der, crl.sha256, "application/pkix-crl", headers)


async def authority_certificate(request: Request) -> Response:
    state = request.app.state
    record: CertificateRecord = await state.lanes.quick.run(
        state.services.authority_certificate, request.path_params["authority"]
    )
    if record.der is None or record.sha256 is None:
        raise HTTPException(404)
    now = state.services.installation.clock.now()
    headers = caching_headers(record.sha256, record.not_before, None, now, _A_DAY)
    return _file(request, record.der, record.sha256, "application/pkix-cert", headers)  # RFC 2585 3


def _file(request: Request, der: bytes, sha256: str, media_type: str, headers: dict[str, str]) -> Response:
    if is_known(request, sha256):
        return Response(None, 304, headers)
    return Response(der, 200, headers, media_type=media_type)


routes = [
    Route("/crl/{authority}.crl", latest_crl, methods=["GET"]),
    Route("/crl/{authority}/{number}.crl", numbered_crl, methods=["GET"]),
    Route("/ca/{authority}.cer", authority_certificate, methods=["GET"]),
]
