"""signer/known_files.py: what the register has is judged by its hash or code, and what it has not is told from what is wrong."""

from __future__ import annotations

import pytest

from signer.codes import grouped, new_code
from signer.errors import UsageWrong
from signer.known_files import KnownFiles
from tests.signing_world import SigningWorld, plain_paper

PAPER = plain_paper()


@pytest.fixture
def known(signing: SigningWorld) -> KnownFiles:
    return KnownFiles(signing.world.database, signing.deps.blobs, signing.world.clock, signing.judging.verify)


def test_every_finished_revision_is_judged_as_it_was(signing: SigningWorld, known: KnownFiles) -> None:
    approved = signing.sign(PAPER)
    issued = signing.sign(approved.content, "seal")
    for made, count in ((approved, 1), (issued, 2)):
        verdict = known.by_hash(made.sha256)
        assert (verdict.conclusion, verdict.sha256, len(verdict.judged.signatures)) == ("valid", made.sha256, count)
        assert verdict.document is not None
        assert verdict.document.code == approved.code
    newest = known.by_code(grouped(approved.code).lower())
    assert newest.sha256 == issued.sha256


def test_what_nobody_has_is_told_without_a_word_on_the_file(known: KnownFiles) -> None:
    verdict = known.by_hash("0" * 64)
    assert (verdict.conclusion, verdict.reason, verdict.exit_code, verdict.document) == (
        "indeterminate", "HASH_NOT_FOUND", 3, None,
    )  # fmt: skip
    missing = known.by_code(new_code())
    assert (missing.conclusion, missing.reason, missing.exit_code) == ("indeterminate", "CODE_NOT_FOUND", 1)


@pytest.mark.parametrize("typed", ["", "12", "g" * 64, "0" * 63, "0" * 65, "sha256:" + "0" * 64])
def test_what_is_no_hash_is_refused(known: KnownFiles, typed: str) -> None:
    with pytest.raises(UsageWrong) as caught:
        known.by_hash(typed)
    assert caught.value.code == "HASH_MALFORMED"


def test_a_hash_may_be_written_as_programs_show_it(signing: SigningWorld, known: KnownFiles) -> None:
    made = signing.sign(PAPER)
    spelled = " ".join(made.sha256[at : at + 4].upper() for at in range(0, 64, 4))
    assert known.by_hash(spelled).conclusion == "valid"


def test_a_stored_file_that_was_altered_is_no_answer(signing: SigningWorld, known: KnownFiles) -> None:
    made = signing.sign(PAPER)
    path = signing.deps.blobs.path_of(made.sha256)
    path.chmod(0o600)
    path.write_bytes(b"%PDF-1.7 something else")
    with pytest.raises(Exception) as caught:
        known.by_hash(made.sha256)
    assert caught.value.code == "BLOB_ALTERED"
