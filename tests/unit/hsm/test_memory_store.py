import pytest

from hsm.memory_store import InsecureKeyStoreWarning, MemoryStore
from tests.unit.hsm.contract import KeyStoreContract


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
