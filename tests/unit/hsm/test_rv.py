import re

import pkcs11
import pytest
from pkcs11 import exceptions

from hsm import errors
from hsm.rv import Scene, exception_of_number, name_of, name_of_number, to_hsm_error, translated

SCENE = Scene(module="/m.so", token="t", operation="C_Sign", limit=3, mechanism="CKM_ECDSA", pin_file="/etc/pin")
KINDS = [kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, pkcs11.PKCS11Error)]
NOT_FROM_THE_TOKEN = {"PKCS11Error", "NoSuchKey", "NoSuchToken", "MultipleObjectsReturned", "MultipleTokensReturned"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_exception_of_the_library_has_its_return_value_and_becomes_ours(kind):
    name = name_of(kind())
    if kind.__name__ in NOT_FROM_THE_TOKEN:
        assert name is None
    else:
        assert re.fullmatch(r"CKR(_[A-Z]+)+", name)
    told = to_hsm_error(kind(), SCENE)
    assert isinstance(told, errors.HSMError)
    assert type(told) is not errors.HSMError
    assert told.rv == name


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (pkcs11.PinIncorrect(), "CKR_PIN_INCORRECT"),
        (pkcs11.SessionReadWriteSOExists(), "CKR_SESSION_READ_WRITE_SO_EXISTS"),
        (pkcs11.RandomNoRNG(), "CKR_RANDOM_NO_RNG"),
        (pkcs11.FunctionCancelled(), "CKR_FUNCTION_CANCELED"),
        (pkcs11.PKCS11Error("Unmapped error code 0x68"), "CKR_KEY_FUNCTION_NOT_PERMITTED"),
        (pkcs11.PKCS11Error("Unmapped error code 0x80000001"), "0x80000001"),
        (
            pkcs11.PKCS11Error("Initialisation error (not initialized). Should never see this."),
            "CKR_CRYPTOKI_NOT_INITIALIZED",
        ),
    ],
)
def test_return_values_are_named_as_the_standard_names_them(error, name):
    assert name_of(error) == name


@pytest.mark.parametrize(
    ("error", "kind", "facts"),
    [
        (pkcs11.PinIncorrect(), errors.PinWrong, {"token": "t", "pin_file": "/etc/pin"}),
        (pkcs11.PinLenRange(), errors.PinWrong, {"token": "t", "pin_file": "/etc/pin"}),
        (pkcs11.PinLocked(), errors.PinLocked, {"token": "t", "pin_file": "/etc/pin"}),
        (pkcs11.DeviceRemoved(), errors.TokenMissing, {"token": "t", "module": "/m.so"}),
        (pkcs11.SessionCount(), errors.SessionUnavailable, {"limit": "3"}),
        (pkcs11.MechanismInvalid(), errors.MechanismUnavailable, {"mechanism": "CKM_ECDSA"}),
        (
            pkcs11.PKCS11Error("Unmapped error code 0x68"),
            errors.MechanismUnavailable,
            {"mechanism": "CKM_ECDSA"},
        ),
        (
            pkcs11.DeviceError(),
            errors.TokenFailed,
            {"token": "t", "module": "/m.so", "operation": "C_Sign", "reason": "CKR_DEVICE_ERROR"},
        ),
    ],
)
def test_each_failure_becomes_the_error_that_tells_what_to_do(error, kind, facts):
    told = to_hsm_error(error, SCENE)
    assert type(told) is kind
    assert told.facts == facts


def test_the_cause_is_kept():
    with pytest.raises(errors.TokenFailed) as refusal, translated(SCENE):
        raise pkcs11.GeneralError
    assert isinstance(refusal.value.__cause__, pkcs11.GeneralError)


def test_an_unknown_number_is_shown_as_a_number():
    assert name_of_number(0xA0) == "CKR_PIN_INCORRECT"
    assert name_of_number(0x80001234) == "0x80001234"


def test_every_code_of_the_tree_is_its_own():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HSMError)]
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))
    assert all(code.startswith("HSM_") for code in codes)


@pytest.mark.parametrize(
    ("rv", "kind"),
    [
        (0x050, pkcs11.FunctionCancelled),
        (0x060, pkcs11.KeyHandleInvalid),
        (0x062, pkcs11.KeySizeRange),
        (0x063, pkcs11.KeyTypeInconsistent),
        (0x070, pkcs11.MechanismInvalid),
        (0x071, pkcs11.MechanismParamInvalid),
        (0x082, pkcs11.ObjectHandleInvalid),
        (0x090, pkcs11.OperationActive),
        (0x091, pkcs11.OperationNotInitialized),
        (0x0B0, pkcs11.SessionClosed),
        (0x0B3, pkcs11.SessionHandleInvalid),
        (0x101, pkcs11.UserNotLoggedIn),
        (0x030, pkcs11.DeviceError),
        (0x032, pkcs11.DeviceRemoved),
        (0x005, pkcs11.GeneralError),
        (0x006, pkcs11.FunctionFailed),
        (0x002, pkcs11.HostMemory),
        (0x031, pkcs11.DeviceMemory),
        (0x190, pkcs11.PKCS11Error),
        (0x068, pkcs11.PKCS11Error),
    ],
)
def test_what_refuses_a_signature_is_the_exception_that_the_library_raises(rv, kind):
    error = exception_of_number(rv)
    assert type(error) is kind
    assert name_of(error) == name_of_number(rv)
