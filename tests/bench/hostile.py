"""Files that want time or memory instead of a verdict, given to judges as a service has them that nobody has set: how long, how much, and whether the next one waits."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from api.ahead import serving_limits
from api.settings import Settings
from signer.sandbox_relay import RelayedJudge
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.validation.policy import load_policy
from signer.verification import Known, Verifier, verify_file
from tests.attacks import documents
from tests.attacks.families import all_attacks
from tests.attacks.pki import NOW, Pki, build_pki
from tests.bench.measure import Row
from tests.fakes.clock import FixedClock
from tests.integration.test_sandbox import HOSTILE_FILES


class _Watch:
    """The most memory that any child of this process had, looked at a hundred times a second."""

    def __init__(self) -> None:
        self.most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        children = Path(f"/proc/{os.getpid()}/task")
        while not self._ended.wait(0.01):
            for task in children.iterdir():
                try:
                    pids = (task / "children").read_text().split()
                    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
                except OSError:
                    continue
                for status in statuses:
                    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
                    self.most = max(self.most, int(peak))


def run(*, full: bool = False) -> list[Row]:
    """Every kind once; each must end in an answer. A good file follows each, and is to be answered as if nothing had been."""
    pki = build_pki()
    files = {name: make() for name, make in HOSTILE_FILES.items()}
    files |= {each.name: each.pdf for each in all_attacks(pki) if each.name.startswith(("bomb_", "loop_", "ring_"))}
    good = documents.sign(documents.page_pdf(), pki.officer)
    watch = _Watch()
    try:
        with RelayedJudge(serving_limits(Settings()), preload=("gather",)) as judge:
            verifier = _verifier(judge, pki)
            alone = sorted(_timed(good, verifier) for _ in range(60 if full else 20))[-2]
            taken, behind = [], []
            for pdf in files.values():
                taken.append(_timed(pdf, verifier, valid=False))
                behind.append(_timed(good, verifier))
    finally:
        watch.close()
    slowest, most, next_one = max(taken), watch.most / 1024, max(behind)
    return [
        Row(f"the slowest of {len(files)} hostile files, peer: 10 s", round(slowest, 2), 10.0, round(10 / slowest, 2), "s", len(files), 1.0),
        Row("the most memory that one takes, peer: 512 MB", round(most), 512.0, round(512 / most, 2), "MB", len(files), 1.0),
        Row(
            f"the slowest file behind a hostile one, {alone * 1000:.0f} ms elsewhere, peer: 1 s",
            round(next_one, 3), 1.0, round(1 / next_one, 2), "s", len(files), 1.0,
        ),
    ]  # fmt: skip


def _verifier(judge: RelayedJudge, pki: Pki) -> Verifier:
    inputs = ValidationInputs(at=NOW, anchors=(TrustAnchor(pki.root.der, "internal"),), crls=pki.crls())
    return Verifier(judge, inputs, lambda _certificates, _revisions: Known(), FixedClock(NOW), load_policy())


def _timed(pdf: bytes, verifier: Verifier, *, valid: bool = True) -> float:
    begun = time.perf_counter()
    verdict = verify_file(pdf, "file.pdf", verifier)
    taken = time.perf_counter() - begun
    assert (verdict.conclusion == "valid") is valid, verdict.reason
    return taken
