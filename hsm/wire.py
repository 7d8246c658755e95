"""What the key process and its clients say to each other: one request is one message, one answer is one message.

The sockets are SOCK_SEQPACKET, so a message needs no frame. Every length is checked against what is there, nothing is
ever unpickled, and whatever is odd is MessageRefused. It knows neither PKCS#11 nor `cryptography`: the keeper imports it.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from hsm import errors
from hsm.errors import HSMError, KeyProcessFailed, MessageRefused
from hsm.messages import Message

VERSION: Final = 1
BODY_LIMIT: Final = 256 * 1024 * 1024
MESSAGES_LIMIT: Final = 0xFFFF

# The names of hsm.handles.Scheme and of the digests, by their number on the wire.
SCHEMES: Final = ("rsa-pkcs1v15", "rsa-pss", "ecdsa")
DIGESTS: Final = ("sha256", "sha384", "sha512")

_HEADER = struct.Struct("!BB")
_SIGN_HEAD = struct.Struct("!BBH")
_SIGN_START = struct.Struct("!BBBBH")  # header and head
_ONE_OF = struct.Struct("!HI")  # how many messages, and the length of the first
_ONE_SIGNATURE = struct.Struct("!HH")  # how many signatures, and the length of the first
_U16 = struct.Struct("!H")
_U32 = struct.Struct("!I")
_NONE: Final = _U16.pack(0)


class Op(IntEnum):
    """What is asked for. The last two are for the keeper, on its own socket."""

    HELLO = 1
    SIGN = 2
    GET = 3
    GENERATE = 4
    LIST = 5
    LIST_DESTROYED = 6
    CHECK = 7
    ASSIGN = 8
    DESTROY = 9
    STATUS = 10
    BENCH = 11
    SIGN_AHEAD = 12
    STATE = 32
    STEP_ASIDE = 33


# A token of which one session destroys objects while another makes some fails now and then (SoftHSM 2.6.1): within a process
# there is a lock for that, and of several processes only the first is asked for it.
FIRST_ONLY: Final = frozenset({Op.GENERATE, Op.ASSIGN, Op.DESTROY, Op.BENCH})


class Status(IntEnum):
    """How it went: an answer's second octet."""

    DONE = 0
    FAILED = 1


# How a request to sign begins.
SIGN: Final = _HEADER.pack(VERSION, Op.SIGN)
# The same for one message, with two answers: the signature, and that it verifies. A failure is the last answer.
SIGN_AHEAD: Final = _HEADER.pack(VERSION, Op.SIGN_AHEAD)
_DONE: Final = _HEADER.pack(VERSION, Status.DONE)

# The errors that cross the socket. Any other code arrives as KeyProcessFailed.
_ERRORS: Final[dict[str, type[HSMError]]] = {
    kind.code: kind for kind in (
        errors.ModuleMissing, errors.TokenMissing, errors.TokenAmbiguous, errors.TokenExists, errors.TokenFailed,
        errors.PinMissing, errors.PinWrong, errors.PinLocked, errors.KeyNotFound, errors.KeyDestroyed,
        errors.KeyPurposeWrong, errors.KeyPurposeSet, errors.KeyNotProtected, errors.MechanismUnavailable,
        errors.SessionUnavailable, errors.SigningFailed, errors.TokenAway, errors.KeyProcessFailed, errors.MessageRefused,
    )
}  # fmt: skip


class SignRequest(NamedTuple):
    """Messages to sign, whole: what a key may sign is told from them."""

    public_key_der: bytes
    messages: list[bytes]
    scheme: str
    digest: str


# --- messages -------------------------------------------------------------------------------------------------------


def request(op: Op, body: dict[str, Any] | None = None) -> list[bytes]:
    """A request with a small JSON body."""
    return [_HEADER.pack(VERSION, op), b"" if body is None else json.dumps(body).encode()]


def sign_request(
    public_key_der: bytes, messages: Sequence[Message], scheme: str, digest: str, op: Op = Op.SIGN
) -> list[Message]:
    """A request to sign. MessageRefused for what the other side would refuse."""
    if len(messages) > MESSAGES_LIMIT or len(public_key_der) > 0xFFFF:
        raise refused("more than fits into one request")
    if max(map(len, messages), default=0) > BODY_LIMIT:
        raise refused("larger than a request may be")
    start = _SIGN_START.pack(VERSION, op, SCHEMES.index(scheme), DIGESTS.index(digest), len(public_key_der))
    if len(messages) == 1:
        return [start, public_key_der, _ONE_OF.pack(1, len(messages[0])), messages[0]]
    pieces: list[Message] = [start, public_key_der, _U16.pack(len(messages))]
    for message in messages:
        pieces += (_U32.pack(len(message)), message)
    return pieces


def done(body: dict[str, Any] | None = None) -> list[bytes]:
    """The answer that it was done."""
    return [_DONE, b"" if body is None else json.dumps(body).encode()]


def signatures(made: Sequence[bytes]) -> list[bytes]:
    """The answer to a request to sign."""
    pieces = [_DONE, _U16.pack(len(made))]
    for signature in made:
        pieces += (_U16.pack(len(signature)), signature)
    return pieces


def failed(error: HSMError) -> list[bytes]:
    """The answer that it failed, and why."""
    body = {"code": error.code, "message": str(error), "rv": error.rv, "facts": error.facts}
    return [_HEADER.pack(VERSION, Status.FAILED), json.dumps(body).encode()]


def parse_request(message: bytes) -> Op:
    """What is asked for."""
    second = _second_octet(message)
    try:
        return Op(second)
    except ValueError:
        raise refused("unknown request") from None


def parse_sign_request(message: bytes) -> SignRequest:
    """The parts of a request to sign, whose lengths add up to exactly the message."""
    try:
        scheme, digest, key_length = _SIGN_HEAD.unpack_from(message, 2)
        place = 6 + key_length
        key = message[6:place]
        (count,) = _U16.unpack_from(message, place)
    except struct.error:
        raise refused("shorter than it says") from None
    if scheme >= len(SCHEMES) or digest >= len(DIGESTS):
        raise refused("unknown scheme or digest")
    parts, place = _parts(message, place + 2, count, _U32)
    if place != len(message):
        raise refused("longer than it says")
    return SignRequest(key, parts, SCHEMES[scheme], DIGESTS[digest])


def split_sign_request(message: bytes) -> tuple[bytes, bytes]:
    """A request to sign one message, as a request to sign none, the same for all with this key, and the message.

    Two times nothing for any other; what is wrong with an odd one, parse_sign_request says.
    """
    try:
        end = 6 + (message[4] << 8 | message[5])
        count, length = _ONE_OF.unpack_from(message, end)
    except (IndexError, struct.error):
        return b"", b""
    start = end + _ONE_OF.size
    if count != 1 or start + length != len(message):
        return b"", b""
    return message[:end] + _NONE, message[start:]


def parse_answer(message: bytes) -> bytes:
    """The answer itself, which is what parse_signatures and parse_body read on; raises the error that it tells."""
    if message.startswith(_DONE):
        return message
    if _second_octet(message) != Status.FAILED:
        raise refused("unknown answer")
    body = parse_body(message)
    facts = body.get("facts")
    if not isinstance(facts, dict):
        raise refused("an error without facts")
    kind = _ERRORS.get(str(body.get("code")))
    if kind is None:
        raise KeyProcessFailed(f"the key process failed: {body.get('message')}", reason=str(body.get("code")))
    rv = body.get("rv")
    rebuilt = kind(str(body.get("message")), rv=None if rv is None else str(rv))
    rebuilt.facts = {str(name): str(value) for name, value in facts.items()}
    raise rebuilt


def parse_signatures(message: bytes) -> list[bytes]:
    """The signatures in an answer."""
    try:
        (count,) = _U16.unpack_from(message, 2)
        if count == 1 and _ONE_SIGNATURE.unpack_from(message, 2) == (1, len(message) - 6):
            return [message[6:]]
    except struct.error:
        raise refused("shorter than it says") from None
    parts, place = _parts(message, 4, count, _U16)
    if place != len(message):
        raise refused("longer than it says")
    return parts


def parse_body(message: bytes) -> dict[str, Any]:
    """The JSON body of a request or an answer; an empty one is an empty object."""
    if len(message) == 2:
        return {}
    try:
        body = json.loads(message[2:])
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise refused("not JSON") from None
    if not isinstance(body, dict):
        raise refused("not a JSON object")
    return body


def text_of(body: dict[str, Any], name: str) -> str:
    """A text of the body."""
    value = body.get(name)
    if not isinstance(value, str):
        raise refused(f"{name} is missing or no text")
    return value


def number_of(body: dict[str, Any], name: str, least: float, most: float) -> float:
    """A number of the body, within its bounds."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise refused(f"{name} is missing or out of bounds")
    return value


def octets_of(body: dict[str, Any], name: str) -> bytes:
    """Octets of the body, base64."""
    try:
        return base64.b64decode(text_of(body, name), validate=True)
    except (binascii.Error, ValueError):
        raise refused(f"{name} is not base64") from None


def octets(value: bytes) -> str:
    """Octets as they stand in a body."""
    return base64.b64encode(value).decode()


def refused(reason: str) -> MessageRefused:
    """The refusal of a message."""
    return MessageRefused(f"message refused: {reason}", reason=reason)


def _second_octet(message: bytes) -> int:
    if len(message) < 2:
        raise refused("shorter than a header")
    if message[0] != VERSION:
        raise refused("unknown version")
    return message[1]


def _parts(message: bytes, place: int, count: int, prefix: struct.Struct) -> tuple[list[bytes], int]:
    parts = []
    for _ in range(count):
        try:
            (length,) = prefix.unpack_from(message, place)
        except struct.error:
            raise refused("shorter than it says") from None
        start = place + prefix.size
        place = start + length
        if place > len(message):
            raise refused("shorter than it says")
        parts.append(message[start:place])
    return parts, place
