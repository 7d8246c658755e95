"""MemoryStore: a KeyStore in this process's memory, for tests only; what it protects, it protects from nobody."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

from hsm.errors import KeyDestroyed, KeyNotFound, KeyPurposeSet, StoreClosed
from hsm.handles import Scheme, check_scheme, digest_of, rsa_padding, sign_only_key, verify_signature
from hsm.messages import FileMessage, Message
from hsm.purposes import check_purpose
from hsm.spec import KeyRef, KeySpec, PrivateKey, Purpose, TokenStatus, curve_of, key_id_of, rsa_bits, spec_of, spki_der


class InsecureKeyStoreWarning(UserWarning):
    """Private keys are held in ordinary memory."""


@dataclass(frozen=True)
class _Held:
    ref: KeyRef
    key: PrivateKey | None  # None: a tombstone


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

    def generate(self, spec: KeySpec, label: str, purpose: Purpose) -> KeyRef:
        return self.hold(_new_key(spec), label, purpose)

    def hold(self, key: PrivateKey, label: str, purpose: Purpose | None) -> KeyRef:
        """Take in a key that was made elsewhere, also one without a purpose, as tokens may hold them."""
        self._check_open()
        der = spki_der(key.public_key())
        ref = KeyRef(label=label, spec=spec_of(key.public_key()), public_key_der=der, purpose=purpose)
        with self._lock:
            self._held[der] = _Held(ref, key)
        return ref

    def get(self, public_key_der: bytes) -> PrivateKey:
        der = bytes(public_key_der)
        _, held_key = self._find(der)

        def sign(message: Message, scheme: Scheme, digest: hashes.HashAlgorithm) -> bytes:
            return self._sign(der, [message], scheme, digest)[0]

        return sign_only_key(held_key.public_key(), sign)

    def sign_many(
        self, public_key_der: bytes, messages: Sequence[bytes], scheme: Scheme, digest: hashes.HashAlgorithm
    ) -> list[bytes]:
        der = bytes(public_key_der)
        public_key = self._find(der)[1].public_key()
        check_scheme(public_key, scheme, digest)
        wholes = [bytes(message) for message in messages]
        signatures = self._sign(der, wholes, scheme, digest)
        for signature, message in zip(signatures, wholes, strict=True):
            verify_signature(public_key, signature, message, scheme, digest)
        return signatures

    def list_keys(self) -> list[KeyRef]:
        return self._list(is_destroyed=False)

    def list_destroyed(self) -> list[KeyRef]:
        return self._list(is_destroyed=True)

    def assign_purpose(self, public_key_der: bytes, purpose: Purpose) -> None:
        ref, key = self._find(public_key_der)
        if ref.purpose is purpose:
            return
        if ref.purpose is not None:
            key_id = ref.key_id.hex()
            raise KeyPurposeSet(f"key {key_id} is for {ref.purpose}", key_id=key_id, purpose=ref.purpose.value)
        with self._lock:
            self._held[ref.public_key_der] = _Held(replace(ref, purpose=purpose), key)

    def check_protected(self, public_key_der: bytes) -> None:
        """Only that the key exists: no method hands it out. Nothing more is true of memory."""
        self._find(public_key_der)

    def destroy(self, public_key_der: bytes) -> None:
        ref, _ = self._find(public_key_der)
        with self._lock:
            self._held[ref.public_key_der] = _Held(ref, None)

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

    def _sign(
        self, der: bytes, messages: Sequence[Message], scheme: Scheme, digest: hashes.HashAlgorithm
    ) -> list[bytes]:
        ref, key = self._find(der)  # asked for each signature: the key may be destroyed by now
        for message in messages:
            check_purpose(ref.purpose, message, der)
        return [_signature(key, message, scheme, digest) for message in messages]

    def _list(self, *, is_destroyed: bool) -> list[KeyRef]:
        self._check_open()
        with self._lock:
            refs = [held.ref for held in self._held.values() if (held.key is None) is is_destroyed]
        return sorted(refs, key=lambda ref: (ref.label, ref.key_id))

    def _check_open(self) -> None:
        with self._lock:
            if self._closed:
                raise StoreClosed("the key store is closed")

    def _find(self, public_key_der: bytes) -> tuple[KeyRef, PrivateKey]:
        self._check_open()
        with self._lock:
            held = self._held.get(bytes(public_key_der))
        key_id = key_id_of(public_key_der).hex()
        if held is None:
            raise KeyNotFound(f"no key with id {key_id}", key_id=key_id)
        if held.key is None:
            raise KeyDestroyed(f"the key with id {key_id} was destroyed", key_id=key_id, label=held.ref.label)
        return held.ref, held.key


def _signature(key: PrivateKey, message: Message, scheme: Scheme, digest: hashes.HashAlgorithm) -> bytes:
    algorithm: hashes.HashAlgorithm | utils.Prehashed = digest
    if isinstance(message, FileMessage):
        message, algorithm = digest_of(message, digest), utils.Prehashed(digest)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, rsa_padding(scheme, digest), algorithm)
    return key.sign(message, ec.ECDSA(algorithm))


def _new_key(spec: KeySpec) -> PrivateKey:
    if spec.is_rsa:
        return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits(spec))
    return ec.generate_private_key(curve_of(spec))
