"""The routes of the citizen's pages: start, the verdict on an upload, a document by its code, a certificate.

What may take a while runs on the lanes; a page decides nothing about signatures, it only shows what services say.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from fastapi import APIRouter, FastAPI
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from api.even_time import even_time
from api.forms import Form, read_form, read_verify_form
from api.services import Services
from api.web.certificate_view import CertificateView, octets_of, view_certificate, view_unknown
from api.web.document_view import DocumentView, view_document
from api.web.headers import PAGE_HEADERS
from api.web.history_view import HistoryView, parse_local, view_history
from api.web.notices import NOTICES, Notice, notice_of_problem, notice_of_unreadable
from api.web.purposes import is_sealed_alone, purposes_of
from api.web.receipt_pages import receipt_of_code, receipt_of_ticket
from api.web.rendering import Renderer, language_of
from api.web.signature_view import OwnSigner
from api.web.source_view import SourceLine, view_sources
from api.web.text import shown
from api.web.verdict_view import VerdictView, view_verdict
from certs.errors import CertificateNotFound
from certs.inventory import CertificateRecord
from signer.codes import parse_code
from signer.credentials import ROLE_OF_PROFILE
from signer.errors import UsageWrong
from signer.validation.verdict import Verdict

_CERTIFICATE_OCTETS = 64 * 1024
_FINGERPRINT_DIGITS = 64


async def home(request: Request) -> Response:
    """Three ways in, and beside them the certificate."""
    return _renderer(request).answer(request, "home.html")


async def verify(request: Request) -> Response:
    """The verdict on an uploaded file. It is gone when the answer is made."""
    state = request.app.state
    await state.access.welcome(request)
    async with read_verify_form(request) as form:
        answer: _Judged = await state.lanes.judge.run(_judge, state.services, form)
    verdict, view, ticket = answer
    state.metrics.count_verdict(verdict.conclusion)
    if isinstance(view, Notice):
        return _say_notice(request, view, again="/")
    return _renderer(request).answer(
        request, "result.html", view=view, file=shown(verdict.file), by_hash=False, again="/", ticket=ticket,
        others=(view.headline.word, view.headline.sentence),
    )  # fmt: skip


async def enter_code(request: Request) -> Response:
    """The form's target: leads to the document's own address, which can be kept and shared."""
    typed = request.query_params.get("code", "")[:100]
    code = parse_code(typed)
    if code is None:
        return _say_notice(request, NOTICES["CODE_MALFORMED"], typed=shown(typed, 60))
    return RedirectResponse(f"/v/{code}?lang={language_of(request)}", 303, PAGE_HEADERS)


async def document(request: Request) -> Response:
    """What the QR code opens: the document's status, then its signatures, judged now."""
    typed = request.path_params["code"][:100]
    if parse_code(typed) is None:
        return _say_notice(request, NOTICES["CODE_MALFORMED"], typed=shown(typed, 60), again="/")
    state = request.app.state
    await state.access.welcome(request)
    async with even_time():
        found: tuple[DocumentView, VerdictView] | Notice = await state.lanes.judge.run(_look_up, state.services, typed)
    if isinstance(found, Notice):
        return _say_notice(request, found, typed=shown(typed, 60))
    view, verdict = found
    return _renderer(request).answer(
        request, "document.html", view=view, verdict=verdict, others=(view.word, view.sentence)
    )


async def certificates(request: Request) -> Response:
    """A certificate by its serial number or fingerprint; without one, the forms."""
    typed = request.query_params.get("serial", "")[:200]
    when = request.query_params.get("at", "")[:40].strip()
    state = request.app.state
    view: CertificateView | None = None
    past: HistoryView | None = None
    if typed.strip():
        await state.access.welcome(request)
        view = await state.lanes.quick.run(_find_certificate, state.services, typed)
    if view is not None and view.found and when:
        now = state.services.installation.clock.now()
        at = parse_local(when, now)
        if at is None or at > now:
            return _say_notice(request, NOTICES["TIME_WRONG" if at is None else "TIME_AHEAD"], again="/certificates")
        past = await state.lanes.judge.run(_look_back, state.services, view, at)
    return _answer_certificate(request, view, past, typed=shown(typed, 200))


async def check_certificate(request: Request) -> Response:
    """A certificate by its file: it is only recognised by its fingerprint, never kept."""
    state = request.app.state
    await state.access.welcome(request)
    async with read_form(request) as form:
        content = await state.lanes.quick.run(form.content)
    if len(content) > _CERTIFICATE_OCTETS:
        return _say_notice(request, NOTICES["BIG_CERTIFICATE"], again="/certificates")
    octets = octets_of(content)
    if octets is None:
        return _say_notice(request, NOTICES["NOT_CERTIFICATE"], again="/certificates")
    view = await state.lanes.quick.run(_recognise, state.services, octets)
    return _answer_certificate(request, view, again="/certificates")


async def verify_known(request: Request) -> Response:
    """The verdict on a file of the register by its SHA-256. Without one it is the address of an upload's answer, opened again: the
    file is gone, so the way leads back to the form.
    """
    typed = request.query_params.get("sha256", "")[:200]
    if not typed.strip():
        return await to_home(request)
    state = request.app.state
    await state.access.welcome(request)
    try:
        async with even_time():
            answer: _Judged = await state.lanes.judge.run(_judge_hash, state.services, typed)
    except UsageWrong:
        return _say_notice(request, NOTICES["HASH_MALFORMED"], typed=shown(typed, 80))
    verdict, view, ticket = answer
    state.metrics.count_verdict(verdict.conclusion)
    if isinstance(view, Notice):
        return _say_notice(request, view)
    return _renderer(request).answer(
        request, "result.html", view=view, file=f"SHA-256 {verdict.file}", by_hash=True, ticket=ticket,
        others=(view.headline.word, view.headline.sentence),
    )  # fmt: skip


async def receipt(request: Request) -> Response:
    """The button below a verdict."""
    answer = await receipt_of_ticket(request)
    return _say_notice(request, answer, again="/") if isinstance(answer, Notice) else answer


async def document_receipt(request: Request) -> Response:
    """The same on the page of a document."""
    async with even_time():
        answer = await receipt_of_code(request)
    typed = shown(request.path_params["code"][:100], 60)
    return _say_notice(request, answer, typed=typed, again="/") if isinstance(answer, Notice) else answer


async def to_home(request: Request) -> Response:
    """The start."""
    return RedirectResponse(f"/?lang={language_of(request)}", 303, PAGE_HEADERS)


async def static(request: Request) -> Response:
    """Style and pictures."""
    answer = _renderer(request).asset(request.path_params["name"], request.query_params.get("v", ""))
    if answer is None:
        raise HTTPException(404)
    return answer


async def answer_problem(request: Request, status: int, code: str, facts: Mapping[str, str]) -> Response:
    """The page of a failure on a path of ours; api/problems.py calls it. The facts are for engineers and stay unsaid."""
    del facts
    typed = shown(str(request.path_params.get("code", "")), 60)
    notice = notice_of_problem(status, code)
    down: tuple[SourceLine, ...] = ()
    if code == "REGISTER_UNAVAILABLE":
        down = view_sources([request.app.state.services.sources.silent_register()])
    again = "/" if request.method == "POST" else ""
    return _say_notice(request, notice, status=status, typed=typed, again=again, down=down)


def _renderer(request: Request) -> Renderer:
    return _renderer_of(request.app.state)


def _renderer_of(state: State) -> Renderer:
    renderer: Renderer | None = getattr(state, "renderer", None)
    if renderer is None:
        services: Services = state.services
        renderer = state.renderer = Renderer(services.installation.settings, training=lambda: services.training)
    return renderer


def _say_notice(
    request: Request,
    notice: Notice,
    *,
    status: int = 0,
    typed: str = "",
    again: str = "",
    down: tuple[SourceLine, ...] = (),
) -> Response:
    headers = {"Retry-After": str(notice.retry_seconds)} if notice.retry_seconds else {}
    status = status or notice.status
    if status in (408, 413):
        headers["Connection"] = "close"  # the rest of the body is not wanted
    return _renderer(request).answer(
        request, "notice.html", status=status, notice=notice, typed=typed, again=again, headers=headers,
        others=(notice.title, notice.why), down=down,
    )  # fmt: skip


def _answer_certificate(
    request: Request, view: CertificateView | None, past: HistoryView | None = None, *, typed: str = "", again: str = ""
) -> Response:
    said = past or view
    return _renderer(request).answer(
        request, "certificates.html", status=200 if view is None or view.found else 404, view=view, past=past, typed=typed,
        again=again, others=(said.word, said.sentence) if said else None,
    )  # fmt: skip


# Below here everything blocks and runs on a lane.


# The verdict, how a page shows it, and what the receipt is had for.
_Judged = tuple[Verdict, VerdictView | Notice, str]


def _judge(services: Services, form: Form) -> _Judged:
    verdict = services.verify(form.content(), form.name, content=form.beside())
    if verdict.conclusion == "unreadable":
        return verdict, notice_of_unreadable(verdict.judged.reason), ""
    return verdict, _view(services, verdict), services.receipts.ticket(verdict)


def _judge_hash(services: Services, typed: str) -> _Judged:
    verdict = services.known_files().by_hash(typed)
    if verdict.judged.reason == "HASH_NOT_FOUND":
        return verdict, NOTICES["HASH_UNKNOWN"], ""
    if verdict.conclusion == "unreadable":
        return verdict, notice_of_unreadable(verdict.judged.reason), ""
    return verdict, _view(services, verdict), services.receipts.ticket(verdict)


def _view(services: Services, verdict: Verdict) -> VerdictView:
    known = services.document(verdict.document.code) if verdict.document else None
    sealed_alone, purposes = known is not None and is_sealed_alone(known), purposes_of(known) if known else {}
    own, sources = _own_signers(services, verdict), view_sources(services.sources.ask())
    return view_verdict(verdict, own, sealed_alone=sealed_alone, purposes=purposes, sources=sources)


def _look_up(services: Services, typed: str) -> tuple[DocumentView, VerdictView] | Notice:
    try:
        record, lineage = services.document_history(typed)
        _, content = services.document_file(typed)
    except UsageWrong:
        # Also a document whose signing never ended: nothing of it left the house.
        return NOTICES["CODE_UNKNOWN"]
    # The file's name in the register is the agency's own affair.
    verdict = services.verify(content, f"{record.code}.pdf")
    if verdict.conclusion == "unreadable":
        return notice_of_unreadable(verdict.judged.reason)
    own, sources = _own_signers(services, verdict), view_sources(services.sources.ask())
    judged = view_verdict(
        verdict, own, sealed_alone=is_sealed_alone(record), purposes=purposes_of(record), sources=sources
    )
    return view_document(record, lineage, judged), judged


def _own_signers(services: Services, verdict: Verdict) -> dict[str, OwnSigner]:
    """The signers whose certificates are ours, by fingerprint."""
    signers = {each.facts.signer.sha256 for each in verdict.judged.signatures if each.facts.signer}
    found = {sha256: services.certificate_by_sha256(sha256) for sha256 in signers}
    return {
        sha256: OwnSigner(ROLE_OF_PROFILE.get(record.profile, ""), record.revoked_at)
        for sha256, record in found.items()
        if record is not None
    }


def _find_certificate(services: Services, typed: str) -> CertificateView:
    digits = "".join(typed.lower().replace(":", " ").split())
    record: CertificateRecord | None = None
    if len(digits) == _FINGERPRINT_DIGITS:
        record = services.certificate_by_sha256(digits)
    else:
        with contextlib.suppress(CertificateNotFound):
            record = services.certificate(typed)
    return _view_found(services, record)


def _recognise(services: Services, octets: bytes) -> CertificateView:
    record = services.certificate_by_sha256(hashlib.sha256(octets).hexdigest())
    return _view_found(services, record or services.lost_certificate(octets))


def _view_found(services: Services, record: CertificateRecord | None) -> CertificateView:
    now = services.installation.clock.now()
    if record is None:
        return view_unknown(now)
    issuers = {authority.name: certificate for authority, certificate in services.authorities()}
    return view_certificate(record, issuers.get(record.issuer), now, services.loss_of(record))


def _look_back(services: Services, view: CertificateView, at: datetime) -> HistoryView:
    return view_history(services.past(view.serial, at), view)


@contextlib.asynccontextmanager
async def _furnish(app: FastAPI) -> AsyncIterator[None]:
    """Templates and words are read before the first request, and failures on our paths become pages."""
    _renderer_of(app.state)
    app.state.page_error = answer_problem
    yield


router = APIRouter(lifespan=_furnish)
router.routes.extend(
    [
        Route("/", home, methods=["GET"]),
        Route("/verify", verify, methods=["POST"]),
        Route("/verify", verify_known, methods=["GET"]),
        Route("/v", enter_code, methods=["GET"]),
        Route("/v/{code}", document, methods=["GET"]),
        Route("/v/{code}/receipt", document_receipt, methods=["GET"]),
        Route("/verify/receipt", receipt, methods=["POST"]),
        Route("/certificates", certificates, methods=["GET"]),
        Route("/certificates", check_certificate, methods=["POST"]),
        Route("/static/{name}", static, methods=["GET"]),
    ]
)
