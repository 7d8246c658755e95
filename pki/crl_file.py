"""CRL files: one list assembled as bytes in a file without a name, signed, read back and compared. A million entries pass by.

Which entries, number and times it has is decided in crl.py.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from hsm import der
from hsm.messages import FileMessage
from hsm.spec import PrivateKey, PublicKey
from pki.crl_lines import compare_entries
from pki.schemes import Scheme, sign_message

BUFFER = 1 << 20
# Room before the entries for the headers around them, whose lengths are known when the last entry is: a tag and up to five
# octets of length for the list, the to-be-signed octets and revokedCertificates.
_HEADERS = 3 * 6
_VERSION_2 = der.integer(1)


@dataclass(frozen=True)
class Heading:
    """What a list says besides its entries. `issuer` and `extensions` are DER."""

    issuer: bytes
    number: int
    this_update: datetime
    next_update: datetime
    extensions: bytes
    scheme: Scheme

    def before(self) -> bytes:
        """The fields before revokedCertificates (RFC 5280 5.1)."""
        times = der.certificate_time(self.this_update) + der.certificate_time(self.next_update)
        return _VERSION_2 + self.scheme.algorithm_identifier() + self.issuer + times

    def after(self) -> bytes:
        """The fields behind it."""
        return der.explicit(0, self.extensions)


def build_tbs(heading: Heading, entries: bytes) -> bytes:
    """TBSCertList of a short list. Without entries the element is absent (RFC 5280 5.1.2.6)."""
    return der.sequence(heading.before(), der.sequence(entries) if entries else b"", heading.after())


class CrlFile:
    """One list in the making. `folder` takes the file; None is the system's folder for temporary ones."""

    def __init__(self, heading: Heading, folder: Path | None) -> None:
        self.heading = heading
        self.count = 0
        self.size = 0
        self.sha256 = ""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by close()
        self._begin = 0
        self._tbs_at = 0
        self._entries_at = 0
        self._entries_end = 0
        self._tbs_end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write_tbs(self, entries: Iterable[Sequence[bytes]]) -> None:
        """Write the to-be-signed octets, entries in the given order, some at a time."""
        before, after = self.heading.before(), self.heading.after()
        self._entries_at = _HEADERS + len(before)
        self._file.seek(self._entries_at)
        for batch in entries:
            self.count += len(batch)
            self._file.write(b"".join(batch))
        self._entries_end = self._file.tell()
        self._file.write(after)
        self._tbs_end = self._file.tell()
        size = self._entries_end - self._entries_at
        # Without entries the element is absent (RFC 5280 5.1.2.6).
        head = before + (der.header(der.SEQUENCE, size) if self.count else b"")
        head = der.header(der.SEQUENCE, len(head) + size + len(after)) + head
        self._tbs_at = self._entries_at - len(head)
        self._file.seek(self._tbs_at)
        self._file.write(head)
        self._file.flush()

    def first_entries(self, count: int) -> bytes:
        """The first entries as they stand in the file; each of ours is shorter than 128 octets."""
        octets = os.pread(self._file.fileno(), min(count * 130, self._entries_end - self._entries_at), self._entries_at)
        end = 0
        for _ in range(min(count, self.count)):
            _, _, end = der.element(octets, end)
        return octets[:end]

    def is_exactly(self, octets: Iterator[bytes | None]) -> bool:
        """Whether the entries are these octets and no more: the quick way to say that they are as they should be.

        None for some of them is no yes.
        """
        at, descriptor = self._entries_at, self._file.fileno()
        for expected in octets:
            if expected is None or os.pread(descriptor, len(expected), at) != expected:
                return False
            at += len(expected)
        return at == self._entries_end

    def is_as(self, lines: Iterator[str]) -> bool:
        """Whether the entries that stand in the file say exactly what these lines of the inventory say."""
        return compare_entries(self._read(self._entries_at, self._entries_end), lines, self.count)

    def sign(self, key: PrivateKey) -> None:
        """Sign what was written. The only function here that touches a key."""
        scheme = self.heading.scheme
        tbs = FileMessage(self._file.fileno(), self._tbs_at, self._tbs_end - self._tbs_at)
        signature = sign_message(key, scheme, tbs)
        tail = scheme.algorithm_identifier() + der.bits(signature)
        header = der.header(der.SEQUENCE, len(tbs) + len(tail))
        self._begin = self._tbs_at - len(header)
        self._file.seek(self._tbs_end)
        self._file.write(tail)
        end = self._file.tell()
        self._file.truncate()
        self._file.seek(self._begin)
        self._file.write(header)
        self._file.flush()
        self.size = end - self._begin

    def is_signed_by(self, public_key: PublicKey) -> bool:
        """Read the finished list back: its digest, and whether its signature is this key's over what stands there."""
        whole, signed = hashlib.sha256(), hashlib.new(self.heading.scheme.digest)
        for piece in self._read(self._tbs_at, self._tbs_end):
            signed.update(piece)
        for piece in self.pieces():
            whole.update(piece)
        self.sha256 = whole.hexdigest()
        tail = b"".join(self._read(self._tbs_end, self._begin + self.size))
        reader = der.Reader(tail)
        reader.take(der.SEQUENCE)
        signature = reader.take(der.BIT_STRING)[1:]
        return _verifies(public_key, self.heading.scheme, signature, signed.digest())

    def frame(self) -> x509.CertificateRevocationList:
        """The list without its entries, by another reader: what stands around them."""
        fields = b"".join(self._read(self._tbs_at, self._entries_at))
        _, start, _ = _outer(fields)
        before = fields[start:]
        if self.count:
            # The header around the entries, which are left out, goes with them.
            before = before[: -len(der.header(der.SEQUENCE, self._entries_end - self._entries_at))]
        after = b"".join(self._read(self._entries_end, self._tbs_end))
        tail = b"".join(self._read(self._tbs_end, self._begin + self.size))
        return x509.load_der_x509_crl(der.sequence(der.sequence(before, after), tail))

    def pieces(self) -> Iterator[bytes]:
        """The finished list, a mebibyte at a time."""
        return self._read(self._begin, self._begin + self.size)

    def _read(self, start: int, end: int) -> Iterator[bytes]:
        descriptor = self._file.fileno()
        while start < end:
            piece = os.pread(descriptor, min(BUFFER, end - start), start)
            if not piece:
                return
            start += len(piece)
            yield piece


def _outer(data: bytes) -> tuple[int, int, int]:
    """Tag, start and end of the element that begins here, which may end behind what was read."""
    first = data[1]
    start = 2 + (first & 0x7F if first & 0x80 else 0)
    return data[0], start, len(data)


def _verifies(public_key: PublicKey, scheme: Scheme, signature: bytes, digest: bytes) -> bool:
    prehashed = utils.Prehashed(scheme.hash)
    try:
        if isinstance(public_key, rsa.RSAPublicKey):
            salted = padding.PSS(mgf=padding.MGF1(scheme.hash), salt_length=padding.PSS.DIGEST_LENGTH)
            public_key.verify(signature, digest, salted, prehashed)
        else:
            public_key.verify(signature, digest, ec.ECDSA(prehashed))
    except InvalidSignature:
        return False
    return True
