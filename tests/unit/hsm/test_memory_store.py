import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hsm.errors import KeyPurposeWrong
from hsm.memory_store import InsecureKeyStoreWarning, MemoryStore
from hsm.spec import KeyRef, KeySpec, Purpose, spki_der
from tests.signable import SHA256, attributes
from tests.unit.hsm.contract import KeyStoreContract
from tests.world import memory_store


class TestMemoryStore(KeyStoreContract):
    @pytest.fixture
    def store(self):
        with pytest.warns(InsecureKeyStoreWarning):
            store = MemoryStore()
        yield store
        store.close()


def test_every_memory_store_warns_when_it_is_built():
    for _ in range(2):
        with pytest.warns(InsecureKeyStoreWarning, match="unprotected"):
            MemoryStore()


def test_a_key_without_a_purpose_signs_nothing_until_it_is_given_one():
    store = memory_store()
    key = ec.generate_private_key(ec.SECP256R1())
    ref = store.hold(key, "of before", None)
    with pytest.raises(KeyPurposeWrong) as refusal:
        store.get(ref.public_key_der).sign(attributes(), ec.ECDSA(SHA256))
    assert refusal.value.facts["purpose"] == "none"
    store.assign_purpose(ref.public_key_der, Purpose.DOCUMENT)
    store.get(ref.public_key_der).sign(attributes(), ec.ECDSA(SHA256))
    assert store.list_keys() == [KeyRef("of before", KeySpec.P_256, spki_der(key.public_key()), Purpose.DOCUMENT)]
