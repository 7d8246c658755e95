import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.util.ec import decode_ec_private_key, decode_ec_public_key, encode_named_curve_parameters

from hsm.errors import (
    KeyDestroyed,
    KeyNotFound,
    KeyNotProtected,
    KeyPurposeWrong,
    ModuleMissing,
    PinMissing,
    PinWrong,
    SessionUnavailable,
    TokenMissing,
)
from hsm.handles import Scheme
from hsm.module import load_module
from hsm.pin import PinDescriptor
from hsm.pkcs11_store import Pkcs11Store
from hsm.spec import KeyRef, KeySpec, Purpose, curve_of, key_id_of, rsa_bits, spki_der
from hsm.token_objects import destroy_all, generate_pair, read_public_key, tombstone_label
from tests.signable import SHA256
from tests.softhsm import SoftHSMToken, new_token
from tests.unit.hsm import contract
from tests.unit.hsm.contract import MESSAGE, KeyStoreContract, sign_and_verify

ECDSA = ec.ECDSA(SHA256)
DOCUMENT = Purpose.DOCUMENT


OTHER_MODULE = os.environ.get("ANTIN_TEST_PKCS11_MODULE")


def other_token() -> SoftHSMToken:
    """The token that ANTIN_TEST_PKCS11_… name: the contract then runs on it, and leaves nothing there."""
    label, pin_file = os.environ["ANTIN_TEST_PKCS11_TOKEN_LABEL"], os.environ["ANTIN_TEST_PKCS11_PIN_FILE"]
    return SoftHSMToken(Path(OTHER_MODULE), label, Path(pin_file))


def learn_what_is_lacking(store: Pkcs11Store) -> None:
    """Ask the token for its mechanisms and the sizes of keys that it makes."""
    opened = store._pool.open_token()
    needed = {Mechanism.SHA256_RSA_PKCS_PSS: Mechanism.RSA_PKCS_PSS, Mechanism.SHA256_RSA_PKCS: Mechanism.RSA_PKCS}
    for hashing, raw in needed.items():
        if not {hashing, raw} & opened.mechanisms:
            contract.LACKING.update(f"CKM_{hashing.name.replace('256', digits)}" for digits in ("256", "384", "512"))
    for spec in KeySpec:
        making = Mechanism.RSA_PKCS_KEY_PAIR_GEN if spec.is_rsa else Mechanism.EC_KEY_PAIR_GEN
        bits = rsa_bits(spec) if spec.is_rsa else curve_of(spec).key_size
        info = opened.token.slot.get_mechanism_info(making) if making in opened.mechanisms else None
        if info is None or not info.min_key_length <= bits <= info.max_key_length:
            contract.LACKING.add(spec.value)


@pytest.fixture
def clean_store(request):
    """A store for the contract: on SoftHSM, or on the token under test, where it removes what the test has made."""
    if OTHER_MODULE is None:
        store = request.getfixturevalue("shared_softhsm_token").store()
        yield store
        store.close()
        return
    store = other_token().store()
    learn_what_is_lacking(store)
    before = {ref.key_id for ref in store.list_keys() + store.list_destroyed()}
    yield store
    store.close()
    cleaner = other_token().store()
    for ref in cleaner.list_keys() + cleaner.list_destroyed():
        if ref.key_id not in before:
            with cleaner._ladder.session("C_DestroyObject") as work:
                destroy_all(work.session, ref.key_id)
    cleaner.close()


class TestPkcs11Store(KeyStoreContract):
    @pytest.fixture
    def store(self, clean_store):
        return clean_store


@pytest.fixture
def store(softhsm_token):
    store = softhsm_token.store()
    yield store
    store.close()


def lent(store: Pkcs11Store):
    """A session of the store's, for looks past it."""
    return store._ladder.session("test")


def objects_of(store: Pkcs11Store, template):
    """Look at the token past the store: attributes as the token tells them."""
    with lent(store) as work:
        return list(work.session.get_objects(template))


@pytest.mark.parametrize("spec", list(KeySpec), ids=str)
def test_the_tokens_private_half_is_sensitive_stays_and_only_signs(store, spec):
    ref = store.generate(spec, "nhãn", DOCUMENT)
    with lent(store) as work:
        (private,) = work.session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})
        (public,) = work.session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})
        for yes in ("TOKEN", "PRIVATE", "SENSITIVE", "SIGN", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL"):
            assert private[Attribute[yes]] is True, yes
        for no in ("EXTRACTABLE", "DECRYPT", "UNWRAP", "DERIVE", "SIGN_RECOVER"):
            assert private[Attribute[no]] is False, no
        for no in ("PRIVATE", "ENCRYPT", "WRAP"):
            assert public[Attribute[no]] is False, no
        for half in (private, public):
            assert half[Attribute.ID] == ref.key_id
            assert half[Attribute.LABEL] == "document:nhãn"
        secret = Attribute.PRIVATE_EXPONENT if spec.is_rsa else Attribute.VALUE
        with pytest.raises(pkcs11.AttributeSensitive):
            private[secret]


def test_destroying_removes_the_private_half_and_leaves_a_tombstone(store):
    ref = store.generate(KeySpec.P_256, "seal", DOCUMENT)
    store.destroy(ref.public_key_der)
    (tombstone,) = objects_of(store, {})
    assert tombstone[Attribute.CLASS] == ObjectClass.PUBLIC_KEY
    assert tombstone[Attribute.LABEL] == "destroyed:document:seal"
    assert store.list_destroyed() == [ref]


def test_a_tombstone_is_seen_by_every_later_store(softhsm_token):
    first, second = softhsm_token.store(), softhsm_token.store()
    ref = first.generate(KeySpec.P_256, "seal", DOCUMENT)
    first.destroy(ref.public_key_der)
    with pytest.raises(KeyDestroyed) as gone:
        second.get(ref.public_key_der)
    assert gone.value.facts == {"key_id": ref.key_id.hex(), "label": "seal"}
    assert second.list_destroyed() == [ref]
    first.close()
    second.close()


def test_a_death_between_tombstone_and_removal_leaves_a_key_that_signs_nothing_and_can_be_destroyed(softhsm_token):
    dying, store = softhsm_token.store(), softhsm_token.store()
    ref = dying.generate(KeySpec.P_256, "half", DOCUMENT)
    with lent(dying) as work:
        (public,) = work.session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})
        public[Attribute.LABEL] = tombstone_label(DOCUMENT, "half")
    dying.close()
    with pytest.raises(KeyDestroyed):
        store.get(ref.public_key_der)
    assert (store.list_keys(), store.list_destroyed()) == ([], [ref])
    store.destroy(ref.public_key_der)
    assert len(objects_of(store, {})) == 1
    with pytest.raises(KeyDestroyed):
        store.destroy(ref.public_key_der)
    store.close()


def label_of_before(store, ref, text):
    """Write a label as other software, or Antin before it knew purposes, would have."""
    with lent(store) as work:
        for half in work.session.get_objects({Attribute.ID: ref.key_id}):
            half[Attribute.LABEL] = text


def test_a_key_of_before_signs_nothing_until_its_purpose_is_given_and_every_store_sees_it(softhsm_token):
    first, second = softhsm_token.store(), softhsm_token.store()
    ref = first.generate(KeySpec.P_256, "ignored", DOCUMENT)
    label_of_before(first, ref, "credential-seal")
    unnamed = KeyRef("credential-seal", ref.spec, ref.public_key_der)
    assert second.list_keys() == [unnamed]
    key = second.get(ref.public_key_der)
    for use in (
        lambda: key.sign(MESSAGE, ECDSA),
        lambda: second.sign_many(ref.public_key_der, [MESSAGE], Scheme.ECDSA, SHA256),
    ):
        with pytest.raises(KeyPurposeWrong) as refusal:
            use()
        assert refusal.value.facts["purpose"] == "none"
    first.assign_purpose(ref.public_key_der, DOCUMENT)
    sign_and_verify(key)
    assert second.list_keys() == [KeyRef("credential-seal", ref.spec, ref.public_key_der, DOCUMENT)]
    labels = {half[Attribute.LABEL] for half in objects_of(second, {Attribute.ID: ref.key_id})}
    assert labels == {"document:credential-seal"}
    second.destroy(ref.public_key_der)
    first.close()
    second.close()


def test_a_key_without_a_purpose_has_a_tombstone_too(store):
    ref = store.generate(KeySpec.P_256, "x", DOCUMENT)
    label_of_before(store, ref, "destroyed:by nobody")
    (listed,) = store.list_keys()
    assert (listed.label, listed.purpose) == ("destroyed:by nobody", None)
    store.destroy(ref.public_key_der)
    assert store.list_destroyed() == [listed]


class ForgetfulStore(Pkcs11Store):
    """Does not find again what it has just made."""

    def _find(self, work, der):
        raise KeyNotFound("lost", key_id="")


def test_a_pair_that_cannot_be_found_again_leaves_nothing_on_the_token(softhsm_token):
    forgetful = ForgetfulStore(softhsm_token.module_path, softhsm_token.label, softhsm_token.pin_file)
    with pytest.raises(KeyNotFound):
        forgetful.generate(KeySpec.P_256, "half-made", DOCUMENT)
    assert objects_of(forgetful, {}) == []
    forgetful.close()


def test_a_pair_that_was_never_renamed_is_neither_listed_nor_found(store):
    """What a death between making a pair and giving it its CKA_ID leaves behind."""
    with lent(store) as work:
        public, _ = generate_pair(work.session, KeySpec.P_256, "orphan")
        der = spki_der(read_public_key(public))
    assert store.list_keys() == []
    with pytest.raises(KeyNotFound):
        store.get(der)


def test_keys_outlive_the_store_that_made_them(softhsm_token):
    first = softhsm_token.store()
    ref = first.generate(KeySpec.P_384, "stays", DOCUMENT)
    first.close()
    second = softhsm_token.store()
    assert second.list_keys() == [ref]
    sign_and_verify(second.get(ref.public_key_der))
    second.close()


def test_an_extractable_key_is_not_protected(store):
    parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    with lent(store) as work:
        domain = work.session.create_domain_parameters(KeyType.EC, parameters, local=True)
        public, private = domain.generate_keypair(
            store=True, capabilities=MechanismFlag.SIGN, private_template={Attribute.EXTRACTABLE: True}
        )
        point = public[Attribute.EC_POINT][2:]
        der = spki_der(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
        for half in (public, private):
            half[Attribute.ID] = key_id_of(der)
    for use in (store.check_protected, store.get, lambda der: store.sign_many(der, [], Scheme.ECDSA, SHA256)):
        with pytest.raises(KeyNotProtected) as refusal:
            use(der)
        assert refusal.value.facts == {"key_id": key_id_of(der).hex(), "attribute": "CKA_EXTRACTABLE"}


def test_an_imported_key_is_not_used(store):
    outside = ec.generate_private_key(ec.SECP256R1())
    der = import_pair(store, outside, key_id_of(spki_der(outside.public_key())))
    for use in (store.check_protected, store.get, lambda der: store.sign_many(der, [MESSAGE], Scheme.ECDSA, SHA256)):
        with pytest.raises(KeyNotProtected) as refusal:
            use(der)
        assert refusal.value.facts["attribute"] == "CKA_ALWAYS_SENSITIVE"
    assert [ref.label for ref in store.list_keys()] == ["imported"]


def import_pair(store, key, key_id):
    der = spki_der(key.public_key())
    sec1 = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    common = {Attribute.ID: key_id, Attribute.TOKEN: True, Attribute.LABEL: "imported"}
    with lent(store) as work:
        work.session.create_object({**decode_ec_public_key(der), **common, Attribute.VERIFY: True})
        work.session.create_object(
            {
                **decode_ec_private_key(sec1),
                **common,
                Attribute.PRIVATE: True,
                Attribute.SENSITIVE: True,
                Attribute.EXTRACTABLE: False,
                Attribute.SIGN: True,
            }
        )
    return der


def test_a_key_under_another_keys_id_is_neither_found_nor_listed(store):
    outside = ec.generate_private_key(ec.SECP256R1())
    wanted = spki_der(ec.generate_private_key(ec.SECP256R1()).public_key())
    import_pair(store, outside, key_id_of(wanted))
    with pytest.raises(KeyNotFound):
        store.get(wanted)
    assert store.list_keys() == []


def test_two_stores_on_one_token_share_the_login_and_closing_one_leaves_the_other(softhsm_token):
    first, second = softhsm_token.store(), softhsm_token.store()
    ref = first.generate(KeySpec.P_256, "shared", DOCUMENT)
    key = second.get(ref.public_key_der)
    sign_and_verify(key)
    first.close()
    sign_and_verify(key)
    sign_and_verify(second.get(ref.public_key_der))
    second.destroy(ref.public_key_der)
    second.close()


def test_two_tokens_of_one_module_do_not_see_each_others_keys():
    one, two = new_token().store(), new_token().store()
    ref = one.generate(KeySpec.P_256, "mine", DOCUMENT)
    assert two.list_keys() == []
    with pytest.raises(KeyNotFound):
        two.get(ref.public_key_der)
    one.close()
    sign_in_two = two.generate(KeySpec.P_256, "theirs", DOCUMENT)
    sign_and_verify(two.get(sign_in_two.public_key_der))
    two.close()


def test_a_key_destroyed_through_another_store_is_not_found_by_a_kept_object(softhsm_token):
    first, second = softhsm_token.store(), softhsm_token.store()
    ref = first.generate(KeySpec.P_256, "gone", DOCUMENT)
    kept = second.get(ref.public_key_der)
    sign_and_verify(kept)
    first.destroy(ref.public_key_der)
    with pytest.raises(KeyDestroyed):
        kept.sign(MESSAGE, ECDSA)
    sign_and_verify(second.get(second.generate(KeySpec.P_256, "new", DOCUMENT).public_key_der))
    first.close()
    second.close()


def test_a_wrong_pin_is_asked_once_and_the_right_one_does_not_help_afterwards(softhsm_token):
    right = softhsm_token.pin_file.read_text()
    softhsm_token.pin_file.write_text("0000-wrong")
    store = softhsm_token.store()
    with pytest.raises(PinWrong) as refusal:
        store.list_keys()
    assert refusal.value.rv == "CKR_PIN_INCORRECT"
    assert refusal.value.facts == {"token": softhsm_token.label, "pin_file": str(softhsm_token.pin_file)}
    softhsm_token.pin_file.write_text(right)
    with pytest.raises(PinWrong):
        store.generate(KeySpec.P_256, "never", DOCUMENT)
    assert store.status().state == "degraded"
    assert store.status().detail == "HSM_PIN_WRONG"
    store.close()
    fresh = softhsm_token.store()
    assert fresh.list_keys() == []
    fresh.close()


def test_eight_threads_at_the_first_use_ask_a_wrong_pin_once(softhsm_token):
    """Seven of the eight get the remembered refusal, which says so."""
    softhsm_token.pin_file.write_text("0000-wrong")
    store = softhsm_token.store()
    started = threading.Barrier(8)
    messages = []

    def first_use():
        started.wait()
        with pytest.raises(PinWrong) as refusal:
            store.list_keys()
        messages.append(str(refusal.value))

    threads = [threading.Thread(target=first_use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted("before" in message for message in messages) == [False] + [True] * 7


def test_a_second_store_with_another_pin_is_refused_while_the_first_is_logged_in(softhsm_token, tmp_path):
    first = softhsm_token.store()
    first.list_keys()
    (tmp_path / "pin").write_text("0000-wrong")
    second = Pkcs11Store(softhsm_token.module_path, softhsm_token.label, tmp_path / "pin")
    with pytest.raises(PinWrong):
        second.list_keys()
    assert first.list_keys() == []
    first.close()


def test_no_error_text_holds_the_pin(softhsm_token):
    softhsm_token.pin_file.write_text("wrong-pin-4711")
    store = softhsm_token.store()
    with pytest.raises(PinWrong) as refusal:
        store.list_keys()
    chain, error = [], refusal.value
    while error is not None:
        chain.append(f"{error!r} {getattr(error, 'facts', '')}")
        error = error.__cause__ or error.__context__
    assert len(chain) >= 2
    assert not any("4711" in text for text in chain)


def test_building_a_store_touches_neither_module_nor_pin(tmp_path):
    store = Pkcs11Store(tmp_path / "absent.so", "nowhere", tmp_path / "absent.pin")
    store.close()
    assert store.status().state == "away"


def test_a_module_that_is_not_there_is_named(tmp_path):
    store = Pkcs11Store(tmp_path / "absent.so", "t", tmp_path / "pin")
    with pytest.raises(ModuleMissing) as refusal:
        store.list_keys()
    assert refusal.value.facts == {"module": str(tmp_path / "absent.so")}
    assert (store.status().state, store.status().detail) == ("away", "HSM_MODULE_MISSING")


def test_a_token_that_is_not_there_is_named(softhsm_module, tmp_path):
    (tmp_path / "pin").write_text("1234")
    store = Pkcs11Store(softhsm_module, "no-such-token", tmp_path / "pin")
    with pytest.raises(TokenMissing) as refusal:
        store.list_keys()
    assert refusal.value.facts == {"token": "no-such-token", "module": str(softhsm_module.resolve())}
    assert (store.status().state, store.status().detail) == ("away", "HSM_TOKEN_MISSING")


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"], ids=["absent", "empty", "a line end", "not text"])
def test_a_pin_file_without_a_pin_is_named_and_can_be_mended(softhsm_token, tmp_path, content):
    pin_file = tmp_path / "pin"
    if content is not None:
        pin_file.write_bytes(content)
    store = Pkcs11Store(softhsm_token.module_path, softhsm_token.label, pin_file)
    with pytest.raises(PinMissing) as refusal:
        store.list_keys()
    assert refusal.value.facts == {"pin_file": str(pin_file)}
    assert (store.status().state, store.status().detail) == ("degraded", "HSM_PIN_MISSING")
    pin_file.write_text(softhsm_token.pin_file.read_text())
    assert store.list_keys() == []
    assert store.status().state == "ok"
    store.close()


def test_status_tells_sessions_and_who_holds_the_token(store, softhsm_token):
    store.generate(KeySpec.P_256, "s", DOCUMENT)
    status = store.status()
    assert (status.module, status.token) == (str(softhsm_token.module_path), softhsm_token.label)
    assert status.sessions_open == 2
    assert status.session_limit is None
    assert status.pid is None


def test_more_threads_than_sessions_wait_for_their_turn(softhsm_token):
    store = softhsm_token.store(max_sessions=2)
    key = store.get(store.generate(KeySpec.P_256, "queue", DOCUMENT).public_key_der)

    def work(_number):
        for _ in range(25):
            sign_and_verify(key)
        return True

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(work, range(16)))
    assert store.status().sessions_open == 3
    store.close()


def test_waiting_for_a_session_has_an_end(softhsm_token):
    store = softhsm_token.store(max_sessions=1, wait_seconds=0.05)
    with lent(store), pytest.raises(SessionUnavailable) as refusal:
        store.list_keys()
    assert refusal.value.facts == {"limit": "1"}
    assert store.list_keys() == []
    store.close()


def test_a_new_login_elsewhere_in_the_process_only_costs_a_search(softhsm_token):
    """Handles of before a logout are stale; the same key object signs again after the next login."""
    store = softhsm_token.store()
    ref = store.generate(KeySpec.P_256, "relogin", DOCUMENT)
    key = store.get(ref.public_key_der)
    opened = store._pool.open_token()
    opened.module.release_login(opened.token)
    opened.module.log_in(opened.token, softhsm_token.pin_file.read_text().strip())
    sign_and_verify(key)
    store.close()


@pytest.fixture
def descriptor(softhsm_token):
    with softhsm_token.pin_file.open("rb") as file:
        yield PinDescriptor(file.fileno())


def test_the_pin_may_come_from_a_descriptor_and_is_read_again_by_whoever_inherits_it(softhsm_token, descriptor):
    for _ in range(2):
        store = Pkcs11Store(softhsm_token.module_path, softhsm_token.label, descriptor)
        assert store.list_keys() == []
        store.close()


def test_a_pin_from_a_pipe_or_a_closed_descriptor_is_refused_by_name(softhsm_token):
    reading, writing = os.pipe()
    os.write(writing, softhsm_token.pin_file.read_bytes())
    for told in ("pipe", "not open"):
        store = Pkcs11Store(softhsm_token.module_path, softhsm_token.label, PinDescriptor(reading))
        with pytest.raises(PinMissing, match=told) as refusal:
            store.list_keys()
        assert refusal.value.facts == {"pin_file": f"fd:{reading}"}
        if told == "pipe":
            os.close(reading)
            os.close(writing)


def test_the_canary_signs_with_a_key_of_any_purpose_and_without_a_key_asks_for_random_octets(store):
    store.canary()
    for spec, purpose in ((KeySpec.P_256, Purpose.AUTHORITY), (KeySpec.RSA_2048, Purpose.TSA)):
        ref = store.generate(spec, "canary", purpose)
        store.canary()
        store.destroy(ref.public_key_der)
        store.canary()


@pytest.mark.parametrize("spec", list(KeySpec), ids=str)
def test_a_measurement_leaves_nothing_on_the_token_and_no_key_to_find(store, spec):
    before = store.generate(KeySpec.P_256, "before", DOCUMENT)
    assert store.bench(spec, 2, 0.05) > 0
    assert store.list_keys() == [before]
    store.destroy(before.public_key_der)
    with lent(store) as one, lent(store) as two:
        for work in (one, two):
            assert len(list(work.session.get_objects({}))) == 1  # the tombstone


def test_a_measurement_with_more_sessions_than_there_are_says_so(softhsm_token):
    store = softhsm_token.store(max_sessions=1, wait_seconds=0.1)
    with pytest.raises(SessionUnavailable):
        store.bench(KeySpec.P_256, 2, 0.05)
    assert store.bench(KeySpec.P_256, 1, 0.05) > 0
    store.close()


def test_a_call_in_flight_is_told_with_its_age_and_waiting_for_a_turn_is_none(softhsm_token):
    store = softhsm_token.store(max_sessions=1)
    assert store.oldest_call_seconds() == 0.0
    with lent(store):
        waiting = threading.Thread(target=store.list_keys)
        waiting.start()
        time.sleep(0.05)
        assert 0.05 <= store.oldest_call_seconds() < 5
        store._pool.calls.beat()
        assert store.oldest_call_seconds() < 0.05
    waiting.join()
    assert store.oldest_call_seconds() == 0.0
    store.close()


def run_in_process(token, script):
    """Run a script that is given a store on the token, in a process of its own."""
    opening = (
        "import os, sys\nfrom pathlib import Path\n"
        "from cryptography.hazmat.primitives import hashes\nfrom cryptography.hazmat.primitives.asymmetric import ec\n"
        "from hsm.errors import TokenFailed\nfrom hsm.pkcs11_store import Pkcs11Store\nfrom hsm.spec import KeySpec, Purpose\nfrom tests.signable import attributes\n"
        "store = Pkcs11Store(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", opening + script, str(token.module_path), token.label, str(token.pin_file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[3],
    )


FORKING = """
key = store.get(store.generate(KeySpec.P_256, "fork", Purpose.DOCUMENT).public_key_der)
child = os.fork()
if child == 0:
    try:
        key.sign(attributes("m"), ec.ECDSA(hashes.SHA256()))
    except TokenFailed as error:
        store.close()
        os._exit(7 if error.rv == "CKR_CRYPTOKI_NOT_INITIALIZED" else 8)
    os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
key.sign(attributes("the parent goes on, still logged in"), ec.ECDSA(hashes.SHA256()))
store.close()
print("signed")
"""


def test_a_forked_child_is_refused_and_the_parent_goes_on(softhsm_token):
    done = run_in_process(softhsm_token, FORKING)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\nsigned\n", "")


def test_a_process_that_never_closes_its_store_ends_cleanly(softhsm_token):
    done = run_in_process(softhsm_token, 'print(store.generate(KeySpec.P_256, "left open", Purpose.DOCUMENT).label)')
    assert (done.returncode, done.stdout, done.stderr) == (0, "left open\n", "")


def test_one_module_reached_by_two_paths_is_loaded_once(softhsm_module, tmp_path):
    link = tmp_path / "module.so"
    link.symlink_to(softhsm_module)
    assert load_module(link) is load_module(softhsm_module)
