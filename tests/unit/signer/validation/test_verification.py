"""Whatever is given, a verdict by the schema comes back."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer

from certs.serial import serial_hex
from signer.sandbox import Judge
from signer.validation.errors import InputsUnreadable
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.validation.policy import load_policy
from signer.validation.verdict import DocumentStatus, Verdict
from signer.verification import Known, Verifier, verify_file, verify_many
from tests.attacks import documents
from tests.attacks.pki import NOW, Pki, build_pki
from tests.fakes.clock import FixedClock

SCHEMA = json.loads((Path(__file__).parents[4] / "signer/validation/verdict.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(preload=("gather",)) as judge:
        yield judge


@pytest.fixture(scope="module")
def verifier(pki: Pki, judge: Judge) -> Verifier:
    inputs = ValidationInputs(at=NOW, anchors=(TrustAnchor(pki.root.der, "internal"),), crls=pki.crls())
    return Verifier(judge, inputs, lambda _certificates, _revisions: Known(), FixedClock(NOW), load_policy())


@pytest.fixture(scope="module")
def signed(pki: Pki) -> bytes:
    return documents.sign(documents.page_pdf(), pki.officer)


def schema_errors(verdict: Verdict) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(verdict.to_json())]


def encrypted(password: str) -> bytes:
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(documents.page_pdf())))
    writer.encrypt(owner_pass="chu", user_pass=password)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_the_schema_itself_is_sound() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_signed_file_gives_the_whole_verdict(signed: bytes, verifier: Verifier, pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "quyết định.pdf"
    path.write_bytes(signed)
    verdict = verify_file(path, "quyết định.pdf", verifier)
    assert schema_errors(verdict) == []
    answer = verdict.to_json()
    (signature,) = answer.pop("signatures")
    assert answer.pop("software").startswith("antin ")
    assert answer == {
        "schema": 1,
        "file": "quyết định.pdf",
        "sha256": hashlib.sha256(signed).hexdigest(),
        "conclusion": "valid",
        "reason": "VALID",
        "format": "PDF",
        "document": None,
        "policy": {"name": "vn-2025", "version": "2", "sha256": load_policy().sha256},
        "at": None,
        "checked_at": "2026-11-21T03:15:30Z",
    }
    assert signature.pop("claimed_time").endswith("Z")
    assert signature.pop("signer") == {
        "subject": "CN=Nguyễn Thị Thử,O=SỞ THỬ NGHIỆM,C=VN",
        "common_name": "Nguyễn Thị Thử",
        "organization": "SỞ THỬ NGHIỆM",
        "serial": serial_hex(pki.officer.certificate.serial_number),
        "issuer": "CN=Thử Nghiệm Issuing CA,O=SỞ THỬ NGHIỆM,C=VN",
    }
    assert [(each["subject"], each["source"], each["kind"]) for each in signature.pop("path")] == [
        ("CN=Nguyễn Thị Thử,O=SỞ THỬ NGHIỆM,C=VN", "given", "crl"),
        ("CN=Thử Nghiệm Issuing CA,O=SỞ THỬ NGHIỆM,C=VN", "given", "crl"),
    ]
    assert signature == {
        "field": "Sig1",
        "type": "signature",
        "conclusion": "valid",
        "indication": "TOTAL-PASSED",
        "sub_indication": None,
        "reason": "VALID",
        "level": "PAdES-B-B",
        "integrity": "intact",
        "coverage": "whole-file",
        "changes_after": "none",
        "reading": "strict",
        "changes": [],
        "trust": "internal",
        "proven_time": None,
        "best_signature_time": None,
        "timestamps": [],
        "revocation": "good",
        "digest_algorithm": "sha256",
        "signature_algorithm": "ecdsa",
    }
    assert verdict.exit_code == 0


@pytest.mark.parametrize(
    ("content", "reason", "exit_code"),
    [
        (b"", "UNREADABLE_EMPTY", 2),
        (b" \n\n", "UNREADABLE_EMPTY", 2),
        (b"PK\x03\x04 a Word file", "UNREADABLE_ZIP", 2),
        (b"%PDF-1.7\n", "UNREADABLE_DAMAGED", 2),
        (documents.page_pdf()[:700], "UNREADABLE_DAMAGED", 2),
        (encrypted("mat khau"), "UNREADABLE_ENCRYPTED", 2),
        (encrypted(""), "NOT_SIGNED", 4),
        (documents.page_pdf(), "NOT_SIGNED", 4),
    ],
)
def test_a_file_that_holds_no_signature_is_told_apart(
    verifier: Verifier, content: bytes, reason: str, exit_code: int
) -> None:
    verdict = verify_file(content, "x.pdf", verifier)
    assert (verdict.reason, verdict.exit_code, schema_errors(verdict)) == (reason, exit_code, [])
    assert verdict.sha256 == hashlib.sha256(content).hexdigest()


def test_a_truncated_signed_file_is_never_valid(signed: bytes, verifier: Verifier) -> None:
    for length in range(1, len(signed), len(signed) // 25):
        verdict = verify_file(signed[:length], "x.pdf", verifier)
        assert verdict.conclusion in ("unreadable", "invalid", "unsigned"), length
        assert schema_errors(verdict) == []


def test_paths_that_are_no_readable_file_are_told_apart(verifier: Verifier, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    sources = {
        tmp_path / "missing.pdf": "UNREADABLE_MISSING",
        tmp_path / "missing" / "x.pdf": "UNREADABLE_MISSING",
        tmp_path: "UNREADABLE_NOT_FILE",
        tmp_path / "pipe": "UNREADABLE_NOT_FILE",
        Path("/dev/zero"): "UNREADABLE_NOT_FILE",
        tmp_path / "loop": "UNREADABLE_NO_ACCESS",
        tmp_path / ("n" * 300): "UNREADABLE_NO_ACCESS",
        Path("a\x00b"): "UNREADABLE_NO_ACCESS",
    }
    verdicts = list(verify_many(((path, path.name) for path in sources), verifier))
    assert [verdict.reason for verdict in verdicts] == list(sources.values())
    assert [schema_errors(verdict) for verdict in verdicts] == [[]] * len(verdicts)
    assert {verdict.sha256 for verdict in verdicts} == {None}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_file_without_permission_is_said_so(verifier: Verifier, tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(b"%PDF-1.7")
    path.chmod(0)
    assert verify_file(path, "x.pdf", verifier).reason == "UNREADABLE_NO_ACCESS"


def test_a_file_beyond_the_limit_is_not_read(verifier: Verifier, tmp_path: Path) -> None:
    small = replace(verifier, file_limit=1000)
    path = tmp_path / "x.pdf"
    path.write_bytes(bytes(1001))
    assert verify_file(path, "x.pdf", small).reason == "UNREADABLE_TOO_LARGE"
    assert verify_file(bytes(1001), "x.pdf", small).reason == "UNREADABLE_TOO_LARGE"


@pytest.mark.parametrize(
    ("status", "reason", "exit_code"),
    [
        ("in-force", "VALID", 0),
        ("recalled", "DOC_RECALLED", 1),
        ("replaced", "DOC_REPLACED", 1),
        ("corrected", "VALID", 0),
    ],
)
def test_a_document_out_of_force_is_said_first(
    signed: bytes, verifier: Verifier, status: str, reason: str, exit_code: int
) -> None:
    known = replace(verifier, look_up=lambda _, __: Known(document=DocumentStatus("ABCD-EFGH", status)))
    verdict = verify_file(signed, "x.pdf", known)
    assert (verdict.conclusion, verdict.reason, verdict.exit_code) == ("valid", reason, exit_code)
    assert verdict.to_json()["document"] == {"code": "ABCD-EFGH", "status": status}
    assert schema_errors(verdict) == []


def test_the_register_is_asked_for_the_file_and_each_signed_revision(
    signed: bytes, verifier: Verifier, pki: Pki
) -> None:
    asked: list[str] = []

    def look_up(_: Sequence[str], revisions: Sequence[str]) -> Known:
        asked.extend(revisions)
        return Known()

    both = documents.filled(documents.sign(signed, pki.seal, "Sig2"))
    verify_file(both, "x.pdf", replace(verifier, look_up=look_up))
    second = both.index(b"%%EOF", len(signed)) + len(b"%%EOF\n")
    assert asked == [hashlib.sha256(part).hexdigest() for part in (both, both[:second], signed)]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"anchors": (TrustAnchor(b"not a certificate", "public"),)}, "certificate"),
        ({"anchors": (TrustAnchor(b"\x30\x00", "public"),)}, "certificate"),
        ({"intermediates": (b"\x30\x03\x02\x01\x05",)}, "certificate"),
        ({"crls": (b"\x30\x00",)}, "crl"),
    ],
)
def test_what_is_given_to_lean_on_is_blamed_on_who_gave_it(
    signed: bytes, verifier: Verifier, given: dict[str, object], kind: str
) -> None:
    with pytest.raises(InputsUnreadable) as caught:
        verify_file(signed, "x.pdf", replace(verifier, inputs=replace(verifier.inputs, **given)))
    assert caught.value.facts == {"kind": kind}


def test_a_judge_that_cannot_start_is_our_fault_and_not_the_files(signed: bytes, verifier: Verifier) -> None:
    with Judge(child=("-I", "-c", "raise SystemExit(3)")) as broken:
        verdict = verify_file(signed, "x.pdf", replace(verifier, judge=broken))
    assert (verdict.conclusion, verdict.reason, verdict.exit_code) == ("unreadable", "JUDGE_UNAVAILABLE", 5)


def test_a_lenient_reading_is_said(signed: bytes, verifier: Verifier) -> None:
    """/Size that is too small: the strict reading refuses the file, and every reader shows it."""
    short = signed.replace(b"/Size 13\n", b"/Size 12\n", 1)
    assert short != signed
    verdict = verify_file(short, "a", verifier)
    assert [each["reading"] for each in verdict.to_json()["signatures"]] == ["lenient"]
    assert verdict.conclusion == "invalid"
    assert [each["reading"] for each in verify_file(signed, "a", verifier).to_json()["signatures"]] == ["strict"]
