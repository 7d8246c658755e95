"""Files that stay on disk, as a user has them: signed, raised, judged, handed out over HTTP, and on a disk that is full."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.bench.large import watched
from tests.installation import ANTIN, User
from tests.integration.http_service import running
from tests.large_pdf import write_large

MB = 1024 * 1024
PAGES = 20


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("streams", [False, True], ids=["table", "streams"])
def test_the_whole_way_of_a_long_document(user: User, *, streams: bool) -> None:
    write_large(user.folder / "long.pdf", 5 * MB, PAGES, streams=streams)
    signed = user.sign("long.pdf", "officer", "signed.pdf", "--level", "B-T")
    user.antin("upgrade", "signed.pdf", "--level", "B-LTA", "-o", "raised.pdf")
    sealed = user.sign("raised.pdf", "seal", "sealed.pdf")
    assert (sealed["code"], sealed["sha256"]) == (signed["code"], sha256(user.folder / "sealed.pdf"))
    verdict = user.json("verify", "sealed.pdf")
    assert (verdict["conclusion"], verdict["sha256"]) == ("valid", sealed["sha256"])
    assert verdict["document"] == {"code": signed["code"], "status": "in-force"}
    assert [each["type"] for each in verdict["signatures"]] == ["signature", "timestamp", "signature"]
    checked = subprocess.run(["qpdf", "--check", user.folder / "sealed.pdf"], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout
    octets = bytearray((user.folder / "sealed.pdf").read_bytes())
    octets[3 * MB] ^= 1
    (user.folder / "altered.pdf").write_bytes(octets)
    assert user.json("verify", "altered.pdf", code=1)["conclusion"] == "invalid"
    # The register hands out what it holds, and the doctor finds it whole.
    user.antin("document", "show", signed["code"], "-o", "again.pdf")
    assert sha256(user.folder / "again.pdf") == sealed["sha256"]
    assert "BLOB" not in user.run("doctor", "--json").stdout
    assert user.files() == {
        "paper.pdf", "long.pdf", "signed.pdf", "raised.pdf", "sealed.pdf", "altered.pdf", "again.pdf",
    }  # fmt: skip


def test_several_long_files_at_once(user: User) -> None:
    for number in range(3):
        write_large(user.folder / f"{number}.pdf", (2 + number) * MB, PAGES)
    (user.folder / "bad.pdf").write_bytes(b"%PDF-" + bytes(2 * MB))
    done = user.run("sign", "0.pdf", "bad.pdf", "1.pdf", "2.pdf", "--as", "officer", "-o", "out", "--placement", "none")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert {path.name for path in (user.folder / "out").iterdir()} == {"0.pdf", "1.pdf", "2.pdf"}
    verdicts = user.json("verify", *(f"out/{number}.pdf" for number in range(3)))
    assert [each["conclusion"] for each in verdicts] == ["valid"] * 3


def test_no_process_takes_memory_of_a_files_length(user: User) -> None:
    write_large(user.folder / "long.pdf", 100 * MB, PAGES)
    for words in (
        ("sign", "long.pdf", "--as", "officer", "--placement", "none", "-o", "signed.pdf"),
        ("verify", "signed.pdf"),
        ("upgrade", "signed.pdf", "--level", "B-LTA", "-o", "raised.pdf"),
    ):
        process = user.start(*words)
        with watched(process.pid, user.home) as peaks:
            out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert len(peaks) >= 2, out
        # Without the file each is between 60 and 95 MB.
        assert max(peaks.values()) < 130 * 1024, (words[0], peaks)


def test_a_file_over_the_limit_is_not_read(user: User) -> None:
    write_large(user.folder / "long.pdf", 3 * MB, PAGES)
    said = user.refused(2, "sign", "long.pdf", "--as", "officer", "-o", "out.pdf", ANTIN_SIGN__MAX_BYTES=str(2 * MB))
    assert "2 MB" in said
    assert user.files() == {"paper.pdf", "long.pdf"}


def small_disk(user: User, place: Path, megabytes: int, *words: str) -> tuple[int, str, str]:
    """A command with a disk of that size at a place: exit code, standard error, and what is left in the place. Needs no root."""
    command = shlex.join([str(ANTIN), *words])
    mount = shlex.join(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(place)])
    script = f'{mount} || exit 77; {command} >out 2>err; echo "$?" >code; find {shlex.quote(str(place))} -type f >left'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=user.folder, env=user.surroundings(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if not (user.folder / "code").exists():
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    code, err, left = ((user.folder / name).read_text().strip() for name in ("code", "err", "left"))
    return int(code), err, left


@pytest.mark.parametrize("full", ["store", "output", "output-in-the-middle"])
def test_a_full_disk_costs_neither_signature_nor_number(user: User, full: str) -> None:
    write_large(user.folder / "long.pdf", 12 * MB, PAGES)
    user.sign("long.pdf", "officer", "approved.pdf", "--placement", "none")
    before = {path for path in (user.home / "blobs").rglob("*") if path.is_file()}
    (user.folder / "disk").mkdir()
    place = user.home / "blobs" if full == "store" else user.folder / "disk"
    # With no room for the whole, or with room for nearly all of it.
    megabytes = 12 if full == "output-in-the-middle" else 6
    code, said, left = small_disk(
        user, place, megabytes, "sign", "approved.pdf", "--as", "seal", "--placement", "none", "-o", "disk/sealed.pdf"
    )
    assert code == 5, said
    assert said.startswith("antin: ")
    assert said.count("\n") == 0
    assert "full" in said
    assert left == ""
    assert {path for path in (user.home / "blobs").rglob("*") if path.is_file()} == before
    # No number was taken, and nothing was begun.
    assert user.sign("approved.pdf", "seal", "sealed.pdf", "--placement", "none")["number"] == 1
    findings = json.loads(user.run("doctor", "--json").stdout)
    assert not [each for each in findings if "OPEN" in each.get("code", "")]


def test_a_long_document_is_handed_out_and_shown_over_http(user: User) -> None:
    write_large(user.folder / "long.pdf", 5 * MB, PAGES)
    signed = user.sign("long.pdf", "officer", "signed.pdf", "--placement", "none")
    octets = (user.folder / "signed.pdf").read_bytes()
    with running(user) as service:
        answer = service.http.get(f"/api/v1/documents/{signed['code']}/file")
        assert (answer.status_code, answer.content == octets) == (200, True)
        assert answer.headers["content-length"] == str(len(octets))
        assert answer.headers["etag"] == f'"{signed["sha256"]}"'
        assert service.verify(octets)["conclusion"] == "valid"
        page = service.http.get(f"/v/{signed['code']}", params={"lang": "en"})
        assert page.status_code == 200
        assert "valid" in page.text.lower()
        assert service.sign(octets, "seal").json()["number"] == 1
