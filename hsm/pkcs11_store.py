"""Pkcs11Store: the KeyStore whose keys live on a PKCS#11 token.

A key is found by its CKA_ID, which follows from its public key, and its handle is kept with the session that found it:
finding is a linear search of the token (35 ms among 1,000 keys), signing with a kept handle takes 0.1 ms.
"""

from __future__ import annotations

from pathlib import Path

import pkcs11
from cryptography.hazmat.primitives import hashes

from hsm.errors import (
    HSMError,
    KeyNotFound,
    KeyNotProtected,
    ModuleMissing,
    SigningFailed,
    StoreClosed,
    TokenFailed,
    TokenMissing,
)
from hsm.handles import Scheme, sign_only_key
from hsm.mechanisms import plan_signing, sign_in_token
from hsm.rv import STALE_HANDLE, to_hsm_error, translated
from hsm.sessions import SessionPool, WorkSession
from hsm.spec import KeyRef, KeySpec, PrivateKey, TokenStatus, key_id_of, load_public_key, spki_der
from hsm.token_objects import (
    PROTECTED,
    destroy_pair,
    find_private,
    generate_pair,
    list_pairs,
    read_public_key,
)

# With these the token is not there at all; with any other error it is there and does not serve.
_AWAY = (ModuleMissing, TokenMissing, StoreClosed, TokenFailed)


class Pkcs11Store:
    """Keys on the token labelled `token_label`. Nothing is loaded, read or opened before the first use."""

    def __init__(
        self,
        module_path: Path,
        token_label: str,
        pin_file: Path,
        *,
        max_sessions: int = 8,
        wait_seconds: float = 10.0,
    ) -> None:
        self._pool = SessionPool(
            module_path, token_label, pin_file, max_sessions=max_sessions, wait_seconds=wait_seconds
        )

    def generate(self, spec: KeySpec, label: str) -> KeyRef:
        mechanism = "CKM_RSA_PKCS_KEY_PAIR_GEN" if spec.is_rsa else "CKM_EC_KEY_PAIR_GEN"
        with self._pool.lend() as work, translated(self._pool.scene("C_GenerateKeyPair", mechanism)):
            public, private = generate_pair(work.session, spec, label)
            try:
                ref = KeyRef(label=label, spec=spec, public_key_der=spki_der(read_public_key(public)))
                # The private half first: should the process die between the two lines, no search finds half a key.
                private[pkcs11.Attribute.ID] = ref.key_id
                public[pkcs11.Attribute.ID] = ref.key_id
                self._found(work, ref.public_key_der)
            except BaseException:
                _destroy_halves(private, public)
                raise
        return ref

    def get(self, public_key_der: bytes) -> PrivateKey:
        der = bytes(public_key_der)
        with self._pool.lend() as work, translated(self._pool.scene("C_FindObjects")):
            self._found(work, der)
        public_key = load_public_key(der)

        def sign(message: bytes, scheme: Scheme, digest: hashes.HashAlgorithm) -> bytes:
            return self._sign(der, public_key.key_size, message, scheme, digest)

        # A signature that does not verify may come from a handle that by now means another key.
        return sign_only_key(public_key, sign, self._pool.raise_epoch)

    def list_keys(self) -> list[KeyRef]:
        with self._pool.lend() as work, translated(self._pool.scene("C_FindObjects")):
            refs = list_pairs(work.session)
        return sorted(refs, key=lambda ref: (ref.label, ref.key_id))

    def check_protected(self, public_key_der: bytes) -> None:
        with self._pool.lend() as work, translated(self._pool.scene("C_GetAttributeValue")):
            key = self._found_anew(work, bytes(public_key_der))
            told = key.get_attributes(list(PROTECTED))
        for attribute, wanted in PROTECTED.items():
            # An attribute that the token does not tell counts against the key.
            if told.get(attribute) is not wanted:
                key_id = key_id_of(public_key_der).hex()
                name = f"CKA_{attribute.name}"
                raise KeyNotProtected(f"key {key_id}: {name} is not {wanted}", key_id=key_id, attribute=name)

    def destroy(self, public_key_der: bytes) -> None:
        der = bytes(public_key_der)
        with self._pool.lend() as work, translated(self._pool.scene("C_DestroyObject")):
            self._found_anew(work, der)
            try:
                destroy_pair(work.session, key_id_of(der))
            finally:
                work.keys.clear()
                self._pool.raise_epoch()  # every session forgets its handle of this key

    def status(self) -> TokenStatus:
        pool = self._pool
        state, detail, limit = "ok", "", None
        try:
            opened = pool.open_token()
            opened.module.check_process()
            limit = opened.session_limit
            opened.module.find_token(pool.token_label)
        except HSMError as error:
            state, detail = ("away" if isinstance(error, _AWAY) else "degraded"), error.code
        return TokenStatus(
            module=str(pool.module_path),
            token=pool.token_label,
            state=state,
            sessions_open=pool.sessions_open,
            session_limit=limit,
            pid=None,  # there is no key process: the token is used in this one
            detail=detail,
        )

    def close(self) -> None:
        self._pool.close()

    def _sign(self, der: bytes, key_bits: int, message: bytes, scheme: Scheme, digest: hashes.HashAlgorithm) -> bytes:
        available = self._pool.open_token().mechanisms
        plan = plan_signing(scheme, digest, message, key_bits, available)
        with self._pool.lend() as work:
            try:
                try:
                    return sign_in_token(self._found(work, der), scheme, plan, key_bits)
                except STALE_HANDLE:
                    # Destroyed, by us or elsewhere, or the handle died with a login: look once more. What is signed is
                    # the same octets, so asking twice is safe.
                    return sign_in_token(self._found_anew(work, der), scheme, plan, key_bits)
            except pkcs11.PKCS11Error as error:
                told = to_hsm_error(error, self._pool.scene("C_Sign", f"CKM_{plan.mechanism.name}"))
                if isinstance(told, TokenFailed):
                    raise SigningFailed(str(told), rv=told.rv) from error
                raise told from error

    def _found(self, work: WorkSession, der: bytes) -> pkcs11.PrivateKey:
        key_id = key_id_of(der)
        return work.keys.get(key_id) or self._found_anew(work, der)

    def _found_anew(self, work: WorkSession, der: bytes) -> pkcs11.PrivateKey:
        key_id = key_id_of(der)
        work.keys.pop(key_id, None)
        key = find_private(work.session, key_id, der)
        if key is None:
            raise KeyNotFound(f"no key with id {key_id.hex()}", key_id=key_id.hex())
        work.keys[key_id] = key
        return key


def _destroy_halves(*halves: pkcs11.Object) -> None:
    for half in halves:
        try:
            half.destroy()
        except pkcs11.PKCS11Error:
            continue  # the failure that brought us here is the one to tell
