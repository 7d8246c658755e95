"""/healthz, /readyz, /metrics, /openapi.json: what those who run the service and those who call it ask of it."""

from __future__ import annotations

from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.auth.access import caller_of
from api.cli.failures import error_code
from api.errors import ApiError, RequestError
from api.problems import describe_problem, problem
from api.services import Services
from certs.errors import CertsError
from hsm.errors import HSMError
from pki.errors import PkiError
from pki.service_keys import ServiceKind


async def healthz(_: Request) -> Response:
    """Say that this process answers. Nobody else is asked."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Keys, database and fresh CRLs are there; otherwise 503 and which of them is not."""
    state = request.app.state
    checks: dict[str, str] = await state.lanes.quick.run(_check, state.services)
    if all(result == "ok" for result in checks.values()):
        return JSONResponse({"status": "ready", "checks": checks})
    missing = ", ".join(name for name, result in checks.items() if result != "ok")
    return problem(*describe_problem(RequestError("NOT_READY", missing=missing)), checks=checks)


async def metrics(request: Request) -> Response:
    """Counts for Prometheus; from this machine only, unless the setting web.public_metrics says otherwise."""
    state = request.app.state
    settings = state.services.installation.settings.web
    if not settings.public_metrics and not caller_of(request, ()).loopback:
        raise RequestError("METRICS_PRIVATE")
    text, media_type = state.metrics.text()
    return Response(text, media_type=media_type)


async def openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


def _check(services: Services) -> dict[str, str]:
    checks = {}
    for name, check in (("database", _database), ("keys", _keys), ("crl", _crl)):
        try:
            checks[name] = check(services)
        except (CertsError, HSMError, PkiError, ApiError) as error:
            checks[name] = error_code(error)
    return checks


def _database(services: Services) -> str:
    services.authorities()
    return "ok"


def _keys(services: Services) -> str:
    """The token is there, and lets us at the keys that status answers and time-stamps need."""
    status = services.installation.keys.status()
    if status.state != "ok":
        return status.detail or "HSM_ERROR"
    for kind in ServiceKind:
        services.installation.services.usable(kind)
    return "ok"


def _crl(services: Services) -> str:
    now: datetime = services.installation.clock.now()
    stale = services.stale_crls(now)
    return "ok" if not stale else "CRL_ENDED"


routes = [
    Route("/healthz", healthz, methods=["GET"]),
    Route("/readyz", readyz, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
    Route("/openapi.json", openapi, methods=["GET"]),
]
