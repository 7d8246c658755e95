import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Mechanism

from hsm.errors import MechanismUnavailable
from hsm.handles import Scheme, rsa_padding
from hsm.mechanisms import plan_signing, sign_in_token, signing_handle
from hsm.module import handle_of
from hsm.spec import KeySpec, Purpose

DIGESTS = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
MESSAGE = "Nghị định 30".encode()
RAW = frozenset({Mechanism.RSA_PKCS, Mechanism.RSA_PKCS_PSS, Mechanism.ECDSA})


@pytest.fixture
def store(softhsm_token):
    store = softhsm_token.store()
    yield store
    store.close()


def signed(store, work, key, plan):
    call = store._pool.open_token().module.sign
    return sign_in_token(call, handle_of(work.session), signing_handle(key, plan), plan, plan.octets(MESSAGE))


@pytest.mark.parametrize("scheme", [Scheme.RSA_PKCS1V15, Scheme.RSA_PSS])
def test_a_token_without_hashing_mechanisms_signs_over_our_digest(store, scheme):
    ref = store.generate(KeySpec.RSA_2048, "raw", Purpose.DOCUMENT)
    with store._ladder.session("test") as work:
        store._find(work, ref.public_key_der)
        key = work.keys[ref.public_key_der]
        for digest in DIGESTS:
            plan = plan_signing(scheme, digest, 2048, RAW)
            assert plan.mechanism in RAW
            signature = signed(store, work, key, plan)
            ref.public_key().verify(signature, MESSAGE, rsa_padding(scheme, digest), digest)


@pytest.mark.parametrize("scheme", [Scheme.RSA_PKCS1V15, Scheme.RSA_PSS])
def test_a_token_that_hashes_is_given_the_whole_message(store, scheme):
    for digest in DIGESTS:
        plan = plan_signing(scheme, digest, 2048, store._pool.open_token().mechanisms)
        assert plan.octets(MESSAGE) == MESSAGE
        assert digest.name.upper() in plan.mechanism.name


def test_a_digest_longer_than_the_curve_is_cut_to_its_leftmost_bits(store):
    digest = hashes.SHA512()
    plan = plan_signing(Scheme.ECDSA, digest, 256, RAW)
    assert len(plan.octets(MESSAGE)) == 32
    ref = store.generate(KeySpec.P_256, "cut", Purpose.DOCUMENT)
    with store._ladder.session("test") as work:
        store._find(work, ref.public_key_der)
        signature = signed(store, work, work.keys[ref.public_key_der], plan)
    ref.public_key().verify(signature, MESSAGE, ec.ECDSA(digest))


@pytest.mark.parametrize(
    ("scheme", "named"),
    [
        (Scheme.RSA_PKCS1V15, "CKM_SHA256_RSA_PKCS"),
        (Scheme.RSA_PSS, "CKM_SHA256_RSA_PKCS_PSS"),
        (Scheme.ECDSA, "CKM_ECDSA"),
    ],
)
def test_a_mechanism_that_the_token_lacks_is_named(scheme, named):
    with pytest.raises(MechanismUnavailable) as refusal:
        plan_signing(scheme, hashes.SHA256(), 2048, frozenset())
    assert refusal.value.facts == {"mechanism": named}


def test_a_refused_signature_is_the_exception_that_python_pkcs11_raises(store):
    ref = store.generate(KeySpec.P_256, "refused", Purpose.DOCUMENT)
    plan = plan_signing(Scheme.ECDSA, hashes.SHA256(), 256, RAW)
    call = store._pool.open_token().module.sign
    with store._ladder.session("test") as work:
        store._find(work, ref.public_key_der)
        key, session = work.keys[ref.public_key_der], handle_of(work.session)
        octets, handle = plan.octets(MESSAGE), signing_handle(key, plan)
        with pytest.raises(pkcs11.SessionHandleInvalid):
            sign_in_token(call, session + 1000, handle, plan, octets)
        with pytest.raises((pkcs11.KeyHandleInvalid, pkcs11.ObjectHandleInvalid)):
            call(session, 0, plan.call, octets)
        # A refusal ends the operation: the session signs the next.
        signature = sign_in_token(call, session, handle, plan, octets)
    ref.public_key().verify(signature, MESSAGE, ec.ECDSA(hashes.SHA256()))
