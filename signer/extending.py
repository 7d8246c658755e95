"""Raising a signature by appending its proofs: validation data, a document time-stamp (EN 319 142-1 5.4, 5.5). docs/signing-stages.md.

Which proofs a file needs is asked here for what was signed a moment ago, and in upgrading.py for any file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from signer.cms import TIMESTAMP_ROOM
from signer.errors import OwnOutputBroken, SignerError
from signer.evidence import OwnEvidence
from signer.extension import Appended, ExtensionPlan, ValidationData, join
from signer.levels import B_LT, B_LTA, B_T, reaches
from signer.pades import PreparedPdf, accept_prepared, document_digest, embed_cms
from signer.password import NO_PASSWORD, Password
from signer.timestamps import DIGEST, Timestamper


class Appender(Protocol):
    """Appends a revision to a file that may be anybody's: signer/appending.py, in whatever process."""

    def append(self, pdf: bytes, plan: ExtensionPlan) -> Appended:
        """Raises Refused, InputUnreadable or Unavailable; uses no key."""
        ...


@dataclass(frozen=True)
class Raised:
    """A file and the level it has reached. `failure`: why it is not the level that was asked for."""

    content: bytes
    level: str
    failure: SignerError | None = None


@dataclass(frozen=True)
class Extender:
    """Whom proofs are asked of; built once in api/wiring.py."""

    timestamper: Timestamper
    evidence: OwnEvidence
    appender: Appender

    def raise_signed(
        self,
        signed: bytes,
        hole: tuple[int, int],
        wanted: str,
        serials: Sequence[str],
        password: Password = NO_PASSWORD,
    ) -> Raised:
        """Raise a file that we have just signed at B-T. `serials`: our certificates behind its signatures, the newest first.

        Raises nothing that an outage or the file can cause: the signature exists, and what was reached is handed out.
        """
        if not reaches(wanted, B_LT):
            return Raised(signed, B_T)
        try:
            data = self._evidence(serials)
            plan = ExtensionPlan(data, (vri_name(signed, hole),), password=password)
        except OwnOutputBroken:
            raise
        except SignerError as error:
            return Raised(signed, B_T, error)
        failure: SignerError | None = None
        if wanted == B_LTA:
            try:
                return Raised(self.append(signed, plan, stamped=True), B_LTA)
            except OwnOutputBroken:
                raise
            except SignerError as error:
                failure = error
        try:
            return Raised(self.append(signed, plan, stamped=False), B_LT, failure)
        except OwnOutputBroken:
            raise
        except SignerError as error:
            return Raised(signed, B_T, error)

    def append(self, pdf: bytes, plan: ExtensionPlan, *, stamped: bool) -> bytes:
        """The file with one revision more: what the plan holds, and a document time-stamp over all of it."""
        octets = TIMESTAMP_ROOM if stamped else 0
        appended = self.appender.append(pdf, replace(plan, stamp_octets=octets))
        if not stamped:
            if appended.hole is not None or b"/ByteRange" in appended.tail:
                raise OwnOutputBroken("PREPARED_FILE_WRONG")
            return pdf + appended.tail
        if appended.hole is None:
            raise OwnOutputBroken("PREPARED_FILE_WRONG")
        return self._stamp(accept_prepared(pdf, appended.tail, appended.hole, appended.field))

    def _stamp(self, prepared: PreparedPdf) -> bytes:
        token = self.timestamper.timestamp_digest(document_digest(prepared, DIGEST))
        output = embed_cms(prepared, token)
        # Nothing leaves that does not verify, from its own octets.
        start, end = prepared.hole
        held = bytes.fromhex(output[start + 1 : end - 1].decode("ascii"))
        hasher = hashlib.new(DIGEST, memoryview(output)[:start])
        hasher.update(memoryview(output)[end:])
        self.timestamper.check_digest(held[: len(token)], hasher.digest())
        return output

    def _evidence(self, serials: Sequence[str]) -> ValidationData:
        stamper = self.timestamper.serial()
        parts = [self.evidence.collect(serial, fresh=True) for serial in serials]
        return join([*parts, self.evidence.collect(stamper, fresh=False)] if stamper else parts)


def vri_name(pdf: bytes, hole: tuple[int, int]) -> str:
    """The name of a signature in the store: SHA-1 of all of /Contents, padding too (ISO 32000-2 table 262)."""
    contents = bytes.fromhex(pdf[hole[0] + 1 : hole[1] - 1].decode("ascii"))
    return hashlib.sha1(contents, usedforsecurity=False).hexdigest().upper()
