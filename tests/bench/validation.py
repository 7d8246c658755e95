"""Judging a file beside pyHanko's own validation of it: one signature with its path and lists, the older of two in a long file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from certs.clock import Clock
from signer.sandbox import Judge, Limits
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.validation.policy import load_policy
from signer.validation.verdict import Verdict
from signer.verification import Known, Verifier, verify_file
from tests.attacks import documents
from tests.attacks.pki import NOW, Pki, build_pki
from tests.bench.measure import Row, faster, interleaved
from tests.bench.validation_peer import Peer
from tests.fakes.clock import FixedClock


def run(*, full: bool = False) -> list[Row]:
    """Both judge the same octets with the same anchor, lists and moment, and must come to the same answer."""
    pki = build_pki()
    small = documents.sign(documents.page_pdf(), pki.officer)
    long = documents.sign(documents.page_pdf(pages=1000), pki.officer)
    twice = documents.sign(long, pki.seal, "Sig2")
    rounds = 20 if full else 7
    limits = Limits(cpu_seconds=10, wall_seconds=60, memory_bytes=512 * 1024 * 1024)
    believed = (pki.root.der, pki.issuing.der, pki.crls(), NOW)
    with Judge(limits, preload=("gather",)) as judge, Peer(*believed, (small, twice)) as peer:
        verifier = _verifier(judge, pki, FixedClock(NOW))
        return [
            _compared(
                "judge one signature, 20 KB, path and CRLs", small, verifier, partial(peer.judge, 0, 0), rounds * 5, 1.7
            ),
            _compared("judge the older of two, 1,000 pages", twice, verifier, partial(peer.judge, 1, 0), rounds, 8.0),
        ]


def _verifier(judge: Judge, pki: Pki, clock: Clock) -> Verifier:
    inputs = ValidationInputs(at=NOW, anchors=(TrustAnchor(pki.root.der, "internal"),), crls=pki.crls())
    return Verifier(judge, inputs, lambda _certificates, _revisions: Known(), clock, load_policy())


def _compared(
    name: str, pdf: bytes, verifier: Verifier, peer: Callable[[], tuple[bool, str]], rounds: int, goal: float
) -> Row:
    """Of the first signature in the file."""

    def ours() -> Verdict:
        return verify_file(pdf, "file.pdf", verifier)

    verdict, (good, summary) = ours(), peer()
    assert verdict.judged.signatures[0].conclusion == "valid", verdict.reason
    assert good, summary
    calls: list[Callable[[], object]] = [ours, peer]
    mine, theirs = interleaved(calls, rounds)
    return faster(name, mine, theirs, rounds, goal)
