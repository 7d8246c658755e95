"""Over HTTP: a signing service elsewhere holds the key; an agency's system prepares, has it signed and finishes."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.installation import VALID_BY_PDFSIG, signatures_by_pdfsig
from tests.integration.http_service import Service, problem
from tests.unit.signer.elsewhere import Card, make_card


@pytest.fixture(scope="module")
def card() -> Card:
    return make_card()


def prepare(service: Service, pdf: bytes, card: Card | None = None, *, key: str = "", **fields: str) -> Any:
    if card is None:
        fields.setdefault("credential", "officer")
    else:
        fields["certificate"] = card.person.certificate.public_bytes(Encoding.PEM).decode()
        fields["chain"] = "".join(
            party.certificate.public_bytes(Encoding.PEM).decode() for party in (card.issuing, card.root)
        )
    headers = {"Idempotency-Key": key} if key else {}
    files = {"file": ("paper.pdf", pdf, "application/pdf")}
    return service.send("POST", "/api/v1/prepared", files=files, data=fields, headers=headers)


def finish(service: Service, one: dict[str, Any], key: str = "", **given: str) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return service.send("POST", one["links"]["finish"], json=given, headers=headers)


def value(card: Card, one: dict[str, Any]) -> str:
    return base64.b64encode(card.sign(base64.b64decode(one["to_be_signed"]))).decode()


def test_a_document_is_prepared_signed_elsewhere_and_finished(
    service: Service, pdf: bytes, card: Card, tmp_path
) -> None:
    answer = prepare(service, pdf, card, level="B-T", metadata='{"Subject": "Về việc thử"}')
    assert answer.status_code == 201, answer.text
    one = answer.json()
    assert answer.headers["location"] == one["links"]["self"]
    assert service.send("GET", one["links"]["self"]).json() == one
    assert service.http.get(f"/api/v1/documents/{one['code']}").status_code == 404
    done = finish(service, one, signature=value(card, one))
    assert done.status_code == 201, done.text
    signed = done.json()
    assert (signed["code"], signed["level"]) == (one["code"], "B-T")
    file = service.http.get(signed["links"]["file"]).content
    (tmp_path / "a.pdf").write_bytes(file)
    assert signatures_by_pdfsig(tmp_path / "a.pdf") == [VALID_BY_PDFSIG]
    record = service.send("GET", signed["links"]["self"]).json()
    assert (record["signatures"][0]["credential"], record["subject"]) == (None, "Về việc thử")
    assert service.send("GET", one["links"]["self"]).json()["state"] == "finished"
    problem(finish(service, one, signature=value(card, one)), 409, "PREPARED_FINISHED")
    problem(service.send("DELETE", one["links"]["self"]), 409, "PREPARED_FINISHED")


def test_a_cms_in_either_alphabet_finishes_it_and_a_repetition_gets_the_first_answer(
    service: Service, pdf: bytes, card: Card
) -> None:
    one = prepare(service, pdf, card, key="p-1", level="B-B").json()
    assert prepare(service, pdf, card, key="p-1", level="B-B").json() == one
    cms = base64.urlsafe_b64encode(card.cms(bytes.fromhex(one["document_digest"]))).decode().rstrip("=")
    first = finish(service, one, key="f-1", cms=cms)
    assert first.status_code == 201, first.text
    again = finish(service, one, key="f-1", cms=cms)
    assert (again.status_code, again.json()) == (201, first.json())
    problem(finish(service, one, key="f-1"), 409, "IDEMPOTENCY_KEY_REUSED")


def test_of_many_who_finish_one_document_at_one_moment_one_does(service: Service, pdf: bytes) -> None:
    one = prepare(service, pdf, level="B-B").json()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: finish(service, one), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
        "PREPARED_TAKEN",
        "PREPARED_FINISHED",
    }


def test_it_can_be_called_off(service: Service, pdf: bytes) -> None:
    one = prepare(service, pdf).json()
    answer = service.send("DELETE", one["links"]["self"])
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    problem(finish(service, one), 409, "PREPARED_CANCELLED")


def test_what_is_wrong_is_said_and_the_document_waits_on(service: Service, pdf: bytes, card: Card) -> None:
    one = prepare(service, pdf, card).json()
    wrong = [
        ({"signature": base64.b64encode(bytes(64)).decode()}, 422, "PREPARED_SIGNATURE_WRONG"),
        ({"cms": base64.b64encode(b"0").decode()}, 422, "PREPARED_CMS_MALFORMED"),
        ({}, 422, "PREPARED_KEY_ELSEWHERE"),
        ({"signature": "not base64!"}, 400, "FORM_VALUE_WRONG"),
        ({"signature": "AA==", "cms": "AA=="}, 400, "FORM_VALUE_WRONG"),
        ({"value": "AA=="}, 400, "FORM_FIELD_UNKNOWN"),
    ]
    for body, status, code in wrong:
        problem(finish(service, one, **body), status, code)
    assert service.send("GET", one["links"]["self"]).json() == one
    problem(service.send("GET", "/api/v1/prepared/0000"), 404, "PREPARED_UNKNOWN")
    problem(service.send("GET", one["links"]["self"], token=None), 401, "TOKEN_MISSING")
    other = service.issue_token("--scope", "verify")
    problem(service.send("GET", one["links"]["self"], token=other), 403, "TOKEN_SCOPE_MISSING")
    problem(prepare(service, pdf, card, credential="officer"), 400, "FORM_FIELD_MISSING")
    problem(prepare(service, pdf, room="0"), 400, "FORM_VALUE_WRONG")
    problem(prepare(service, pdf, subfilter="other"), 400, "FORM_VALUE_WRONG")
    problem(prepare(service, pdf, credential="", certificate="x"), 422, "OUTSIDE_UNREADABLE")
