"""The application: routes, handlers and what they share, put together for one web process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.auth.access import Access
from api.edge import Edge
from api.errors import ApiError
from api.lanes import Lanes
from api.logs import LOGGER
from api.metrics import Metrics
from api.openapi import build_openapi
from api.problems import FAMILIES, answer_failure
from api.routes import (
    batches,
    certificate_deeds,
    certificates,
    documents,
    health,
    issuing,
    manual,
    ocsp,
    prepared,
    preview,
    publications,
    tsa,
    verify,
)
from api.services import Services
from api.sign_jobs import MOST_TOGETHER, sign_all
from api.together import Together
from api.web import pages
from api.wiring import Installation
from certs.errors import CertsError
from pki.roles import system_part
from signer.validation.verdict import software

# How often what is counted in memory goes to the database.
_TALLY_SECONDS = 60.0
# Short documents that may wait before a web process: a second's.
_MOST_TO_SIGN = 200
_SYSTEM = system_part("web")


def create_app(installation: Installation) -> FastAPI:
    """The whole HTTP service on an installation. `app.state` has services, lanes, what signs short documents together, access and metrics.

    Opens nothing by itself; started and closed by the ASGI lifespan, which also closes the installation.
    """
    settings = installation.settings.web
    services = Services(installation)
    near = installation.database.url.get_backend_name() == "sqlite"
    lanes = Lanes(signing=settings.signing_threads, judging=settings.judges, near=near)
    app = FastAPI(
        title="Antin", version=software().removeprefix("antin "), openapi_url=None, docs_url=None, redoc_url=None,
        lifespan=_lifespan,
    )  # fmt: skip
    app.state.services = services
    app.state.lanes = lanes
    app.state.together = Together(
        lanes.short, functools.partial(sign_all, services), most=MOST_TOGETHER, waiting=_MOST_TO_SIGN
    )
    app.state.metrics = Metrics()
    installation.stamp_watch.count_with(app.state.metrics.count_timestamp)
    app.state.access = Access(settings, services.tokens, lanes)
    for family in (*FAMILIES, HTTPException, RequestValidationError):
        app.add_exception_handler(family, answer_failure)
    for module in (
        verify,
        documents,
        batches,
        certificates,
        certificate_deeds,
        issuing,
        prepared,
        preview,
        ocsp,
        publications,
        tsa,
        health,
        manual,
    ):
        # Plain routes: what FastAPI adds to each costs as much as an OCSP answer, and the document is ours anyway.
        app.router.routes.extend(module.routes)
    app.include_router(pages.router)
    app.openapi = build_openapi  # type: ignore[method-assign]  # FastAPI's documented way to replace it
    app.add_middleware(
        Edge, settings=settings, metrics=app.state.metrics, logger=logging.getLogger(LOGGER), routes=app.router.routes
    )
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    try:
        services.start()
    except Exception:
        # The server says that it cannot start, and keeps from our log why: what strangers send may stand in what it prints.
        logging.getLogger(LOGGER).exception("start failed")
        raise
    tallying = asyncio.create_task(_tally(app))
    try:
        yield
    finally:
        tallying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tallying
        services.end_work()
        app.state.lanes.close()
        with contextlib.suppress(ApiError, CertsError):
            _write_tallies(services)
        services.close()


async def _tally(app: FastAPI) -> None:
    while True:
        # When the register falls silent, pages say when it last answered: also those of a service that nobody asks.
        with contextlib.suppress(ApiError, CertsError):
            await app.state.lanes.quick.run(_look, app.state.services)
        await asyncio.sleep(_TALLY_SECONDS)
        # Kept until next time when the database is away.
        with contextlib.suppress(ApiError, CertsError):
            await app.state.lanes.quick.run(_write_tallies, app.state.services)


def _look(services: Services) -> None:
    services.sources.look()
    services.learn_training()


def _write_tallies(services: Services) -> None:
    services.tokens.write_uses()
    services.idempotency.forget_old()
    services.installation.tsa.write_tally(_SYSTEM)
