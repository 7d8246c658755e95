"""Functions: the few functions of a PKCS#11 module that python-pkcs11 does not call the way we need.

They are called through the module's own function list and take and give numbers. What is logged in to, and which session
is whose, is left to module.py and sessions.py.
"""

from __future__ import annotations

import ctypes
from typing import Final

from hsm.rv import CKR_OK, exception_of_number, name_of_number

CKF_OS_LOCKING_OK: Final = 0x02
LABEL_OCTETS: Final = 32
# CK_FUNCTION_LIST is a version and then pointers in the order of PKCS#11 v2.40, 3.6.
_C_INITIALIZE, _C_GET_TOKEN_INFO, _C_INIT_TOKEN = 0, 6, 9
_C_GET_SESSION_INFO, _C_LOGIN, _C_LOGOUT = 15, 18, 19
_C_SIGN_INIT, _C_SIGN = 42, 43
CKU_USER: Final = 1
# CK_EFFECTIVELY_INFINITE and CK_UNAVAILABLE_INFORMATION (3.2): a token that names no limit of sessions.
_NO_LIMIT = (0, ctypes.c_ulong(-1).value)
# As long as the longest signature: RSA of 8192 bits.
_SIGNATURE_OCTETS: Final = 1024
_Signature = ctypes.c_char * _SIGNATURE_OCTETS


class _FunctionList(ctypes.Structure):
    _fields_ = (("version", ctypes.c_ubyte * 2), ("functions", ctypes.c_void_p * (_C_SIGN + 1)))


class _InitializeArgs(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS."""

    _fields_ = (
        ("create_mutex", ctypes.c_void_p),
        ("destroy_mutex", ctypes.c_void_p),
        ("lock_mutex", ctypes.c_void_p),
        ("unlock_mutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


class _TokenInfo(ctypes.Structure):
    """CK_TOKEN_INFO: python-pkcs11 keeps the session limits to itself."""

    _fields_ = (
        ("label", ctypes.c_char * LABEL_OCTETS),
        ("manufacturer_id", ctypes.c_char * 32),
        ("model", ctypes.c_char * 16),
        ("serial_number", ctypes.c_char * 16),
        ("flags", ctypes.c_ulong),
        ("max_session_count", ctypes.c_ulong),
        ("session_count", ctypes.c_ulong),
        ("max_rw_session_count", ctypes.c_ulong),
        ("rest", ctypes.c_ubyte * 128),
    )


class _SessionInfo(ctypes.Structure):
    """CK_SESSION_INFO."""

    _fields_ = (
        ("slot_id", ctypes.c_ulong),
        ("state", ctypes.c_ulong),
        ("flags", ctypes.c_ulong),
        ("device_error", ctypes.c_ulong),
    )


class _PssParameters(ctypes.Structure):
    """CK_RSA_PKCS_PSS_PARAMS."""

    _fields_ = (("digest", ctypes.c_ulong), ("mask", ctypes.c_ulong), ("salt_octets", ctypes.c_ulong))


class SigningMechanism(ctypes.Structure):
    """CK_MECHANISM, for any number of calls: a token only reads it."""

    _fields_ = (("mechanism", ctypes.c_ulong), ("parameters", ctypes.c_void_p), ("parameters_octets", ctypes.c_ulong))

    def __init__(self, mechanism: int, pss: tuple[int, int, int] | None = None) -> None:
        if pss is None:
            super().__init__(mechanism, None, 0)
        else:
            self._kept = _PssParameters(*pss)  # for as long as the pointer to it
            super().__init__(mechanism, ctypes.addressof(self._kept), ctypes.sizeof(self._kept))
        self.address = ctypes.addressof(self)


class Functions:
    """Functions of the module at a path, by its own function list. The GIL is released while they run."""

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)  # never unloaded by ctypes: exit handlers of the module stay in place
        get_list = library.C_GetFunctionList
        get_list.argtypes = [ctypes.POINTER(ctypes.POINTER(_FunctionList))]
        get_list.restype = ctypes.c_ulong
        table = ctypes.POINTER(_FunctionList)()
        rv = get_list(ctypes.byref(table))
        if rv != CKR_OK or not table:
            raise OSError(f"C_GetFunctionList: {name_of_number(rv)}")
        functions = table.contents.functions
        self._initialize = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(functions[_C_INITIALIZE])
        self._get_token_info = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p)(
            functions[_C_GET_TOKEN_INFO]
        )
        self._init_token = ctypes.CFUNCTYPE(
            ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p
        )(functions[_C_INIT_TOKEN])
        self._get_session_info = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p)(
            functions[_C_GET_SESSION_INFO]
        )
        self._login = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong)(
            functions[_C_LOGIN]
        )
        self._logout = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong)(functions[_C_LOGOUT])
        self._sign_init = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong)(
            functions[_C_SIGN_INIT]
        )
        self._sign = ctypes.CFUNCTYPE(
            ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, _Signature, ctypes.POINTER(ctypes.c_ulong)
        )(functions[_C_SIGN])

    def initialize_with_os_locking(self) -> int:
        arguments = _InitializeArgs(flags=CKF_OS_LOCKING_OK)
        return int(self._initialize(ctypes.byref(arguments)))

    def session_limit(self, slot_id: int) -> tuple[int, int | None]:
        """Return value, and the number of read/write sessions the token allows."""
        info = _TokenInfo()
        rv = int(self._get_token_info(slot_id, ctypes.byref(info)))
        named = [count for count in (info.max_session_count, info.max_rw_session_count) if count not in _NO_LIMIT]
        return rv, min(named, default=None)

    def session_state(self, session: int) -> tuple[int, int]:
        """Return value, and the session's state (CKS_…)."""
        info = _SessionInfo()
        rv = int(self._get_session_info(session, ctypes.byref(info)))
        return rv, int(info.state)

    def login(self, session: int, pin: bytes) -> int:
        return int(self._login(session, CKU_USER, pin, len(pin)))

    def logout(self, session: int) -> int:
        return int(self._logout(session))

    def sign(self, session: int, key: int, mechanism: SigningMechanism, octets: bytes) -> bytes:
        """One signature. The session is this thread's alone; what the token refuses is raised as python-pkcs11 would.

        python-pkcs11 asks for the length first: a call more for each signature, and a way more to a token in a network.
        """
        rv = self._sign_init(session, mechanism.address, key)
        if rv == CKR_OK:
            signature, length = _Signature(), ctypes.c_ulong(_SIGNATURE_OCTETS)
            rv = self._sign(session, octets, len(octets), signature, length)
            if rv == CKR_OK:
                return signature.raw[: length.value]
        raise exception_of_number(rv)

    def init_token(self, slot_id: int, so_pin: bytes, label: bytes) -> int:
        return int(self._init_token(slot_id, so_pin, len(so_pin), label.ljust(LABEL_OCTETS, b" ")))
