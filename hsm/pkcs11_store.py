"""Pkcs11Store: the KeyStore whose keys live on a PKCS#11 token.

A key is found by its CKA_ID, which follows from its public key, and its handle is kept with the session that found it:
finding is a linear search of the token (35 ms among 1,000 keys), signing with a kept handle takes 0.1 ms. What a key may
sign is checked here, in the process that holds the token; what is done about failures is ladder.py's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pkcs11
from cryptography.hazmat.primitives import hashes

from hsm.ahead import SignedAhead
from hsm.errors import HSMError, KeyDestroyed, KeyNotFound, KeyPurposeSet, SigningFailed, TokenFailed
from hsm.handles import Scheme, check_scheme, sign_only_key, signature_check, verify_signature
from hsm.ladder import Ladder
from hsm.login import LoginTurns, OnEvent
from hsm.measuring import canary_signature, signing_rate
from hsm.mechanisms import SigningPlan, plan_signing, sign_in_token, signing_handle
from hsm.messages import Message
from hsm.module import handle_of
from hsm.pin import PinSource
from hsm.purposes import check_purpose
from hsm.sessions import SessionPool, WorkSession
from hsm.spec import (
    KeyRef,
    KeySpec,
    PrivateKey,
    PublicKey,
    Purpose,
    TokenStatus,
    key_id_of,
    spki_der,
)
from hsm.standing import status_of
from hsm.token_objects import (
    FoundPair,
    bury_pair,
    check_attributes,
    destroy_all,
    destroy_halves,
    find_pair,
    generate_pair,
    list_pairs,
    name_pair,
    named_label,
    random_id,
    read_public_key,
)
from hsm.waiting_line import WaitingLine


@dataclass(frozen=True)
class _Way:
    """How a key signs with one scheme and digest, and how its signatures over messages are checked."""

    plan: SigningPlan
    check: Callable[[bytes, bytes], None]


@dataclass(frozen=True)
class _Known:
    """What was read of a key when it was first used. Its attributes were checked, and its purpose does not change."""

    ref: KeyRef
    public_key: PublicKey
    ways: dict[tuple[Scheme, type], _Way] = field(default_factory=dict)  # by scheme and kind of digest


class Pkcs11Store:
    """Keys on the token labelled `token_label`. Nothing is loaded, read or opened before the first use.

    `on_event` hears what the ladder does and what failed, by name and with facts, from whichever thread it happens in. It
    must not call the store. `turns` is for processes that share the token.
    """

    def __init__(
        self,
        module_path: Path,
        token_label: str,
        pin: PinSource,
        *,
        max_sessions: int = 8,
        wait_seconds: float = 10.0,
        on_event: OnEvent | None = None,
        turns: LoginTurns | None = None,
    ) -> None:
        self._pool = SessionPool(
            module_path,
            token_label,
            pin,
            max_sessions=max_sessions,
            wait_seconds=wait_seconds,
            on_event=on_event,
            turns=turns,
        )
        self._ladder = Ladder(self._pool)
        self._line = WaitingLine(self._pool, self._ladder, max_sessions)
        self._known: dict[bytes, _Known] = {}
        # SoftHSM 2.6.1 answers C_GenerateKeyPair with CKR_GENERAL_ERROR now and then while another session destroys objects.
        self._writing = threading.Lock()
        self._mismatches = 0  # wrong signatures since the last right one

    def generate(self, spec: KeySpec, label: str, purpose: Purpose) -> KeyRef:
        unfinished: set[bytes] = set()

        def make(work: WorkSession) -> KeyRef:
            for key_id in tuple(unfinished):  # what a session that died under us has left
                destroy_all(work.session, key_id)
                unfinished.discard(key_id)
            first_id = random_id()
            unfinished.add(first_id)
            public, private = generate_pair(work.session, spec, named_label(purpose, label), first_id)
            try:
                der = spki_der(read_public_key(public))
                ref = KeyRef(label=label, spec=spec, public_key_der=der, purpose=purpose)
                unfinished.add(ref.key_id)
                # The private half first: should the process die between the two lines, no search finds half a key.
                private[pkcs11.Attribute.ID] = ref.key_id
                public[pkcs11.Attribute.ID] = ref.key_id
                found = self._find(work, der)
            except BaseException:
                destroy_halves(private, public)
                raise
            return found.ref

        mechanism = "CKM_RSA_PKCS_KEY_PAIR_GEN" if spec.is_rsa else "CKM_EC_KEY_PAIR_GEN"
        with self._writing:
            return self._ladder.run(make, "C_GenerateKeyPair", mechanism)

    def get(self, public_key_der: bytes) -> PrivateKey:
        der = bytes(public_key_der)
        known = self._ladder.run(lambda work: self._find(work, der), "C_FindObjects")

        def sign(message: Message, scheme: Scheme, digest: hashes.HashAlgorithm) -> bytes:
            return self.sign_ahead(der, message, scheme, digest).signature

        return sign_only_key(known.public_key, sign, self._verify)

    def sign_many(
        self, public_key_der: bytes, messages: Sequence[bytes], scheme: Scheme, digest: hashes.HashAlgorithm
    ) -> list[bytes]:
        der = bytes(public_key_der)
        known = self._look_up(der)
        wholes = [bytes(message) for message in messages]
        for message in wholes:
            check_purpose(known.ref.purpose, message, der)
        way = self._way(known, scheme, digest)
        signatures = self._sign(der, way, wholes)
        for signature, message in zip(signatures, wholes, strict=True):
            self._check(known, way, signature, message)
        return signatures

    def sign_ahead(
        self, public_key_der: bytes, message: Message, scheme: Scheme, digest: hashes.HashAlgorithm
    ) -> SignedAhead:
        """A signature, verified when it is confirmed."""
        der, whole = bytes(public_key_der), bytes(message)
        known = self._look_up(der)
        check_purpose(known.ref.purpose, message, der)
        way = self._way(known, scheme, digest)
        signature = self._sign(der, way, [whole])[0]
        return SignedAhead(signature, lambda: self._check(known, way, signature, whole))

    def sign_apart(
        self, public_key_der: bytes, messages: Sequence[bytes], scheme: Scheme, digest: hashes.HashAlgorithm
    ) -> list[bytes | HSMError | None]:
        """What became of each message of different askers: its verified signature, its error, or None: not tried yet.

        First all are signed and then all verified, in one loan: one after the other the two libraries push each other
        out of the processor's caches, which costs a P-256 signature a fifth more.
        """
        der = bytes(public_key_der)
        known = self._look_up(der)
        way = self._way(known, scheme, digest)
        told: list[bytes | HSMError | None] = []
        for message in messages:
            try:
                check_purpose(known.ref.purpose, message, der)
            except HSMError as error:
                told.append(error)
                break
            told.append(None)
        allowed = [message for message, error in zip(messages, told, strict=False) if error is None]
        signatures: list[bytes] = []
        try:
            if allowed:
                self._sign(der, way, allowed, signatures)
        except HSMError as error:
            told[len(signatures)] = error
        for place, signature in enumerate(signatures):
            try:
                self._check(known, way, signature, allowed[place])
                told[place] = signature
            except SigningFailed as error:
                told[place] = error
        return told + [None] * (len(messages) - len(told))

    def list_keys(self) -> list[KeyRef]:
        return self._list(is_destroyed=False)

    def list_destroyed(self) -> list[KeyRef]:
        return self._list(is_destroyed=True)

    def assign_purpose(self, public_key_der: bytes, purpose: Purpose) -> None:
        der = bytes(public_key_der)

        def assign(work: WorkSession) -> None:
            pair = self._living_pair(work, der)
            if pair.ref.purpose is purpose:
                return
            if pair.ref.purpose is not None:
                key_id = pair.ref.key_id.hex()
                raise KeyPurposeSet(
                    f"key {key_id} is for {pair.ref.purpose}", key_id=key_id, purpose=pair.ref.purpose.value
                )
            name_pair(work.session, pair.ref, purpose)

        try:
            with self._writing:
                self._ladder.run(assign, "C_SetAttributeValue")
        finally:
            self._known.pop(der, None)

    def check_protected(self, public_key_der: bytes) -> None:
        der = bytes(public_key_der)

        def check(work: WorkSession) -> None:
            private = self._living_pair(work, der).private
            assert private is not None
            check_attributes(private, der)

        self._ladder.run(check, "C_GetAttributeValue")

    def destroy(self, public_key_der: bytes) -> None:
        der = bytes(public_key_der)
        begun = False

        def bury(work: WorkSession) -> None:
            nonlocal begun
            pair = find_pair(work.session, der)
            if pair is None or pair.private is None:
                self._check_login(work)
            # A tombstone beside its private half: a death, or a failure just now, left it half-way.
            if pair is None or not pair.is_destroyed or (pair.private is None and not begun):
                pair = self._living_pair(work, der)
            begun = True
            bury_pair(work.session, pair.ref)

        try:
            with self._writing:
                self._ladder.run(bury, "C_DestroyObject")
        finally:
            self._known.pop(der, None)
            self._pool.raise_epoch()  # every session forgets its handle of this key

    def status(self) -> TokenStatus:
        return status_of(self._pool)

    @property
    def sessions_open(self) -> int:
        """Sessions held on the token; asks nobody, so it answers also while the token hangs."""
        return self._pool.sessions_open

    def close(self) -> None:
        self._line.close()
        self._pool.close()

    def oldest_call_seconds(self) -> float:
        """For how long the oldest call to the token has not got on; 0.0 when there is none."""
        return self._pool.calls.oldest_seconds()

    def keep_alive(self) -> None:
        """Use every idle session and renew a lost login; to be called more often than the token drops idle sessions."""
        self._pool.keep_alive()

    def canary(self) -> bytes | None:
        """Raise unless the token signs a fixed text with some key of ours, or gives random octets when there is none; that key.

        The text is no DER, so its signature can be taken for nothing that a key of ours signs.
        """
        opened = self._pool.open_token()
        checked = self._ladder.run(
            lambda work: canary_signature(work, opened.module.sign, opened.mechanisms, self._check_login), "C_Sign"
        )
        if checked is None:
            return None
        self._verify(*checked)
        return spki_der(checked[0])

    def bench(self, spec: KeySpec, sessions: int, seconds: float) -> float:
        """Signatures a second with that many sessions at once; their keys are session objects and vanish with them."""
        return signing_rate(self._ladder, self._pool, spec, sessions, seconds)

    def _sign(self, der: bytes, way: _Way, messages: list[bytes], made: list[bytes] | None = None) -> list[bytes]:
        """One unverified signature a message that the key may sign, all in one loan of a session.

        What was made before a failure stands in `made`.
        """
        plan = way.plan
        inputs = [plan.octets(message) for message in messages]
        call, beat = self._pool.open_token().module.sign, self._pool.calls.beat
        signatures: list[bytes] = [] if made is None else made

        def sign(work: WorkSession) -> list[bytes]:
            key = work.keys.get(der)
            if key is None:
                self._find(work, der)
                key = work.keys[der]
            session, handle = handle_of(work.session), signing_handle(key, plan)
            # What was signed before a session died under us is not signed again.
            for octets in inputs[len(signatures) :]:
                if signatures:
                    beat()
                signatures.append(sign_in_token(call, session, handle, plan, octets))
            return signatures

        try:
            return self._line.run(sign, "C_Sign", plan.name)
        except TokenFailed as error:
            if error.facts.get("operation") == "C_Sign":
                raise SigningFailed(str(error), rv=error.rv) from error
            raise

    def _way(self, known: _Known, scheme: Scheme, digest: hashes.HashAlgorithm) -> _Way:
        way = known.ways.get((scheme, type(digest)))
        if way is None:
            check_scheme(known.public_key, scheme, digest)
            plan = plan_signing(scheme, digest, known.public_key.key_size, self._pool.open_token().mechanisms)
            way = known.ways[scheme, type(digest)] = _Way(plan, signature_check(known.public_key, scheme, digest))
        return way

    def _check(self, known: _Known, way: _Way, signature: bytes, message: bytes) -> None:
        try:
            way.check(signature, message)
        except SigningFailed as error:
            raise self._alarm(known.public_key, error) from error
        self._mismatches = 0

    def _verify(
        self, public_key: PublicKey, signature: bytes, message: Message, scheme: Scheme, digest: hashes.HashAlgorithm
    ) -> None:
        try:
            verify_signature(public_key, signature, message, scheme, digest)
        except SigningFailed as error:
            raise self._alarm(public_key, error) from error
        self._mismatches = 0

    def _alarm(self, public_key: PublicKey, error: SigningFailed) -> SigningFailed:
        """Tell of a signature that does not verify; what is to be raised."""
        self._mismatches += 1
        # It may come from a handle that by now means another key.
        self._pool.raise_epoch()
        key_id = key_id_of(spki_der(public_key)).hex()
        in_a_row = str(self._mismatches)
        self._pool.on_event("signature.mismatch", {"key_id": key_id, "in_a_row": in_a_row})
        return SigningFailed(str(error), in_a_row=in_a_row)

    def _look_up(self, der: bytes) -> _Known:
        known = self._known.get(der)
        # A key without a purpose is looked at again each time: somebody may have given it one.
        if known is None or known.ref.purpose is None:
            known = self._ladder.run(lambda work: self._find(work, der), "C_FindObjects")
        return known

    def _find(self, work: WorkSession, der: bytes) -> _Known:
        """Look for the key on the token, keep its handle with the session, and check its attributes at the first use."""
        known = self._known.get(der)
        if known is not None and known.ref.purpose is not None and der in work.keys:
            return known
        work.keys.pop(der, None)
        pair = self._living_pair(work, der)
        assert pair.private is not None
        if known is None:
            check_attributes(pair.private, der)
        work.keys[der] = pair.private
        known = self._known[der] = _Known(pair.ref, pair.ref.public_key())
        return known

    def _living_pair(self, work: WorkSession, der: bytes) -> FoundPair:
        """Both halves of a key, or the error that says why there are none."""
        pair = find_pair(work.session, der)
        if pair is not None and not pair.is_destroyed and pair.private is not None:
            return pair
        self._known.pop(der, None)
        key_id = key_id_of(der).hex()
        if pair is not None and pair.is_destroyed:
            raise KeyDestroyed(f"the key with id {key_id} was destroyed", key_id=key_id, label=pair.ref.label)
        self._check_login(work)
        raise KeyNotFound(f"no key with id {key_id}", key_id=key_id)

    def _check_login(self, work: WorkSession) -> None:
        """To be asked after a search that found nothing: raise what the ladder knows, if nobody was logged in.

        Without a login a search finds no private key and says nothing of it (PKCS#11 v3.0, 4.4). Another thread may have
        logged in since, so the login must also be the one of before the search.
        """
        if not self._pool.login.is_in_force(work.session, work.login):
            raise pkcs11.UserNotLoggedIn

    def _list(self, *, is_destroyed: bool) -> list[KeyRef]:
        def look(work: WorkSession) -> list[FoundPair]:
            found = list_pairs(work.session, self._pool.calls.beat)
            self._check_login(work)
            return found

        pairs = self._ladder.run(look, "C_FindObjects")
        refs = [
            pair.ref
            for pair in pairs
            if pair.is_destroyed is is_destroyed and (is_destroyed or pair.private is not None)
        ]
        return sorted(refs, key=lambda ref: (ref.label, ref.key_id))
