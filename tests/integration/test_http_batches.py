"""Journey: an agency's system hands in many documents over HTTP and comes back for them, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import httpx
import pytest

from tests.installation import User
from tests.integration.http_service import Service, command_of, descendants, problem, running
from tests.signing_world import plain_paper


def hand_in(service: Service, *papers: bytes, key: str | None = None, token: str = "", **fields: str) -> httpx.Response:
    return service.send(
        "POST",
        "/api/v1/batches",
        token=token,
        headers={"Idempotency-Key": key} if key else {},
        files=[("file", (f"{number}.pdf", paper)) for number, paper in enumerate(papers)],
        data={"credential": "officer", "placement": "none", **fields},
    )


def ended(service: Service, link: str, seconds: float = 60.0) -> dict[str, Any]:
    """The batch once nothing of it waits."""
    until = time.monotonic() + seconds
    while True:
        answer = service.send("GET", link)
        assert answer.status_code == 200, answer.text
        batch: dict[str, Any] = answer.json()
        if batch["state"] == "ended":
            return batch
        assert time.monotonic() < until, batch["counts"]
        time.sleep(0.1)


def papers(count: int, word: str) -> list[bytes]:
    return [plain_paper(f"{word} {number}") for number in range(count)]


def workers(service: Service) -> list[int]:
    return [each for each in descendants(service.process.pid) if b"api.worker" in command_of(each)]


def test_a_batch_is_taken_at_once_and_signed_in_the_background(service: Service) -> None:
    given = [*papers(3, "first"), b"no PDF"]
    said = json.dumps([{"reference": f"case-{n}", "metadata": {"Subject": f"Việc {n}"}} for n in range(4)])
    answer = hand_in(service, *given, documents=said, metadata='{"CodeNotation": "UBND-VP"}')
    assert answer.status_code == 202, answer.text
    waiting = answer.json()
    assert answer.headers["location"] == waiting["links"]["self"]
    assert (waiting["total"], waiting["counts"]["waiting"], waiting["ended_at"]) == (4, 4, None)
    batch = ended(service, waiting["links"]["self"])
    assert batch["counts"] == {"waiting": 0, "done": 3, "failed": 1, "cancelled": 0}
    assert [each["reference"] for each in batch["documents"]] == [f"case-{n}" for n in range(4)]
    assert batch["documents"][3]["error"]["code"] == "INPUT_NOT_PDF"
    assert batch["documents"][3]["document"] is None
    for number, each in enumerate(batch["documents"][:3]):
        document = each["document"]
        file = service.http.get(document["links"]["file"])
        assert file.content.startswith(given[number])
        assert service.verify(file.content)["conclusion"] == "valid"
        record = service.send("GET", document["links"]["self"]).json()
        assert record["metadata"] == {"Subject": f"Việc {number}", "CodeNotation": "UBND-VP"}
        # What signing it alone would have answered.
        assert set(document) == set(service.sign(given[0], placement="none").json())


def test_one_key_is_one_batch(service: Service) -> None:
    given = papers(2, "keyed")
    first = hand_in(service, *given, key="batch-1")
    again = hand_in(service, *given, key="batch-1")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]
    problem(hand_in(service, given[0], key="batch-1"), 409, "IDEMPOTENCY_KEY_REUSED")
    assert hand_in(service, *given).json()["id"] != first.json()["id"]


def test_what_cannot_be_meant_is_refused_before_anything_is_kept(service: Service) -> None:
    paper = papers(1, "odd")[0]
    kept = {path.name for path in (service.user.home / "uploads").glob("*")}
    problem(hand_in(service, paper, credential="nobody"), 422, "CREDENTIAL_UNKNOWN")
    problem(hand_in(service, paper, level="B-X"), 400, "FORM_VALUE_WRONG")
    problem(hand_in(service, paper, intent="both"), 400, "FORM_VALUE_WRONG")
    problem(hand_in(service, paper, subfilter="xmldsig"), 400, "FORM_VALUE_WRONG")
    problem(hand_in(service, paper, placement="there"), 400, "PLACEMENT_MALFORMED")
    problem(hand_in(service, paper, metadata="{"), 400, "BODY_NOT_JSON")
    problem(hand_in(service, paper, metadata='{"Nobody": "knows"}'), 400, "METADATA_UNKNOWN")
    for documents in ("[]", "{}", '[{"odd": 1}]', '[{"placement": 1}]', "[1]"):
        problem(hand_in(service, paper, documents=documents), 400, "BATCH_DOCUMENTS_WRONG")
    problem(hand_in(service, paper, documents='[{"reference": "a\\nb"}]'), 400, "FORM_VALUE_WRONG")
    form = {"data": {"credential": "officer"}}
    problem(service.send("POST", "/api/v1/batches", **form), 415, "MEDIA_TYPE_WRONG")
    problem(service.send("POST", "/api/v1/batches", files={"other": ("a", b"")}), 400, "FORM_FIELD_UNKNOWN")
    problem(hand_in(service, *[b"x"] * 501), 413, "BATCH_TOO_LONG")
    # Those of earlier batches may go meanwhile.
    assert {path.name for path in (service.user.home / "uploads").glob("*")} <= kept


def test_only_who_handed_it_in_knows_of_it(service: Service) -> None:
    link = hand_in(service, papers(1, "mine")[0]).json()["links"]["self"]
    problem(service.send("GET", link, token=None), 401, "TOKEN_MISSING")
    stranger = service.issue_token("--scope", "sign")
    problem(service.send("GET", link, token=stranger), 404, "BATCH_UNKNOWN")
    problem(service.send("POST", f"{link}/cancel", token=stranger), 404, "BATCH_UNKNOWN")
    assert service.send("GET", link, token=service.issue_token("--scope", "audit")).status_code == 200
    problem(
        hand_in(service, papers(1, "a")[0], token=service.issue_token("--scope", "verify")), 403, "TOKEN_SCOPE_MISSING"
    )
    problem(service.send("GET", "/api/v1/batches/" + "0" * 32), 404, "BATCH_UNKNOWN")


@pytest.mark.slow
def test_what_is_cancelled_stops_and_what_was_signed_stays(service: Service) -> None:
    link = hand_in(service, *papers(400, "many")).json()["links"]["self"]
    answer = service.send("POST", f"{link}/cancel")
    assert answer.status_code == 200
    assert answer.json()["state"] in ("cancelling", "ended")
    batch = ended(service, link)
    assert batch["counts"]["cancelled"] > 0
    assert batch["counts"]["done"] + batch["counts"]["cancelled"] == 400


@pytest.mark.slow
def test_a_batch_survives_the_worker_and_the_service_and_signs_each_document_once(user: User) -> None:
    given = papers(300, "hard")
    with running(user) as service:
        link = hand_in(service, *given, key="hard").json()["links"]["self"]
        for _ in range(3):
            for worker in workers(service):
                os.kill(worker, signal.SIGKILL)
            time.sleep(0.7)
        service.stop()
        # The session's own token, for the service that comes after.
        token = service.token
    with running(user) as service:
        service.token = token
        batch = ended(service, link, 120)
        assert batch["counts"] == {"waiting": 0, "done": 300, "failed": 0, "cancelled": 0}
        assert hand_in(service, *given, key="hard").json()["id"] == batch["id"]
        until = time.monotonic() + 10
        while list((user.home / "uploads").iterdir()) and time.monotonic() < until:
            time.sleep(0.05)
    codes = {each["document"]["code"] for each in batch["documents"]}
    assert len(codes) == 300
    done = user.sql("SELECT count(*), count(DISTINCT input_sha256) FROM signing_acts WHERE state = 'done'")
    assert [int(each) for each in done[0]] == [300, 300]
    # What a dead worker had begun is closed with its reason.
    assert user.sql("SELECT count(*) FROM signing_acts WHERE state = 'intent'")[0][0] == 0
    assert list((user.home / "uploads").iterdir()) == []


@pytest.mark.slow
def test_nothing_is_signed_for_a_token_that_was_revoked_meanwhile(user: User) -> None:
    with running(user) as service:
        token = service.issue_token("--scope", "sign", "--name", "kiosk")
        for worker in workers(service):
            os.kill(worker, signal.SIGSTOP)
        link = hand_in(service, *papers(2, "late"), token=token).json()["links"]["self"]
        user.antin("token", "revoke", "kiosk")
        for worker in workers(service):
            os.kill(worker, signal.SIGCONT)
        service.token = service.issue_token("--scope", "audit")
        batch = ended(service, link)
    assert {each["error"]["code"] for each in batch["documents"]} == {"BATCH_ACTOR_GONE"}
    assert user.sql("SELECT count(*) FROM signing_acts")[0][0] == 0
