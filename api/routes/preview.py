"""/api/v1/preview: a page of a document as it will look when it is signed, as PNG. Nothing is signed, numbered or stored."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth.tokens import TokenRecord
from api.errors import RequestError
from api.forms import Form, read_form
from api.services import Services
from api.sign_form import FIELDS, sign_request
from signer.preview import Preview, PreviewWish

_PAGE, _DPI = "page", "dpi"
_LARGEST_PAGE = 1_000_000
DPI = (50, 300)


async def preview(request: Request) -> Response:
    """The picture; headers say which page it is, of how many, how the place was found, and which number was shown."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign")
    async with read_form(request, (*FIELDS, _PAGE, _DPI)) as form:
        found = await state.lanes.sign.run(_preview, state.services, token, form)
    headers = {"Antin-Page": str(found.page), "Antin-Pages": str(found.pages), "Cache-Control": "no-store"}
    if found.placed is not None:
        headers["Antin-Placed"] = found.placed
    if found.number is not None:
        headers["Antin-Number"] = str(found.number)
    return Response(found.png, 200, headers, media_type="image/png")


def _preview(services: Services, token: TokenRecord, form: Form) -> Preview:
    if not form.fields.get("credential"):
        raise RequestError("FORM_FIELD_MISSING", field="credential")
    wish = PreviewWish(
        _number(form, _PAGE, 0, -_LARGEST_PAGE, _LARGEST_PAGE), _number(form, _DPI, PreviewWish.dpi, *DPI)
    )
    return services.preview(sign_request(form, services.installation.settings.sign), wish, token.actor)


def _number(form: Form, name: str, usual: int, least: int, most: int) -> int:
    typed = form.fields.get(name) or str(usual)
    digits = typed.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 8 and least <= int(typed) <= most):
        raise RequestError("FORM_VALUE_WRONG", field=name, valid=f"{least}–{most}")
    return int(typed)


routes = [Route("/api/v1/preview", preview, methods=["POST"])]
