"""What relying parties fetch: CRLs and certificates of authorities, as files in DER (RFC 5280 4.2.1.13 and 4.2.2.1)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.publishing import Publication
from api.routes.caching import LONGEST, caching_headers, is_known

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
# A CRL of a number never changes; a certificate of an authority only when the authority gets a new one.
_FOR_EVER, _A_DAY = timedelta(days=365), timedelta(days=1)
# While the database is away nobody here knows whether a file is the newest: who has it asks again soon.
_SOON = timedelta(minutes=1)


async def latest_crl(request: Request) -> Response:
    state = request.app.state
    crl: Publication = await state.lanes.quick.run(state.services.crl, request.path_params["authority"])
    return _file(request, crl, "application/pkix-crl", LONGEST if crl.is_newest else _SOON)  # RFC 2585 3


async def numbered_crl(request: Request) -> Response:
    state = request.app.state
    number = request.path_params["number"]
    if not _NUMBER.fullmatch(number):
        raise HTTPException(404)
    crl: Publication = await state.lanes.quick.run(state.services.crl, request.path_params["authority"], int(number))
    return _file(request, replace(crl, until=None), "application/pkix-crl", _FOR_EVER)


async def authority_certificate(request: Request) -> Response:
    state = request.app.state
    certificate: Publication = await state.lanes.quick.run(
        state.services.authority_certificate, request.path_params["authority"]
    )
    return _file(request, certificate, "application/pkix-cert", _A_DAY if certificate.is_newest else _SOON)


def _file(request: Request, what: Publication, media_type: str, longest: timedelta) -> Response:
    now = request.app.state.services.installation.clock.now()
    headers = caching_headers(what.sha256, what.since, what.until, now, longest)
    if is_known(request, what.sha256):
        return Response(None, 304, headers)
    return Response(what.der, 200, headers, media_type=media_type)


routes = [
    Route("/crl/{authority}.crl", latest_crl, methods=["GET"]),
    Route("/crl/{authority}/{number}.crl", numbered_crl, methods=["GET"]),
    Route("/ca/{authority}.cer", authority_certificate, methods=["GET"]),
]
