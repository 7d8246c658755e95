"""Stored seeds, changed again and again, for every reader of strangers' octets: it answers or refuses, soon, and calls nothing valid that was changed.

`python -m tests.attacks.fuzzing SECONDS [READER...]` spends so many seconds of processor time, on two processors, on all readers alike.
`make test` does so for two minutes beside the tests, the same walk every time; `make fuzz` for as long as is wanted, another walk each time. What is
found is kept in a file whose name it says, and becomes a test with a name.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pki import ocsp_request
from pki.tsa import request as tsa_request
from pki.tsa.failure import RequestRefused
from signer.errors import SignerError
from signer.trust_file import read_store
from signer.validation.bare import judge_bare
from signer.validation.content import content_of
from signer.validation.door import gather
from signer.validation.errors import InputsUnreadable
from signer.validation.facts import FileFacts, TrustAnchor, ValidationInputs
from signer.validation.policy import JudgedFile, judge_file, load_policy
from tests.attacks.cms_files import TEXT
from tests.attacks.der_changes import changed_der
from tests.attacks.pki import NOW
from tests.attacks.seeds import FOLDER

PROCESSES = 2
_MEMORY = 2 * 1024 * 1024 * 1024
SEEDS = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir())}
# So many seconds of processor time for one file, and then it is a find; twice as many, and it is stopped.
LONGEST = 5.0
POLICY = load_policy()
DER = {name: octets for name, octets in SEEDS.items() if not name.endswith((".pdf", ".pem"))}
# What DER and PDF are made of: tags, lengths that lie, object identifiers' beginnings, words.
PIECES = (
    b"\x30\x80", b"\x31\x80", b"\x00\x00", b"\x04\x84\xff\xff\xff\xff", b"\x30\x84\x7f\xff\xff\xff", b"\x02\x01\x00", b"\x05\x00", b"\x06\x03\x55\x1d",
    b"\xa0\x80", b"\xa1\x82\xff\xff", b"\x24\x80", b"\x17\x0d999999999999Z", b"\x1f\xff\xff\xff\x7f", b"%%EOF", b"startxref", b"/ByteRange [0 0 0 0]",
    b"endobj", b" 0 R", b"-1", b"99999999999", b"<<", b">>", b"-----BEGIN CMS-----\n", b"\xff" * 8,
)  # fmt: skip
INPUTS = ValidationInputs(
    at=NOW,
    anchors=(TrustAnchor(SEEDS["root.cer"], "internal"),),
    crls=(SEEDS["root.crl"], SEEDS["issuing.crl"]),
    content=None,
)


def changed(octets: bytes, dice: random.Random) -> bytes:
    """One to four changes: an octet, a piece put in or over, a part left out, doubled, or moved from another seed."""
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(octets) + 1)
        to = min(len(octets), at + dice.randrange(1, 60))
        kind = dice.randrange(6)
        if kind == 0 and at < len(octets):
            octets = octets[:at] + bytes([octets[at] ^ (1 << dice.randrange(8))]) + octets[at + 1 :]
        elif kind == 1:
            piece = dice.choice(PIECES)
            octets = octets[:at] + piece + octets[at + len(piece) * dice.randrange(2) :]
        elif kind == 2:
            octets = octets[:at] + octets[to:]
        elif kind == 3:
            octets = octets[:to] + octets[at:to] * dice.randint(1, 3) + octets[to:]
        elif kind == 4:
            other = dice.choice(list(SEEDS.values()))
            start = dice.randrange(len(other))
            octets = octets[:at] + other[start : start + dice.randrange(1, 200)] + octets[to:]
        else:
            octets = octets[:at] + bytes(dice.randrange(256) for _ in range(dice.randrange(1, 6))) + octets[at:]
    return octets


def in_either_way(seed: str, dice: random.Random) -> bytes:
    """A seed changed octet by octet, or, where it is DER, mostly by elements."""
    if seed in DER and dice.randrange(4):
        return changed_der(SEEDS[seed], dice, list(DER.values()))
    return changed(SEEDS[seed], dice)


def judged(facts: FileFacts) -> JudgedFile:
    assert FileFacts.from_json(facts.to_json()) == facts
    judge = judge_file if facts.bare is None or facts.unreadable else judge_bare
    return judge(facts, lambda _: None, NOW, POLICY)


def whole_file(octets: bytes, seed: str) -> None:
    """A file through the door. A PDF that is valid signs all of itself; of the others that hold what was signed, its octets are still there.

    (A certificate that a file brings may hold anything, and so nothing is said of those that are signed beside it.)
    """
    beside = content_of(TEXT) if seed in ("detached.p7s", "stamp.tsr") else None
    verdict = judged(
        gather(octets, ValidationInputs(NOW, INPUTS.anchors, (SEEDS["issuing.cer"],), INPUTS.crls, content=beside))
    )
    if verdict.conclusion == "valid" and seed.endswith((".p7m", ".p7s")):
        signer = verdict.signatures[0].facts.signer
        assert signer is not None
        assert TEXT in octets or beside is not None


def list_given(octets: bytes, _: str) -> None:
    with contextlib.suppress(InputsUnreadable):
        crls = (SEEDS["root.crl"], octets)
        gather(SEEDS["attached.p7m"], ValidationInputs(NOW, INPUTS.anchors, (), crls))


def status_asked(octets: bytes, _: str) -> None:
    with contextlib.suppress(ValueError):
        assert ocsp_request.parse_request(octets) is not None


def stamp_asked(octets: bytes, _: str) -> None:
    with contextlib.suppress(RequestRefused):
        assert tsa_request.parse_request(octets) is not None


def store_given(octets: bytes, _: str) -> None:
    with contextlib.suppress(SignerError):
        store = read_store(octets, hashlib.sha256(SEEDS["keeper.cer"]).digest(), NOW)
        assert store.version == 3


# Reader, and the seeds that it is given.
READERS: dict[str, tuple[Callable[[bytes, str], None], tuple[str, ...]]] = {
    "gate": (whole_file, ("signed.pdf",)),
    "cms": (whole_file, ("attached.p7m", "detached.p7s", "armoured.pem", "long-term.p7m", "countersigned.p7m")),
    "ocsp answer": (whole_file, ("with-answer.p7m",)),
    "time-stamp": (whole_file, ("stamp.tsr",)),
    "certificate": (whole_file, ("officer.cer",)),
    "list": (list_given, ("issuing.crl",)),
    "ocsp request": (status_asked, ("question.ocsp",)),
    "time-stamp request": (stamp_asked, ("question.tsq",)),
    "trust store": (store_given, ("anchors.store",)),
}


class Find(Exception):
    """What a reader did with octets, and they."""

    def __init__(self, reader: str, what: str, octets: bytes) -> None:
        super().__init__(reader, what, octets)
        self.reader, self.what, self.octets = reader, what, octets

    def __str__(self) -> str:
        return f"{self.reader}: {self.what} for {self.octets.hex()}"


def walk(reader: str, seconds: float, dice: random.Random) -> int:
    """Give a reader changed seeds for so many seconds of processor time; how many, or Find."""
    read, seeds = READERS[reader]
    count, end = 0, time.process_time() + seconds
    while time.process_time() < end:
        seed = dice.choice(seeds)
        octets = in_either_way(seed, dice)
        begun = time.process_time()
        try:
            read(octets, seed)
        except Exception as error:
            raise Find(reader, type(error).__name__, octets) from error
        if time.process_time() - begun > LONGEST:
            raise Find(reader, f"more than {LONGEST:g} s", octets)
        count += 1
    return count


@dataclass(frozen=True)
class Share:
    """A part of the work: so much of a reader's time, by dice of its own."""

    reader: str
    seconds: float
    dice: str | None


def spend(share: Share) -> tuple[Share, int, Find | None]:
    """A reader that does not come back is a find as well."""
    signal.signal(signal.SIGVTALRM, _too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, share.seconds + 2 * LONGEST)
    try:
        return share, walk(share.reader, share.seconds, random.Random(share.dice)), None
    except Find as find:
        return share, 0, find
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _bound() -> None:
    """Whoever takes all memory is a find."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _too_long(_signal: int, _frame: object) -> None:
    raise TimeoutError


def main() -> int:
    """Spend the seconds; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.fuzzing", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("seconds", type=float)
    parser.add_argument("reader", nargs="*", choices=[*READERS, []])
    parser.add_argument("--another-walk", action="store_true", help="not the same changes as every time")
    options = parser.parse_args()
    readers = options.reader or list(READERS)
    each = options.seconds / len(readers) / PROCESSES
    shares = [
        Share(reader, each, None if options.another_walk else f"{reader} {number}")
        for reader in readers
        for number in range(PROCESSES)
    ]
    counts = dict.fromkeys(readers, 0)
    finds: list[Find] = []
    with multiprocessing.get_context("spawn").Pool(PROCESSES, _bound) as pool:
        for share, count, find in pool.imap_unordered(spend, shares):
            counts[share.reader] += count
            if find is not None:
                finds.append(find)
    for reader, count in counts.items():
        print(f"{reader:<20} {count:>8} changed seeds in {2 * each:.1f} s")
    for find in finds:
        kept = Path(f"fuzz-{hashlib.sha256(find.octets).hexdigest()[:12]}.bin")
        kept.write_bytes(find.octets)
        print(f"FOUND {find.reader}: {find.what}; the octets are in {kept}")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
