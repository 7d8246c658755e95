import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
from pkcs11.util.ec import decode_ec_private_key, decode_ec_public_key, encode_named_curve_parameters

from hsm.errors import (
    KeyNotFound,
    KeyNotProtected,
    ModuleMissing,
    PinMissing,
    PinWrong,
    SessionUnavailable,
    TokenMissing,
)
from hsm.module import load_module
from hsm.pkcs11_store import Pkcs11Store
from hsm.spec import KeySpec, key_id_of, spki_der
from hsm.token_objects import generate_pair, read_public_key
from tests.softhsm import new_token
from tests.unit.hsm.contract import KeyStoreContract, sign_and_verify

ECDSA = ec.ECDSA(hashes.SHA256())


class TestPkcs11Store(KeyStoreContract):
    @pytest.fixture
    def store(self, shared_softhsm_token):
        store = shared_softhsm_token.store()
        yield store
        store.close()


@pytest.fixture
def store(softhsm_token):
    store = softhsm_token.store()
    yield store
    store.close()


def objects_of(store: Pkcs11Store, template):
    """Look at the token past the store: attributes as the token tells them."""
    with store._pool.lend() as work:
        return list(work.session.get_objects(template))


@pytest.mark.parametrize("spec", list(KeySpec), ids=str)
def test_the_tokens_private_half_is_sensitive_stays_and_only_signs(store, spec):
    ref = store.generate(spec, "nhãn")
    with store._pool.lend() as work:
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
            assert half[Attribute.LABEL] == "nhãn"
        secret = Attribute.PRIVATE_EXPONENT if spec.is_rsa else Attribute.VALUE
        with pytest.raises(pkcs11.AttributeSensitive):
            private[secret]


def test_destroying_removes_both_halves_from_the_token(store):
    ref = store.generate(KeySpec.P_256, "both")
    store.destroy(ref.public_key_der)
    assert objects_of(store, {}) == []


class ForgetfulStore(Pkcs11Store):
    """Does not find again what it has just made."""

    def _found(self, work, der):
        raise KeyNotFound("lost", key_id="")


def test_a_pair_that_cannot_be_found_again_leaves_nothing_on_the_token(softhsm_token):
    forgetful = ForgetfulStore(softhsm_token.module_path, softhsm_token.label, softhsm_token.pin_file)
    with pytest.raises(KeyNotFound):
        forgetful.generate(KeySpec.P_256, "half-made")
    assert objects_of(forgetful, {}) == []
    forgetful.close()


def test_a_pair_that_was_never_renamed_is_neither_listed_nor_found(store):
    """What a death between making a pair and giving it its CKA_ID leaves behind."""
    with store._pool.lend() as work:
        public, _ = generate_pair(work.session, KeySpec.P_256, "orphan")
        der = spki_der(read_public_key(public))
    assert store.list_keys() == []
    with pytest.raises(KeyNotFound):
        store.get(der)


def test_keys_outlive_the_store_that_made_them(softhsm_token):
    first = softhsm_token.store()
    ref = first.generate(KeySpec.P_384, "stays")
    first.close()
    second = softhsm_token.store()
    assert second.list_keys() == [ref]
    sign_and_verify(second.get(ref.public_key_der), b"m", hashes.SHA384())
    second.close()


def test_an_extractable_key_is_not_protected(store):
    parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    with store._pool.lend() as work:
        domain = work.session.create_domain_parameters(KeyType.EC, parameters, local=True)
        public, private = domain.generate_keypair(
            store=True, capabilities=MechanismFlag.SIGN, private_template={Attribute.EXTRACTABLE: True}
        )
        point = public[Attribute.EC_POINT][2:]
        der = spki_der(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
        for half in (public, private):
            half[Attribute.ID] = key_id_of(der)
    with pytest.raises(KeyNotProtected) as refusal:
        store.check_protected(der)
    assert refusal.value.facts == {"key_id": key_id_of(der).hex(), "attribute": "CKA_EXTRACTABLE"}


def test_an_imported_key_is_not_protected_though_it_signs(store):
    outside = ec.generate_private_key(ec.SECP256R1())
    der = import_pair(store, outside, key_id_of(spki_der(outside.public_key())))
    sign_and_verify(store.get(der), b"m", hashes.SHA256())
    with pytest.raises(KeyNotProtected) as refusal:
        store.check_protected(der)
    assert refusal.value.facts["attribute"] == "CKA_ALWAYS_SENSITIVE"


def import_pair(store, key, key_id):
    der = spki_der(key.public_key())
    sec1 = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    common = {Attribute.ID: key_id, Attribute.TOKEN: True, Attribute.LABEL: "imported"}
    with store._pool.lend() as work:
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
    ref = first.generate(KeySpec.P_256, "shared")
    key = second.get(ref.public_key_der)
    sign_and_verify(key, b"m", hashes.SHA256())
    first.close()
    sign_and_verify(key, b"m", hashes.SHA256())
    sign_and_verify(second.get(ref.public_key_der), b"m", hashes.SHA256())
    second.destroy(ref.public_key_der)
    second.close()


def test_two_tokens_of_one_module_do_not_see_each_others_keys():
    one, two = new_token().store(), new_token().store()
    ref = one.generate(KeySpec.P_256, "mine")
    assert two.list_keys() == []
    with pytest.raises(KeyNotFound):
        two.get(ref.public_key_der)
    one.close()
    sign_in_two = two.generate(KeySpec.P_256, "theirs")
    sign_and_verify(two.get(sign_in_two.public_key_der), b"m", hashes.SHA256())
    two.close()


def test_a_key_destroyed_through_another_store_is_not_found_by_a_kept_object(softhsm_token):
    first, second = softhsm_token.store(), softhsm_token.store()
    ref = first.generate(KeySpec.P_256, "gone")
    kept = second.get(ref.public_key_der)
    sign_and_verify(kept, b"m", hashes.SHA256())
    first.destroy(ref.public_key_der)
    with pytest.raises(KeyNotFound):
        kept.sign(b"m", ECDSA)
    sign_and_verify(second.get(second.generate(KeySpec.P_256, "new").public_key_der), b"m", hashes.SHA256())
    first.close()
    second.close()


def test_a_wrong_pin_is_asked_once_and_the_right_one_does_not_help_afterwards(softhsm_token):
    right = softhsm_token.pin_file.read_text()
    softhsm_token.pin_file.write_text("0000-wrong")
    store = softhsm_token.store()
    with pytest.raises(PinWrong) as refusal:
        store.list_keys()
    assert refusal.value.rv == "CKR_PIN_INCORRECT"
    assert refusal.value.facts == {"token": softhsm_token.label}
    softhsm_token.pin_file.write_text(right)
    with pytest.raises(PinWrong):
        store.generate(KeySpec.P_256, "never")
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
    store.generate(KeySpec.P_256, "s")
    status = store.status()
    assert (status.module, status.token) == (str(softhsm_token.module_path), softhsm_token.label)
    assert status.sessions_open == 2
    assert status.session_limit is None
    assert status.pid is None


def test_more_threads_than_sessions_wait_for_their_turn(softhsm_token):
    store = softhsm_token.store(max_sessions=2)
    key = store.get(store.generate(KeySpec.P_256, "queue").public_key_der)

    def work(_number):
        for _ in range(25):
            sign_and_verify(key, b"m", hashes.SHA256())
        return True

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(work, range(16)))
    assert store.status().sessions_open == 3
    store.close()


def test_waiting_for_a_session_has_an_end(softhsm_token):
    store = softhsm_token.store(max_sessions=1, wait_seconds=0.05)
    with store._pool.lend(), pytest.raises(SessionUnavailable) as refusal:
        store.list_keys()
    assert refusal.value.facts == {"limit": "1"}
    assert store.list_keys() == []
    store.close()


def test_a_new_login_elsewhere_in_the_process_only_costs_a_search(softhsm_token):
    """Handles of before a logout are stale; the same key object signs again after the next login."""
    store = softhsm_token.store()
    ref = store.generate(KeySpec.P_256, "relogin")
    key = store.get(ref.public_key_der)
    opened = store._pool.open_token()
    opened.module.release_login(opened.token)
    opened.module.log_in(opened.token, softhsm_token.pin_file.read_text().strip())
    sign_and_verify(key, b"m", hashes.SHA256())
    store.close()


def run_in_process(token, script):
    """Run a script that is given a store on the token, in a process of its own."""
    opening = (
        "import os, sys\nfrom pathlib import Path\n"
        "from cryptography.hazmat.primitives import hashes\nfrom cryptography.hazmat.primitives.asymmetric import ec\n"
        "from hsm.errors import TokenFailed\nfrom hsm.pkcs11_store import Pkcs11Store\nfrom hsm.spec import KeySpec\n"
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
key = store.get(store.generate(KeySpec.P_256, "fork").public_key_der)
child = os.fork()
if child == 0:
    try:
        key.sign(b"m", ec.ECDSA(hashes.SHA256()))
    except TokenFailed as error:
        store.close()
        os._exit(7 if error.rv == "CKR_CRYPTOKI_NOT_INITIALIZED" else 8)
    os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
key.sign(b"the parent goes on, still logged in", ec.ECDSA(hashes.SHA256()))
store.close()
print("signed")
"""


def test_a_forked_child_is_refused_and_the_parent_goes_on(softhsm_token):
    done = run_in_process(softhsm_token, FORKING)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\nsigned\n", "")


def test_a_process_that_never_closes_its_store_ends_cleanly(softhsm_token):
    done = run_in_process(softhsm_token, 'print(store.generate(KeySpec.P_256, "left open").label)')
    assert (done.returncode, done.stdout, done.stderr) == (0, "left open\n", "")


def test_one_module_reached_by_two_paths_is_loaded_once(softhsm_module, tmp_path):
    link = tmp_path / "module.so"
    link.symlink_to(softhsm_module)
    assert load_module(link) is load_module(softhsm_module)
