"""Signing past what keys are for, to learn how a token does: the canary, and signatures a second.

Neither hands a signature out. The canary's text is no DER; the keys of a measurement are session objects that vanish.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet

import pkcs11
from cryptography.hazmat.primitives import hashes

from hsm.errors import HSMError
from hsm.handles import Scheme
from hsm.ladder import Ladder
from hsm.mechanisms import TokenCall, plan_signing, sign_in_token, signing_handle
from hsm.module import handle_of
from hsm.sessions import SessionPool, WorkSession
from hsm.spec import KeySpec, PublicKey, curve_of, rsa_bits
from hsm.token_objects import first_key, generate_pair

CANARY = b"Antin asks this token whether it signs. This text is no certificate and no document."
_RANDOM_BITS = 256
_DIGEST = hashes.SHA256()

Signed = tuple[PublicKey, bytes, bytes, Scheme, hashes.HashAlgorithm]


def canary_signature(
    work: WorkSession, call: TokenCall, available: AbstractSet[int], check_login: Callable[[WorkSession], None]
) -> Signed | None:
    """A signature over the canary's text, with all that is needed to verify it; None when the token holds no key yet."""
    pair = first_key(work.session)
    if pair is None or pair.private is None:
        check_login(work)
        work.session.generate_random(_RANDOM_BITS)
        return None
    public_key = pair.ref.public_key()
    scheme = Scheme.RSA_PKCS1V15 if pair.ref.spec.is_rsa else Scheme.ECDSA
    plan = plan_signing(scheme, _DIGEST, public_key.key_size, available)
    key = signing_handle(pair.private, plan)
    signature = sign_in_token(call, handle_of(work.session), key, plan, plan.octets(CANARY))
    return public_key, signature, CANARY, scheme, _DIGEST


def signing_rate(ladder: Ladder, pool: SessionPool, spec: KeySpec, sessions: int, seconds: float) -> float:
    """How many signatures a second a token makes in that many sessions at once, each over a message of 256 octets."""
    start = threading.Barrier(sessions + 1)
    counts, failures = [0] * sessions, list[BaseException]()

    def work(number: int) -> None:
        try:
            with ladder.session("C_GenerateKeyPair", f"CKM of {spec.value}") as lent:
                counts[number] = _sign_for(lent.session, pool, spec, start, seconds)
        except BaseException as error:  # noqa: BLE001 told by the caller's thread
            failures.append(error)
            start.abort()

    threads = [threading.Thread(target=work, args=(number,), name=f"bench-{number}") for number in range(sessions)]
    for thread in threads:
        thread.start()
    begun = 0.0
    try:
        start.wait(pool.wait_seconds + seconds)
        begun = time.perf_counter()
    except threading.BrokenBarrierError:
        pass  # a thread has failed, and says why
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begun
    for failure in failures:
        if not isinstance(failure, threading.BrokenBarrierError):
            raise failure
    if failures:
        raise HSMError("the sessions of a measurement did not come together in time")
    return sum(counts) / elapsed


def _sign_for(
    session: pkcs11.Session, pool: SessionPool, spec: KeySpec, start: threading.Barrier, seconds: float
) -> int:
    bits = rsa_bits(spec) if spec.is_rsa else curve_of(spec).key_size
    scheme = Scheme.RSA_PKCS1V15 if spec.is_rsa else Scheme.ECDSA
    opened, message = pool.open_token(), bytes(range(256))
    plan = plan_signing(scheme, _DIGEST, bits, opened.mechanisms)
    public, private = generate_pair(session, spec, "bench", stays=False)
    try:
        pool.calls.beat()
        start.wait()
        call, handle, key = opened.module.sign, handle_of(session), signing_handle(private, plan)
        end, count = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            sign_in_token(call, handle, key, plan, plan.octets(message))
            count += 1
            pool.calls.beat()
        return count
    finally:
        private.destroy()
        public.destroy()
