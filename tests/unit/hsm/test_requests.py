"""Requests answered together: each client is told what it would be told alone, and nothing is signed twice."""

from __future__ import annotations

import threading

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute

from hsm.errors import (
    HSMError,
    KeyDestroyed,
    KeyNotFound,
    KeyPurposeWrong,
    MechanismUnavailable,
    MessageRefused,
    SessionUnavailable,
    SigningFailed,
    TokenAway,
    TokenMissing,
)
from hsm.keyd.requests import Requests
from hsm.spec import KeySpec, Purpose, spki_der
from hsm.wire import Op, done, parse_answer, parse_signatures, request, sign_request
from tests.signable import SHA256, attributes, revocation_list

ECDSA = ec.ECDSA(SHA256)


@pytest.fixture
def store(softhsm_token):
    store = softhsm_token.store(max_sessions=2, wait_seconds=0.3)
    yield store
    store.close()


@pytest.fixture
def ref(store):
    return store.generate(KeySpec.P_256, "together", Purpose.DOCUMENT)


def requests_of(store, **settings) -> Requests:
    failures: list[Exception] = []
    return Requests(store, failures.append, failures.append, **settings)


def asked(key: bytes, *messages: bytes, scheme: str = "ecdsa", op: Op = Op.SIGN) -> bytes:
    return b"".join(sign_request(key, messages, scheme, "sha256", op))


def outcome(answer) -> list[bytes] | type[HSMError]:
    """The signatures, or the kind of error that was told."""
    if isinstance(answer, MessageRefused):
        return MessageRefused
    try:
        return parse_signatures(parse_answer(b"".join(answer)))
    except HSMError as error:
        return type(error)


def test_each_gets_the_signature_over_its_own_message(store, ref):
    messages = [attributes(number) for number in range(8)]
    answers = requests_of(store).answer_together([asked(ref.public_key_der, message) for message in messages])
    for message, answer in zip(messages, answers, strict=True):
        (signature,) = outcome(answer)
        ref.public_key().verify(signature, message, ECDSA)


def test_one_that_is_refused_takes_nothing_from_the_others(store, ref):
    other = store.generate(KeySpec.P_256, "other", Purpose.AUTHORITY)
    gone = store.generate(KeySpec.P_256, "gone", Purpose.DOCUMENT)
    store.destroy(gone.public_key_der)
    unknown = ec.generate_private_key(ec.SECP256R1()).public_key()
    good = [attributes(number) for number in range(6)]
    wanted = [
        (asked(ref.public_key_der, good[0]), (ref, good[0])),
        (asked(ref.public_key_der, revocation_list()), KeyPurposeWrong),
        (asked(ref.public_key_der, good[1]), (ref, good[1])),
        (asked(ref.public_key_der, good[2])[:-1], MessageRefused),
        (asked(gone.public_key_der, good[3]), KeyDestroyed),
        (asked(gone.public_key_der, good[3]), KeyDestroyed),
        (asked(ref.public_key_der, good[4], scheme="rsa-pss"), MechanismUnavailable),
        (asked(ref.public_key_der, good[4], scheme="rsa-pss"), MechanismUnavailable),
        (asked(other.public_key_der, revocation_list()), (other, revocation_list())),
        (asked(spki_der(unknown), good[5]), KeyNotFound),
        (asked(ref.public_key_der, good[5]), (ref, good[5])),
    ]
    answers = requests_of(store).answer_together([message for message, _ in wanted])
    for answer, (_, expected) in zip(answers, wanted, strict=True):
        told = outcome(answer)
        if isinstance(expected, tuple):
            key, message = expected
            assert isinstance(told, list)
            key.public_key().verify(told[0], message, ECDSA)
        else:
            assert told is expected


def test_many_values_in_one_request_are_answered_too(store, ref):
    messages = [attributes(number) for number in range(5)]
    one = asked(ref.public_key_der, attributes("one"))
    answers = requests_of(store).answer_together([asked(ref.public_key_der, *messages), one, one])
    signatures = outcome(answers[0])
    assert isinstance(signatures, list)
    for message, signature in zip(messages, signatures, strict=True):
        ref.public_key().verify(signature, message, ECDSA)
    # The same request of two clients gets a signature each.
    assert outcome(answers[1]) != outcome(answers[2])


def test_a_signature_goes_ahead_of_the_word_that_it_verifies(store, ref):
    first: list[bytes] = []
    last = requests_of(store).answer(
        asked(ref.public_key_der, attributes(1), op=Op.SIGN_AHEAD), lambda answer: first.append(b"".join(answer))
    )
    (signature,) = outcome(first)
    ref.public_key().verify(signature, attributes(1), ECDSA)
    assert parse_answer(b"".join(last)) == b"".join(done())


def test_the_word_on_a_signature_ahead_that_does_not_verify_is_that(store, ref, monkeypatch):
    store.get(ref.public_key_der)
    monkeypatch.setattr("hsm.pkcs11_store.sign_in_token", lambda *_: b"\x30\x06\x02\x01\x01\x02\x01\x01")
    first: list[bytes] = []
    last = requests_of(store).answer(
        asked(ref.public_key_der, attributes(1), op=Op.SIGN_AHEAD), lambda answer: first.append(b"".join(answer))
    )
    assert len(outcome(first)) == 1
    assert outcome(last) is SigningFailed


def test_only_one_message_is_signed_ahead(store, ref):
    first: list[object] = []
    for messages in ((), (attributes(1), attributes(2))):
        with pytest.raises(MessageRefused):
            requests_of(store).answer(asked(ref.public_key_der, *messages, op=Op.SIGN_AHEAD), first.append)
    assert first == []


def test_what_cannot_be_signed_ahead_has_one_answer(store, ref):
    first: list[object] = []
    ahead = asked(ref.public_key_der, revocation_list(), op=Op.SIGN_AHEAD)
    assert outcome(requests_of(store).answer(ahead, first.append)) is KeyPurposeWrong
    assert first == []


def test_when_no_session_comes_free_all_have_waited_together(store, ref):
    store.get(ref.public_key_der)
    told: list[object] = []
    with store._ladder.session("test"), store._ladder.session("test"):
        answer = requests_of(store).answer_together
        messages = [asked(ref.public_key_der, attributes(number)) for number in range(8)]
        waiting = threading.Thread(target=lambda: told.extend(map(outcome, answer(messages))))
        waiting.start()
        waiting.join(1.5)  # eight one after the other would take 2.4 s
        assert not waiting.is_alive()
    assert told == [SessionUnavailable] * 8


def test_another_than_the_first_makes_no_key(store):
    body = {"spec": KeySpec.P_256.value, "label": "x", "purpose": Purpose.DOCUMENT.value}
    with pytest.raises(MessageRefused):
        requests_of(store, is_first=False).answer(b"".join(request(Op.GENERATE, body)))
    assert store.list_keys() == []


def test_a_token_whose_keys_were_destroyed_is_still_there_and_one_without_them_is_gone(softhsm_token, store, ref):
    requests = requests_of(store)
    other = store.generate(KeySpec.P_256, "other", Purpose.DOCUMENT)
    for each in (ref, other):
        outcome(requests.answer(asked(each.public_key_der, attributes(0))))
    store.destroy(other.public_key_der)
    requests.check_token()
    assert requests.fatal is None
    emptied = softhsm_token.store()
    with emptied._ladder.session("test") as work:
        for found in work.session.get_objects():
            found.destroy()
    emptied.close()
    requests.check_token()
    assert isinstance(requests.fatal, TokenMissing)


def test_a_process_that_served_nobody_knows_by_its_canary_that_the_token_has_gone(softhsm_token, store, ref):
    by_check, by_question = requests_of(store), requests_of(store)
    for requests in (by_check, by_question):
        requests.canary()
    # A key that is nowhere is no sign of it.
    stranger = spki_der(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert outcome(by_question.answer(asked(stranger, attributes(0)))) is KeyNotFound
    assert by_question.fatal is None
    emptied = softhsm_token.store()
    with emptied._ladder.session("test") as work:
        for found in work.session.get_objects():
            found.destroy()
    emptied.close()
    by_question.answer(asked(stranger, attributes(0)))
    by_check.check_token()
    assert isinstance(by_question.fatal, TokenMissing)
    assert isinstance(by_check.fatal, TokenMissing)


@pytest.fixture
def hidden(softhsm_token, store, ref):
    """A key that was used and is not found any more, as while another process writes; and what brings it back."""
    other = softhsm_token.store()
    requests: list[Requests] = []

    def name(before: bytes, after: bytes) -> None:
        with other._ladder.session("test") as work:
            for half in list(work.session.get_objects({Attribute.ID: before})):
                half[Attribute.ID] = after

    def begin(pause) -> Requests:
        requests.append(requests_of(store, pause=pause))
        assert isinstance(outcome(requests[0].answer(asked(ref.public_key_der, attributes(0)))), list)
        name(ref.key_id, b"elsewhere")
        store._pool.raise_epoch()
        return requests[0]

    yield begin, lambda: name(b"elsewhere", ref.key_id)
    other.close()


def test_a_key_that_is_not_found_for_a_moment_is_no_token_that_is_gone(ref, hidden):
    begin, bring_back = hidden
    requests = begin(lambda _seconds: bring_back())
    message = attributes("again")
    told = outcome(requests.answer(asked(ref.public_key_der, message)))
    assert isinstance(told, list)
    ref.public_key().verify(told[0], message, ECDSA)
    assert requests.fatal is None


def test_a_key_whose_tombstone_comes_a_moment_later_was_destroyed(store, ref, hidden):
    begin, bring_back = hidden

    def destroy(_seconds: float) -> None:
        bring_back()
        store.destroy(ref.public_key_der)

    requests = begin(destroy)
    assert outcome(requests.answer(asked(ref.public_key_der, attributes("late")))) is KeyDestroyed
    assert requests.fatal is None


def test_a_key_that_stays_away_without_a_tombstone_is_a_token_that_is_gone(ref, hidden):
    begin, _ = hidden
    requests = begin(lambda _seconds: None)
    assert outcome(requests.answer(asked(ref.public_key_der, attributes("gone")))) is TokenAway
    assert isinstance(requests.fatal, TokenMissing)
