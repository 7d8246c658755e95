"""Names and numbers of strangers, as they are shown and kept; the OpenAPI document against the routes."""

from __future__ import annotations

import re

import jsonschema
import pytest

from api.cli.serve import is_elsewhere
from api.errors import RequestError
from api.forms import clean_name
from api.openapi import build_openapi
from api.openapi_schemas import EXAMPLES
from api.problems import _TITLES, STATUS_OF_CODE, describe_problem, status_of
from api.routes import (
    batches,
    certificate_deeds,
    certificates,
    documents,
    health,
    issuing,
    manual,
    manual_tables,
    ocsp,
    prepared,
    preview,
    publications,
    tsa,
    verify,
)
from api.web.text import masked
from api.words import read_catalogues
from pki.errors import ApprovalNeeded, ApprovalRejected, RoleMissing
from signer.codes import parse_code


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
    modules = (
        verify,
        documents,
        batches,
        prepared,
        preview,
        certificates,
        certificate_deeds,
        issuing,
        ocsp,
        publications,
        tsa,
        health,
    )
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


def test_every_example_is_what_its_schema_says() -> None:
    document = build_openapi()
    shown = [
        (body["example"], body["schema"] | {"components": document["components"]})
        for methods in document["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for body in answer.get("content", {}).values()
        if "example" in body
    ]
    assert len(shown) > len(EXAMPLES)
    for example, schema in shown:
        jsonschema.validate(example, schema)
    code = EXAMPLES["sign"]["code"]
    assert parse_code(code) == code


def test_the_codes_that_the_manual_lists_have_a_sentence_and_the_status_they_are_answered_with() -> None:
    assert set(STATUS_OF_CODE) <= set(read_catalogues("en"))
    assert set(STATUS_OF_CODE.values()) <= set(_TITLES)
    assert all(status_of(RequestError(code)) == status for code, status in STATUS_OF_CODE.items())


@pytest.mark.parametrize("rows", [manual_tables.scopes, manual_tables.metadata_names, manual_tables.problem_codes])
def test_the_tables_of_the_manual_show_no_braces_of_facts(rows) -> None:
    assert [row for row in rows() if re.search(r"\{\w*\}", row[2])] == []


@pytest.mark.parametrize(
    ("public", "proxies", "url", "elsewhere"),
    [
        ("http://127.0.0.1:8080", (), "http://127.0.0.1:8080", False),
        ("http://localhost:8080", (), "http://127.0.0.1:8080", False),
        ("http://127.0.0.1:8080", (), "http://127.0.0.1:8097", True),
        ("http://127.0.0.1:8080", (), "http://0.0.0.0:8080", True),
        ("http://antin.example:8080", (), "http://0.0.0.0:8080", False),
        ("http://antin.example", (), "http://0.0.0.0:8080", True),
        ("http://antin.example", (), "http://0.0.0.0:80", False),
        ("https://antin.example", (), "http://127.0.0.1:8080", True),
        ("https://antin.example", ("127.0.0.1",), "http://127.0.0.1:8080", False),
        ("http://[::1]:8080", (), "http://[::1]:8080", False),
    ],
)
def test_the_service_knows_whether_its_links_lead_to_it(
    public: str, proxies: tuple[str, ...], url: str, elsewhere: bool
) -> None:
    assert is_elsewhere(public, url, behind_proxy=bool(proxies)) is elsewhere


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


def test_what_waits_for_a_second_person_is_a_conflict_that_names_the_request() -> None:
    waiting = ApprovalNeeded("waits", id="7", sha256="0123456789abcdef", missing="1", until="2026-12-06T00:00:00Z")
    status, code, facts = describe_problem(waiting)
    assert (status, code, facts["id"]) == (409, "APPROVAL_WAITING", "7")
    assert describe_problem(ApprovalRejected("no", id="7"))[0] == 409
    assert describe_problem(RoleMissing("no", actor="an", permission="document.sign", roles="admin"))[0] == 403
