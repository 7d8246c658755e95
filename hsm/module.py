"""A PKCS#11 module in this process: loaded once, initialised with OS locking, with the login of each of its tokens.

PKCS#11 knows one application per process: a module is initialised once, and a login counts for all of its sessions
(v3.0, 5.4 and 6.7.4). That state cannot be built twice, whoever builds the stores, so the loaded modules stand in a
registry of the process: the one justified piece of module-level state of this package.

It leaves sessions to sessions.py and key objects to pkcs11_store.py.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pkcs11
from pkcs11 import _pkcs11

from hsm.errors import ModuleMissing, PinWrong, TokenAmbiguous, TokenExists, TokenFailed, TokenMissing
from hsm.functions import LABEL_OCTETS, Functions
from hsm.rv import CKR_OK, Scene, exception_of_number, name_of, name_of_number, translated

# CKS_RO_USER_FUNCTIONS and CKS_RW_USER_FUNCTIONS (3.3): sessions of a user who is logged in.
_USER_STATES = (1, 3)


class _LockingLibrary(_pkcs11.lib):
    """python-pkcs11's library object, initialised by us.

    Its own `initialize` calls C_Initialize(NULL), which promises the module a single thread, and then every call
    releases the GIL: with four threads SoftHSM crashed, hung or failed in 20 of 20 runs; with this flag in none of 40.
    """

    def initialize(self) -> None:
        rv = Functions(self.so).initialize_with_os_locking()
        if rv != CKR_OK:
            # ALREADY_INITIALIZED too: whoever was first may have promised a single thread, and that cannot be mended.
            raise _InitializeError(name_of_number(rv))


class _InitializeError(Exception):
    """C_Initialize refused; the text is the CK_RV."""


@dataclass
class Login:
    """The one session that logged in to a token, and how many stores of this process rely on it.

    It is kept from work, so that no failure of a signature ends it. It is opened without the PIN and logged in
    afterwards: python-pkcs11 logs out when it closes a session that it has logged in, and with that every private handle
    of every other session dies. `is_ours` is False when foreign code in this process had logged in before us.
    """

    session: pkcs11.Session
    is_ours: bool
    salt: bytes
    pin_digest: bytes
    holders: int = 0
    generation: int = 0


class Module:
    """One loaded module. Get it from `load_module`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pid = os.getpid()
        self._lock = threading.RLock()
        self._logins: dict[tuple[str, bytes], Login] = {}
        try:
            self._functions = Functions(str(path))
            self.sign = self._functions.sign
        except (OSError, AttributeError) as error:
            raise ModuleMissing(f"not a PKCS#11 module: {error}", module=str(path)) from error
        try:
            self.lib = _LockingLibrary(str(path))
        except _InitializeError as error:
            rv = str(error)
            raise TokenFailed(
                f"C_Initialize: {rv}", rv=rv, token="", module=str(path), operation="C_Initialize", reason=rv
            ) from error
        except pkcs11.PKCS11Error as error:
            raise ModuleMissing(f"not usable: {error!r}", rv=name_of(error), module=str(path)) from error

    def check_process(self) -> None:
        """Raise TokenFailed in a forked child: the parent's module must not be used there (PKCS#11 v3.0, 5.4)."""
        if os.getpid() != self.pid:
            rv = "CKR_CRYPTOKI_NOT_INITIALIZED"
            raise TokenFailed(
                "the module was loaded before a fork",
                rv=rv,
                token="",
                module=str(self.path),
                operation="fork",
                reason=rv,
            )

    def find_token(self, label: str) -> pkcs11.Token:
        """The token of this label, asked of the module anew each time: slots are renumbered when tokens are made."""
        found = self._tokens(label)
        if not found:
            raise TokenMissing(f"no token labelled {label!r}", token=label, module=str(self.path))
        if len(found) > 1:
            raise TokenAmbiguous(f"{len(found)} tokens labelled {label!r}", token=label, module=str(self.path))
        return found[0]

    def has_token(self, label: str) -> bool:
        return bool(self._tokens(label))

    def session_limit(self, token: pkcs11.Token) -> int | None:
        """How many read/write sessions the token allows, None where it names no limit."""
        rv, limit = self._functions.session_limit(token.slot.slot_id)
        self._check(rv, token.label, "C_GetTokenInfo")
        return limit

    def init_token(self, label: str, so_pin: str) -> pkcs11.Token:
        """Initialise a free slot. The user PIN is not set yet (5.5, C_InitToken)."""
        encoded = label.encode()
        if not 0 < len(encoded) <= LABEL_OCTETS:
            raise ValueError(f"a token's label has 1 to {LABEL_OCTETS} octets")
        with self._lock:
            if self.has_token(label):
                raise TokenExists(f"there is a token labelled {label!r}", token=label, module=str(self.path))
            free = [t for t in self._all_tokens(label) if not t.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED]
            if not free:
                raise TokenMissing("no free slot to make a token in", token=label, module=str(self.path))
            rv = self._functions.init_token(free[0].slot.slot_id, so_pin.encode(), encoded)
            self._check(rv, label, "C_InitToken")
            return self.find_token(label)

    def log_in(self, token: pkcs11.Token, pin: str) -> None:
        """Log in once per token and process; further holders join, if their PIN is the one that worked."""
        key = (token.label, token.serial)
        with self._lock:
            login = self._logins.get(key)
            if login is None:
                salt = secrets.token_bytes(16)
                session, is_ours = self._open_login_session(token, pin)
                login = self._logins[key] = Login(session, is_ours, salt, _digest_of(pin, salt))
            elif not hmac.compare_digest(login.pin_digest, _digest_of(pin, login.salt)):
                told = "the PIN is not the one this process is logged in with"
                raise PinWrong(told, token=token.label, pin_file="")  # the caller names it (login.py)
            login.holders += 1

    def login_generation(self, token: pkcs11.Token) -> int:
        """How many times the login was renewed."""
        login = self._logins.get((token.label, token.serial))
        return 0 if login is None else login.generation

    def is_login_in_force(self, token: pkcs11.Token, session: pkcs11.Session, seen: int) -> bool:
        """Whether the session's user is logged in, and has been since the generation that was seen.

        Waits for a login that is under way: between C_Login and its generation another thread would be told both.
        """
        with self._lock:
            return self.login_generation(token) == seen and self.is_logged_in(session)

    def renew_login(self, token: pkcs11.Token, read_pin: Callable[[], str], seen: int) -> bool:
        """Log in again, unless somebody has since the generation that was seen. Handles of before mean nothing afterwards.

        Whoever comes meanwhile waits: a token counts every wrong PIN, so one thread asks for all.
        """
        with self._lock:
            login = self._logins.get((token.label, token.serial))
            if login is None or login.generation != seen:  # None: released meanwhile
                return False
            pin = read_pin()
            session, is_ours = self._open_login_session(token, pin)
            before, login.session = login.session, session
            login.is_ours = is_ours or login.is_ours
            login.pin_digest = _digest_of(pin, login.salt)
            login.generation += 1
        if handle_of(before) != handle_of(session):  # a token may number a new session like one that it has dropped
            _close_quietly(before)
        return True

    def touch_login(self, token: pkcs11.Token) -> bool:
        """Use the session that logged in, so that it is not idle; False when nobody is logged in any more."""
        login = self._logins.get((token.label, token.serial))
        return login is None or self.touch(login.session)

    def touch(self, session: pkcs11.Session) -> bool:
        """Use a session, and tell whether its user is logged in. Exceptions of python-pkcs11 pass through."""
        # A library may answer C_GetSessionInfo without asking its device; random octets come from there.
        with suppress(pkcs11.RandomNoRNG, pkcs11.FunctionNotSupported):
            session.generate_random(8)
        return self.is_logged_in(session)

    def is_logged_in(self, session: pkcs11.Session) -> bool:
        """Whether the session sees private keys. Without a login a search finds none and says nothing (4.4)."""
        rv, state = self._functions.session_state(handle_of(session))
        if rv != CKR_OK:
            raise exception_of_number(rv)
        return state in _USER_STATES

    def release_login(self, token: pkcs11.Token) -> None:
        """The last holder logs out. Nothing is raised: a token that has gone needs no logout."""
        key = (token.label, token.serial)
        with self._lock:
            login = self._logins[key]
            login.holders -= 1
            if login.holders:
                return
            del self._logins[key]
            if login.is_ours:
                self._functions.logout(handle_of(login.session))
            _close_quietly(login.session)

    def _open_login_session(self, token: pkcs11.Token, pin: str) -> tuple[pkcs11.Session, bool]:
        """A session, and whether it was this one that logged in."""
        with translated(self._scene(token.label, "C_OpenSession")):
            session = token.open(rw=True)
        rv = self._functions.login(handle_of(session), pin.encode())
        refusal = exception_of_number(rv)
        if rv == CKR_OK or isinstance(refusal, pkcs11.UserAlreadyLoggedIn):
            return session, rv == CKR_OK
        _close_quietly(session)
        with translated(self._scene(token.label, "C_Login")):
            raise refusal

    def _tokens(self, label: str) -> list[pkcs11.Token]:
        initialised = pkcs11.TokenFlag.TOKEN_INITIALIZED
        return [token for token in self._all_tokens(label) if token.label == label and token.flags & initialised]

    def _all_tokens(self, wanted: str) -> list[pkcs11.Token]:
        tokens = []
        with translated(self._scene(wanted, "C_GetSlotList")):
            for slot in self.lib.get_slots():
                try:
                    tokens.append(slot.get_token())
                except (pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised):
                    continue
        return tokens

    def _check(self, rv: int, label: str, operation: str) -> None:
        if rv != CKR_OK:
            name = name_of_number(rv)
            raise TokenFailed(
                f"{operation}: {name}", rv=name, token=label, module=str(self.path), operation=operation, reason=name
            )

    def _scene(self, label: str, operation: str) -> Scene:
        return Scene(module=str(self.path), token=label, operation=operation)


_LOADED: dict[Path, Module] = {}
_LOADED_LOCK = threading.Lock()


def load_module(path: Path) -> Module:
    """The module at this path, loaded and initialised now or before; ModuleMissing when there is none."""
    try:
        real = path.resolve()
        present = real.is_file()
    except (OSError, RuntimeError) as error:  # a folder that may not be read; links that go in a circle
        raise ModuleMissing(f"cannot be reached: {error}", module=str(path)) from error
    if not present:
        raise ModuleMissing("no such file", module=str(path))
    with _LOADED_LOCK:
        module = _LOADED.get(real)
        if module is None:
            module = _LOADED[real] = Module(real)
    module.check_process()
    return module


def handle_of(session: pkcs11.Session) -> int:
    """The token's number for a session."""
    return int(session.handle)  # type: ignore[attr-defined]  # missing in the stubs


def _close_quietly(session: pkcs11.Session) -> None:
    with suppress(pkcs11.PKCS11Error):  # it is closed because it is of no more use
        session.close()


def _digest_of(pin: str, salt: bytes) -> bytes:
    # Only to tell a second store's PIN from the first's without asking the token, which counts tries.
    return hashlib.sha256(salt + pin.encode()).digest()
