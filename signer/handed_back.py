"""What a signature that was made elsewhere makes of a prepared file: judged as people will judge it, and raised as far as it can be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from signer.errors import InputUnreadable, OwnOutputBroken, Refused, SignerError, Unavailable
from signer.extending import Raised
from signer.given import Given
from signer.levels import LEVELS, reaches
from signer.octets import Octets
from signer.password import Password
from signer.prepared import PreparedDocument
from signer.subfilters import PADES
from signer.upgrading import UpgradeDeps, raise_file
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.verification import LOCKED, verify_file

_SOUND = frozenset({"VALID", "VALID_EXTENDED"})


@dataclass(frozen=True)
class HandedBack:
    """A prepared document with what somebody brought for it. `certificate`: the announced one, in DER."""

    one: PreparedDocument
    given: Given
    certificate: bytes
    upgrading: Callable[[ValidationInputs | None], UpgradeDeps]
    now: datetime

    def check(self, signed: Octets) -> str:
        """The level the file has; Refused unless the announced certificate signed it well."""
        one = self.one
        verdict = verify_file(signed, "", self.upgrading(self._inputs()).verifier())
        if verdict.reason in LOCKED:
            raise Refused(LOCKED[verdict.reason])
        if verdict.reason == "JUDGE_UNAVAILABLE":
            raise Unavailable("JUDGE_UNAVAILABLE")
        judged = next((each for each in verdict.judged.signatures if each.facts.field == one.field), None)
        if judged is None:
            raise InputUnreadable("INPUT_DAMAGED", kind=verdict.reason)
        facts = judged.facts
        if facts.signer is None or facts.signer.sha256 != hashlib.sha256(self.certificate).hexdigest():
            raise Refused("PREPARED_SIGNED_BY_ANOTHER", id=one.id, subject=facts.signer.subject if facts.signer else "")
        if facts.signature_ok is False:
            raise Refused("PREPARED_SIGNATURE_WRONG", id=one.id, algorithm=facts.signature_algorithm or "")
        unbound = one.subfilter == PADES and facts.ess != "ok"
        whole = judged.integrity == "intact" and facts.coverage == "whole-file"
        if judged.reason not in self._sound() or unbound or not whole:
            raise Refused("PREPARED_NOT_SOUND", id=one.id, reason=judged.reason)
        return facts.reached

    def raised(self, signed: Octets, reached: str) -> Raised:
        """The file as high as it can be had now; the signature is never lost for it."""
        failure: SignerError | None = None
        for wanted in reversed(LEVELS):
            if reaches(reached, wanted):
                break
            if not reaches(self.one.level, wanted):
                continue
            try:
                raised = raise_file(signed, wanted, self.upgrading(self._inputs()))
                return Raised(raised.content, wanted, failure, raised.renew_at)
            except OwnOutputBroken:
                raise
            except SignerError as error:
                failure = failure or error
        return Raised(signed, reached, failure)

    def _sound(self) -> frozenset[str]:
        """What a signature may be and still leave the house: of somebody else's certificate the state, or who issued it, may be unknown."""
        if not self.one.certificates:
            return _SOUND
        named = bool(self.one.anchors or self.given.anchors)
        return _SOUND | ({"UNKNOWN_REVOCATION"} if named else {"UNKNOWN_REVOCATION", "UNKNOWN_ISSUER"})

    def _inputs(self) -> ValidationInputs | None:
        """What the signer's certificate is judged by besides what this installation knows, and what opens the file."""
        one, given = self.one, self.given
        anchors: Sequence[TrustAnchor] = (*(TrustAnchor(each, "unknown") for each in one.anchors), *given.anchors)
        password: Password = given.password
        if not (anchors or given.crls or one.certificates or password):
            return None
        return ValidationInputs(self.now, tuple(anchors), one.certificates[1:], given.crls, password)
