"""The stored seeds, changed again and again: every reader of strangers' octets answers or refuses, soon, and calls nothing valid that was changed.

A few seconds a reader in CI, `make fuzz` for as long as is wanted (ANTIN_FUZZ_SECONDS a reader). What is found becomes a test with a name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import time
from collections.abc import Callable

import pytest

from pki import ocsp_request
from pki.tsa import request as tsa_request
from pki.tsa.request import RequestRefused
from signer.errors import SignerError
from signer.trust_file import read_store
from signer.validation.bare import judge_bare
from signer.validation.content import content_of
from signer.validation.door import gather
from signer.validation.errors import InputsUnreadable
from signer.validation.facts import FileFacts, TrustAnchor, ValidationInputs
from signer.validation.policy import JudgedFile, judge_file, load_policy
from tests.attacks.cms_files import TEXT
from tests.attacks.pki import NOW
from tests.attacks.seeds import FOLDER

SECONDS = float(os.environ.get("ANTIN_FUZZ_SECONDS", "3"))
SEEDS = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir())}
LONGEST = 5.0
POLICY = load_policy()
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


def judged(facts: FileFacts) -> JudgedFile:
    assert FileFacts.from_json(facts.to_json()) == facts
    judge = judge_file if facts.bare is None or facts.unreadable else judge_bare
    return judge(facts, lambda _: None, NOW, POLICY)


def whole_file(octets: bytes, seed: str) -> None:
    """A file through the door. A PDF that is valid signs all of itself; of the others the octets that were signed are still there."""
    beside = content_of(TEXT) if seed in ("detached.p7s", "stamp.tsr") else None
    verdict = judged(
        gather(octets, ValidationInputs(NOW, INPUTS.anchors, (SEEDS["issuing.cer"],), INPUTS.crls, content=beside))
    )
    if verdict.conclusion == "valid" and seed.endswith((".p7m", ".p7s")):
        signer = verdict.signatures[0].facts.signer
        assert signer is not None
        assert (TEXT in octets) is (beside is None)


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


@pytest.mark.parametrize("reader", READERS)
def test_a_changed_seed_gets_an_answer_soon(reader: str) -> None:
    read, seeds = READERS[reader]
    # The same walk in CI every time; another one each time where hours are asked for.
    dice = random.Random(reader if "ANTIN_FUZZ_SECONDS" not in os.environ else None)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        seed = dice.choice(seeds)
        octets = changed(SEEDS[seed], dice)
        begun = time.monotonic()
        try:
            read(octets, seed)
        except Exception as error:
            raise AssertionError(f"{reader}: {type(error).__name__} for {octets.hex()}") from error
        assert time.monotonic() - begun < LONGEST, octets.hex()


def test_the_seeds_themselves_are_good() -> None:
    for name in ("signed.pdf", "attached.p7m", "armoured.pem", "long-term.p7m", "countersigned.p7m", "with-answer.p7m"):
        assert judged(gather(SEEDS[name], INPUTS)).conclusion == "valid", name
    assert sum(map(len, SEEDS.values())) < 200_000
