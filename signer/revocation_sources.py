"""Where the state of strangers' certificates is looked for: in the file, kept answers, lists brought here, the network; in this order.

A later source is asked only where no earlier one has an answer that is fresh for the time in question, and the network only
where it is allowed and the time in question is now. Parsing is the judge process's; each answer found becomes a fact with its source.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from signer.errors import SignerError
from signer.fetcher import Exchange, Fetcher
from signer.revocation_cache import MemoryCache, RevocationCache, cache_name
from signer.sandbox import Judge
from signer.validation.dossier import Judged, judge_whole
from signer.validation.errors import FactsUnreadable, SandboxFailure
from signer.validation.facts import (
    CertificateFacts,
    CrlFacts,
    FileFacts,
    PathFacts,
    Source,
    base64_octets,
    decode,
)
from signer.validation.policy import Evidence, OwnStatus, Policy

_LARGEST_ANSWER = 64 * 1024
_LARGEST_LIST = 32 * 1024 * 1024
# A path that nothing could mend: nobody is asked about it.
_HOPELESS = frozenset(
    {"INVALID_MODIFIED", "INVALID_CRYPTO", "INVALID_FORMAT", "UNKNOWN_ISSUER", "UNKNOWN_CHAIN", "UNKNOWN_SIGNER"}
)


@dataclass(frozen=True)
class FetchLimits:
    """What one file may cost in questions to others: seconds for one and for all of them, and how many."""

    seconds: float = 10.0
    total_seconds: float = 20.0
    exchanges: int = 20


@dataclass(frozen=True)
class Completed:
    """Facts with what could be found out besides; what they are worth, where that had to be known on the way."""

    facts: FileFacts
    judged: Judged | None = None


# What lists that were brought to this home say of a certificate of an issuer, both in DER.
Lists = Callable[[bytes, bytes], CrlFacts | None]


@dataclass(frozen=True)
class RevocationSources:
    """The sources behind the file itself. Without `fetcher` nobody is asked."""

    judge: Judge
    anchors: Mapping[str, bytes]
    cache: RevocationCache = field(default_factory=MemoryCache)
    lists: Lists | None = None
    fetcher: Fetcher | None = None
    limits: FetchLimits = FetchLimits()

    def complete(self, facts: FileFacts, own_status: OwnStatus, at: datetime, policy: Policy) -> Completed:
        """The facts with the answers that were missing, as far as they could be had."""
        return _Completing(self, facts, own_status, at, policy).run()


@dataclass(frozen=True)
class _Place:
    """Whose path it is: that of the signature at an index, of a time-stamp on it, or of the file that is a certificate itself (None)."""

    signature: int | None
    token: int | None = None

    def path(self, facts: FileFacts) -> PathFacts | None:
        if self.signature is None:
            return facts.certificate_path
        signature = facts.signatures[self.signature]
        return signature.path if self.token is None else signature.timestamps[self.token].path

    def evidence(self, judged: Judged) -> tuple[tuple[Evidence, ...], str | None]:
        if self.signature is None:
            assert judged.certificate is not None
            return judged.certificate.evidence, judged.certificate.reason
        signature = judged.file.signatures[self.signature]
        if self.token is None:
            return signature.evidence, signature.reason
        token = signature.tokens[self.token]
        return token.evidence, token.reason

    def with_path(self, facts: FileFacts, path: PathFacts) -> FileFacts:
        if self.signature is None:
            return replace(facts, certificate_path=path)
        signature = facts.signatures[self.signature]
        if self.token is None:
            changed = replace(signature, path=path)
        else:
            tokens = list(signature.timestamps)
            tokens[self.token] = replace(tokens[self.token], path=path)
            changed = replace(signature, timestamps=tuple(tokens))
        signatures = list(facts.signatures)
        signatures[self.signature] = changed
        return replace(facts, signatures=tuple(signatures))


class _Completing:
    """One file on its way from source to source."""

    def __init__(
        self, sources: RevocationSources, facts: FileFacts, own_status: OwnStatus, at: datetime, policy: Policy
    ) -> None:
        self._sources = sources
        self._facts = facts
        self._own_status = own_status
        self._at = at
        self._policy = policy
        self._judged: Judged | None = None
        self._left = sources.limits.exchanges
        self._until = time.monotonic() + sources.limits.total_seconds
        self._failed: set[str] = set()

    def run(self) -> Completed:
        if self._sources.lists is not None:
            self._hear_revocations()
        # The newest time-stamp first: what it proves decides for which time the others must be answered for.
        for place in _places(self._facts):
            for step in (self._cached, self._local, self._fetched):
                self._fill(place, step)
        return Completed(self._facts, self._judged)

    def _fill(self, place: _Place, step: Callable[[CertificateFacts, bytes], list[CrlFacts]]) -> None:
        """Ask one source about each certificate of a path that has no answer yet."""
        path = place.path(self._facts)
        if path is None or path.problem:
            return
        for at, certificate in enumerate(path.certificates):
            if not self._is_missing(place, at):
                continue
            issuer = self._issuer(path, at)
            found = step(certificate, issuer) if issuer is not None else []
            if found:
                path = _with_answers(path, at, found)
                self._facts, self._judged = place.with_path(self._facts, path), None

    def _is_missing(self, place: _Place, at: int) -> bool:
        if self._judged is None:
            self._judged = judge_whole(self._facts, self._own_status, self._at, self._policy)
        evidence, reason = place.evidence(self._judged)
        return reason not in _HOPELESS and at < len(evidence) and evidence[at].source is None

    def _issuer(self, path: PathFacts, at: int) -> bytes | None:
        if at + 1 < len(path.certificates):
            return base64_octets(path.certificates[at + 1].der)
        return self._sources.anchors.get(path.anchor_sha256)

    def _cached(self, certificate: CertificateFacts, issuer: bytes) -> list[CrlFacts]:
        kept = [(kind, self._sources.cache.get(name)) for kind, _, name in _questions(certificate)]
        return self._read(
            [(kind, octets) for kind, octets in kept if octets is not None], certificate, issuer, "cached"
        )

    def _local(self, certificate: CertificateFacts, issuer: bytes) -> list[CrlFacts]:
        lists = self._sources.lists
        said = lists(base64_octets(certificate.der), issuer) if lists is not None else None
        return [] if said is None else [said]

    def _hear_revocations(self) -> None:
        """A list that lies here already and is newer than what the file brings is heard where it speaks against a certificate:
        a file must not outrun its revocation with an older answer that is still fresh.
        """
        for place in _places(self._facts):
            path = place.path(self._facts)
            for at, certificate in enumerate(path.certificates if path is not None and not path.problem else ()):
                assert path is not None
                issuer = self._issuer(path, at)
                said = self._local(certificate, issuer) if issuer is not None else []
                if said and said[0].revoked_at is not None:
                    path = _with_answers(path, at, said)
                    self._facts = place.with_path(self._facts, path)

    def _fetched(self, certificate: CertificateFacts, issuer: bytes) -> list[CrlFacts]:
        """OCSP first, then lists; the first answer that is fresh ends it, and is kept."""
        for kind, url, name in _questions(certificate):
            octets = self._ask(kind, url, certificate, issuer)
            found = self._read([(kind, octets)], certificate, issuer, "fetched") if octets else []
            if found:
                self._sources.cache.put(name, octets)
                return found
        return []

    def _ask(self, kind: str, url: str, certificate: CertificateFacts, issuer: bytes) -> bytes:
        fetcher, seconds = self._sources.fetcher, self._until - time.monotonic()
        if fetcher is None or self._left <= 0 or seconds <= 0 or url in self._failed:
            return b""
        self._left -= 1
        seconds = min(seconds, self._sources.limits.seconds)
        wanted = Exchange(url, _LARGEST_LIST, seconds)
        try:
            if kind == "ocsp":
                _, (request,) = self._sources.judge.run(
                    "revocation", {"deed": "ask"}, [base64_octets(certificate.der), issuer]
                )
                wanted = Exchange(
                    url, _LARGEST_ANSWER, seconds, request, "application/ocsp-request", "application/ocsp-response"
                )
            return fetcher.fetch(wanted)
        except (SignerError, SandboxFailure, ValueError):
            # Whoever does not answer is not asked again for this file; no answer is never good.
            self._failed.add(url)
            return b""

    def _read(
        self, answers: Sequence[tuple[str, bytes]], certificate: CertificateFacts, issuer: bytes, source: Source
    ) -> list[CrlFacts]:
        """What answers say, of those that are fresh enough to be any use."""
        if not answers:
            return []
        header = {"deed": "read", "kinds": [kind for kind, _ in answers]}
        blobs = [base64_octets(certificate.der), issuer, *(octets for _, octets in answers)]
        try:
            answer, _ = self._sources.judge.run("revocation", header, blobs)
            said = [decode(CrlFacts, each) for each in answer["said"] if each is not None]
        except (SandboxFailure, FactsUnreadable, KeyError, TypeError):
            return []
        return [replace(each, source=source) for each in said]


def _places(facts: FileFacts) -> Iterator[_Place]:
    """Document time-stamps, newest first; time-stamps on signatures; signatures; a bare certificate."""
    signatures = facts.signatures
    order = sorted(range(len(signatures)), key=lambda at: signatures[at].revision_end or 0, reverse=True)
    yield from (_Place(at) for at in order if signatures[at].type == "timestamp")
    for at in order:
        yield from (_Place(at, token) for token in range(len(signatures[at].timestamps)))
    yield from (_Place(at) for at in order if signatures[at].type != "timestamp")
    if facts.certificate is not None:
        yield _Place(None)


def _questions(certificate: CertificateFacts) -> Iterator[tuple[str, str, str]]:
    """Kind, address and name in the cache of what can be asked about a certificate, OCSP first."""
    for url in certificate.ocsp_addresses:
        yield "ocsp", url, cache_name(url, certificate.sha256)
    for url in certificate.crl_addresses:
        yield "crl", url, cache_name(url, "")


def _with_answers(path: PathFacts, at: int, said: Sequence[CrlFacts]) -> PathFacts:
    certificates = list(path.certificates)
    certificates[at] = replace(certificates[at], crls=(*certificates[at].crls, *said))
    return replace(path, certificates=tuple(certificates))


def is_now(at: datetime, now: datetime) -> bool:
    """Whether the time in question is now: about another, nobody answers what was true then."""
    return abs(now - at) <= timedelta(minutes=1)
