"""Finishing: the issuer's signatures over what was stored, and each certificate read back and verified before it is anybody's.

In pieces: while the token signs the next ones, this process verifies those that have come. Which drafts and commits stand around it is
issuing_cycle.py's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hsm import der
from hsm.ahead import SignedAhead
from hsm.spec import PublicKey
from pki.errors import SignedOtherBytes
from pki.schemes import Scheme, SignatureMismatch, check_signature

# What an issuer's key is asked for: one signature for each of these octets, in their order, or an error and none. `assemble` verifies
# each, so its store need not have done so yet.
Sign = Callable[[Sequence[bytes]], Sequence[SignedAhead]]
Signed = TypeVar("Signed", bytes, SignedAhead)
# Large enough that the question itself costs nothing, small enough that the last piece is soon verified.
_PIECE = 25
# Two at a time: the token has the next piece before it has finished one, and of several token processes two sign.
_AT_ONCE = 2


def sign_in_pieces(sign: Callable[[Sequence[bytes]], Sequence[Signed]], messages: Sequence[bytes]) -> Iterator[Signed]:
    """One signature for each message, in their order, as they come. An error of one piece is raised in its place, when nothing
    is being signed any more.
    """
    pieces = [messages[start : start + _PIECE] for start in range(0, len(messages), _PIECE)]
    if len(pieces) == 1:
        yield from sign(messages)
        return
    pool = ThreadPoolExecutor(_AT_ONCE, "sign")
    try:
        for piece, signed in zip(pieces, [pool.submit(sign, piece) for piece in pieces], strict=True):
            signatures = signed.result()
            if len(signatures) != len(piece):
                raise ValueError(f"{len(signatures)} signatures for {len(piece)} messages")
            yield from signatures
    finally:
        pool.shutdown(cancel_futures=True)


def assemble(serial: str, tbs: bytes, scheme: Scheme, signature: bytes, issuer_key: PublicKey) -> bytes:
    """The certificate (RFC 5280 4.1), read back and verified; SignedOtherBytes where it is not what was stored, signed by this key.

    That the to-be-signed octets are those of a certificate was seen in the twin, which begins with the same.
    """
    head = tbs + scheme.algorithm_identifier()
    finished = der.sequence(head, der.bits(signature))
    outer = der.Reader(finished)
    parts = outer.take(der.SEQUENCE)
    last = der.Reader(parts[len(head) :])
    # The first octet of a BIT STRING counts the bits that its last one lacks.
    if not parts.startswith(head) or last.take(der.BIT_STRING) != b"\0" + signature:
        raise SignedOtherBytes(f"{serial}: other to-be-signed bytes", serial=serial)
    last.end()
    outer.end()
    try:
        check_signature(issuer_key, scheme, signature, tbs)
    except SignatureMismatch as error:
        raise SignedOtherBytes(f"{serial}: the signature is not the issuer's", serial=serial) from error
    return finished
