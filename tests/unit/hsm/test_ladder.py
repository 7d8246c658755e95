"""The inner ladder against a real token whose sessions, handles and login are taken away behind the store's back."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hsm import errors
from hsm.errors import KeyNotFound, PinWrong, SigningFailed
from hsm.handles import Scheme
from hsm.rv import is_fatal
from hsm.spec import KeySpec, Purpose, spki_der
from tests.signable import SHA256, attributes
from tests.unit.hsm.contract import sign_and_verify

ECDSA = ec.ECDSA(SHA256)
CKM_ECDSA = 0x1041


class Heard(list):
    def __call__(self, name: str, facts: dict[str, str]) -> None:
        self.append((name, facts))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self]


class Saboteur:
    """What happens to a token's sessions when nobody asked for it: done through the module itself, past the store."""

    def __init__(self, store):
        self.store = store
        opened = store._pool.open_token()
        self.module, self.token = opened.module, opened.token
        library = ctypes.CDLL(str(opened.module.path))
        self.call = {}
        for name, *kinds in (
            ("C_CloseAllSessions", ctypes.c_ulong),
            ("C_Logout", ctypes.c_ulong),
            ("C_SignInit", ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong),
        ):
            function = getattr(library, name)
            function.argtypes, function.restype = kinds, ctypes.c_ulong
            self.call[name] = function

    def drop_every_session(self):
        assert self.call["C_CloseAllSessions"](self.token.slot.slot_id) == 0

    def log_out(self):
        session = self.module._logins[self.token.label, self.token.serial].session
        assert self.call["C_Logout"](session.handle) == 0

    def begin_an_operation(self):
        """Leave the idle sessions in the middle of a signature."""
        mechanism = (ctypes.c_ulong * 3)(CKM_ECDSA, 0, 0)
        for work in self.store._pool._idle:
            (key,) = work.keys.values()
            assert self.call["C_SignInit"](work.session.handle, mechanism, key.handle) == 0


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def store(softhsm_token, heard):
    store = softhsm_token.store(on_event=heard)
    yield store
    store.close()


@pytest.fixture
def ref(store):
    return store.generate(KeySpec.P_256, "ladder", Purpose.DOCUMENT)


@pytest.fixture
def key(store, ref):
    key = store.get(ref.public_key_der)
    sign_and_verify(key)
    return key


def every_use(store, ref, key):
    return {
        "sign": lambda: sign_and_verify(key),
        "sign_many": lambda: store.sign_many(ref.public_key_der, [attributes(1)], Scheme.ECDSA, SHA256),
        "list": lambda: store.list_keys() == [ref] or pytest.fail("not listed"),
        "check": lambda: store.check_protected(ref.public_key_der),
        "generate": lambda: store.generate(KeySpec.P_256, "another", Purpose.DOCUMENT),
        "destroy": lambda: store.destroy(ref.public_key_der),
        "canary": store.canary,
        "keep alive": store.keep_alive,
    }


USES = ("sign", "sign_many", "list", "check", "generate", "destroy", "canary", "keep alive")


@pytest.mark.parametrize("use", USES)
def test_sessions_that_the_token_dropped_cost_the_caller_nothing(store, ref, key, heard, use):
    Saboteur(store).drop_every_session()
    every_use(store, ref, key)[use]()
    assert "login.renewed" in heard.names
    assert "token.failed" not in heard.names
    if use != "destroy":
        sign_and_verify(key)


@pytest.mark.parametrize("use", USES)
def test_a_login_that_was_lost_is_renewed_once(store, ref, key, heard, use):
    Saboteur(store).log_out()
    every_use(store, ref, key)[use]()
    assert heard.names.count("login.renewed") == 1
    assert "token.failed" not in heard.names
    if use != "destroy":
        sign_and_verify(key)


def test_a_session_in_the_middle_of_something_is_replaced(store, key, heard):
    Saboteur(store).begin_an_operation()
    sign_and_verify(key)
    assert heard == [("session.dropped", {"rv": "CKR_OPERATION_ACTIVE", "operation": "C_Sign"})]
    assert store.status().sessions_open == 2


def test_a_login_lost_under_many_threads_is_renewed_by_one_of_them(store, key, heard):
    saboteur = Saboteur(store)
    for _ in range(3):
        heard.clear()
        saboteur.log_out()
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: sign_and_verify(key, attributes(number)), range(40)))
        assert heard.names.count("login.renewed") == 1


def test_many_threads_that_all_find_their_sessions_gone_lose_no_signature(store, key, heard):
    """Dropped between calls: SoftHSM 2.6 frees a session that another thread is signing in, and answers GENERAL_ERROR."""
    saboteur = Saboteur(store)
    for turn in range(5):
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda n, turn=turn: sign_and_verify(key, attributes(f"{turn}/{n}")), range(60)))
        saboteur.drop_every_session()
    assert "token.failed" not in heard.names


def test_many_are_not_signed_twice_when_the_session_dies_between_them(store, ref, key):
    messages = [attributes(number) for number in range(50)]
    Saboteur(store).drop_every_session()
    signatures = store.sign_many(ref.public_key_der, messages, Scheme.ECDSA, SHA256)
    for message, signature in zip(messages, signatures, strict=True):
        key.public_key().verify(signature, message, ECDSA)


def test_a_wrong_pin_at_the_new_login_is_asked_once_and_remembered(softhsm_token, heard):
    right = softhsm_token.pin_file.read_text()
    store = softhsm_token.store(on_event=heard)
    key = store.get(store.generate(KeySpec.P_256, "pin", Purpose.DOCUMENT).public_key_der)
    softhsm_token.pin_file.write_text("0000-wrong")
    Saboteur(store).log_out()
    messages = []

    def use(_number):
        with pytest.raises(PinWrong) as refusal:
            key.sign(attributes(), ECDSA)
        messages.append(str(refusal.value))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(use, range(12)))
    assert len([message for message in messages if "before" not in message]) == 1
    softhsm_token.pin_file.write_text(right)
    with pytest.raises(PinWrong):
        store.list_keys()
    with pytest.raises(PinWrong):
        store.keep_alive()
    assert (store.status().state, store.status().detail) == ("degraded", "HSM_PIN_WRONG")
    assert heard.names.count("pin.refused") == 1
    assert "0000-wrong" not in repr(heard)
    store.close()


def test_a_pin_file_that_changed_with_the_tokens_pin_is_read_at_the_new_login(softhsm_token, heard):
    store = softhsm_token.store(on_event=heard)
    key = store.get(store.generate(KeySpec.P_256, "pin", Purpose.DOCUMENT).public_key_der)
    before = softhsm_token.pin_file.read_text().strip()
    login = store._pool.open_token().module._logins[softhsm_token.label, store._pool.open_token().token.serial]
    login.session.set_pin(before, "a-new-pin")
    softhsm_token.pin_file.write_text("a-new-pin\n")
    Saboteur(store).log_out()
    sign_and_verify(key)
    store.close()


def test_a_key_that_is_not_there_is_not_mistaken_for_a_lost_login(store, heard):
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(KeyNotFound):
        store.get(spki_der(stranger))
    assert heard == []


@pytest.mark.parametrize(
    ("rv", "fatal"),
    [
        ("CKR_DEVICE_REMOVED", True),
        ("CKR_TOKEN_NOT_PRESENT", True),
        ("CKR_DEVICE_ERROR", True),
        ("CKR_GENERAL_ERROR", True),
        ("CKR_FUNCTION_FAILED", True),
        ("CKR_CRYPTOKI_NOT_INITIALIZED", True),
        ("CKR_SESSION_HANDLE_INVALID", False),
        ("CKR_USER_NOT_LOGGED_IN", False),
        ("CKR_MECHANISM_INVALID", False),
        ("CKR_PIN_INCORRECT", False),
        (None, False),
    ],
)
def test_which_failures_end_the_process(rv, fatal):
    for kind in (errors.TokenFailed, errors.SigningFailed, errors.TokenMissing):
        assert is_fatal(kind("", rv=rv)) is fatal


def test_a_wrong_signature_is_an_alarm_and_the_second_in_a_row_is_fatal(store, ref, key, heard):
    for in_a_row in ("1", "2"):
        with pytest.raises(SigningFailed) as alarm:
            store._verify(ref.public_key(), b"\x30\x06\x02\x01\x01\x02\x01\x01", attributes(), Scheme.ECDSA, SHA256)
        assert alarm.value.facts == {"in_a_row": in_a_row}
        assert is_fatal(alarm.value) is (in_a_row == "2")
        assert heard[-1] == ("signature.mismatch", {"key_id": ref.key_id.hex(), "in_a_row": in_a_row})
    sign_and_verify(key)
    with pytest.raises(SigningFailed) as alarm:
        store._verify(ref.public_key(), b"", attributes(), Scheme.ECDSA, SHA256)
    assert not is_fatal(alarm.value)


def test_what_stands_on_no_rung_is_told_and_not_tried_again(store, key, heard):
    tried = []

    def act(work):
        tried.append(work)
        raise pkcs11.DeviceError

    with pytest.raises(errors.TokenFailed) as failure:
        store._ladder.run(act, "C_Sign")
    assert len(tried) == 1
    assert is_fatal(failure.value)
    assert heard == [("token.failed", {"operation": "C_Sign", "rv": "CKR_DEVICE_ERROR"})]
    sign_and_verify(key)


@pytest.mark.parametrize(
    "kind",
    [
        pkcs11.OperationActive,
        pkcs11.FunctionCancelled,
        pkcs11.SessionClosed,
        pkcs11.KeyHandleInvalid,
        pkcs11.HostMemory,
    ],
)
def test_a_rung_is_climbed_once_for_a_call(store, key, heard, kind):
    tried = []

    def act(work):
        tried.append(work)
        raise kind

    with pytest.raises(errors.HSMError) as failure:
        store._ladder.run(act, "C_Sign")
    assert len(tried) == 2
    assert tried[0] is not tried[1]
    assert failure.value.rv is not None
    assert heard.names.count("session.dropped") == 1
    sign_and_verify(key)


def test_memory_that_the_token_lacks_makes_the_pool_smaller(store, key, heard):
    failed = []

    def act(work):
        if not failed:
            failed.append(work)
            raise pkcs11.DeviceMemory
        return "answer"

    limit = store._pool.limit
    assert store._ladder.run(act, "C_Sign") == "answer"
    assert store._pool.limit < limit
    assert "pool.shrunk" in heard.names
