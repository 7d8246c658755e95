"""What the key process and its clients say to each other: one request is one message, one answer is one message.

The sockets are SOCK_SEQPACKET, so a message needs no frame. Every length is checked against what is there, nothing is
ever unpickled, and whatever is odd is MessageRefused. It knows neither PKCS#11 nor `cryptography`: the keeper imports it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import json
import os
import socket
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from hsm import errors
from hsm.errors import HSMError, KeyProcessFailed, MessageRefused
from hsm.messages import FileMessage, Message

VERSION: Final = 1
# Larger messages travel as a sealed memory file: a list of a million revoked certificates has 49 MB.
INLINE_LIMIT: Final = 64 * 1024
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
_ELSEWHERE = struct.Struct("!BBQ")
_IN_MEMORY_FILE: Final = 0xFF
# Without these the sender could change or cut the bytes while they are read.
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
# Room for one descriptor, not CMSG_SPACE: that is padded, and the padding would let a second one in.
_ONE_DESCRIPTOR: Final = socket.CMSG_LEN(4)
_DESCRIPTOR = struct.Struct("i")
# A number: to ask a flag of an enumeration takes longer than to receive the message.
_CUT: Final = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)


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
_SIGN_OP: Final = int(Op.SIGN)
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


def sign_request(public_key_der: bytes, messages: Sequence[Message], scheme: str, digest: str) -> list[Message]:
    """A request to sign. MessageRefused for what the other side would refuse."""
    if len(messages) > MESSAGES_LIMIT or len(public_key_der) > 0xFFFF:
        raise refused("more than fits into one request")
    if max(map(len, messages), default=0) > BODY_LIMIT:
        raise refused("larger than a request may be")
    start = _SIGN_START.pack(VERSION, _SIGN_OP, SCHEMES.index(scheme), DIGESTS.index(digest), len(public_key_der))
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


# --- sending and receiving ------------------------------------------------------------------------------------------


def send(connection: socket.socket, pieces: Sequence[Message]) -> None:
    """Send one message. OSError when the other side is gone, BlockingIOError when it does not take it in time."""
    length = sum(map(len, pieces))
    if length <= INLINE_LIMIT:
        try:
            message = b"".join(pieces)  # type: ignore[arg-type]  # a part of a file is found out below, as it is seldom
        except TypeError:
            message = b"".join(map(bytes, pieces))
        connection.send(message)
        return
    if length > BODY_LIMIT:
        raise refused("larger than a message may be")
    descriptor = os.memfd_create("antin-message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for piece in pieces:
            for part in piece.pieces() if isinstance(piece, FileMessage) else (piece,):
                left = memoryview(part)
                while left:
                    left = left[os.write(descriptor, left) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS | fcntl.F_SEAL_SEAL)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, _DESCRIPTOR.pack(descriptor))
        connection.sendmsg([_ELSEWHERE.pack(VERSION, _IN_MEMORY_FILE, length)], [rights])
    finally:
        os.close(descriptor)


def receive(connection: socket.socket) -> bytes:
    """One message, or nothing when the other side has closed. MessageRefused for what is no message of ours."""
    message, ancillary, flags, _ = connection.recvmsg(INLINE_LIMIT, _ONE_DESCRIPTOR, socket.MSG_CMSG_CLOEXEC)
    if not ancillary and not flags & _CUT:
        if len(message) > 1 and message[1] == _IN_MEMORY_FILE:
            raise refused("the body is missing")
        return message
    descriptors = _descriptors(ancillary)
    try:
        if flags & _CUT:
            raise refused("too long, or with too many descriptors")
        if len(message) != _ELSEWHERE.size or message[1] != _IN_MEMORY_FILE or len(descriptors) != 1:
            raise refused("an unexpected descriptor")
        version, _, length = _ELSEWHERE.unpack(message)
        if version != VERSION:
            raise refused("unknown version")
        return _read_sealed(descriptors[0], length)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def receive_short(connection: socket.socket) -> bytes:
    """The same of a message that does not come as a memory file, in half the time. The lengths in what was cut do not add up."""
    message = connection.recv(INLINE_LIMIT)
    if len(message) > 1 and message[1] == _IN_MEMORY_FILE:
        raise refused("longer than it may be")
    return message


def receive_listener(connection: socket.socket) -> tuple[bytes, socket.socket | None]:
    """A message of the keeper to its token process, and the listening socket that may come with it."""
    message, ancillary, _, _ = connection.recvmsg(INLINE_LIMIT, _ONE_DESCRIPTOR, socket.MSG_CMSG_CLOEXEC)
    found = _descriptors(ancillary)
    return message, socket.socket(fileno=found[0]) if found else None


def send_listener(connection: socket.socket, message: bytes, listener: socket.socket) -> None:
    """Hand a listening socket over."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, _DESCRIPTOR.pack(listener.fileno()))
    connection.sendmsg([message], [rights])


def close_quietly(closable: socket.socket | None) -> None:
    """Close what may be closed, or broken, already."""
    if closable is not None:
        with contextlib.suppress(OSError):
            closable.close()


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Process id and user id of the other side (SO_PEERCRED, unix(7)): set by the kernel when it connected."""
    found = struct.Struct("3i")
    pid, uid, _ = found.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, found.size))
    return pid, uid


def is_ours(connection: socket.socket) -> bool:
    """Whether the other side is run by this process's user, or by root."""
    return peer_of(connection)[1] in (os.geteuid(), 0)


def limit_times(connection: socket.socket, *, sending: float | None = None, receiving: float | None = None) -> None:
    """Bound how long a blocking call may take. The kernel's own limits: a Python timeout costs a poll for each call."""
    for option, seconds in ((socket.SO_SNDTIMEO, sending), (socket.SO_RCVTIMEO, receiving)):
        if seconds is not None:
            whole = max(1, round(seconds * 1_000_000))  # zero would mean for ever
            connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", *divmod(whole, 1_000_000)))


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


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = len(data) - len(data) % _DESCRIPTOR.size
            found += [number for (number,) in _DESCRIPTOR.iter_unpack(data[:whole])]
    return found


def _read_sealed(descriptor: int, length: int) -> bytes:
    if length > BODY_LIMIT:
        raise refused("larger than a message may be")
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:  # no memory file: a pipe, a file on a disk that would be slow on purpose
        raise refused("a body that is not sealed") from None
    if seals & _SEALS != _SEALS:
        raise refused("a body that is not sealed")
    if os.fstat(descriptor).st_size != length:
        raise refused("a body of another length")
    # Read, never mapped: a page that cannot be had would be a signal here, not an error.
    body = os.pread(descriptor, length, 0)
    if len(body) != length:
        raise refused("a body of another length")
    return body
