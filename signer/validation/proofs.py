"""Proofs of existence: which time-stamps of a file hold, and what they prove about when each signature was made.

The newest time-stamp is judged at the time in question; an older one at the time that a newer one proves for it, and so
down to the signatures (EN 319 102-1 5.5 and 5.6). A time-stamp that does not hold only takes its proof away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from signer.validation.facts import SignatureFacts, TokenFacts
from signer.validation.standing import Answer, Evidence, Moment, OwnStatus, Policy, algorithm_reason, standing_at

# RFC 3161 4: after a revocation for these reasons, what was stamped before it remains good.
_HARMLESS = frozenset({"affiliationChanged", "superseded", "cessationOfOperation"})


@dataclass(frozen=True)
class Proof:
    """What time-stamps prove about one signature.

    `existed`: it was there at this time (the earliest). `made_after`: it covers a token of this time (the latest), so it
    was made later.
    """

    existed: datetime | None = None
    made_after: datetime | None = None


NO_PROOF = Proof()


class Proofs:
    """The proofs in one file. `intact` are the document time-stamps whose own bytes and ranges were found whole."""

    def __init__(
        self,
        signatures: Sequence[SignatureFacts],
        intact: Sequence[SignatureFacts],
        own_status: OwnStatus,
        at: datetime,
        policy: Policy,
    ) -> None:
        self._own_status = own_status
        self._at = at
        self._policy = policy
        # End of the stamped revision and time, of everything that holds: document time-stamps, then signature time-stamps.
        self._documents: list[tuple[int, datetime]] = []
        self._tokens: list[tuple[int, datetime]] = []
        whole = [stamp for stamp in intact if stamp.revision_end is not None]
        for stamp in sorted(whole, key=lambda each: each.revision_end or 0, reverse=True):
            token = document_token(stamp)
            if token.time is not None and self.judge_token(token, stamp.revision_end) is None:
                self._documents.append((stamp.revision_end or 0, token.time))
        self._own_tokens = {
            id(signature): self._holding(signature) for signature in signatures if signature.type == "signature"
        }
        for signature in signatures:
            times = self._own_tokens.get(id(signature), [])
            if signature.revision_end is not None:
                self._tokens += [(signature.revision_end, time) for time in times]

    def of(self, signature: SignatureFacts) -> Proof:
        """What is proved about one of the file's signatures."""
        end = signature.revision_end
        if end is None:
            # No revision (a CMS file): its own time-stamps are all that can speak for it.
            return Proof(existed=min(self._own_tokens.get(id(signature), []), default=None))
        covering = [time for stamped, time in self._documents if stamped > end]
        covered = [time for stamped, time in (*self._documents, *self._tokens) if stamped < end]
        return Proof(
            existed=min((*self._own_tokens.get(id(signature), []), *covering), default=None),
            made_after=max(covered, default=None),
        )

    def judge_token(self, token: TokenFacts, end: int | None) -> Answer:
        """What speaks against a token that stands in the revision ending at `end`; None when it holds."""
        if token.digest_ok is False:
            return "INVALID_MODIFIED", "HASH_FAILURE"
        if token.signature_ok is False:
            return "INVALID_CRYPTO", None
        if token.problem or not token.digest_ok or not token.signature_ok or token.time is None:
            return "INVALID_FORMAT", None
        # RFC 3161 2.4.2: the signing-certificate attribute is a MUST.
        if token.signer is None or token.ess != "ok":
            return "UNKNOWN_SIGNER", None
        moment = self._moment(end)
        weak = algorithm_reason(token, self._policy, moment.then)
        return weak or self._judge_certificate(token, token.time, moment)

    def _judge_certificate(self, token: TokenFacts, time: datetime, moment: Moment) -> Answer:
        assert token.signer is not None
        if token.path is None:
            return "UNKNOWN_ISSUER", None
        if token.path.problem:
            return "UNKNOWN_CHAIN", None
        # RFC 3161 2.3: for time-stamping and for nothing else, and critical.
        if token.signer.extended_key_usage != ("time_stamping",) or not token.signer.extended_key_usage_critical:
            return "UNKNOWN_KEY_USAGE", None
        chain = token.path.certificates or (token.signer,)
        if time > moment.then:
            return "UNKNOWN_TIME", None  # a token that claims to be younger than its own proof
        if any(time < certificate.not_before for certificate in chain):
            return "INVALID_NOT_YET_VALID", None
        if any(moment.then > certificate.not_after for certificate in chain):
            return "UNKNOWN_EXPIRED_NO_TIME", None
        standing = standing_at(token.path, self._own_status, moment, self._policy)
        if standing.state == "revoked":
            harmless = standing.link == 0 and standing.reason in _HARMLESS
            if harmless and standing.since is not None and time < standing.since:
                return None
            return "UNKNOWN_REVOKED_NO_TIME", "REVOKED_NO_POE" if standing.link == 0 else "REVOKED_CA_NO_POE"
        if standing.state == "suspended":
            return "UNKNOWN_SUSPENDED", None
        return None if standing.state == "good" else ("UNKNOWN_REVOCATION", None)

    def evidence(self, token: TokenFacts, end: int | None) -> tuple[Evidence, ...]:
        """What is relied on about whoever made a token."""
        return standing_at(token.path, self._own_status, self._moment(end), self._policy).evidence

    def _moment(self, end: int | None) -> Moment:
        """When what stands in a revision is known to have existed, by the document time-stamps over it; else the time in question."""
        times = [time for stamped, time in self._documents if end is not None and stamped > end]
        return Moment(min((*times, self._at)), self._at)

    def _holding(self, signature: SignatureFacts) -> list[datetime]:
        """Times of the signature's own time-stamps that hold."""
        return [
            token.time
            for token in signature.timestamps
            if token.time is not None and self.judge_token(token, signature.revision_end) is None
        ]


def document_token(stamp: SignatureFacts) -> TokenFacts:
    """The token of a document time-stamp, in the words that both kinds are judged by."""
    return TokenFacts(
        problem=stamp.problem,
        digest_ok=stamp.digest_ok,
        signature_ok=stamp.signature_ok,
        ess=stamp.ess,
        digest_algorithm=stamp.digest_algorithm,
        signature_algorithm=stamp.signature_algorithm,
        pairing_ok=stamp.pairing_ok,
        time=stamp.claimed_time,
        signer=stamp.signer,
        path=stamp.path,
    )
