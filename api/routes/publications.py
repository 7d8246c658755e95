"""What relying parties fetch: CRLs and certificates of authorities, as files in DER (RFC 5280 4.2.1.13 and 4.2.2.1)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from api.publishing import Publication
from api.routes.caching import LONGEST, caching_headers, is_known
from pki.crl_entries import FULL

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_SHARD = re.compile(r"[1-9][0-9]{0,3}")
# A CRL of a number never changes; a certificate of an authority only when the authority gets a new one.
_FOR_EVER, _A_DAY = timedelta(days=365), timedelta(days=1)
# Who fetches a delta wants to know what is new: copies are not kept for long.
_DELTA = timedelta(minutes=5)
# While the database is away nobody here knows whether a file is the newest: who has it asks again soon.
_SOON = timedelta(minutes=1)


async def latest_crl(request: Request) -> Response:
    return await _latest(request)


async def latest_delta(request: Request) -> Response:
    return await _latest(request, is_delta=True)


# Functions of their own: the log and the measurements know a route by its function.
async def partition_crl(request: Request) -> Response:
    return await _latest(request)


async def partition_delta(request: Request) -> Response:
    return await _latest(request, is_delta=True)


async def _latest(request: Request, *, is_delta: bool = False) -> Response:
    """Of the full CRL, or of the partition that the path names."""
    state = request.app.state
    shard = _whole(request.path_params["shard"], _SHARD) if "shard" in request.path_params else FULL
    crl: Publication = await state.lanes.quick.run(
        partial(state.services.crl, request.path_params["authority"], shard=shard, is_delta=is_delta)
    )
    longest = _DELTA if is_delta else LONGEST
    return _file(request, crl, "application/pkix-crl", longest if crl.is_newest else _SOON)  # RFC 2585 3


async def numbered_crl(request: Request) -> Response:
    return await _numbered(request)


async def numbered_delta(request: Request) -> Response:
    return await _numbered(request, is_delta=True)


async def _numbered(request: Request, *, is_delta: bool = False) -> Response:
    state = request.app.state
    number = _whole(request.path_params["number"], _NUMBER)
    crl: Publication = await state.lanes.quick.run(
        partial(state.services.crl, request.path_params["authority"], number, is_delta=is_delta)
    )
    return _file(request, replace(crl, until=None), "application/pkix-crl", _FOR_EVER)


def _whole(text: str, form: re.Pattern[str]) -> int:
    if not form.fullmatch(text):
        raise HTTPException(404)
    return int(text)


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
    if what.file is not None:
        return FileResponse(what.file, 200, headers, media_type=media_type)
    return Response(what.der, 200, headers, media_type=media_type)


routes = [
    Route("/crl/{authority}.crl", latest_crl, methods=["GET"]),
    # A partition of the CRL, and the deltas beside the lists; before the numbers, which delta.crl is none of.
    Route("/crl/{authority}/delta.crl", latest_delta, methods=["GET"]),
    Route("/crl/{authority}/s/{shard}.crl", partition_crl, methods=["GET"]),
    Route("/crl/{authority}/s/{shard}/delta.crl", partition_delta, methods=["GET"]),
    Route("/crl/{authority}/delta/{number}.crl", numbered_delta, methods=["GET"]),
    Route("/crl/{authority}/{number}.crl", numbered_crl, methods=["GET"]),
    Route("/ca/{authority}.cer", authority_certificate, methods=["GET"]),
]
