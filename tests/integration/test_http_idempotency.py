"""Idempotency keys: however often and however many at once, one request makes one document."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.http_service import Service, problem


def count(service: Service) -> int:
    return len(service.user.json("document", "list"))


def test_the_same_key_and_body_gets_the_first_answer_again(service: Service, pdf: bytes) -> None:
    first = service.sign(pdf, key="letter 1", level="B-B")
    before = count(service)
    for _ in range(4):
        again = service.sign(pdf, key="letter 1", level="B-B")
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["location"] == first.headers["location"]
    assert count(service) == before
    # Another token's key of the same name is another key.
    other = service.issue_token("--scope", "sign")
    answer = service.send(
        "POST",
        "/api/v1/documents",
        token=other,
        headers={"Idempotency-Key": "letter 1"},
        files={"file": ("paper.pdf", pdf)},
        data={"credential": "officer"},
    )
    assert answer.json()["code"] != first.json()["code"]


@pytest.mark.parametrize("change", [{"level": "B-T"}, {"placement": "none"}, {"metadata": '{"Subject": "x"}'}])
def test_the_same_key_with_another_body_is_refused(service: Service, pdf: bytes, change: dict[str, str]) -> None:
    key = f"changed {change}"
    assert service.sign(pdf, key=key).status_code == 201
    before = count(service)
    problem(service.sign(pdf, key=key, **change), 409, "IDEMPOTENCY_KEY_REUSED")
    problem(service.sign(pdf + b"\n%", key=key), 409, "IDEMPOTENCY_KEY_REUSED")
    assert count(service) == before


def test_many_at_once_with_one_key_make_one_document(service: Service, pdf: bytes) -> None:
    before = count(service)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: service.sign(pdf, key="all at once"), range(24)))
    signed = [each.json()["code"] for each in answers if each.status_code == 201]
    assert len(set(signed)) == 1
    for each in answers:
        if each.status_code != 201:
            problem(each, 409, "IDEMPOTENCY_IN_PROGRESS")
            assert int(each.headers["retry-after"]) > 0
    assert count(service) == before + 1
    assert service.sign(pdf, key="all at once").json()["code"] == signed[0]


def test_a_refused_request_leaves_its_key_free(service: Service, pdf: bytes) -> None:
    problem(service.sign(b"no pdf", key="second try"), 415, "INPUT_NOT_PDF")
    assert service.sign(pdf, key="second try").status_code == 201


@pytest.mark.parametrize("key", ["x" * 256, "tab\tinside", "é"])
def test_a_key_that_cannot_be_meant_is_refused(service: Service, pdf: bytes, key: str) -> None:
    answer = service.send(
        "POST",
        "/api/v1/documents",
        headers={"Idempotency-Key": key.encode()},
        files={"file": ("a.pdf", pdf)},
        data={"credential": "officer"},
    )
    problem(answer, 400, "IDEMPOTENCY_KEY_WRONG")


def test_what_a_dead_process_had_finished_is_found_and_not_done_again(service: Service, pdf: bytes) -> None:
    """It died after the signature was registered and before its answer was kept."""
    signed = service.sign(pdf, key="died after").json()
    digest = hashlib.sha256(b"died after").hexdigest()
    service.user.sql("UPDATE idempotency_keys SET answer = NULL WHERE key_sha256 = ?", digest)
    problem(service.sign(pdf, key="died after"), 409, "IDEMPOTENCY_IN_PROGRESS")
    service.user.sql(
        "UPDATE idempotency_keys SET begun_at = '2026-01-01 00:00:00.000000' WHERE key_sha256 = ?",
        digest,
    )
    before = count(service)
    assert service.sign(pdf, key="died after").json() == signed
    assert count(service) == before


def test_what_a_dead_process_had_not_finished_is_done_by_the_next(service: Service, pdf: bytes) -> None:
    fresh = pdf + b"%% never signed before\n"
    service.sign(fresh + b"%", key="died before")
    digest = hashlib.sha256(b"died before").hexdigest()
    body = service.user.sql("SELECT body_sha256 FROM idempotency_keys WHERE key_sha256 = ?", digest)
    assert len(body) == 1
    service.user.sql(
        "UPDATE idempotency_keys SET answer = NULL, begun_at = '2026-01-01 00:00:00.000000' WHERE key_sha256 = ?",
        digest,
    )
    service.user.sql(
        "UPDATE signing_acts SET state = 'failed' WHERE input_sha256 = ?", hashlib.sha256(fresh + b"%").hexdigest()
    )
    before = count(service)
    assert service.sign(fresh + b"%", key="died before").status_code == 201
    assert count(service) == before + 1


def test_keys_are_kept_as_digests(service: Service, pdf: bytes) -> None:
    service.sign(pdf, key="a name that tells something")
    assert "a name that tells something" not in str(service.user.sql("SELECT * FROM idempotency_keys"))
