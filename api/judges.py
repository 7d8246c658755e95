"""A pool of judge processes for one process that works on many files: each call gets one that is free, or waits for its turn."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from api.errors import RequestError
from certs.clock import Clock
from certs.db import Database
from signer.appearance.fonts import EmbeddedFont
from signer.judging import JudgeDesk, Leaning
from signer.octets import Octets
from signer.password import NO_PASSWORD, Password
from signer.plan import Plan, Prepared
from signer.rendition_strip import Strip
from signer.sandbox import Judge, Limits
from signer.sandbox_relay import RelayedJudge
from signer.signing_parts import EarlierSignatures
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.validation.policy import Policy
from signer.validation.verdict import Verdict


class JudgePool:
    """Judging desks, each with a judge process of its own. Any thread may call."""

    def __init__(
        self,
        size: int,
        limits: Limits,
        database: Database,
        clock: Clock,
        stamp_anchors: Sequence[TrustAnchor] = (),
        leaning: Leaning | None = None,
        *,
        preload: str = "gather",
        first: Judge | None = None,
    ) -> None:
        """`first`: one that runs already is the pool's from here on."""
        self._judges = [first] if first is not None else []
        self._judges += [RelayedJudge(limits, preload=(preload,)) for _ in range(size - len(self._judges))]
        # The one used last comes first: it is the one that has everything loaded, and a quiet service needs no other.
        self._free: queue.LifoQueue[JudgeDesk] = queue.LifoQueue()
        for judge in reversed(self._judges):
            self._free.put(JudgeDesk(judge, database, clock, stamp_anchors, leaning))
        self._clock = clock
        self._wait_seconds = limits.wall_seconds

    def start(self) -> None:
        """Start the first process, so that the first file does not wait for its imports. Returns at once."""
        self._judges[0].start()

    def verify(
        self,
        pdf: Octets,
        name: str,
        password: Password = NO_PASSWORD,
        policy: Policy | None = None,
        at: datetime | None = None,
        content: Octets | None = None,
    ) -> Verdict:
        """The verdict on one file; RequestError BUSY when no process comes free in time."""
        extra = ValidationInputs(at or self._clock.now(), password=password)
        with self._borrowed() as desk:
            return desk.verify(pdf, name, at=at, extra=extra, policy=policy, content=content)

    def prepare(self, pdf: Octets, plan: Plan) -> Prepared:
        """A revision appended to one file (signer/signing_parts.py, Preparer)."""
        with self._borrowed() as desk:
            return desk.prepare(pdf, plan)

    def render(self, pdf: Octets, strip: Strip, fonts: Sequence[EmbeddedFont]) -> bytes:
        """The print rendition of one file."""
        with self._borrowed() as desk:
            return desk.render(pdf, strip, fonts)

    def earlier_signatures(self, pdf: Octets, password: Password = NO_PASSWORD) -> EarlierSignatures:
        """What one file's signatures are worth."""
        with self._borrowed() as desk:
            return desk.earlier_signatures(pdf, password)

    def close(self) -> None:
        """End every process, also those that are in the middle of a file."""
        for judge in self._judges:
            judge.abort()
        for judge in self._judges:
            judge.close()

    @contextmanager
    def _borrowed(self) -> Iterator[JudgeDesk]:
        try:
            desk = self._free.get(timeout=self._wait_seconds)
        except queue.Empty:
            raise RequestError("BUSY") from None
        try:
            yield desk
        finally:
            self._free.put(desk)
