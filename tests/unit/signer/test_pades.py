"""signer/pades.py: nothing that the preparing process says about its own output is believed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest

from signer.errors import OwnOutputBroken
from signer.pades import PreparedPdf, accept_prepared, check_output, document_digest, embed_cms, sign_prepared
from signer.plan import Plan, Prepared
from tests.fakes.clock import START
from tests.signing_world import SigningWorld, plain_paper

PAPER = plain_paper("A paper of the agency")


@pytest.fixture
def prepared(signing: SigningWorld) -> Prepared:
    octets = signing.deps.desk.usable("officer").template.reserved_octets()
    return signing.judging.prepare(PAPER, Plan("signature", START, octets, placement="none"))


def accepted(prepared: Prepared) -> PreparedPdf:
    return accept_prepared(PAPER, prepared.tail, prepared.hole, prepared.field)


def test_an_honest_answer_is_accepted_behind_the_very_octets_that_were_given(prepared: Prepared) -> None:
    ready = accepted(prepared)
    assert ready.content == PAPER + prepared.tail
    start, end = ready.hole
    assert ready.content[start : start + 1] + ready.content[end - 1 : end] == b"<>"
    outside = ready.content[:start] + ready.content[end:]
    assert document_digest(ready, "sha256") == hashlib.sha256(outside).digest()


def lies(honest: Prepared) -> dict[str, Prepared]:
    """Answers of a preparing process that somebody has taken over."""
    start, end = honest.hole
    base = len(PAPER)
    tail = honest.tail
    found = re.search(rb"/ByteRange\s*\[[^\]]*\]", tail)
    assert found is not None
    byte_range = found.group()
    filled = tail[: start - base + 1] + b"ab" + tail[start - base + 3 :]
    numbers = byte_range.split(b"[")[1].split(b"]")[0].split()
    wrong_range = byte_range.replace(numbers[3], b"9" * len(numbers[3]))
    return {
        "hole one octet too early": replace(honest, hole=(start - 1, end)),
        "hole one octet too long": replace(honest, hole=(start, end + 1)),
        "hole shorter on both sides": replace(honest, hole=(start + 1, end - 1)),
        "hole within the input": replace(honest, hole=(10, 20)),
        "hole begins in the input": replace(honest, hole=(base - 4, end)),
        "hole behind the end": replace(honest, hole=(start + len(tail), end + len(tail))),
        "hole turned round": replace(honest, hole=(end, start)),
        "negative hole": replace(honest, hole=(-5, end)),
        "empty hole": replace(honest, hole=(start, start)),
        "hole that is not empty": replace(honest, tail=filled),
        "two byte ranges": replace(honest, tail=tail + b"\n%" + byte_range + b"\n"),
        "no byte range": replace(honest, tail=tail.replace(b"/ByteRange", b"/ByteRangf")),
        "byte range that leaves the end out": replace(honest, tail=tail.replace(byte_range, wrong_range)),
        "octets appended behind": replace(honest, tail=tail + b"\n% more"),
        "no tail": replace(honest, tail=b""),
    }


def test_every_lie_about_the_hole_is_refused(prepared: Prepared) -> None:
    for name, lie in lies(prepared).items():
        with pytest.raises(OwnOutputBroken) as caught:
            accepted(lie)
        assert caught.value.code == "PREPARED_FILE_WRONG", name


def test_embedding_changes_the_hole_and_nothing_else(prepared: Prepared) -> None:
    ready = accepted(prepared)
    output = embed_cms(ready, b"\x30\x03\x02\x01\x05")
    start, end = ready.hole
    assert len(output) == len(ready.content)
    assert output[:start] + output[end:] == ready.content[:start] + ready.content[end:]
    assert output[start : start + 11] == b"<3003020105"
    assert set(output[start + 11 : end - 1]) == {ord("0")}


def test_a_cms_as_large_as_the_hole_fits_and_a_larger_one_is_refused(prepared: Prepared) -> None:
    ready = accepted(prepared)
    embed_cms(ready, bytes(ready.capacity))
    with pytest.raises(OwnOutputBroken) as caught:
        embed_cms(ready, bytes(ready.capacity + 1))
    assert caught.value.code == "CMS_TOO_LARGE"


def test_the_check_of_our_own_output_finds_every_altered_octet(signing: SigningWorld, prepared: Prepared) -> None:
    ready = accepted(prepared)
    credential = signing.deps.desk.usable("officer")
    output = sign_prepared(ready, credential.template, credential.key())
    check_output(output, ready, credential.template, credential.public_key)
    start, end = ready.hole
    cms_octets = len(output[start + 1 : end - 1].rstrip(b"0"))
    places = [*range(0, start, 97), *range(start + 1, start + cms_octets, 31), end - 3, *range(end, len(output), 11)]
    for at in places:
        letter = b"1" if output[at : at + 1] != b"1" else b"2"
        altered = output[:at] + letter + output[at + 1 :]
        with pytest.raises(OwnOutputBroken) as caught:
            check_output(altered, ready, credential.template, credential.public_key)
        assert caught.value.code == "SELF_CHECK_FAILED", at


def test_a_signature_of_another_key_does_not_pass_the_check(signing: SigningWorld, prepared: Prepared) -> None:
    ready = accepted(prepared)
    officer, seal = signing.deps.desk.usable("officer"), signing.deps.desk.usable("seal")
    output = sign_prepared(ready, officer.template, seal.key())
    with pytest.raises(OwnOutputBroken) as caught:
        check_output(output, ready, officer.template, officer.public_key)
    assert caught.value.facts == {"part": "signature"}
