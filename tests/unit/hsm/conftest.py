import pytest

pytest.register_assert_rewrite("tests.unit.hsm.contract")

from tests.key_process import key_home  # noqa: E402, F401
from tests.softhsm import shared_softhsm_token, softhsm_module, softhsm_token  # noqa: E402, F401
