"""Answers of the last minute: given again only while they are what would be said now."""

from __future__ import annotations

import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pki.ocsp_answer import ResponseStatus
from pki.ocsp_recent import RecentAnswers
from pki.revocation import reinstate
from tests.postgres import sqlite_only
from tests.unit.pki.services import build_services
from tests.world import ADMIN


@pytest.fixture
def services(world):
    return build_services(world)


@pytest.fixture
def recent(services):
    return RecentAnswers(services.ocsp, services.world.database, services.world.clock)


def request_for(services, record, nonce: bytes = b"") -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        record.certificate(), services.world.issuing.certificate, hashes.SHA256()
    )
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def status_of(answer) -> ocsp.OCSPCertStatus:
    return ocsp.load_der_ocsp_response(answer.der).certificate_status


def test_the_same_question_gets_the_same_octets_until_a_minute_is_over(services, recent):
    request = request_for(services, services.world.seal().record)
    first = recent.answer(request)
    services.world.clock.advance(seconds=59)
    assert recent.answer(request).der == first.der
    services.world.clock.advance(seconds=2)
    later = recent.answer(request)
    assert later.der != first.der
    assert later.this_update == services.world.clock.now().replace(microsecond=0)


def test_a_change_of_state_is_said_at_once_and_so_is_its_end(services, recent):
    record = services.world.seal().record
    request = request_for(services, record)
    assert status_of(recent.answer(request)) is ocsp.OCSPCertStatus.GOOD
    services.world.revoke(record.serial, "certificateHold")
    assert status_of(recent.answer(request)) is ocsp.OCSPCertStatus.REVOKED
    reinstate(record.serial, ADMIN, services.world.revocation_deps)
    assert status_of(recent.answer(request)) is ocsp.OCSPCertStatus.GOOD


def test_a_nonce_is_never_answered_from_memory(services, recent):
    request = request_for(services, services.world.seal().record, b"n" * 16)
    assert recent.answer(request).der != recent.answer(request).der
    assert recent.find(request) is None


def test_a_clock_set_back_makes_an_answer_no_younger(services, recent):
    request = request_for(services, services.world.seal().record)
    recent.answer(request)
    services.world.clock.advance(seconds=-30)
    assert recent.find(request) is None


def test_what_is_malformed_is_malformed_again(recent):
    for _ in range(2):
        assert recent.answer(b"0").status is ResponseStatus.MALFORMED_REQUEST


def test_many_questions_do_not_fill_the_memory(services):
    recent = RecentAnswers(services.ocsp, services.world.database, services.world.clock, most=3)
    for _ in range(8):
        recent.answer(request_for(services, services.world.seal().record))
    assert len(recent._recent) <= 3


@sqlite_only
def test_while_nobody_commits_anything_the_inventory_is_not_even_asked(services, recent):
    """The number of the database's last change stands for all that was read before."""
    world, record = services.world, services.world.seal().record
    request = request_for(services, record)
    first = recent.answer(request)
    mark = world.database.mark()
    assert mark is not None
    assert world.database.mark() == mark
    assert recent.find(request) is first
    services.world.officer()
    assert world.database.mark() != mark
    assert recent.find(request) is first  # asked, and still so
    world.revoke(record.serial)
    assert recent.find(request) is None


def in_a_thread(deed):
    found = []
    thread = threading.Thread(target=lambda: found.append(deed()))
    thread.start()
    thread.join()
    return found[0]


@sqlite_only
def test_a_mark_of_one_thread_is_never_that_of_another(services):
    """SQLite counts for each connection by itself: the same number says nothing of the same state."""
    database = services.world.database
    marks = [database.mark()]
    for _ in range(3):
        services.world.officer()
        marks += [in_a_thread(database.mark), database.mark()]
    assert len(set(marks)) == 7


@sqlite_only
def test_an_answer_made_in_one_thread_is_not_given_in_another_after_a_revocation(services, recent):
    """Signed on a lane, given out by the loop, whose connection has seen as many changes."""
    world, record = services.world, services.world.seal().record
    request = request_for(services, record)
    in_a_thread(lambda: recent.make(request))
    world.revoke(record.serial)
    assert recent.find(request) is None
