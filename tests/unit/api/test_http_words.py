"""Names and numbers of strangers, as they are shown and kept; the OpenAPI document against the routes."""

from __future__ import annotations

import pytest

from api.forms import clean_name
from api.openapi import build_openapi
from api.problems import _TITLES, status_of
from api.routes import certificates, documents, health, manual, ocsp, publications, tsa, verify
from api.web.text import masked


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a.pdf", "a.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.pdf", "a.pdf"),
        ("", "document.pdf"),
        ("/", "document.pdf"),
        ("\u202efdp.exe", "fdp.exe"),
        ("a\u0000\u0007\n\u2028b", "ab"),
        ("Quyê\u0301t đi\u0323nh.pdf", "Quyết định.pdf"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_files_name_is_one_plain_line(sent: str, kept: str) -> None:
    assert clean_name(sent) == kept


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("CN=A,UID=CCCD:001099001234,C=VN", "CN=A,UID=CCCD:********1234,C=VN"),
        ("UID=CMND:123456789,UID=HC:B1234567", "UID=CMND:*****6789,UID=HC:****4567"),
        ("UID=CCCD:12", "UID=CCCD:**"),
        ("UID=MST:0100109106,O=Sở", "UID=MST:0100109106,O=Sở"),
    ],
)
def test_persons_numbers_are_masked_and_agencies_are_not(subject: str, shown: str) -> None:
    assert masked(subject) == shown


def test_every_route_is_in_the_openapi_document_and_the_reverse() -> None:
    modules = (verify, documents, certificates, ocsp, publications, tsa, health)
    made = {
        (route.path.replace(":path}", "}"), method.lower())
        for module in modules
        for route in module.routes
        for method in route.methods or ()
        if method != "HEAD"
    }
    # The document itself, and another spelling of the same address.
    undocumented = {("/openapi.json", "get"), ("/ocsp/", "post")}
    promised = {(path, method) for path, methods in build_openapi()["paths"].items() for method in methods}
    assert made - undocumented == promised
    assert [route.path for route in manual.routes] == ["/docs"]


def test_every_promised_problem_has_a_title() -> None:
    statuses = {
        int(status)
        for methods in build_openapi()["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
        if int(status) >= 400
    }
    assert statuses <= set(_TITLES)


def test_what_nobody_foresaw_is_a_defect_of_ours_and_says_nothing() -> None:
    assert status_of(ZeroDivisionError("secret")) == 500
