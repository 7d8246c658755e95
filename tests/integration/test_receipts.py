"""Journey: a verdict is taken home as a signed PDF, from the command line, over HTTP and from the page; and what the PDF is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signer.codes import grouped
from tests.attacks import documents
from tests.attacks.pki import build_pki, make, make_crl
from tests.installation import User
from tests.integration.http_service import Service, problem, running

KOREAN = Path(os.environ.get("ANTIN_TEST_KOREAN_FONT", "/usr/share/fonts/truetype/nanum/NanumMyeongjo.ttf"))
FONT = {"ANTIN_SIGN__KOREAN_FONT": str(KOREAN)}
WORDS = {
    "vi": ("Biên nhận kết quả kiểm tra chữ ký số", "HỢP LỆ", "Trang 1/", "vi-VN"),
    "en": ("Receipt of a signature check", "VALID", "Page 1 of", "en"),
    "ko": ("전자서명 검증 결과 확인서", "유효함", "1/", "ko-KR"),
}


def text_of(pdf: Path) -> str:
    """What a reader copies out of it, white space evened out."""
    done = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())


def checked(user: User, file: str) -> str:
    """The text of a receipt that every judge takes for what it is."""
    path = user.folder / file
    verdict = user.json("verify", file)
    (signature,) = verdict["signatures"]
    assert (verdict["conclusion"], verdict["reason"], signature["level"]) == ("valid", "VALID", "PAdES-B-T")
    assert signature["signer"]["common_name"] == "Antin Verification Receipts"
    assert (
        "Signature is Valid"
        in subprocess.run(["pdfsig", str(path)], capture_output=True, text=True, check=False).stdout
    )
    assert subprocess.run(["qpdf", "--check", str(path)], capture_output=True, check=False).returncode == 0
    fonts = subprocess.run(["pdffonts", str(path)], capture_output=True, text=True, check=True).stdout.splitlines()[2:]
    assert fonts
    assert all(line.split()[-5:-2] == ["yes", "yes", "yes"] for line in fonts), "embedded, cut, with Unicode"
    return text_of(path)


@pytest.fixture
def signed(user: User) -> dict[str, Any]:
    """`signed.pdf`, issued, with everything that a B-LTA document has."""
    user.sign("paper.pdf", "officer", "a.pdf", "--level", "B-LTA")
    return user.sign("a.pdf", "seal", "signed.pdf", "--level", "B-T")


@pytest.mark.parametrize("language", ["vi", "en", "ko"])
def test_the_receipt_says_what_the_verdict_says_in_three_languages(
    user: User, signed: dict[str, Any], language: str
) -> None:
    if language == "ko" and not KOREAN.is_file():
        pytest.skip("NanumMyeongjo is not installed (apt-get install fonts-nanum)")
    user.antin("verify", "signed.pdf", "--receipt", "r.pdf", "--lang", language, **FONT)
    said = checked(user, "r.pdf")
    verdict = user.json("verify", "signed.pdf")
    title, word, page, tag = WORDS[language]
    digest = " ".join(re.findall("....", verdict["sha256"]))
    for wanted in (title, word, page, digest, "signed.pdf", "+07:00", "vn-2025", "PAdES-B-LTA", "PAdES-B-T", "TOTAL-PASSED",
                   "Antin Issuing CA", "Nguyễn Thị Minh Hạnh", verdict["policy"]["sha256"], grouped(signed["code"])):  # fmt: skip
        assert wanted in said, wanted
    assert "?" not in said.replace("–", "")
    with pikepdf.open(user.folder / "r.pdf") as pdf:
        root = pdf.Root
        assert (str(root.Lang), bool(root.MarkInfo.Marked)) == (tag, True)
        assert str(pdf.docinfo.Title) == title
        assert [round(float(side)) for side in pdf.pages[0].MediaBox] == [0, 0, 595, 842]
        assert root.ViewerPreferences.DisplayDocTitle
        (document,) = [root.StructTreeRoot.K]
        tags = [str(kid.S) for kid in document.K]
        assert tags[:2] == ["/H1", "/P"]
        assert {"/H2", "/H3", "/Table", "/Form"} <= set(tags)


def test_twelve_signers_with_long_names_a_changed_file_and_others(user: User) -> None:
    pki = build_pki()
    pem = [pki.root.certificate.public_bytes(Encoding.PEM)]
    pem += [
        x509.load_der_x509_crl(each).public_bytes(Encoding.PEM) for each in (make_crl(pki.root), make_crl(pki.issuing))
    ]
    (user.folder / "root.pem").write_bytes(b"".join(pem))
    pdf = documents.page_pdf()
    for number in range(12):
        pdf = documents.sign(pdf, make(f"Người ký {number + 1} " + "W" * 48, pki.issuing), f"Sig{number + 1}")
    name = "Quyết định rất dài " * 8 + "\u202efdp.pdf"
    (user.folder / name).write_bytes(pdf)
    (user.folder / "changed.pdf").write_bytes(
        documents.with_annotation(documents.sign(documents.page_pdf(), pki.officer))
    )
    (user.folder / "none.txt").write_text("not a PDF")
    for file, code, word in (
        (name, None, "Người ký 12"), ("changed.pdf", 1, "KHÔNG HỢP LỆ"), ("paper.pdf", 4, "KHÔNG CÓ CHỮ KÝ SỐ"),
        ("none.txt", 2, "KHÔNG ĐỌC ĐƯỢC TỆP"),
    ):  # fmt: skip
        done = user.run("verify", file, "--trust", "root.pem", "--receipt", "r.pdf", "--force", ANTIN_LANG="vi")
        assert code is None or done.returncode == code, done.stderr
        said = checked(user, "r.pdf")
        assert word in said
        assert "\u202e" not in said
        assert (
            subprocess.run(["pdftoppm", "-r", "20", "-png", "r.pdf", "r"], cwd=user.folder, check=False).returncode == 0
        )


def test_what_does_not_fit_together_is_refused_before_anything_is_judged(user: User, tmp_path: Path) -> None:
    assert "--receipt takes one FILE" in user.refused(2, "verify", "paper.pdf", "paper.pdf", "--receipt", "r.pdf")
    assert "--lang goes with --receipt" in user.refused(2, "verify", "paper.pdf", "--lang", "vi")
    user.refused(2, "verify", "paper.pdf", "--receipt", "nowhere/r.pdf")
    stranger = User(tmp_path / "nowhere", user.folder)
    assert "antin init" in stranger.refused(2, "verify", "paper.pdf", "--receipt", "r.pdf")
    assert not (user.folder / "r.pdf").exists()


def test_without_its_key_the_verdict_is_said_and_then_what_is_missing(user: User, signed: dict[str, Any]) -> None:
    shutil.move(user.home / "tokens", user.home / "tokens-away")
    done = user.run("verify", "signed.pdf", "--receipt", "r.pdf")
    assert done.returncode == 5
    assert done.stdout.startswith("✓ signed.pdf: VALID")
    assert "no receipt can be made now" in done.stderr
    assert not (user.folder / "r.pdf").exists()


def test_over_http_and_from_the_page(user: User, signed: dict[str, Any]) -> None:
    pdf = (user.folder / "signed.pdf").read_bytes()
    with running(user, **FONT) as service:
        answer = upload(service, pdf, "?receipt=en")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
        assert answer.headers["content-language"] == "en"
        (user.folder / "r.pdf").write_bytes(answer.content)
        assert "Receipt of a signature check" in checked(user, "r.pdf")
        code = service.http.get(f"/api/v1/verify?code={signed['code']}&receipt=vi")
        assert code.content.startswith(b"%PDF-1.7")
        problem(upload(service, pdf, "?receipt=fr"), 400, "RECEIPT_LANGUAGE_WRONG")
        # The page keeps nothing of the file: the button brings the facts of the verdict back, sealed.
        page = service.http.post("/verify?lang=vi", files={"file": ("Giấy.pdf", pdf)}).text
        ticket = re.search(r'name="ticket" value="([^"]+)"', page)
        assert ticket is not None
        taken = service.http.post("/verify/receipt?lang=vi", data={"ticket": ticket[1]})
        assert taken.status_code == 200, taken.text
        (user.folder / "page.pdf").write_bytes(taken.content)
        assert "Giấy.pdf" in checked(user, "page.pdf")
        for wrong in (ticket[1][:-6] + "AAAAAA", "", "x" * 60_000):
            refused = service.http.post("/verify/receipt?lang=en", data={"ticket": wrong})
            assert (refused.status_code, "THE RESULT IS OLD" in refused.text) == (400, True)
        shown = service.http.get(f"/v/{signed['code']}?lang=en").text
        link = re.search(r'href="(/v/[^"]+/receipt\?lang=en)"', shown)
        assert link is not None
        assert service.http.get(link[1]).headers["content-type"] == "application/pdf"
        assert service.http.get("/v/0000-0000-0000-0000-0000/receipt?lang=en").status_code == 404


def upload(service: Service, pdf: bytes, query: str, **fields: str) -> Any:
    return service.http.post(f"/api/v1/verify{query}", files={"file": ("a.pdf", pdf)}, data=fields)


def test_over_http_the_verdict_stands_when_no_receipt_can_be_made(user: User, signed: dict[str, Any]) -> None:
    pdf = (user.folder / "signed.pdf").read_bytes()
    shutil.move(user.home / "tokens", user.home / "tokens-away")
    with running(user) as service:
        body = problem(upload(service, pdf, "?receipt=vi"), 503, "RECEIPT_AWAY")
        assert body["verdict"]["conclusion"] == "valid"
        page = service.http.post("/verify?lang=en", files={"file": ("a.pdf", pdf)}).text
        ticket = re.search(r'name="ticket" value="([^"]+)"', page)
        assert ticket is not None
        away = service.http.post("/verify/receipt?lang=en", data={"ticket": ticket[1]})
        assert (away.status_code, "NO RECEIPT NOW" in away.text) == (503, True)


def test_policy_time_and_facts_from_the_command_line_and_over_http(user: User, signed: dict[str, Any]) -> None:
    eidas = user.json("verify", "signed.pdf", "--policy", "eidas")
    assert (eidas["policy"]["name"], eidas["conclusion"]) == ("eidas", "valid")
    user.antin("verify", "signed.pdf", "--facts", "facts.json")
    facts = json.loads((user.folder / "facts.json").read_text("utf-8"))
    assert facts["schema"] == "antin-facts-1"
    again, first = user.json("verify", "--from-facts", "facts.json"), user.json("verify", "signed.pdf")
    assert again.pop("checked_at") <= first.pop("checked_at")
    assert again == first
    assert user.json("verify", "--from-facts", "facts.json", "--policy", "basic")["policy"]["name"] == "basic"
    assert "recorded facts" in user.antin("verify", "--from-facts", "facts.json")
    assert "choose one of" in user.refused(2, "verify", "signed.pdf", "--policy", "vn-2024")
    assert "--from-facts goes with" in user.refused(2, "verify", "signed.pdf", "--from-facts", "facts.json")
    assert "no facts" in user.refused(2, "verify", "--from-facts", "paper.pdf")
    own = Path("signer/validation/policies/vn-2025.toml").read_text("utf-8").replace('"vn-2025"', '"ban-thi-dua"')
    (user.home / "own.toml").write_text(own, "utf-8")
    chosen = {"ANTIN_VALIDATION__POLICY_FILE": "own.toml", "ANTIN_VALIDATION__POLICY": "ban-thi-dua"}
    assert user.json("verify", "signed.pdf", **chosen)["policy"]["name"] == "ban-thi-dua"
    (user.home / "own.toml").write_text(own.replace("until", "untill", 1), "utf-8")
    assert "untill" in user.refused(2, "verify", "signed.pdf", **chosen)
    assert "untill" in user.refused(2, "serve", "--port", "0", **chosen)
    assert "vn-2025" in user.refused(2, "verify", "signed.pdf", ANTIN_VALIDATION__POLICY="vn-2024")
    pdf = (user.folder / "signed.pdf").read_bytes()
    with running(user) as service:
        assert upload(service, pdf, "", policy="eidas").json()["policy"]["name"] == "eidas"
        past = upload(service, pdf, "", at="2020-01-01T00:00:00+07:00").json()
        assert (past["at"], past["reason"]) == ("2019-12-31T17:00:00Z", "INVALID_NOT_YET_VALID")
        problem(upload(service, pdf, "", policy="x"), 400, "POLICY_UNKNOWN")
        problem(upload(service, pdf, "", at="2999-01-01T00:00:00Z"), 400, "TIME_AHEAD")
        problem(upload(service, pdf, "", at="now"), 400, "TIME_MALFORMED")
        known = service.http.get(f"/api/v1/verify?code={signed['code']}&policy=basic").json()
        assert known["policy"]["name"] == "basic"


def test_a_state_is_answered_as_it_was_known_then(user: User, signed: dict[str, Any]) -> None:
    before = user.json("verify", "signed.pdf")["checked_at"]
    user.antin("cert", "suspend", "officer")
    user.antin("document", "recall", signed["code"], "--reason", "Sai thể thức")
    now = user.json("verify", "signed.pdf", code=1)
    assert now["reason"] == "DOC_RECALLED"
    then = user.json("verify", "signed.pdf", "--at", before)
    assert (then["reason"], then["document"]["status"], then["at"]) == ("VALID_EXTENDED", "in-force", before)
