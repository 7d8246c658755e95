"""Files from elsewhere: what their makers broke is never valid, what they meant to be valid is intact, nothing crashes."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from signer.sandbox import Judge, Limits
from signer.validation.facts import ValidationInputs
from signer.validation.policy import load_policy
from signer.verification import Known, Verifier, verify_file
from tests.attacks.pki import NOW
from tests.fakes.clock import FixedClock

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("ANTIN_TEST_CORPUS", "../shared/corpus"))
CORPUS = CORPUS if CORPUS.is_absolute() else ROOT / CORPUS
SCHEMA = json.loads((ROOT / "signer/validation/verdict.schema.json").read_text(encoding="utf-8"))

pytestmark = pytest.mark.skipif(not (CORPUS / "manifest.tsv").exists(), reason="no corpus: set ANTIN_TEST_CORPUS")


def rows() -> list[dict[str, str]]:
    with (CORPUS / "manifest.tsv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture(scope="module")
def verdicts() -> Iterator[dict[str, tuple[str, dict[str, Any]]]]:
    """Every file of the corpus, judged by one judge process under tight limits: name → (expectation, verdict)."""
    limits = Limits(cpu_seconds=10, wall_seconds=15, memory_bytes=512 * 1024 * 1024)
    with Judge(limits, preload=("gather",)) as judge:
        verifier = Verifier(
            judge, ValidationInputs(at=NOW), lambda _certificates, _revisions: Known(), FixedClock(NOW), load_policy()
        )
        yield {
            row["file"]: (row["expected"], verify_file(CORPUS / row["file"], row["file"], verifier).to_json())
            for row in rows()
        }


def test_every_file_is_answered_by_the_schema_and_within_the_limits(
    verdicts: dict[str, tuple[str, dict[str, Any]]],
) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert len(verdicts) >= 100
    for name, (_, verdict) in verdicts.items():
        assert [error.message for error in validator.iter_errors(verdict)] == [], name
        assert verdict["reason"] not in ("UNREADABLE_LIMIT", "JUDGE_UNAVAILABLE"), name


def test_nothing_that_its_makers_broke_is_valid(verdicts: dict[str, tuple[str, dict[str, Any]]]) -> None:
    broken = {name: v for name, (expected, v) in verdicts.items() if expected.startswith(("invalid", "malformed"))}
    assert len(broken) >= 30
    for name, verdict in broken.items():
        assert verdict["conclusion"] in ("invalid", "unreadable"), name
        counted = [s for s in verdict["signatures"] if s["conclusion"] == "invalid"]
        assert all(s["integrity"] != "intact" or s["changes_after"] == "forbidden" for s in counted), name
        assert verdict["conclusion"] == "unreadable" or counted, name


def test_what_its_makers_call_valid_is_intact_and_nothing_forbidden_follows(
    verdicts: dict[str, tuple[str, dict[str, Any]]],
) -> None:
    meant = {name: v for name, (expected, v) in verdicts.items() if expected == "valid"}
    refused = {
        name
        for name, verdict in meant.items()
        if not verdict["signatures"]
        or any(
            s["integrity"] != "intact" or s["changes_after"] not in ("none", "permitted") for s in verdict["signatures"]
        )
    }
    assert (len(meant), refused) == (19, set())


def test_an_unknown_signer_is_never_called_a_forger(verdicts: dict[str, tuple[str, dict[str, Any]]]) -> None:
    for name, (expected, verdict) in verdicts.items():
        if expected in ("valid", "trust-unknown"):
            assert verdict["conclusion"] == "indeterminate", name
            assert verdict["reason"] in ("UNKNOWN_ISSUER", "UNKNOWN_ALGORITHM"), name


def test_documents_without_signatures_are_unsigned_or_unreadable(
    verdicts: dict[str, tuple[str, dict[str, Any]]],
) -> None:
    for name, (expected, verdict) in verdicts.items():
        if not expected and not verdict["signatures"]:
            assert verdict["conclusion"] in ("unsigned", "unreadable"), name
