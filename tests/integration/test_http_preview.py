"""Over HTTP: a page as it will look when it is signed, for whoever may sign."""

from __future__ import annotations

import io

from PIL import Image

from tests.integration.http_service import Service, problem


def ask(service: Service, pdf: bytes, *, token: str | None = "", **fields: str):  # type: ignore[no-untyped-def]
    files = {"file": ("paper.pdf", pdf, "application/pdf")}
    return service.send("POST", "/api/v1/preview", files=files, data={"credential": "officer"} | fields, token=token)


def test_the_page_comes_as_png_and_nothing_is_registered(service: Service, pdf: bytes) -> None:
    before = service.send("GET", "/api/v1/documents").json()
    answer = ask(service, pdf)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert (answer.headers["antin-page"], answer.headers["cache-control"]) == ("1", "no-store")
    assert answer.headers["antin-placed"] in ("anchor", "margin")
    finer = ask(service, pdf, dpi="200", page="-1", placement="none")
    assert "antin-placed" not in finer.headers
    assert Image.open(io.BytesIO(finer.content)).width > Image.open(io.BytesIO(answer.content)).width
    assert service.send("GET", "/api/v1/documents").json() == before


def test_it_is_refused_as_the_signature_would_be(service: Service, pdf: bytes) -> None:
    problem(ask(service, pdf, credential="seal"), 409, "ISSUE_WITHOUT_OFFICER")
    problem(ask(service, pdf, placement="anchor:XYZ-123"), 422, "ANCHOR_MISSING")
    problem(ask(service, pdf, placement="somewhere"), 400, "PLACEMENT_MALFORMED")
    problem(ask(service, pdf, dpi="9000"), 400, "FORM_VALUE_WRONG")
    problem(ask(service, pdf, page="first"), 400, "FORM_VALUE_WRONG")
    problem(ask(service, b"no PDF"), 415, "INPUT_NOT_PDF")
    problem(ask(service, pdf, token=None), 401, "TOKEN_MISSING")
    problem(ask(service, pdf, token=service.issue_token("--scope", "verify")), 403, "TOKEN_SCOPE_MISSING")
