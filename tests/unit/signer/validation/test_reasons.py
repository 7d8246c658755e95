"""The closed table of reasons holds together with the policy, the locale catalogues and the exit codes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from signer.validation.reasons import INDICATIONS, REASONS, combined_exit_code

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("language", ["vi", "en", "ko"])
def test_every_reason_has_a_sentence_and_no_sentence_lacks_a_reason(language: str) -> None:
    sentences = tomllib.loads((ROOT / f"api/locale/verdict.{language}.toml").read_text(encoding="utf-8"))
    assert set(sentences) == set(REASONS)
    assert all(sentence.strip().endswith(".") for sentence in sentences.values())


def test_exit_codes_follow_the_conclusion() -> None:
    codes = {"valid": {0}, "invalid": {1}, "unreadable": {2, 5}, "indeterminate": {3}, "unsigned": {4}, None: {0, 1, 3}}
    for reason in REASONS.values():
        assert reason.exit_code in codes[reason.conclusion], reason.code


def test_every_conclusion_of_a_signature_has_an_indication_and_failures_a_sub_indication() -> None:
    for reason in REASONS.values():
        if reason.conclusion in INDICATIONS and reason.conclusion != "valid":
            assert all(sub is not None for sub in reason.sub_indications), reason.code


def test_every_code_the_validation_names_is_in_the_table() -> None:
    named = set()
    for path in [*(ROOT / "signer/validation").glob("*.py"), ROOT / "signer/verification.py"]:
        named |= set(
            re.findall(
                r'"((?:VALID|INVALID|UNKNOWN|UNREADABLE|NOT_SIGNED|DOC|JUDGE)_?[A-Z_]*)"',
                path.read_text(encoding="utf-8"),
            )
        )
    assert {code for code in named if not code.startswith("VALIDATION_")} <= set(REASONS)


@pytest.mark.parametrize(
    ("codes", "together"), [([], 0), ([0, 0], 0), ([0, 4], 4), ([4, 3], 3), ([3, 1, 0], 1), ([1, 2], 2), ([2, 5, 1], 5)]
)
def test_several_files_give_the_gravest_exit_code(codes: list[int], together: int) -> None:
    assert combined_exit_code(codes) == together
