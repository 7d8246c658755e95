"""Journey: a home that only serves to practise. Everything out of it says so, and nobody in earnest believes any of it."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.office_policy import policy_files
from tests.installation import VALID_BY_PDFSIG, User, signatures_by_pdfsig
from tests.integration.http_service import running
from tests.practice import pupil, trained  # noqa: F401  fixtures by name

NAME = "a.thuc-hanh.pdf"

_WATERMARK = policy_files()[0].watermark


def _practised(pupil: User) -> Path:  # noqa: F811
    pupil.sign("paper.pdf", "officer", "step.thuc-hanh.pdf")
    pupil.sign("step.thuc-hanh.pdf", "seal", NAME)
    return pupil.folder / NAME


def test_every_page_bears_the_watermark_which_the_first_signature_covers(pupil: User) -> None:  # noqa: F811
    file = _practised(pupil)
    with pypdfium2.PdfDocument(file) as document:
        for page in document:
            text = page.get_textpage().get_text_range()
            for line in _WATERMARK:
                assert text.count(line) == 2, "across the page and at its foot"
    with file.open("rb") as stream:
        first = PdfFileReader(stream).embedded_regular_signatures[0]
        end = int(first.byte_range[2]) + int(first.byte_range[3])
    covered = file.read_bytes()[:end]
    with pypdfium2.PdfDocument(covered) as document:
        assert _WATERMARK[1] in document[0].get_textpage().get_text_range()
    assert signatures_by_pdfsig(file) == [VALID_BY_PDFSIG] * 2


def test_the_verdict_is_never_valid_neither_at_home_nor_elsewhere(pupil: User, user: User) -> None:  # noqa: F811
    file = _practised(pupil)
    at_home = pupil.json("verify", NAME, code=3)
    assert (at_home["conclusion"], at_home["reason"]) == ("indeterminate", "TRAINING")
    assert {(each["trust"], each["integrity"]) for each in at_home["signatures"]} == {("training", "intact")}
    assert "KHÔNG CÓ GIÁ TRỊ PHÁP LÝ" in pupil.run("verify", NAME, ANTIN_LANG="vi").stdout.splitlines()[0]
    elsewhere = user.json("verify", file, code=3)
    assert (elsewhere["reason"], elsewhere["signatures"][0]["sub_indication"]) == (
        "TRAINING",
        "NO_CERTIFICATE_CHAIN_FOUND",
    )
    assert {each["trust"] for each in elsewhere["signatures"]} == {"unknown"}
    changed = bytearray(file.read_bytes())
    changed[changed.index(b"/Subtype")] ^= 1
    (pupil.folder / "changed.pdf").write_bytes(changed)
    assert pupil.json("verify", "changed.pdf", code=1)["conclusion"] == "invalid"


def test_nobody_in_earnest_takes_its_chain_for_an_anchor(pupil: User, user: User, tmp_path: Path) -> None:  # noqa: F811
    file, root = _practised(pupil), pupil.folder / "root.pem"
    fingerprint = pupil.json("ca", "list")[0]["sha256"]
    said = user.refused(1, "trust", "add", root, "--tree", "government", "--fingerprint", fingerprint)
    assert "training" in said
    assert "training" in user.refused(1, "verify", file, "--trust", root)
    # Without a home too: who knows nothing believes no more.
    nowhere = str(tmp_path / "nowhere")
    assert "training" in user.refused(1, "verify", file, "--trust", root, ANTIN_HOME=nowhere)
    assert pupil.json("verify", NAME, "--trust", root, code=3)["reason"] == "TRAINING"
    assert "training" in user.refused(1, "ca", "import", root, "--name", "practice", "--never-revoked")
    real = tmp_path / "real.pem"
    real.write_text(user.antin("ca", "show", "root", "--pem"))
    assert "training" in pupil.refused(1, "ca", "import", real, "--name", "earnest", "--never-revoked")


def test_names_of_files_say_it_and_one_that_does_not_is_refused(pupil: User) -> None:  # noqa: F811
    said = pupil.refused(2, "sign", "paper.pdf", "--as", "officer", "-o", "a.pdf")
    assert "a.thuc-hanh.pdf" in said
    assert pupil.files() == {"paper.pdf", "root.pem"}
    pupil.antin("sign", "paper.pdf", "--as", "officer")
    assert "paper-signed.thuc-hanh.pdf" in pupil.files()
    (pupil.folder / "out").mkdir()
    pupil.antin("sign", "paper.pdf", "--as", "officer", "-o", "out")
    assert "out/paper.thuc-hanh.pdf" in pupil.files()
    raised = pupil.json("upgrade", "out/paper.thuc-hanh.pdf", "--level", "B-LT", "-o", "b.thuc-hanh.pdf")
    assert raised["level"] == "B-LT"
    code = pupil.json("document", "list")[0]["code"]
    pupil.refused(2, "document", "show", code, "-o", "shown.pdf")
    pupil.antin("document", "show", code, "-o", "shown.thuc-hanh.pdf")


def test_practice_and_earnest_never_meet_in_one_file_or_home(pupil: User, user: User) -> None:  # noqa: F811
    user.sign("paper.pdf", "officer", "real.pdf")
    said = pupil.refused(
        1, "sign", user.folder / "real.pdf", "--as", "seal", "-o", "b.thuc-hanh.pdf", "--intent", "file"
    )
    assert "training" in said
    file = _practised(pupil)
    assert "training" in user.refused(1, "sign", file, "--as", "seal", "-o", "b.pdf", "--intent", "file")
    assert "training" in user.refused(2, "init", "--training")
    assert "nothing to do" in pupil.antin("init", "--demo")
    assert pupil.json("doctor")[0] == {"check": "kind", "severity": "note", "code": "TRAINING_HOME", "facts": {}}
    # No setting makes it a home for real use.
    settings = pupil.home / "antin.toml"
    settings.write_text(settings.read_text().replace("training", ""))
    assert pupil.json("verify", NAME, code=3)["reason"] == "TRAINING"


def test_over_http_the_verdict_the_file_name_and_the_log_say_it(pupil: User) -> None:  # noqa: F811
    with running(pupil) as service:
        answer = service.sign((pupil.folder / "paper.pdf").read_bytes())
        assert answer.status_code == 201, answer.text
        file = service.send("GET", answer.json()["links"]["file"], token=None)
        assert f"{answer.json()['code']}.thuc-hanh.pdf" in file.headers["Content-Disposition"]
        verdict = service.verify(file.content)
        assert (verdict["conclusion"], verdict["reason"]) == ("indeterminate", "TRAINING")
        for path in ("/", "/certificates", f"/v/{answer.json()['code']}", "/v/nothing"):
            assert "Đây là trang thực hành" in service.send("GET", f"{path}?lang=vi", token=None).text
    assert any(line.get("training") for line in service.log_lines())
