"""CK_RV: names the return values of PKCS#11 (v3.0, section 3.6 and Annex) and tells which HSMError each becomes.

It also tells which rung of the error ladder a failure stands on. What is done there is ladder.py's and, for failures
that are fatal for a process, the key process's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import pkcs11
from pkcs11 import exceptions as p11

from hsm.errors import (
    HSMError,
    MechanismUnavailable,
    PinLocked,
    PinWrong,
    SessionUnavailable,
    SigningFailed,
    TokenFailed,
    TokenMissing,
)

CKR_OK = 0x000

# The values that python-pkcs11 knows no exception for, and those that arrive as bare numbers from the functions
# that functions.py calls itself. Any other is shown as its number.
_NAMES = {
    0x001: "CKR_CANCEL",
    0x002: "CKR_HOST_MEMORY",
    0x003: "CKR_SLOT_ID_INVALID",
    0x005: "CKR_GENERAL_ERROR",
    0x006: "CKR_FUNCTION_FAILED",
    0x007: "CKR_ARGUMENTS_BAD",
    0x009: "CKR_NEED_TO_CREATE_THREADS",
    0x00A: "CKR_CANT_LOCK",
    0x01B: "CKR_ACTION_PROHIBITED",
    0x020: "CKR_DATA_INVALID",
    0x021: "CKR_DATA_LEN_RANGE",
    0x030: "CKR_DEVICE_ERROR",
    0x031: "CKR_DEVICE_MEMORY",
    0x032: "CKR_DEVICE_REMOVED",
    0x050: "CKR_FUNCTION_CANCELED",
    0x054: "CKR_FUNCTION_NOT_SUPPORTED",
    0x060: "CKR_KEY_HANDLE_INVALID",
    0x062: "CKR_KEY_SIZE_RANGE",
    0x063: "CKR_KEY_TYPE_INCONSISTENT",
    0x068: "CKR_KEY_FUNCTION_NOT_PERMITTED",
    0x070: "CKR_MECHANISM_INVALID",
    0x071: "CKR_MECHANISM_PARAM_INVALID",
    0x082: "CKR_OBJECT_HANDLE_INVALID",
    0x090: "CKR_OPERATION_ACTIVE",
    0x091: "CKR_OPERATION_NOT_INITIALIZED",
    0x0A0: "CKR_PIN_INCORRECT",
    0x0A1: "CKR_PIN_INVALID",
    0x0A2: "CKR_PIN_LEN_RANGE",
    0x0A3: "CKR_PIN_EXPIRED",
    0x0A4: "CKR_PIN_LOCKED",
    0x0B0: "CKR_SESSION_CLOSED",
    0x0B1: "CKR_SESSION_COUNT",
    0x0B3: "CKR_SESSION_HANDLE_INVALID",
    0x0B6: "CKR_SESSION_EXISTS",
    0x0E0: "CKR_TOKEN_NOT_PRESENT",
    0x0E1: "CKR_TOKEN_NOT_RECOGNIZED",
    0x0E2: "CKR_TOKEN_WRITE_PROTECTED",
    0x100: "CKR_USER_ALREADY_LOGGED_IN",
    0x101: "CKR_USER_NOT_LOGGED_IN",
    0x102: "CKR_USER_PIN_NOT_INITIALIZED",
    0x150: "CKR_BUFFER_TOO_SMALL",
    0x190: "CKR_CRYPTOKI_NOT_INITIALIZED",
    0x191: "CKR_CRYPTOKI_ALREADY_INITIALIZED",
    0x200: "CKR_FUNCTION_REJECTED",
}

# Exceptions whose name is not the return value's in other letters.
_IRREGULAR: dict[type[p11.PKCS11Error], str | None] = {
    p11.AnotherUserAlreadyLoggedIn: "CKR_USER_ANOTHER_ALREADY_LOGGED_IN",
    p11.FunctionCancelled: "CKR_FUNCTION_CANCELED",
    p11.MultipleObjectsReturned: None,
    p11.MultipleTokensReturned: None,
    p11.NoSuchKey: None,
    p11.NoSuchToken: None,
    p11.RandomNoRNG: "CKR_RANDOM_NO_RNG",
    p11.SessionReadWriteSOExists: "CKR_SESSION_READ_WRITE_SO_EXISTS",
    p11.TokenNotRecognised: "CKR_TOKEN_NOT_RECOGNIZED",
}
# python-pkcs11 raises these with a sentence and no class of their own.
_SENTENCES = {
    "(not initialized)": "CKR_CRYPTOKI_NOT_INITIALIZED",
    "(already initialized)": "CKR_CRYPTOKI_ALREADY_INITIALIZED",
    "Buffer was too small": "CKR_BUFFER_TOO_SMALL",
    "Parallel not supported": "CKR_SESSION_PARALLEL_NOT_SUPPORTED",
    "User type invalid": "CKR_USER_TYPE_INVALID",
}
_UNMAPPED = re.compile(r"Unmapped error code (0x[0-9a-f]+)")


class Rung(StrEnum):
    """What a failed call in a session asks for before it is tried once more."""

    SESSION = "another session"  # this one is in the middle of something, and nothing ends it for certain
    SESSIONS = "new sessions and handles"  # this one is gone, and so perhaps are all that are idle
    HANDLES = "new handles"  # the key was destroyed, or there was a new login since it was found
    LOGIN = "a new login"
    ROOM = "fewer sessions"


_RUNGS = {
    "CKR_OPERATION_ACTIVE": Rung.SESSION,
    "CKR_OPERATION_NOT_INITIALIZED": Rung.SESSION,
    "CKR_FUNCTION_CANCELED": Rung.SESSION,
    "CKR_SESSION_HANDLE_INVALID": Rung.SESSIONS,
    "CKR_SESSION_CLOSED": Rung.SESSIONS,
    "CKR_OBJECT_HANDLE_INVALID": Rung.HANDLES,
    "CKR_KEY_HANDLE_INVALID": Rung.HANDLES,
    "CKR_USER_NOT_LOGGED_IN": Rung.LOGIN,
    "CKR_SESSION_COUNT": Rung.ROOM,
    "CKR_HOST_MEMORY": Rung.ROOM,
    "CKR_DEVICE_MEMORY": Rung.ROOM,
}
# After these nothing in the process can be relied on: C_Finalize while other threads call is undefined (PKCS#11 v3.0,
# 5.4), so the process is replaced. A slot that has gone counts too: slots are numbered when a module is initialised.
_FATAL = frozenset({
    "CKR_DEVICE_REMOVED", "CKR_TOKEN_NOT_PRESENT", "CKR_DEVICE_ERROR", "CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED",
    "CKR_CRYPTOKI_NOT_INITIALIZED", "CKR_TOKEN_NOT_RECOGNIZED", "CKR_SLOT_ID_INVALID",
})  # fmt: skip
# One wrong signature may come from one stale handle; a second in a row comes from the token or its module.
_MISMATCHES_TOO_MANY = 2

_NO_ROOM = (p11.SessionCount, p11.HostMemory, p11.DeviceMemory)
_PIN_REFUSED = (p11.PinIncorrect, p11.PinInvalid, p11.PinLenRange)
_TOKEN_AWAY = (p11.TokenNotPresent, p11.TokenNotRecognised, p11.DeviceRemoved, p11.SlotIDInvalid)
_MECHANISM_REFUSED = (p11.MechanismInvalid, p11.MechanismParamInvalid, p11.KeyTypeInconsistent, p11.KeySizeRange)
_MECHANISM_REFUSED_NAMES = ("CKR_KEY_FUNCTION_NOT_PERMITTED",)


@dataclass(frozen=True)
class Scene:
    """Where a call happened: what an error should name. `mechanism` is empty outside of signing and generating.

    `pin_file` is empty where the caller alone knows where the PIN came from (login.py), or where none is asked for.
    """

    module: str
    token: str
    operation: str
    limit: int = 0
    mechanism: str = ""
    pin_file: str = ""


def name_of_number(rv: int) -> str:
    """The CKR_ name of a number, or the number in hex."""
    return _NAMES.get(rv, hex(rv))


def name_of(error: p11.PKCS11Error) -> str | None:
    """The CKR_ name behind a python-pkcs11 exception; None where the library raised it without asking the token."""
    kind = type(error)
    if kind in _IRREGULAR:
        return _IRREGULAR[kind]
    if kind is not p11.PKCS11Error:
        return "CKR_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper()
    text = str(error)
    unmapped = _UNMAPPED.search(text)
    if unmapped:
        return name_of_number(int(unmapped[1], 16))
    return next((name for sentence, name in _SENTENCES.items() if sentence in text), None)


def exception_of_number(rv: int) -> p11.PKCS11Error:
    """The python-pkcs11 exception for a return value of a function that was not called through it."""
    kind = _KINDS.get(name_of_number(rv))
    return kind() if kind is not None else p11.PKCS11Error(f"Unmapped error code {hex(rv)}")


def rung_of(error: p11.PKCS11Error) -> Rung | None:
    """The rung that a failed call stands on; None where trying again mends nothing."""
    return _RUNGS.get(name_of(error) or "")


def is_fatal(error: HSMError) -> bool:
    """Whether the process that met this error should end and be replaced by a new one."""
    if isinstance(error, SigningFailed) and error.rv is None:
        return int(error.facts.get("in_a_row", "0")) >= _MISMATCHES_TOO_MANY
    return error.rv in _FATAL


def to_hsm_error(error: p11.PKCS11Error, scene: Scene) -> HSMError:
    """The HSMError for a failed call."""
    rv = name_of(error)
    told = f"{scene.operation}: {rv or error}"
    if isinstance(error, _PIN_REFUSED):
        return PinWrong(told, rv=rv, token=scene.token, pin_file=scene.pin_file)
    if isinstance(error, p11.PinLocked):
        return PinLocked(told, rv=rv, token=scene.token, pin_file=scene.pin_file)
    if isinstance(error, _TOKEN_AWAY):
        return TokenMissing(told, rv=rv, token=scene.token, module=scene.module)
    if isinstance(error, _NO_ROOM):
        return SessionUnavailable(told, rv=rv, limit=str(scene.limit))
    if scene.mechanism and (isinstance(error, _MECHANISM_REFUSED) or rv in _MECHANISM_REFUSED_NAMES):
        return MechanismUnavailable(told, rv=rv, mechanism=scene.mechanism)
    return TokenFailed(
        told, rv=rv, token=scene.token, module=scene.module, operation=scene.operation, reason=rv or str(error)
    )


_KINDS: dict[str | None, type[p11.PKCS11Error]] = {
    name_of(kind()): kind
    for kind in vars(p11).values()
    if isinstance(kind, type) and issubclass(kind, p11.PKCS11Error) and kind is not p11.PKCS11Error
}


@contextmanager
def translated(scene: Scene) -> Iterator[None]:
    """Let no python-pkcs11 exception out of the block: each leaves as its HSMError."""
    try:
        yield
    except pkcs11.PKCS11Error as error:
        raise to_hsm_error(error, scene) from error
