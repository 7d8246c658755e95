"""Files that other programs wrote are signed so that nothing in them suffers, or refused with a reason; nothing crashes."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from signer.errors import InputUnreadable, Refused
from signer.sandbox import Judge
from signer.signing import SignedDocument
from tests.signing_world import Pictures, SigningWorld, build_signing_world
from tests.unharmed import check_unharmed

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("ANTIN_TEST_CORPUS", "../shared/corpus"))
CORPUS = CORPUS if CORPUS.is_absolute() else ROOT / CORPUS


def files(role: str) -> list[str]:
    manifest = CORPUS / "manifest.tsv"
    if not manifest.exists():
        return []
    with manifest.open(encoding="utf-8", newline="") as stream:
        return [row["file"] for row in csv.DictReader(stream, delimiter="\t") if row["role"] == role]


pytestmark = pytest.mark.skipif(not files("sign-input"), reason="no corpus: set ANTIN_TEST_CORPUS")


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory, judge: Judge, pictures: Pictures) -> Iterator[SigningWorld]:
    signing = build_signing_world(tmp_path_factory.mktemp("corpus"), judge, pictures)
    signing.enrol("officer", "officer")
    signing.enrol("seal", "agency-seal")
    yield signing
    signing.world.close()


def signed_or_refused(signing: SigningWorld, name: str, placement: str = "auto") -> SignedDocument | None:
    """None where it was refused with a reason; anything else that is raised fails the test."""
    try:
        return signing.sign((CORPUS / name).read_bytes(), placement=placement)
    except (Refused, InputUnreadable) as error:
        reason = error.code
    assert re.fullmatch(r"[A-Z_]{5,}", reason)
    assert reason != "INPUT_BEYOND_LIMITS"
    return None


@pytest.mark.parametrize("placement", ["auto", "none"])
@pytest.mark.parametrize("name", files("sign-input"))
def test_a_file_is_signed_without_harm_or_refused_with_a_reason(
    signing: SigningWorld, tmp_path: Path, name: str, placement: str
) -> None:
    signed = signed_or_refused(signing, name, placement=placement)
    if signed is None:
        return
    output = tmp_path / "signed.pdf"
    output.write_bytes(signed.content)
    verdict = signing.verdict(signed.content)
    ours = next(each for each in verdict.to_json()["signatures"] if each["field"] == signed.field)
    assert (ours["conclusion"], ours["integrity"]) == ("valid", "intact"), ours["reason"]
    check_unharmed(CORPUS / name, output, signed.field, tmp_path, placed=signed.placed is not None)


@pytest.mark.parametrize("name", files("must-not-crash"))
def test_a_broken_file_gets_a_clear_answer(signing: SigningWorld, name: str) -> None:
    signed = signed_or_refused(signing, name)
    if signed is not None:
        assert signing.verdict(signed.content).conclusion in ("valid", "invalid", "indeterminate", "unreadable")


def test_most_files_of_other_programs_can_be_signed_with_a_visible_stamp(signing: SigningWorld) -> None:
    answers = [signed_or_refused(signing, name) for name in files("sign-input")]
    done = [each for each in answers if each is not None]
    assert len(done) >= 0.7 * len(answers)
    assert sum(each.placed is not None for each in done) >= 0.7 * len(done)
