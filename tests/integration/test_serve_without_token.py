"""The token of a running service goes away and comes back: what needs no key goes on, the rest says when to come again, nobody restarts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from hsm.keyd.asking import read_state
from hsm.keyd.places import run_folder
from hsm.keyd.state import KeyState
from pki.tsa.request import build_request
from tests.installation import User
from tests.integration.http_service import Service, command_of, descendants, is_alive, problem, running
from tests.integration.test_http_processes import eventually


def key_state(user: User) -> KeyState:
    told = read_state(run_folder(user.home))
    assert told is not None
    return told


def keepers(service: Service) -> list[int]:
    return [pid for pid in descendants(service.process.pid) if b"\0hsm.keyd\0" in command_of(pid)]


def token_processes(service: Service) -> list[int]:
    return [pid for pid in descendants(service.process.pid) if b"hsm.keyd.token_process" in command_of(pid)]


def signs(service: Service, pdf: bytes) -> bool:
    return service.sign(pdf).status_code == 201


@contextmanager
def without_token(user: User) -> Iterator[None]:
    """The folder of the token is moved away: for SoftHSM what unplugging is for a device."""
    (user.home / "tokens").rename(user.home / "unplugged")
    try:
        yield
    finally:
        (user.home / "unplugged").rename(user.home / "tokens")


def ask_tsa(service: Service) -> httpx.Response:
    query = build_request("sha256", b"d" * 32, nonce=1)
    return service.http.post("/tsa", content=query, headers={"Content-Type": "application/timestamp-query"})


def ask_ocsp(service: Service, query: bytes) -> ocsp.OCSPResponseStatus:
    told = service.http.post("/ocsp", content=query, headers={"Content-Type": "application/ocsp-request"})
    assert told.status_code == 200
    return ocsp.load_der_ocsp_response(told.content).response_status


def ocsp_query(user: User, credential: str, nonce: bytes = b"") -> bytes:
    subject, issuer = (
        x509.load_pem_x509_certificate(user.antin(*words).encode())
        for words in (("cert", "show", credential, "--pem"), ("ca", "show", "issuing", "--pem"))
    )
    builder = ocsp.OCSPRequestBuilder().add_certificate(subject, issuer, SHA256())
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def assert_rest_goes_on(service: Service, signed: bytes) -> None:
    assert service.verify(signed)["conclusion"] == "valid"
    assert service.http.get("/crl/issuing.crl").status_code == 200
    assert service.http.get("/ca/issuing.cer").status_code == 200
    assert service.http.get("/").status_code == 200
    assert service.http.get("/healthz").status_code == 200


def test_a_service_outlives_its_token_and_signs_again_when_it_is_back_without_a_restart(user: User, pdf: bytes) -> None:
    # The worker signs answers before they are asked for; one with a nonce cannot be.
    known, live = ocsp_query(user, "officer"), ocsp_query(user, "seal", b"n" * 16)
    with running(user, "--workers", "1") as service:
        first = service.sign(pdf)
        assert first.status_code == 201
        signed = service.http.get(first.json()["links"]["file"]).content
        assert ask_ocsp(service, known) is ocsp.OCSPResponseStatus.SUCCESSFUL
        before = set(descendants(service.process.pid))
        keeper = keepers(service)
        with without_token(user):
            # A token in use may answer from memory; a device that is unplugged ends its process.
            processes = token_processes(service)
            for process in processes:
                os.kill(process, signal.SIGKILL)
            assert eventually(lambda: service.sign(pdf).status_code == 503)
            assert eventually(lambda: key_state(user).breaker == "open")
            answer = service.sign(pdf, level="B-T")
            assert answer.json()["code"] in ("KEYS_UNAVAILABLE", "TIMESTAMP_UNAVAILABLE")
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            stamp = ask_tsa(service)
            assert (stamp.status_code, stamp.headers["content-type"]) == (503, "application/timestamp-reply")
            assert 1 <= int(stamp.headers["retry-after"]) <= 60
            assert_rest_goes_on(service, signed)
            assert ask_ocsp(service, known) is ocsp.OCSPResponseStatus.SUCCESSFUL, "made before, and still what is so"
            assert ask_ocsp(service, live) is ocsp.OCSPResponseStatus.TRY_LATER
            ready = service.http.get("/readyz")
            told = problem(ready, 503, "NOT_READY")
            assert told["checks"]["database"] == told["checks"]["crl"] == "ok"
            # SoftHSM without its folder cannot even begin.
            assert told["checks"]["keys"] == "CKR_GENERAL_ERROR"
            assert (told["hsm"]["state"], told["hsm"]["reason"]) == ("away", "CKR_GENERAL_ERROR")
            assert int(ready.headers["retry-after"]) >= 1
            metrics = service.http.get("/metrics").text
            assert 'antin_hsm_state{state="away"} 1.0' in metrics
            assert 'antin_hsm_events_total{event="breaker.opened"}' in metrics
            (status,) = user.json("hsm", "status", code=5)
            assert (status["state"], status["reason"]) == ("away", "CKR_GENERAL_ERROR")
            assert status["keeper_pid"] == keeper[0], "the command asks the service's, and starts none"
        assert eventually(lambda: signs(service, pdf), 20)
        assert ask_tsa(service).status_code == 200
        assert eventually(lambda: service.http.get("/readyz").json()["hsm"]["state"] == "ok")
        assert keepers(service) == keeper
        assert before - set(descendants(service.process.pid)) <= set(processes), "nothing else was replaced"
        assert not [line for line in service.log_lines() if line.get("status") == 500]
    assert user.sql("SELECT count(*) FROM signing_acts WHERE state = 'intent'") == [(0,)]
    assert user.findings() == {}


@pytest.mark.walk
def test_a_service_starts_without_its_token_and_finds_it_later(user: User, pdf: bytes) -> None:
    user.sign("paper.pdf", "officer", "signed.pdf")
    signed = (user.folder / "signed.pdf").read_bytes()
    with without_token(user):
        service_context = running(user, "--workers", "1")
        service = service_context.__enter__()
        try:
            problem(service.sign(pdf), 503, "KEYS_UNAVAILABLE")
            assert_rest_goes_on(service, signed)
        except BaseException:
            service_context.__exit__(None, None, None)
            raise
    try:
        assert eventually(lambda: signs(service, pdf), 20)
    finally:
        service_context.__exit__(None, None, None)


@pytest.mark.parametrize("which", ["keeper", "token process"])
def test_a_key_process_that_is_killed_is_replaced_and_signing_goes_on(user: User, pdf: bytes, which: str) -> None:
    find = keepers if which == "keeper" else token_processes
    with running(user, "--workers", "1") as service:
        assert signs(service, pdf)
        before, count = find(service), len(key_state(user).processes)
        os.kill(before[0], signal.SIGKILL)
        assert eventually(lambda: len(found := find(service)) == len(before) and before[0] not in found)
        assert eventually(lambda: signs(service, pdf))
        assert eventually(lambda: len(token_processes(service)) == count)
        events = {line["event"] for line in service.log_lines()}
        assert ("key process died" if which == "keeper" else "process.died") in events
        # Its counts went with the keeper; that it died is told by the next one, wherever a keeper's counts are shown.
        died = "keeper.died" if which == "keeper" else "process.died"
        assert key_state(user).counts[died] == 1
        assert service.http.get("/readyz").json()["hsm"]["counts"][died] == 1
        assert f'antin_hsm_events_total{{event="{died}"}} 1.0' in service.http.get("/metrics").text
        below = descendants(service.process.pid)
        assert service.stop() < 5.0
        assert [pid for pid in below if is_alive(pid)] == []


@pytest.mark.walk
def test_a_token_that_hangs_holds_up_nobody_who_needs_no_key_and_is_replaced(user: User, pdf: bytes) -> None:
    known = ocsp_query(user, "officer")
    with running(user, "--workers", "1") as service, ThreadPoolExecutor(8) as others:
        assert signs(service, pdf)
        assert ask_ocsp(service, known) is ocsp.OCSPResponseStatus.SUCCESSFUL
        victim = key_state(user).pid
        assert victim is not None
        os.kill(victim, signal.SIGSTOP)
        waiting = [others.submit(ask_tsa, service) for _ in range(8)]
        assert service.http.get("/crl/issuing.crl").status_code == 200
        assert ask_ocsp(service, known) is ocsp.OCSPResponseStatus.SUCCESSFUL
        assert service.http.get("/metrics").status_code == 200
        assert (key_state(user).pid, is_alive(victim)) == (victim, True), "all this was answered meanwhile"
        # Nobody waits for ever: each was asked again of the next process, or told to come later.
        assert {each.result(60).status_code for each in waiting} <= {200, 503}
        assert eventually(lambda: signs(service, pdf))
        assert eventually(lambda: victim not in token_processes(service))
        assert key_state(user).counts["process.silent"] == 1


def test_a_refused_pin_is_tried_once_and_a_mended_file_is_found(user: User, pdf: bytes) -> None:
    pin = (user.home / "secrets" / "pin").read_bytes()
    mine = user.folder / "pin"
    mine.write_text("0000")
    with running(user, "--workers", "1", ANTIN_HSM__PIN_FILE=str(mine)) as service:
        for _ in range(3):
            problem(service.sign(pdf), 503, "KEYS_UNAVAILABLE")
        told = problem(service.http.get("/readyz"), 503, "NOT_READY")
        assert (told["hsm"]["state"], told["hsm"]["breaker"]) == ("degraded", "pin")
        assert told["hsm"]["counts"]["breaker.pin"] == 1
        assert user.findings() == {"DOCTOR_PIN_REFUSED": "keys"}
        assert user.json("hsm", "status", code=5)[0]["breaker"] == "pin"
        assert key_state(user).counts["breaker.pin"] == 1
        mine.write_bytes(pin)
        assert eventually(lambda: signs(service, pdf), 20)
        assert "0000" not in service.log.read_text("utf-8").replace(".0000", "")


@pytest.mark.walk
def test_commands_beside_a_service_use_its_key_process(user: User) -> None:
    with running(user, "--workers", "1") as service:
        (status,) = user.json("hsm", "status")
        user.sign("paper.pdf", "officer", "a.pdf")
        user.antin("ca", "publish", "--all")
        assert user.findings() == {}
        after = key_state(user)
        assert (after.pid, after.keeper_pid) == (status["pid"], status["keeper_pid"])
        assert keepers(service) == [status["keeper_pid"]]
        assert after.counts["process.started"] == len(after.processes)


@pytest.mark.walk
def test_a_service_that_starts_while_a_command_works_takes_over_in_peace(user: User, pdf: bytes) -> None:
    (user.folder / "many").mkdir()
    for number in range(12):
        (user.folder / "many" / f"{number}.pdf").write_bytes(pdf + b"%% %d\n" % number)
    worker = user.start("sign", *sorted((user.folder / "many").iterdir()), "--as", "officer", "-o", "out")
    assert eventually(lambda: read_state(run_folder(user.home)) is not None)
    with running(user, "--workers", "1") as service:
        assert signs(service, pdf)
        assert worker.wait(60) == 0, worker.communicate()
        assert eventually(lambda: not key_state(user).ephemeral)
        assert signs(service, pdf)
    worker.communicate()
    assert user.findings() == {}
