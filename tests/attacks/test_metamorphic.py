"""What must not change a verdict, and what must: octets, tails, the order of anchors, the name and the language."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.validation.policy import JudgedFile
from signer.verification import Verifier, verify_file
from tests.attacks import documents
from tests.attacks.generator import ranges
from tests.attacks.pki import NOW, Pki, build_pki, make
from tests.attacks.scoreboard import judged

Judging = Callable[..., JudgedFile]


@pytest.fixture(scope="module")
def signed(pki: Pki) -> bytes:
    return documents.sign(documents.page_pdf(), pki.officer)


@pytest.fixture(scope="module")
def extended(pki: Pki, signed: bytes) -> bytes:
    """Filled in, signed again, extended and stamped: everything that is permitted."""
    both = documents.sign(documents.filled(signed), pki.seal, "Sig2")
    return documents.timestamped(documents.with_validation_data(both, pki.root), pki.tsa)


def test_a_valid_file_with_any_octet_flipped_in_what_is_signed_is_never_valid(signed: bytes, judging: Judging) -> None:
    _, length, resume, rest = ranges(signed)
    # By chance, and always the same ones, so that a failure comes back.
    drawn = random.Random(8)
    covered = [*range(length), *range(resume, resume + rest)]
    survivors = []
    for position in sorted(drawn.sample(covered, 80)):
        flipped = signed[:position] + bytes([signed[position] ^ 1 << drawn.randrange(8)]) + signed[position + 1 :]
        if judging(flipped).conclusion == "valid":
            survivors.append(position)
    assert survivors == []


def test_the_older_signature_of_an_extended_file_notices_a_flipped_octet_too(extended: bytes, judging: Judging) -> None:
    assert judging(extended).reason == "VALID_EXTENDED"
    drawn = random.Random(9)
    first = documents_end(extended)
    for position in drawn.sample(range(first), 12):
        judged_file = judging(extended[:position] + bytes([extended[position] ^ 4]) + extended[position + 1 :])
        # The octets of the holes are the signatures themselves; beyond their end there is padding that nobody reads.
        assert judged_file.conclusion != "valid" or position in hole(extended), position


def hole(pdf: bytes) -> range:
    begun = pdf.index(b"/Contents <") + len(b"/Contents <")
    return range(begun, pdf.index(b">", begun))


def documents_end(pdf: bytes) -> int:
    """The end of the first signed revision."""
    begun = pdf.index(b"%%EOF", pdf.index(b"/ByteRange"))
    return begun + 5


@pytest.mark.parametrize(
    "tail",
    [
        b"x",
        b"\n%comment",
        b"\n1 0 obj\nnull\nendobj",
        b"\nstartxref\n0\n%%EOF",
        b"\x00\x01",
        b"%%EOF",
        b"\xef\xbb\xbf",
        b"%PDF-1.7\n%%EOF",
    ],
)
def test_a_valid_file_with_anything_appended_is_not_valid(
    signed: bytes, extended: bytes, judging: Judging, tail: bytes
) -> None:
    assert judging(signed + tail).conclusion == "invalid"
    assert judging(extended + tail).conclusion == "invalid"


@pytest.mark.parametrize("size", [1, 2, 7, 100, 3000])
def test_nothing_appended_by_chance_is_taken_for_nothing(signed: bytes, judging: Judging, size: int) -> None:
    drawn = random.Random(size)
    for _ in range(5):
        judged_file = judging(signed + drawn.randbytes(size))
        assert {s.facts.changes_after for s in judged_file.signatures} <= {"permitted", "forbidden", "unknown"}
    # White space is all that may follow, and even that is said.
    assert {s.facts.changes_after for s in judging(signed + b" " * min(size, 100)).signatures} == {"permitted"}


def test_the_order_of_anchors_and_lists_changes_nothing(extended: bytes, pki: Pki, judging: Judging) -> None:
    anchors = [build_pki().root, pki.root, make("Khác", ca=True)]
    lists = list(pki.crls())
    found = [
        judging(extended, anchors=order, crls=crls)
        for order in (anchors, anchors[::-1], [anchors[1], anchors[0], anchors[2]])
        for crls in (lists, lists[::-1])
    ]
    assert found[0].reason == "VALID_EXTENDED"
    assert all(each == found[0] for each in found)


def test_name_place_and_language_change_nothing(
    extended: bytes, pki: Pki, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    with judged(pki) as verifier:
        for language, name in (("en", "a.pdf"), ("vi", "Quyết định số 15.pdf"), ("ko", "x" * 200)):
            monkeypatch.setenv("ANTIN_LANG", language)
            place = tmp_path_factory.mktemp(language) / name
            place.write_bytes(extended)
            found.append(_verdict(verifier, place, name))
            found.append(_verdict(verifier, extended, name))
    assert all(each == found[0] for each in found)


def _verdict(verifier: Verifier, source: object, name: str) -> dict[str, object]:
    verdict = verify_file(source, name, verifier).to_json()  # type: ignore[arg-type]
    assert verdict.pop("file") == name
    return verdict


def test_a_judge_that_has_judged_others_says_the_same(extended: bytes, signed: bytes, pki: Pki) -> None:
    """What is remembered between files must not reach the next verdict."""
    with judged(pki) as verifier:
        first = _verdict(verifier, extended, "a")
        for other in (signed, signed + b"x", signed[:4000], b"", b"%PDF-"):
            verify_file(other, "b", verifier)
        assert _verdict(verifier, extended, "a") == first
        strangers = ValidationInputs(at=NOW, anchors=(TrustAnchor(build_pki().root.der, "internal"),), crls=pki.crls())
        stranger = Verifier(verifier.judge, strangers, verifier.look_up, verifier.clock, verifier.policy)
        assert verify_file(extended, "a", stranger).reason == "UNKNOWN_ISSUER"
        assert _verdict(verifier, extended, "a") == first
