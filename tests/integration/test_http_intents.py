"""Over HTTP: what a signature is for, what it has to be told, and a password that comes again at the end."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.http_service import Service, problem
from tests.integration.test_http_prepared import finish, prepare, value
from tests.unit.signer.elsewhere import make_card


def test_an_appendix_follows_its_issued_document_and_both_say_so(service: Service, pdf: bytes) -> None:
    approved = service.sign(pdf).json()
    file = service.http.get(approved["links"]["file"]).content
    main = service.sign(file, credential="seal").json()
    annex = service.sign(pdf, credential="seal", intent="appendix", main=main["code"], placement="none")
    assert annex.status_code == 201, annex.text
    record = service.send("GET", annex.json()["links"]["self"]).json()
    assert [(act["intent"], act["particulars"]) for act in record["signatures"]] == [
        ("appendix", {"main": main["code"]})
    ]
    page = service.http.get(annex.json()["links"]["verify"], params={"lang": "en"}).text
    assert "This is an appendix of:" in page
    assert main["code"] in page


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"credential": "seal", "intent": "bless"}, 400, "FORM_VALUE_WRONG"),
        ({"credential": "officer", "intent": "income"}, 422, "INTENT_NOT_ALLOWED"),
        ({"credential": "seal", "intent": "appendix"}, 400, "APPENDIX_WITHOUT_MAIN"),
        (
            {"credential": "seal", "intent": "copy", "form": "sao-y", "source": "electronic"},
            422,
            "COPY_FORM_NOT_ALLOWED",
        ),
        ({"credential": "seal", "intent": "copy", "form": "fax"}, 400, "COPY_FORM_UNKNOWN"),
        ({"credential": "officer", "comment": "x"}, 400, "PARTICULAR_NOT_WANTED"),
        ({"metadata": json.dumps({"SignerInfo": {"Position": "KT. GIÁM ĐỐC"}})}, 409, "MANDATE_MISSING"),
    ],
)
def test_what_is_refused_says_why(service: Service, pdf: bytes, fields: dict[str, str], status: int, code: str) -> None:
    problem(service.sign(pdf, **fields), status, code)


def test_an_encrypted_document_is_finished_with_its_password_given_again(
    service: Service, pdf: bytes, tmp_path: Path
) -> None:
    source, target = tmp_path / "clear.pdf", tmp_path / "locked.pdf"
    source.write_bytes(pdf)
    subprocess.run(["qpdf", "--encrypt", "opens", "owns", "256", "--", source, target], check=True)
    card = make_card()
    one = prepare(service, target.read_bytes(), card, password="opens", placement="none").json()
    problem(finish(service, one, signature=value(card, one)), 422, "INPUT_ENCRYPTED")
    done = finish(service, one, signature=value(card, one), password="opens")
    assert done.status_code == 201, done.text
