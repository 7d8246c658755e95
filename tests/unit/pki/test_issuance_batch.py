"""Many certificates share two commits and few questions to the key; one that is refused stops no other."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import event

from certs.errors import KeyInUse, KeyWeak, LintFailed, LintUnavailable, ProfileUnknown, SubjectAttributeRefused
from certs.inventory import CertificateRecord, State
from certs.lent import Loan
from certs.lint.second_opinion import SecondOpinion
from certs.names import parse_subject
from certs.search import CertificateQuery, search
from hsm.errors import SigningFailed
from hsm.spec import KeySpec, Purpose
from pki.appointment import add_person
from pki.approval_rules import ApprovalRules
from pki.audit import list_acts
from pki.audit_survey import survey_all
from pki.errors import ApprovalNeeded, IssuerNotGood, RegistrationNotOpen, SignedOtherBytes
from pki.issuance import IssuanceRequest, TwinKeys
from pki.issuance_batch import issue_many
from pki.registration import RegistrationDeps, register_at_once
from pki.registration_records import RegistrationState, get_registration
from pki.revocation import revoke_intents
from pki.roles import Role
from tests import postgres
from tests.world import ADMIN, OFFICER_SUBJECT, build_world

SUBJECT = "CN=Máy {},OU=Tổ Công nghệ,O=Sở Thử nghiệm,C=VN"


def new_key(world) -> bytes:
    return world.keys.generate(KeySpec.P_256, "leaf", Purpose.DOCUMENT).public_key_der


def requests(world, count, **more) -> list[IssuanceRequest]:
    return [IssuanceRequest("system", parse_subject(SUBJECT.format(n)), new_key(world), **more) for n in range(count)]


def records(world):
    with world.database.read() as session:
        return search(session, world.clock.now(), CertificateQuery(profile="system"))


def acts(world) -> Counter[str]:
    with world.database.read() as session:
        return Counter(each.action for each in list_acts(session) if each.subject_kind == "certificate")


class PartlyWrong:
    """A key store that signs with a mistake: the signature of one message stands under another."""

    def __init__(self, store, wrong):
        self._store, self._wrong = store, wrong

    def sign_many(self, public_key_der, messages, scheme, digest):
        signatures = self._store.sign_many(public_key_der, messages, scheme, digest)
        if self._wrong is None:
            raise SigningFailed("the token is gone", rv="CKR_DEVICE_REMOVED")
        signatures[self._wrong] = signatures[self._wrong - 1]
        return signatures


def with_store(world, wrong):
    return replace(world.issuing_deps, issuer=replace(world.issuing, keys=PartlyWrong(world.keys, wrong)))


def watch_commits(database, monkeypatch) -> list[object]:
    """What grows with each commit of this thread by prepared statements."""
    commits: list[object] = []
    if postgres.wanted():
        event.listen(database.engine, "commit", commits.append)
        say = Loan._say

        def heard(loan, word):
            say(loan, word)
            commits.extend([word] if word == "COMMIT" else [])

        monkeypatch.setattr(Loan, "_say", heard)
        return commits
    with database.write_rows() as connection:
        driver = connection.connection.dbapi_connection
    driver.set_trace_callback(lambda statement: commits.append(statement) if statement == "COMMIT" else None)
    return commits


def test_a_batch_is_two_commits_and_every_certificate_has_its_own_rows(world, monkeypatch):
    commits = watch_commits(world.database, monkeypatch)
    before = acts(world)
    issued = issue_many(requests(world, 7), ADMIN, world.issuing_deps)
    assert len(commits) == 2
    assert [each.common_name for each in issued] == [f"Máy {n}" for n in range(7)]
    for record in issued:
        record.certificate().verify_directly_issued_by(world.issuing.certificate)
        assert record.state is State.ACTIVE
    assert acts(world) - before == {"certificate.intend": 7, "certificate.issue": 7}
    with world.database.read() as session:
        assert survey_all(session).breaks == ()


@pytest.mark.parametrize("spec", [KeySpec.P_384, KeySpec.RSA_3072])
def test_a_batch_is_signed_as_the_issuers_key_signs(tmp_path, spec):
    world = build_world(tmp_path, issuing_spec=spec)
    (one,) = issue_many(requests(world, 1), ADMIN, world.issuing_deps)
    single = world.seal().record.certificate()
    assert one.certificate().signature_algorithm_oid == single.signature_algorithm_oid
    one.certificate().verify_directly_issued_by(world.issuing.certificate)
    world.close()


def test_what_is_refused_stops_no_other(world):
    good = requests(world, 3)
    used = world.certify("officer", OFFICER_SUBJECT).ref.public_key_der
    bad = [
        (IssuanceRequest("baker", parse_subject(SUBJECT), new_key(world)), ProfileUnknown),
        (IssuanceRequest("system", parse_subject(OFFICER_SUBJECT), new_key(world)), SubjectAttributeRefused),
        (replace(good[0], public_key_der=b"\x30\x00"), KeyWeak),
        (replace(good[0], public_key_der=used), KeyInUse),
        # The key of another line of the same batch, which is in no inventory yet.
        (replace(good[1], subject=parse_subject(SUBJECT.format(99))), KeyInUse),
    ]
    mixed = [good[0], *(each for each, _ in bad), *good[1:]]
    # good[1] comes after the line that wants its key.
    mixed[5], mixed[6] = mixed[6], mixed[5]
    results = issue_many(mixed, ADMIN, world.issuing_deps)
    kinds = [type(each) for each in results]
    errors = [kind for _, kind in bad]
    assert kinds == [CertificateRecord, *errors[:4], CertificateRecord, errors[4], CertificateRecord]
    assert len(records(world)) == 3


def test_no_line_at_all_and_only_bad_ones_leave_nothing(world):
    assert issue_many([], ADMIN, world.issuing_deps) == []
    bad = IssuanceRequest("baker", parse_subject(SUBJECT), new_key(world))
    assert [type(each) for each in issue_many([bad], ADMIN, world.issuing_deps)] == [ProfileUnknown]
    assert records(world) == []


def test_one_registration_makes_one_certificate_also_within_a_batch(world):
    (wanted,) = requests(world, 1)
    deps = RegistrationDeps(world.database, world.clock, world.catalogue)
    number = register_at_once(wanted.wanted, "hồ sơ 1", ADMIN, deps).id
    twice = [replace(wanted, registration=number)] * 2
    first, second = issue_many(twice, ADMIN, world.issuing_deps)
    assert (first.state, type(second)) == (State.ACTIVE, RegistrationNotOpen)
    with world.database.read() as session:
        registration = get_registration(session, number)
    assert (registration.state, registration.certificate_serial) == (RegistrationState.ISSUED, first.serial)


def test_a_line_that_waits_for_others_does_not_keep_the_rest_waiting(world):
    add_person("an", "An", [Role.REGISTRATION_OFFICER], ADMIN, world.person_deps)
    world.approvals = ApprovalRules(frozenset({"kiosk"}))
    waiting = IssuanceRequest("kiosk", parse_subject(SUBJECT), new_key(world))
    results = issue_many([waiting, *requests(world, 2)], ADMIN, world.issuing_deps)
    assert [type(each) for each in results] == [ApprovalNeeded, CertificateRecord, CertificateRecord]


def test_a_token_that_fails_leaves_intents_that_one_deed_revokes(world):
    with pytest.raises(SigningFailed):
        issue_many(requests(world, 4), ADMIN, with_store(world, None))
    assert [each.state for each in records(world)] == [State.INTENT] * 4
    world.clock.advance(minutes=6)
    mended = revoke_intents(world.clock.now(), ADMIN, world.revocation_deps)
    assert sorted(mended) == sorted(each.serial for each in records(world))
    _, crl = world.crls()
    assert crl.number > 0
    assert {each.state for each in records(world)} == {State.REVOKED}


class PieceFails:
    """A key store that signs all questions but the second."""

    def __init__(self, store):
        self._store, self.asked, self._lock = store, [], threading.Lock()

    def sign_many(self, public_key_der, messages, scheme, digest):
        with self._lock:
            self.asked.append(len(messages))
            is_second = len(self.asked) == 2
        if is_second:
            raise SigningFailed("the token is gone", rv="CKR_DEVICE_REMOVED")
        return self._store.sign_many(public_key_der, messages, scheme, digest)


def test_a_token_that_fails_at_one_piece_leaves_intents_of_all(world):
    store = PieceFails(world.keys)
    deps = replace(world.issuing_deps, issuer=replace(world.issuing, keys=store))
    with pytest.raises(SigningFailed):
        issue_many(requests(world, 60), ADMIN, deps)
    assert len(store.asked) > 1
    assert [each.state for each in records(world)] == [State.INTENT] * 60


def test_certificates_of_many_pieces_come_in_the_order_of_their_requests(world):
    wanted = requests(world, 60)
    issued = issue_many(wanted, ADMIN, world.issuing_deps)
    assert [each.public_key_der for each in issued] == [each.public_key_der for each in wanted]
    for record in issued:
        record.certificate().verify_directly_issued_by(world.issuing.certificate)


def test_a_signature_of_another_piece_is_caught_too(world):
    results = issue_many(requests(world, 60), ADMIN, with_store(world, 3))
    wrong = [place for place, each in enumerate(results) if isinstance(each, SignedOtherBytes)]
    assert wrong == [3, 28, 53]  # the fourth of each piece
    assert len([each for each in records(world) if each.state is State.INTENT]) == 3


def test_a_signature_that_stands_in_the_wrong_place_is_caught_and_only_its_intent_stays(world):
    results = issue_many(requests(world, 4), ADMIN, with_store(world, 2))
    kinds = [type(each) for each in results]
    assert kinds == [CertificateRecord, CertificateRecord, SignedOtherBytes, CertificateRecord]
    intents = [each.serial for each in records(world) if each.state is State.INTENT]
    assert intents == [results[2].facts["serial"]]


# In the place of pkilint: what it says the first time, and what from then on.
CHANGING = """
import json, sys, time
answers = iter({answers})
say = lambda answer: print(json.dumps(answer), flush=True)
say({{"ready": True}})
answer = None
for count, line in enumerate(sys.stdin):
    answer = next(answers, answer)
    time.sleep(0.2 if count == 1 else 0)  # meanwhile all others pass the own rules
    say({{"findings": [dict(zip(("standard", "severity", "code", "text"), answer))]}})
"""


def sampled_batch(world, *answers):
    """A batch of which every second certificate is a sample, and which of them were."""
    opinion = SecondOpinion(sampled=2, child=("-c", CHANGING.format(answers=list(answers))))
    deps = replace(world.issuing_deps, twins=TwinKeys(opinion))
    results = issue_many(requests(world, 12), ADMIN, deps)
    opinion.close()
    return results


def is_sample(record):
    return int(record.serial, 16) % 2 == 0


def test_what_follows_a_sample_that_fails_is_not_passed_by_its_shape(world):
    results = sampled_batch(world, ("etsi", "NOTICE", "x", ""), ("pkix", "ERROR", "x", ""))
    issued = [each for each in results if isinstance(each, CertificateRecord)]
    assert [type(each) for each in results] == [CertificateRecord] * len(issued) + [LintFailed] * (12 - len(issued))
    assert not any(is_sample(each) for each in issued[1:])  # the first one is asked about whatever its serial
    assert len(records(world)) == len(issued) >= 1


def test_what_is_said_of_samples_meanwhile_stands_with_their_intents(world):
    results = sampled_batch(world, ("etsi", "ERROR", "first", ""), ("etsi", "ERROR", "later", ""))
    with world.database.read() as session:
        said = {
            act.subject_id: act.details.get("etsi") for act in list_acts(session) if act.action == "certificate.intend"
        }
    for place, each in enumerate(results):
        assert said[each.serial] in ({"first"} if place == 0 else {"later"} if is_sample(each) else {"first", "later"})


def test_without_a_second_opinion_or_a_good_issuer_the_whole_batch_stops(world):
    silent = replace(world.issuing_deps, twins=TwinKeys(SecondOpinion(child=("-c", "raise SystemExit(1)"))))
    with pytest.raises(LintUnavailable):
        issue_many(requests(world, 2), ADMIN, silent)
    world.revoke(world.issuing.serial, "cessationOfOperation")
    with pytest.raises(IssuerNotGood):
        issue_many(requests(world, 2), ADMIN, world.issuing_deps)
    assert records(world) == []
