"""Raising a signature by appending its proofs: validation data, a document time-stamp (EN 319 142-1 5.4, 5.5). docs/signing-stages.md.

Which proofs a file needs is asked here for what was signed a moment ago, and in upgrading.py for any file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from signer.errors import OwnOutputBroken, SignerError, Unavailable
from signer.evidence import EvidenceAhead, OwnEvidence
from signer.extension import Appended, ExtensionPlan, ValidationData, join
from signer.levels import B_LT, B_LTA, B_T, reaches
from signer.octets import Octets, digest_around
from signer.pades import PreparedPdf, accept_prepared, document_digest, embed_cms
from signer.password import NO_PASSWORD, Password
from signer.strangers import PathEvidence
from signer.timestamps import DIGEST, StampedBy, Timestamper


class Appender(Protocol):
    """Appends a revision to a file that may be anybody's: signer/appending.py, in whatever process."""

    def append(self, pdf: Octets, plan: ExtensionPlan) -> Appended:
        """Raises Refused, InputUnreadable or Unavailable; uses no key."""
        ...


@dataclass(frozen=True)
class Raised:
    """A file and the level it has reached. `failure`: why it is not the level that was asked for."""

    content: Octets
    level: str
    failure: SignerError | None = None
    renew_at: datetime | None = None


@dataclass(frozen=True)
class Extended:
    """A file with one revision more. `renew_at`: when the time-stamp at its end is to be covered by another one; None without one."""

    content: Octets
    renew_at: datetime | None = None


@dataclass(frozen=True)
class Extender:
    """Whom proofs are asked of; built once in api/wiring.py. Without `strangers` nothing is fetched."""

    timestamper: Timestamper
    evidence: OwnEvidence
    appender: Appender
    strangers: PathEvidence | None = None

    def ahead(self, serials: Sequence[str], wanted: str) -> EvidenceAhead:
        """What `raise_signed` will ask for about these certificates of ours, to be asked for once the signature value exists.

        Not before: what it proves is that a certificate was in force when it had signed.
        """
        return EvidenceAhead(self.evidence, serials if reaches(wanted, B_LT) else ())

    def raise_signed(
        self,
        signed: Octets,
        hole: tuple[int, int],
        wanted: str,
        serials: Sequence[str],
        stamped_by: StampedBy | None,
        password: Password = NO_PASSWORD,
        paths: Sequence[Sequence[bytes]] = (),
        ahead: EvidenceAhead | None = None,
    ) -> Raised:
        """Raise a file that we have just signed at B-T. `serials`: our certificates behind its signatures, the newest first; `paths`: those
        of certificates that others have issued for keys of ours, the anchor last.

        `stamped_by`: whose the time-stamp on it is. Raises nothing of its own: the signature exists and was checked, and what was reached
        is handed out. A proof that does not hold is left away like one that cannot be had.
        """
        if not reaches(wanted, B_LT):
            return Raised(signed, B_T)
        try:
            ahead = ahead or self.ahead(serials, wanted)
            signers = [ahead.collect(each) for each in serials] + [self.stranger(path) for path in paths]
            data = self._evidence(signers, stamped_by, archive=wanted == B_LTA)
            plan = ExtensionPlan(data, (vri_name(signed, hole),), password=password)
        except SignerError as error:
            return Raised(signed, B_T, error)
        failure: SignerError | None = None
        if wanted == B_LTA:
            try:
                extended = self.append(signed, plan, stamped=True)
                return Raised(extended.content, B_LTA, renew_at=extended.renew_at)
            except SignerError as error:
                failure = error
        try:
            return Raised(self.append(signed, plan, stamped=False).content, B_LT, failure)
        except SignerError as error:
            return Raised(signed, B_T, error)

    def append(self, pdf: Octets, plan: ExtensionPlan, *, stamped: bool) -> Extended:
        """The file with one revision more: what the plan holds, and a document time-stamp over all of it."""
        octets = self.timestamper.room if stamped else 0
        appended = self.appender.append(pdf, replace(plan, stamp_octets=octets))
        if not stamped:
            if appended.hole is not None or b"/ByteRange" in appended.tail:
                raise OwnOutputBroken("PREPARED_FILE_WRONG")
            return Extended(pdf + appended.tail)
        if appended.hole is None:
            raise OwnOutputBroken("PREPARED_FILE_WRONG")
        return self._stamp(accept_prepared(pdf, appended.tail, appended.hole, appended.field))

    def _stamp(self, prepared: PreparedPdf) -> Extended:
        token = self.timestamper.timestamp_digest(document_digest(prepared, DIGEST))
        output = embed_cms(prepared, token)
        # Nothing leaves that does not verify, from its own octets.
        start, end = prepared.hole
        held = bytes.fromhex(output[start + 1 : end - 1].decode("ascii"))
        hashed = digest_around(output, prepared.hole, DIGEST)
        self.timestamper.check_digest(held[: len(token)], hashed)
        by = self.timestamper.stamped_by(token, hashed)
        return Extended(output, by.renew_at if by is not None else None)

    def _evidence(
        self, signers: Sequence[ValidationData], stamped_by: StampedBy | None, *, archive: bool
    ) -> ValidationData:
        parts = [*signers]
        if stamped_by is not None and stamped_by.serial is None:
            parts.append(self.stranger(stamped_by.path))
        # What comes next is stamped by the same certificate of ours, as a rule: then both are proved at once.
        own = {stamped_by.serial if stamped_by is not None else None, self.timestamper.serial() if archive else None}
        parts += [self.evidence.collect(serial, fresh=False) for serial in own if serial is not None]
        return join(parts)

    def stranger(self, path: Sequence[bytes]) -> ValidationData:
        """What proves a stranger's path, the anchor last; Unavailable when it cannot be had, or may not be asked for."""
        if self.strangers is None:
            raise Unavailable("REVOCATION_UNAVAILABLE", authority="–", reason="FETCH_OFF")
        return self.strangers.collect(path)


def vri_name(pdf: Octets, hole: tuple[int, int]) -> str:
    """The name of a signature in the store: SHA-1 of all of /Contents, padding too (ISO 32000-2 table 262)."""
    contents = bytes.fromhex(pdf[hole[0] + 1 : hole[1] - 1].decode("ascii"))
    return hashlib.sha1(contents, usedforsecurity=False).hexdigest().upper()
