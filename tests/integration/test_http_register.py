"""Journey: an agency's system replaces and corrects documents over HTTP and searches the register; citizens are led to what holds."""

from __future__ import annotations

import json

import pytest

from api.openapi_register import SEARCH
from signer.codes import grouped
from signer.register_search import NAMES
from tests.integration.http_service import Service, problem

_WHY = "Sai nội dung"


def _succeed(service: Service, code: str, verb: str, by: str):
    return service.send("POST", f"/api/v1/documents/{code}/{verb}", json={"by": by, "reason": _WHY})


def test_whoever_holds_a_replaced_document_is_led_to_the_one_that_holds(service: Service, pdf: bytes) -> None:
    first, letter, second, third = (service.sign(pdf).json() for _ in range(4))
    content = service.http.get(first["links"]["file"]).content
    corrected = _succeed(service, first["code"], "correct", letter["code"])
    assert corrected.status_code == 200, corrected.text
    assert (corrected.json()["status"], corrected.json()["holds_now"]) == ("corrected", first["code"])
    assert service.verify(content)["document"]["status"] == "corrected"
    assert f"/v/{letter['code']}?lang=en" in service.http.get(f"/v/{first['code']}?lang=en").text
    assert _succeed(service, first["code"], "replace", second["code"]).json()["status"] == "replaced"
    assert _succeed(service, second["code"], "replace", third["code"]).status_code == 200

    record = service.http.get(first["links"]["self"]).json()
    assert [(each["status"], each["by"], each["reason"]) for each in record["changes"]] == [
        ("corrected", letter["code"], _WHY),
        ("replaced", second["code"], _WHY),
    ]
    assert (record["status"], record["holds_now"]) == ("replaced", third["code"])
    last = service.http.get(third["links"]["self"]).json()
    assert (last["replaces"], last["corrects"], last["holds_now"]) == ([second["code"]], [], third["code"])
    assert service.http.get(letter["links"]["self"]).json()["corrects"] == [first["code"]]
    verdict = service.verify(content)
    assert (verdict["conclusion"], verdict["reason"]) == ("valid", "DOC_REPLACED")
    assert verdict["document"] == {"code": first["code"], "status": "replaced"}
    for page in (
        service.http.get(f"/v/{first['code']}?lang=en").text,
        service.http.post("/verify?lang=en", files={"file": ("a.pdf", content, "application/pdf")}).text,
    ):
        assert "In force now:" in page
        assert f'href="/v/{third["code"]}?lang=en"' in page
    assert f'href="/v/{second["code"]}?lang=en"' in service.http.get(f"/v/{third['code']}?lang=en").text
    assert service.user.json("document", "show", first["code"])["holds_now"] == third["code"]
    problem(_succeed(service, first["code"], "replace", third["code"]), 409, "DOCUMENT_NOT_IN_FORCE")
    problem(_succeed(service, third["code"], "replace", first["code"]), 409, "SUCCESSOR_NOT_IN_FORCE")


def test_a_succession_that_cannot_be_meant_is_refused(service: Service, pdf: bytes) -> None:
    code = service.sign(pdf).json()["code"]
    problem(_succeed(service, code, "replace", code), 409, "SUCCESSOR_SAME")
    problem(_succeed(service, code, "correct", "x"), 404, "CODE_MALFORMED")
    own = f"/api/v1/documents/{code}"
    problem(service.send("POST", f"{own}/replace", json={"reason": "x"}), 400, "FORM_VALUE_WRONG")
    problem(service.send("POST", f"{own}/replace", json={"by": 1, "reason": "x"}), 400, "FORM_VALUE_WRONG")
    problem(service.http.post(f"{own}/correct", json={"by": code, "reason": "x"}), 401, "TOKEN_MISSING")


def test_the_register_is_searched_page_by_page(service: Service, pdf: bytes) -> None:
    words = json.dumps({"Subject": "Về việc phòng cháy chữa cháy", "SignerInfo": {"FullName": "Đỗ Văn Ổn"}})
    codes = [service.sign(pdf, metadata=words).json()["code"] for _ in range(3)]
    path, met = "/api/v1/documents?text=do+van+on+PHONG&date_from=2020-01-01&limit=2", []
    while path:
        answer = service.send("GET", path)
        assert answer.status_code == 200, answer.text
        met += [each["code"] for each in answer.json()["documents"]]
        path = answer.json()["next"]
    assert met == codes[::-1]
    (one,) = service.send("GET", f"/api/v1/documents?code={grouped(codes[0])}").json()["documents"]
    assert (one["subject"], one["metadata"]["SignerInfo"]) == (
        "Về việc phòng cháy chữa cháy",
        {"FullName": "Đỗ Văn Ổn"},
    )
    (same,) = service.send("GET", f"/api/v1/documents?hash={one['sha256'][:12]}").json()["documents"]
    assert same == one
    assert [each["code"] for each in service.user.json("document", "list", "--text", "phong chay")] == codes[::-1]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("text=a&text=b", "QUERY_NAME_TWICE"),
        ("subject=a", "QUERY_NAME_UNKNOWN"),
        ("limit=0", "FORM_VALUE_WRONG"),
        ("limit=1000", "FORM_VALUE_WRONG"),
        ("limit=x", "FORM_VALUE_WRONG"),
        ("number=x", "SEARCH_NUMBER_WRONG"),
        ("date_from=0001-01-01", "SEARCH_DATE_WRONG"),
        ("hash=xyz", "SEARCH_HASH_WRONG"),
        ("status=lost", "SEARCH_STATUS_WRONG"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(service: Service, query: str, code: str) -> None:
    problem(service.send("GET", f"/api/v1/documents?{query}"), 400, code)


def test_the_register_is_open_to_the_agency_and_its_auditors_alone(service: Service) -> None:
    problem(service.http.get("/api/v1/documents"), 401, "TOKEN_MISSING")
    for scope, allowed in (("audit", True), ("verify", False), ("ra", False)):
        token = service.user.antin("token", "issue", "--scope", scope).strip()
        answer = service.send("GET", "/api/v1/documents?limit=1", token=token)
        if allowed:
            assert answer.status_code == 200
        else:
            problem(answer, 403, "TOKEN_SCOPE_MISSING")


def test_the_promise_names_all_that_may_be_asked_for() -> None:
    assert set(SEARCH) == {*NAMES, "limit", "after"}


def test_a_document_is_raised_in_its_place_and_bears_what_its_signer_asked_for(service: Service, pdf: bytes) -> None:
    signed = service.sign(pdf, certify="2", level="B-T", placement="none").json()
    content = service.http.get(signed["links"]["file"]).content
    assert b"/DocMDP" in content
    path = f"/api/v1/documents/{signed['code']}/upgrade"
    raised = service.send("POST", path, json={"level": "B-LTA"})
    assert raised.status_code == 200, raised.text
    assert (raised.json()["level"], raised.json()["pending_level"]) == ("B-LTA", None)
    after = service.http.get(signed["links"]["file"]).content
    assert after.startswith(content)
    assert [each["level"] for each in service.verify(after)["signatures"] if each["type"] == "signature"] == [
        "PAdES-B-LTA"
    ]
    problem(service.send("POST", path, json={"level": "B-LTA"}), 409, "LEVEL_ALREADY_REACHED")
    problem(service.send("POST", path, json={"level": "B-B"}), 400, "FORM_VALUE_WRONG")
    problem(service.send("POST", path, json={}), 400, "FORM_VALUE_WRONG")
    problem(service.http.post(path, json={"level": "B-LTA"}), 401, "TOKEN_MISSING")
    problem(service.send("POST", "/api/v1/documents/ABC/upgrade", json={"level": "B-T"}), 404, "CODE_MALFORMED")
    problem(service.sign(pdf, certify="1"), 422, "CERTIFY_CLOSES")
    problem(service.sign(pdf, certify="7"), 400, "CERTIFY_MALFORMED")
    problem(service.sign(pdf, lock="Nowhere"), 422, "LOCK_FIELD_UNKNOWN")
    problem(service.sign(after, certify="2"), 422, "CERTIFY_NOT_FIRST")
    problem(service.sign(after, lock=" "), 400, "LOCK_MALFORMED")
