"""MemoryStore: a KeyStore in this process's memory, for tests only; what it protects, it protects from nobody."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hsm.errors import KeyNotFound, StoreClosed
from hsm.handles import Scheme, rsa_padding, sign_only_key
from hsm.spec import KeyRef, KeySpec, PrivateKey, TokenStatus, curve_of, key_id_of, rsa_bits, spki_der


class InsecureKeyStoreWarning(UserWarning):
    """Private keys are held in ordinary memory."""


@dataclass(frozen=True)
class _Held:
    ref: KeyRef
    key: PrivateKey


class MemoryStore:
    """Keys in a dictionary. Passes the same contract suite as the token, and warns every time one is built."""

    def __init__(self) -> None:
        warnings.warn(
            "MemoryStore keeps private keys unprotected in memory; it is for tests",
            InsecureKeyStoreWarning,
            stacklevel=2,
        )
        self._lock = threading.Lock()
        self._held: dict[bytes, _Held] = {}
        self._closed = False

    def generate(self, spec: KeySpec, label: str) -> KeyRef:
        self._check_open()
        key: PrivateKey
        if spec.is_rsa:
            key = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits(spec))
        else:
            key = ec.generate_private_key(curve_of(spec))
        ref = KeyRef(label=label, spec=spec, public_key_der=spki_der(key.public_key()))
        with self._lock:
            self._held[ref.public_key_der] = _Held(ref, key)
        return ref

    def get(self, public_key_der: bytes) -> PrivateKey:
        public_key = self._find(public_key_der).key.public_key()

        def sign(message: bytes, scheme: Scheme, digest: hashes.HashAlgorithm) -> bytes:
            key = self._find(public_key_der).key  # asked for each signature: the key may be destroyed by now
            if isinstance(key, rsa.RSAPrivateKey):
                return key.sign(message, rsa_padding(scheme, digest), digest)
            return key.sign(message, ec.ECDSA(digest))

        return sign_only_key(public_key, sign)

    def list_keys(self) -> list[KeyRef]:
        self._check_open()
        with self._lock:
            refs = [held.ref for held in self._held.values()]
        return sorted(refs, key=lambda ref: (ref.label, ref.key_id))

    def check_protected(self, public_key_der: bytes) -> None:
        """Only that the key exists: it was made here and no method hands it out. Nothing more is true of memory."""
        self._find(public_key_der)

    def destroy(self, public_key_der: bytes) -> None:
        self._find(public_key_der)
        with self._lock:
            self._held.pop(public_key_der, None)

    def status(self) -> TokenStatus:
        with self._lock:
            state = "away" if self._closed else "ok"
        return TokenStatus(
            "memory", "memory", state, sessions_open=0, session_limit=None, pid=None, detail="for tests only"
        )

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._held.clear()

    def _check_open(self) -> None:
        with self._lock:
            if self._closed:
                raise StoreClosed("the key store is closed")

    def _find(self, public_key_der: bytes) -> _Held:
        self._check_open()
        with self._lock:
            held = self._held.get(bytes(public_key_der))
        if held is None:
            key_id = key_id_of(public_key_der).hex()
            raise KeyNotFound(f"no key with id {key_id}", key_id=key_id)
        return held
