"""/healthz, /readyz, /metrics, /openapi.json: what those who run the service and those who call it ask of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.auth.access import caller_of
from api.cli.failures import error_code
from api.errors import ApiError, RequestError
from api.problems import RETRY_SECONDS, describe_problem, problem, sensible_seconds
from api.services import Services
from api.worker_state import WorkerState
from certs.errors import CertsError
from hsm.errors import HSMError, TokenAway
from hsm.keyd.state import KeyState
from pki.errors import PkiError
from pki.service_keys import ServiceKind


async def healthz(_: Request) -> Response:
    """Say that this process answers. Nobody else is asked."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Keys, database and fresh CRLs are there; otherwise 503 and which of them is not."""
    state = request.app.state
    lanes, services = state.lanes, state.services
    told: KeyState | None = await lanes.quick.run(services.key_process)
    checks = {
        "database": await lanes.quick.run(_result, _database, services),
        # A token that hangs holds up the lane of the keys, and no other.
        "keys": await lanes.key.run(_result, _keys, services) if _is_well(told) else _reason(told),
        "crl": await lanes.quick.run(_result, _crl, services),
    }
    hsm = _describe(told)
    # A service without its worker answers as well as before; what it keeps fresh shows above when it is not.
    worker = _describe_worker(await lanes.quick.run(services.worker))
    if all(result == "ok" for result in checks.values()):
        return JSONResponse({"status": "ready", "checks": checks, "hsm": hsm, "worker": worker})
    missing = ", ".join(name for name, result in checks.items() if result != "ok")
    facts = {"missing": missing}
    if told is not None and not _is_well(told):
        facts["retry_after"] = str(sensible_seconds(told.retry_after))
    return problem(*describe_problem(RequestError("NOT_READY", **facts)), checks=checks, hsm=hsm, worker=worker)


async def metrics(request: Request) -> Response:
    """Counts for Prometheus; from this machine only, unless the setting web.public_metrics says otherwise."""
    state = request.app.state
    settings = state.services.installation.settings.web
    if not settings.public_metrics and not caller_of(request, ()).loopback:
        raise RequestError("METRICS_PRIVATE")
    told = await state.lanes.quick.run(state.services.key_process)
    text, media_type = state.metrics.text(told, await state.lanes.quick.run(state.services.worker))
    return Response(text, media_type=media_type)


async def openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


def _result(check: Callable[[Services], str], services: Services) -> str:
    try:
        return check(services)
    except (CertsError, HSMError, PkiError, ApiError) as error:
        return error_code(error)


def _is_well(told: KeyState | None) -> bool:
    # Degraded is also a key process of which one token process fails while another signs.
    return told is not None and told.serves


def _reason(told: KeyState | None) -> str:
    return (told.reason if told is not None else "") or TokenAway.code


def _describe(told: KeyState | None) -> dict[str, object]:
    """How the token is doing, without its name, its module or numbers of processes."""
    if told is None:
        return {
            "state": "away",
            "breaker": "open",
            "reason": TokenAway.code,
            "retry_after": RETRY_SECONDS,
            "counts": {},
        }
    return {
        "state": told.state,
        "breaker": told.breaker,
        "reason": told.reason,
        "retry_after": told.retry_after,
        "counts": told.counts,
    }


def _describe_worker(told: WorkerState | None) -> dict[str, object]:
    """How the worker's jobs are doing."""
    if told is None:
        return {"state": "away", "jobs": {}}
    jobs = {name: {"state": job.state, "code": job.code, "done_at": job.done_at} for name, job in told.jobs.items()}
    return {"state": "ok" if told.is_well else "failing", "jobs": jobs}


def _database(services: Services) -> str:
    services.authorities()
    return "ok"


def _keys(services: Services) -> str:
    """The token lets us at the keys that status answers and time-stamps need."""
    for kind in (ServiceKind.OCSP, ServiceKind.TSA):
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
