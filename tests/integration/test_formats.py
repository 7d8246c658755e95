"""Signatures in files of their own, time-stamps and certificates: by command line and over HTTP, and what else people send."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from pki.tsa.request import build_request
from tests.attacks.cms_files import TEXT, cms_file, pem
from tests.installation import User
from tests.integration.http_service import Service, problem
from tests.software_party import issued_party

NOW = datetime.now(UTC).replace(microsecond=0)


def verdict_of(user: User, *words: str, code: int = 0) -> dict[str, Any]:
    verdict: dict[str, Any] = user.json("verify", *words, code=code)
    return verdict


def test_a_signature_beside_its_file_is_judged_at_the_command_line(user: User) -> None:
    party = issued_party(user)
    folder = user.folder
    (folder / "letter.txt").write_bytes(TEXT)
    (folder / "other.txt").write_bytes(TEXT + b".")
    (folder / "letter.txt.p7s").write_bytes(cms_file(party, detached=True, digest="sha384", moment=NOW))
    (folder / "letter.p7m").write_bytes(pem(cms_file(party, moment=NOW), "PKCS7"))
    verdict = verdict_of(user, "letter.txt.p7s", "--content", "letter.txt")
    assert (verdict["conclusion"], verdict["reason"], verdict["format"]) == ("valid", "VALID", "CMS")
    (signature,) = verdict["signatures"]
    assert (signature["level"], signature["trust"], signature["revocation"]) == ("CAdES-B-B", "internal", "good")
    assert signature["signer"]["common_name"] == "Máy gửi"
    assert verdict_of(user, "letter.p7m")["conclusion"] == "valid"
    assert verdict_of(user, "letter.txt.p7s", "--content", "other.txt", code=1)["reason"] == "INVALID_MODIFIED"
    assert verdict_of(user, "letter.txt.p7s", code=3)["reason"] == "UNKNOWN_NO_CONTENT"
    assert verdict_of(user, "letter.txt.p7s", "--content", "gone.txt", code=2)["reason"] == "UNREADABLE_CONTENT"
    assert verdict_of(user, "paper.pdf", "--content", "letter.txt", code=2)["reason"] == "UNREADABLE_TWO_FILES"
    user.refused(2, "verify", "letter.p7m", "letter.txt.p7s", "--content", "letter.txt")
    user.refused(2, "sign", "letter.p7m", "--as", "officer")
    user.refused(2, "upgrade", "letter.p7m", "--level", "B-T", "-o", "out.pdf")


def test_a_long_content_is_hashed_and_never_handed_over(user: User) -> None:
    party = issued_party(user)
    long = TEXT * 200_000
    (user.folder / "long.bin").write_bytes(long)
    (user.folder / "long.p7s").write_bytes(cms_file(party, long, detached=True, digest="sha512", moment=NOW))
    assert verdict_of(user, "long.p7s", "--content", "long.bin")["conclusion"] == "valid"
    (user.folder / "long.bin").write_bytes(long + b".")
    assert verdict_of(user, "long.p7s", "--content", "long.bin", code=1)["reason"] == "INVALID_MODIFIED"


def test_a_certificate_is_told_by_its_standing_and_its_tree(user: User) -> None:
    issued_party(user)
    verdict = verdict_of(user, "party.pem")
    assert (verdict["conclusion"], verdict["reason"], verdict["format"]) == ("valid", "BARE_CERTIFICATE_GOOD", "X.509")
    told = verdict["certificate"]
    assert (told["trust"], told["revocation"], told["common_name"]) == ("internal", "good", "Máy gửi")
    assert [each["subject"].split(",")[0] for each in told["path"]] == ["CN=Antin Issuing CA"]
    assert verdict["signatures"] == []
    assert "not a signed document" in user.antin("verify", "party.pem")
    user.antin("cert", "revoke", told["serial"], "--reason", "keyCompromise")
    assert verdict_of(user, "party.pem", code=1)["reason"] == "BARE_CERTIFICATE_REVOKED"
    stranger = user.run("verify", "party.pem", "--json", ANTIN_HOME=str(user.folder / "nowhere"))
    assert (stranger.returncode, "UNKNOWN_ISSUER" in stranger.stdout) == (3, True)


def send(service: Service, file: bytes, content: bytes | None = None) -> httpx.Response:
    files: dict[str, Any] = {"file": ("a.p7s", file)}
    if content is not None:
        files["content"] = ("a.txt", content)
    return service.http.post("/api/v1/verify", files=files)


def test_both_files_are_judged_over_http(service: Service) -> None:
    party = issued_party(service.user)
    file = cms_file(party, detached=True, moment=NOW)
    verdict = send(service, file, TEXT).json()
    assert (verdict["conclusion"], verdict["format"]) == ("valid", "CMS")
    assert send(service, file, TEXT + b".").json()["reason"] == "INVALID_MODIFIED"
    assert send(service, file).json()["reason"] == "UNKNOWN_NO_CONTENT"
    twice = [("file", ("a", file)), ("content", ("a", TEXT)), ("content", ("a", TEXT))]
    problem(service.http.post("/api/v1/verify", files=twice), 400, "FORM_MALFORMED")
    assert send(service, b"PK\x03\x04word/document.xml").json()["reason"] == "UNREADABLE_WORD"


def test_a_time_stamp_of_this_installation_is_one_of_the_internal_tree(service: Service) -> None:
    query = build_request("sha256", hashlib.sha256(TEXT).digest(), nonce=7)
    answer = service.http.post("/tsa", content=query, headers={"Content-Type": "application/timestamp-query"})
    assert answer.status_code == 200
    verdict = send(service, answer.content, TEXT).json()
    assert (verdict["conclusion"], verdict["reason"], verdict["format"]) == ("valid", "BARE_TIMESTAMP_GOOD", "RFC3161")
    (stamp,) = verdict["signatures"]
    assert (stamp["type"], stamp["trust"]) == ("timestamp", "internal")
    assert stamp["proven_time"] is not None
    assert send(service, answer.content, TEXT + b".").json()["conclusion"] == "invalid"


@pytest.mark.parametrize("language", ["vi", "en", "ko"])
def test_the_words_are_there_in_every_language(user: User, language: str) -> None:
    issued_party(user)
    (user.folder / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    for file, code in (("party.pem", 0), ("photo.jpg", 2)):
        done = user.run("verify", file, ANTIN_LANG=language)
        assert (done.returncode, done.stderr) == (code, "")
        assert "{" not in done.stdout


def test_policies_past_moments_and_receipts_are_there_for_every_kind(service: Service) -> None:
    user = service.user
    party = issued_party(user)
    files = {"file": ("a.p7s", cms_file(party, detached=True, moment=NOW)), "content": ("a.txt", TEXT)}
    said = service.http.post("/api/v1/verify", files=files, data={"policy": "basic"}).json()
    assert (said["reason"], said["policy"]["name"]) == ("VALID", "basic")
    past = service.http.post("/api/v1/verify", files=files, data={"at": "2020-01-01T00:00:00Z"}).json()
    assert (past["at"], past["conclusion"] == "valid") == ("2020-01-01T00:00:00Z", False)
    receipt = service.http.post("/api/v1/verify?receipt=en", files=files)
    assert receipt.content.startswith(b"%PDF-")
    user.antin("verify", "party.pem", "--receipt", "r.pdf", "--lang", "en", "--policy", "basic", "--facts", "f.json")
    text = subprocess.run(
        ["pdftotext", "-layout", "r.pdf", "-"], cwd=user.folder, capture_output=True, text=True, check=True
    )
    assert "SHA-256 fingerprint" in text.stdout
    assert "basic" in text.stdout
    again = json.loads(user.antin("verify", "--from-facts", "f.json", "--json"))
    (evidence, *_) = again["certificate"]["evidence"]
    assert (again["reason"], evidence["source"]) == ("BARE_CERTIFICATE_GOOD", "register")
