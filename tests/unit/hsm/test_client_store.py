import contextlib
import socket

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hsm.client import ClientStore, read_state
from hsm.connections import Connections
from hsm.errors import KeyNotFound, MechanismUnavailable, SigningFailed, StoreClosed, TokenAway
from hsm.handles import Scheme
from hsm.spec import KeySpec, Purpose, spki_der
from hsm.wire import signatures
from pki.schemes import Scheme as PkiScheme
from pki.schemes import check_signature, sign_message
from tests.key_process import KeyProcessHome, kill
from tests.signable import SHA256, attributes, revocation_list
from tests.unit.hsm.contract import KeyStoreContract, sign_and_verify


@pytest.fixture(scope="module", params=[1, 2], ids=["one-process", "two-processes"])
def running(softhsm_module, request):
    home = KeyProcessHome(processes=request.param)
    home.start()
    yield home
    home.close()


@pytest.fixture
def store(running):
    store = running.store()
    yield store
    store.close()


class TestClientStore(KeyStoreContract):
    """The contract over the socket, through a real keeper, a real token process and SoftHSM."""

    @pytest.fixture
    def store(self, running):
        store = running.store()
        yield store
        store.close()


def test_what_does_not_fit_into_one_datagram_is_signed_all_the_same(store):
    authority = store.get(store.generate(KeySpec.P_256, "large", Purpose.AUTHORITY).public_key_der)
    tbs = revocation_list(5000)
    assert len(tbs) > 100_000
    sign_and_verify(authority, tbs)


def test_an_answer_that_does_not_fit_into_one_datagram_arrives(store):
    ref = store.generate(KeySpec.P_256, "many", Purpose.DOCUMENT)
    messages = [attributes(number) for number in range(1500)]
    signatures = store.sign_many(ref.public_key_der, messages, Scheme.ECDSA, SHA256)
    assert sum(map(len, signatures)) > 65536
    for message, signature in zip(messages, signatures, strict=True):
        ref.public_key().verify(signature, message, ec.ECDSA(SHA256))


@pytest.mark.parametrize("is_right", [True, False], ids=["right", "wrong"])
def test_a_signature_whose_token_process_ends_before_its_word_is_verified_here(running, is_right):
    store = running.store()
    ref = store.generate(KeySpec.P_256, "ahead", Purpose.DOCUMENT)
    key, wrong = store.get(ref.public_key_der), attributes(2)
    message = attributes(1)
    with key.sign_ahead(message if is_right else wrong, Scheme.ECDSA, SHA256) as other:
        signature = other.signature
    # The answer of a process that goes silent for ever behind it.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.send(b"".join(signatures([signature])))
    theirs.shutdown(socket.SHUT_WR)
    taken = store._connections.take()
    taken._socket.close()
    taken._socket = ours
    store._connections.give_back(taken)
    with key.sign_ahead(message, Scheme.ECDSA, SHA256) as made:
        assert made.signature == signature
        if is_right:
            made.confirm()
        else:
            with pytest.raises(SigningFailed):
                made.confirm()
    theirs.close()
    sign_and_verify(key)
    store.close()


def test_status_tells_the_token_and_its_process(store, running):
    store.generate(KeySpec.P_256, "s", Purpose.DOCUMENT)
    status = store.status()
    assert (status.module, status.token, status.state) == (
        str(running.settings.module),
        running.settings.token_label,
        "ok",
    )
    assert status.sessions_open >= 2
    assert status.pid == running.state().pid
    assert status.session_limit is None


def test_bench_leaves_nothing_on_the_token(store):
    before = store.list_keys()
    assert store.bench(KeySpec.P_256, 2, 0.1) > 10
    assert store.list_keys() == before


def test_without_a_key_process_and_without_a_starter_the_token_is_away(tmp_path):
    store = ClientStore(tmp_path / "run")
    with pytest.raises(TokenAway) as away:
        store.list_keys()
    assert away.value.facts == {"retry_after": "1", "reason": "not running"}
    assert (store.status().state, store.status().detail) == ("away", "HSM_TOKEN_AWAY")
    assert read_state(tmp_path / "run") is None
    assert not (tmp_path / "run").exists()
    store.close()


def test_building_and_closing_a_store_starts_nothing(key_home):
    key_home.store(starts=True).close()
    assert not key_home.run.exists()


def test_a_digest_that_is_none_of_ours_is_refused_before_anybody_is_asked(tmp_path):
    from_nobody = ClientStore(tmp_path / "run")
    public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(TokenAway):
        from_nobody.get(b"")
    with pytest.raises(MechanismUnavailable):
        from_nobody.sign_many(spki_der(public_key), [b"m"], Scheme.ECDSA, ec.ECDSA(SHA256))


def test_a_key_that_is_no_key_is_not_found(store):
    with pytest.raises(KeyNotFound):
        store.sign_many(b"no key", [attributes()], Scheme.ECDSA, SHA256)


def test_a_closed_store_says_so_without_a_key_process(tmp_path):
    store = ClientStore(tmp_path / "run")
    store.close()
    assert (store.status().state, store.status().detail) == ("away", StoreClosed.code)
    with pytest.raises(StoreClosed):
        store.list_destroyed()


def test_connections_are_kept_for_the_next_question(running):
    connections = Connections(running.run, 5.0, None)
    first = connections.take()
    connections.give_back(first)
    assert connections.take() is first
    connections.give_back(first)
    connections.close()


def test_while_the_token_process_signs_another_signature_may_be_asked_for(store):
    document, other = (store.generate(KeySpec.P_256, name, Purpose.DOCUMENT) for name in ("first", "second"))
    made = []

    def meanwhile():
        made.append(sign_message(store.get(other.public_key_der), PkiScheme.ECDSA_SHA256, attributes(2)))

    signature = sign_message(store.get(document.public_key_der), PkiScheme.ECDSA_SHA256, attributes(1), meanwhile)
    document.public_key().verify(signature, attributes(1), ec.ECDSA(SHA256))
    (within,) = made
    other.public_key().verify(within, attributes(2), ec.ECDSA(SHA256))
    # The same without anything to do, and with a key of RSA.
    rsa = store.generate(KeySpec.RSA_2048, "third", Purpose.DOCUMENT)
    signature = sign_message(store.get(rsa.public_key_der), PkiScheme.PSS_SHA256, attributes(3), meanwhile)
    check_signature(rsa.public_key(), PkiScheme.PSS_SHA256, signature, attributes(3))
    assert len(made) == 2


def test_what_fails_meanwhile_leaves_no_answer_for_the_next_question(store):
    ref = store.generate(KeySpec.P_256, "left", Purpose.DOCUMENT)
    key = store.get(ref.public_key_der)

    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sign_message(key, PkiScheme.ECDSA_SHA256, attributes(1), fails)
    signature = sign_message(key, PkiScheme.ECDSA_SHA256, attributes(2))
    ref.public_key().verify(signature, attributes(2), ec.ECDSA(SHA256))


def test_what_is_asked_again_does_nothing_a_second_time_meanwhile(key_home):
    key_home.start()
    store = key_home.store()
    ref = store.generate(KeySpec.P_256, "again", Purpose.DOCUMENT)
    key, calls = store.get(ref.public_key_der), []

    def meanwhile():
        calls.append(1)
        kill(key_home.state().pid)

    with contextlib.suppress(TokenAway):  # unless another process is there by then
        sign_message(key, PkiScheme.ECDSA_SHA256, attributes(1), meanwhile)
    assert calls == [1]
    store.close()
