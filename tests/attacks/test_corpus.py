"""The seeds of fuzzing are good, every reader bears a few changes of them, and what a reader should not do is found.

The walk of two minutes is `python -m tests.attacks.fuzzing`, beside the tests.
"""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from pki import ocsp_request
from signer.validation.door import gather
from tests.attacks import fuzzing
from tests.attacks.der_changes import changed_der, elements
from tests.attacks.fuzzing import DER, INPUTS, READERS, SEEDS, Find, judged, walk

SECONDS = 0.4


@pytest.mark.parametrize("reader", READERS)
def test_a_changed_seed_gets_an_answer_soon(reader: str) -> None:
    assert walk(reader, SECONDS, random.Random(reader)) > 0


def test_the_seeds_themselves_are_good() -> None:
    for name in ("signed.pdf", "attached.p7m", "armoured.pem", "long-term.p7m", "countersigned.p7m", "with-answer.p7m"):
        assert judged(gather(SEEDS[name], INPUTS)).conclusion == "valid", name
    assert sum(map(len, SEEDS.values())) < 200_000


def test_changes_by_elements_come_past_the_outermost_length() -> None:
    dice = random.Random(8)
    assert all(b"".join(each.encoded() for each in elements(octets)) == octets for octets in DER.values())
    within = 0
    for _ in range(300):
        try:
            ocsp_request.parse_request(changed_der(DER["question.ocsp"], dice, list(DER.values())))
        except ValueError as error:
            within += "last element" not in str(error) and "longer than what holds it" not in str(error)
    assert within > 150


def test_what_a_reader_raises_unasked_is_a_find(monkeypatch: pytest.MonkeyPatch) -> None:
    def weak(octets: bytes, _: str) -> None:
        if len(octets) % 7 == 0:
            raise KeyError("signer")

    monkeypatch.setitem(READERS, "weak", (weak, ("signed.pdf",)))
    with pytest.raises(Find, match="weak: KeyError for 25") as found:
        walk("weak", 5, random.Random(1))
    assert len(found.value.octets) % 7 == 0
    share, _, find = fuzzing.spend(fuzzing.Share("weak", 5, "1"))
    assert share.reader == "weak"
    assert find is not None
    assert find.what == "KeyError"


def test_all_readers_have_their_share_of_the_time() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.attacks.fuzzing", "4"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert [line[:20].strip() for line in lines] == list(READERS)
    assert all(int(line[20:].split()[0]) > 0 for line in lines), lines
