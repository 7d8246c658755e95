"""How messages travel between the key process and its clients: one message a packet, a long one in a sealed memory file.

Whatever is odd is MessageRefused. What messages say is wire.py's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from typing import Final

from hsm.messages import FileMessage, Message
from hsm.wire import BODY_LIMIT, VERSION, refused

# Larger messages travel as a sealed memory file: a list of a million revoked certificates has 49 MB.
INLINE_LIMIT: Final = 64 * 1024
_ELSEWHERE = struct.Struct("!BBQ")
_IN_MEMORY_FILE: Final = 0xFF
# Without these the sender could change or cut the bytes while they are read.
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
# Room for one descriptor, not CMSG_SPACE: that is padded, and the padding would let a second one in.
_ONE_DESCRIPTOR: Final = socket.CMSG_LEN(4)
_DESCRIPTOR = struct.Struct("i")
# A number: to ask a flag of an enumeration takes longer than to receive the message.
_CUT: Final = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)


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
