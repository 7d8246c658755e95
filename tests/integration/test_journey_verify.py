"""Journey: somebody checks files, with a home and without, with anchors of his own, one file and many."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.installation import User

SCHEMA = json.loads((Path(__file__).parents[2] / "signer" / "validation" / "verdict.schema.json").read_text("utf-8"))


def judged(user: User, *words: str | Path, code: int) -> Any:
    """What `verify --json` says; every object fits the schema."""
    answer = user.json("verify", *words, code=code)
    for each in answer if isinstance(answer, list) else [answer]:
        jsonschema.validate(each, SCHEMA)
    return answer


@pytest.mark.parametrize(
    ("language", "headline"),
    [
        ("en", "✗ signed.pdf: RECALLED (the signatures are valid)"),
        ("vi", "✗ signed.pdf: VĂN BẢN ĐÃ THU HỒI (các chữ ký hợp lệ)"),
        ("ko", "✗ signed.pdf: 회수됨 (서명은 유효함)"),
    ],
)
def test_the_first_line_on_a_recalled_document_does_not_call_it_valid(user: User, language: str, headline: str) -> None:
    code = user.sign("paper.pdf", "officer", "signed.pdf")["code"]
    assert user.antin("verify", "signed.pdf").startswith("✓ signed.pdf: VALID\n")
    user.antin("document", "recall", code, "--reason", "Sai thể thức")
    done = user.run("verify", "signed.pdf", ANTIN_LANG=language)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, headline)
    assert user.json("verify", "signed.pdf", code=1)["conclusion"] == "valid"


@pytest.fixture
def citizen(user: User, tmp_path: Path) -> User:
    """Somebody without a home, with `signed.pdf` and the root certificate that he got elsewhere."""
    user.sign("paper.pdf", "officer", "a.pdf")
    user.sign("a.pdf", "seal", "signed.pdf")
    (user.folder / "root.pem").write_text(user.antin("ca", "show", "root", "--pem"))
    return User(tmp_path / "nowhere", user.folder)


def test_without_a_home_a_file_is_intact_but_its_issuer_unknown(citizen: User) -> None:
    verdict = judged(citizen, "signed.pdf", code=3)
    assert (verdict["conclusion"], verdict["reason"]) == ("indeterminate", "UNKNOWN_ISSUER")
    assert {each["integrity"] for each in verdict["signatures"]} == {"intact"}
    assert verdict["document"] is None
    assert not citizen.home.exists()


def test_an_anchor_alone_proves_no_revocation_status_and_with_the_lists_the_file_is_valid(
    citizen: User, user: User
) -> None:
    verdict = judged(citizen, "signed.pdf", "--trust", "root.pem", code=3)
    assert verdict["reason"] == "UNKNOWN_REVOCATION"
    lists = (citizen.folder / "root.pem").read_text()
    for name in ("root", "issuing"):
        crl = user.home / "public" / "crl" / f"{name}.crl"
        done = subprocess.run(
            ["openssl", "crl", "-inform", "DER", "-in", crl], capture_output=True, text=True, check=True
        )
        lists += done.stdout
    (citizen.folder / "bundle.pem").write_text(lists)
    verdict = judged(citizen, "signed.pdf", "--trust", "bundle.pem", "--offline", code=0)
    assert (verdict["conclusion"], {each["revocation"] for each in verdict["signatures"]}) == ("valid", {"good"})


def test_trust_for_one_call_is_not_kept(citizen: User) -> None:
    judged(citizen, "signed.pdf", "--trust", "root.pem", code=3)
    assert judged(citizen, "signed.pdf", code=3)["reason"] == "UNKNOWN_ISSUER"


def test_trust_that_holds_no_certificate_is_wrong_usage(citizen: User) -> None:
    (citizen.folder / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for file in ("signed.pdf", "half.pem", "missing.pem", "."):
        citizen.refused(2, "verify", "signed.pdf", "--trust", file)


def test_several_files_give_an_array_in_their_order_one_object_each(citizen: User) -> None:
    (citizen.folder / "empty.pdf").write_bytes(b"")
    (citizen.folder / "folder.pdf").mkdir()
    names = ["signed.pdf", "paper.pdf", "missing.pdf", "empty.pdf", "folder.pdf", "root.pem"]
    verdicts = judged(citizen, *names, code=2)
    assert [each["file"] for each in verdicts] == names
    assert [each["conclusion"] for each in verdicts] == [
        "indeterminate", "unsigned", *["unreadable"] * 3, "indeterminate",
    ]  # fmt: skip
    assert [each["sha256"] is None for each in verdicts] == [False, False, True, False, True, False]
    # The first of 5, 2, 1, 3, 4, 0 that occurs is the exit code.
    judged(citizen, "signed.pdf", "paper.pdf", code=3)
    judged(citizen, "paper.pdf", code=4)


def test_a_forged_file_is_invalid_whoever_asks(citizen: User, user: User) -> None:
    content = (citizen.folder / "signed.pdf").read_bytes()
    at = content.index(b"/Title") + 9
    (citizen.folder / "forged.pdf").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    for somebody in (citizen, user):
        verdict = judged(somebody, "forged.pdf", code=1)
        assert verdict["conclusion"] == "invalid"
        assert {each["integrity"] for each in verdict["signatures"]} == {"broken"}


def test_the_moment_in_question_decides(user: User) -> None:
    user.sign("paper.pdf", "officer", "a.pdf")
    assert judged(user, "a.pdf", "--at", "2020-01-01T00:00:00Z", code=1)["reason"] == "INVALID_NOT_YET_VALID"
    assert "still to come" in user.refused(2, "verify", "a.pdf", "--at", "2090-01-01T00:00:00+07:00")
    for typed in ("yesterday", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00"):
        user.refused(2, "verify", "a.pdf", "--at", typed)


def test_an_earlier_revision_is_found_in_the_register_too(user: User) -> None:
    code = user.sign("paper.pdf", "officer", "a.pdf")["code"]
    content = (user.folder / "a.pdf").read_bytes()
    (user.folder / "longer.pdf").write_bytes(content + b"\n% something\n")
    assert judged(user, "a.pdf", code=0)["document"]["code"] == code
    verdict = user.json("verify", "longer.pdf", code=1)
    assert (verdict["conclusion"], verdict["document"]["code"]) == ("invalid", code)


def test_words_put_the_conclusion_first_and_never_break_out_of_their_line(user: User) -> None:
    user.sign("paper.pdf", "officer", "a.pdf")
    nasty = "a\n✓ forged.pdf: VALID\u202e.pdf"
    shutil.copy(user.folder / "paper.pdf", user.folder / nasty)
    lines = user.antin("verify", "a.pdf").splitlines()
    assert lines[0] == "✓ a.pdf: VALID"
    done = user.run("verify", nasty)
    assert done.returncode == 4
    assert len([line for line in done.stdout.splitlines() if "VALID" in line]) == 1
    assert "\u202e" not in done.stdout


def test_what_was_signed_is_written_as_it_was_then(user: User) -> None:
    user.sign("paper.pdf", "officer", "a.pdf")
    user.sign("a.pdf", "seal", "b.pdf")
    assert "revision" in user.antin("verify", "b.pdf", "--extract-revision", "r.pdf", "--field", "Signature1")
    assert (user.folder / "r.pdf").read_bytes() == (user.folder / "a.pdf").read_bytes()
    # A program's answer stays one object.
    assert judged(user, "b.pdf", "--extract-revision", "whole.pdf", code=0)["conclusion"] == "valid"
    assert (user.folder / "whole.pdf").read_bytes() == (user.folder / "b.pdf").read_bytes()
    damaged = (user.folder / "b.pdf").read_bytes() + b"% more\n"
    (user.folder / "longer.pdf").write_bytes(damaged)
    user.run("verify", "longer.pdf", "--extract-revision", "back.pdf")
    assert (user.folder / "back.pdf").read_bytes() == (user.folder / "b.pdf").read_bytes()
    assert "r.pdf" in user.refused(2, "verify", "b.pdf", "--extract-revision", "r.pdf")
    assert "input" in user.refused(2, "verify", "b.pdf", "--extract-revision", "b.pdf", "--force")
    assert "Other" in user.refused(1, "verify", "b.pdf", "--extract-revision", "o.pdf", "--field", "Other")
    assert "no signature" in user.refused(1, "verify", "paper.pdf", "--extract-revision", "o.pdf")
    assert "one FILE" in user.refused(2, "verify", "a.pdf", "b.pdf", "--extract-revision", "o.pdf")
    assert not (user.folder / "o.pdf").exists()


def test_the_register_answers_by_hash_and_by_code_without_the_file(user: User) -> None:
    signed = user.sign("paper.pdf", "officer", "a.pdf")
    verdict = judged(user, "--sha256", signed["sha256"], code=0)
    assert (verdict["sha256"], verdict["conclusion"], verdict["document"]["code"]) == (
        signed["sha256"],
        "valid",
        signed["code"],
    )
    unknown, by_code = judged(user, "--sha256", "0" * 64, "--code", signed["code"], code=3)
    assert (unknown["reason"], by_code["conclusion"]) == ("HASH_NOT_FOUND", "valid")
    assert "SHA-256" in user.refused(2, "verify", "--sha256", "12")
    assert "--sha256" in user.refused(2, "verify")


def test_the_signed_revision_is_found_by_its_hash_within_a_file_that_goes_on_behind_it(user: User) -> None:
    user.sign("paper.pdf", "officer", "lt.pdf", "--level", "B-LT")
    ((signed, whole),) = user.sql("SELECT output_sha256, extended_sha256 FROM signing_acts")
    assert whole == hashlib.sha256((user.folder / "lt.pdf").read_bytes()).hexdigest()
    levels = [judged(user, "--sha256", each, code=0)["signatures"][0]["level"] for each in (signed, whole)]
    assert levels == ["PAdES-B-T", "PAdES-B-LT"]
