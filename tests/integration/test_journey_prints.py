"""Journey: a kiosk or a counter prints a document: who holds the paper finds the original, and nothing out of force is printed."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfgen.canvas import Canvas

from signer.codes import grouped
from tests.installation import User
from tests.integration.http_service import running
from tests.practice import pupil, trained  # noqa: F401  fixtures by name

SITE = "https://kiemtra.huonggiang.example"
SET = {"ANTIN_HTTP__PUBLIC_URL": SITE, "ANTIN_PRINT__SYSTEM": "Cổng văn bản Hương Giang"}
PLACE = "Bộ phận Một cửa, phường Cồn Hoa"


@pytest.fixture
def issued(user: User) -> str:
    user.sign("paper.pdf", "officer", "a.pdf")
    return str(user.sign("a.pdf", "seal", "b.pdf")["code"])


def pages(file: bytes) -> list[str]:
    with pypdfium2.PdfDocument(file) as document:
        # A line that was broken is one again, as a reader has it.
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]


def qrs(file: bytes) -> list[str]:
    with pypdfium2.PdfDocument(file) as document:
        pictures = [page.render(scale=300 / 72).to_pil() for page in document]
    return [found.text for picture in pictures for found in zxingcpp.read_barcodes(picture)]


def test_it_says_what_the_law_asks_and_leads_back_by_code_or_by_file(user: User, issued: str) -> None:
    for what, out in (
        (issued, "p1.pdf"),
        (grouped(issued).lower(), "p2.pdf"),
        ("b.pdf", "p3.pdf"),
        ("a.pdf", "p4.pdf"),
    ):
        answer = user.json("print", what, "-o", out, "--place", PLACE, "--printer", "Kiosk K-03", **SET)
        assert answer["code"] == issued
        content = (user.folder / out).read_bytes()
        (text,) = pages(content)
        for said in (
            "BẢN IN TỪ VĂN BẢN ĐIỆN TỬ", f"Mã tra cứu: {grouped(issued)}", SITE, "Hệ thống: Cổng văn bản Hương Giang",
            "Cơ quan chủ quản: Trung tâm Phục vụ hành chính công", f"In tại: {PLACE}", "Bên in: Kiosk K-03", "Trang 1/1",
        ):  # fmt: skip
            assert said in text
        assert re.search(r"Thời gian in: \d\d/\d\d/\d{4} \d\d:\d\d:\d\d \+07:00", text)
        assert qrs(content) == [f"{SITE}/v/{issued}"]
        # It is no original, and nobody may take it for one.
        assert user.json("verify", out, code=4)["reason"] == "NOT_SIGNED"
    rows = user.sql("SELECT count(*) FROM audit WHERE action = 'document.print' AND subject_id = ?", issued)
    assert rows[0][0] == 4
    user.antin("audit", "verify")


def test_what_is_out_of_force_not_valid_or_unknown_is_not_printed(user: User, issued: str) -> None:
    def refused(code: int, what: str | Path) -> str:
        said = user.refused(code, "print", what, "-o", "p.pdf", "--place", PLACE, **SET)
        assert not (user.folder / "p.pdf").exists()
        return said

    refused(2, "ABCD-EFGH")
    refused(1, "paper.pdf")
    draft = user.sign("paper.pdf", "officer", "other.pdf")["code"]
    assert "not issued" in refused(1, draft)
    changed = bytearray((user.folder / "other.pdf").read_bytes())
    changed[changed.index(b"/Subtype")] ^= 1
    (user.folder / "changed.pdf").write_bytes(changed)
    assert user.run("print", "changed.pdf", "-o", "p.pdf", "--place", PLACE, **SET).returncode in (0, 1)
    (user.folder / "p.pdf").unlink(missing_ok=True)
    user.antin("document", "recall", issued, "--reason", "sai thẩm quyền")
    assert "recalled" in refused(1, issued)
    assert user.sql("SELECT count(*) FROM audit WHERE action = 'document.print' AND subject_id = ?", issued)[0][0] == 0


def test_a_revoked_signer_s_document_without_proof_of_time_is_not_printed(user: User, issued: str) -> None:
    user.antin("cert", "revoke", "officer", "--reason", "keyCompromise")
    assert "not valid" in user.refused(1, "print", issued, "-o", "p.pdf", "--place", PLACE, **SET)


def test_a_corrected_one_is_printed_and_says_so(user: User, issued: str) -> None:
    user.sign("paper.pdf", "officer", "c.pdf")
    correction = str(user.sign("c.pdf", "seal", "d.pdf")["code"])
    user.antin("document", "correct", issued, "--by", correction, "--reason", "sai thể thức")
    user.antin("print", issued, "-o", "p.pdf", "--place", PLACE, **SET)
    (text,) = pages((user.folder / "p.pdf").read_bytes())
    assert f"đã được đính chính, xem văn bản có mã tra cứu {grouped(correction)}" in text


def test_what_is_missing_or_malformed_is_said(user: User, issued: str) -> None:
    assert "--place" in user.refused(2, "print", issued, "-o", "p.pdf", **SET)
    user.refused(2, "print", issued, "-o", "p.pdf", "--place", "a" * 121, **SET)
    user.refused(2, "print", issued, "-o", "p.pdf", "--place", "tại {page}", **SET)
    user.refused(2, "print", issued, "-o", "p.pdf", "--place", "tại \u202eđây", **SET)
    user.refused(2, "print", issued, "-o", "paper.pdf", "--place", PLACE, **SET)
    user.antin("print", issued, "-o", "p.pdf", **SET, ANTIN_PRINT__PLACE="Quầy số 4")
    assert "In tại: Quầy số 4" in pages((user.folder / "p.pdf").read_bytes())[0]


def test_pages_of_every_size_and_turn_are_whole_above_the_strip(user: User) -> None:
    out = io.BytesIO()
    canvas = Canvas(out, invariant=True)
    for size, turned in ((A4, 0), (landscape(A4), 0), (A4, 90), (A4, 180), (A4, 270), ((420, 595), 0)):
        canvas.setPageSize(size)
        canvas.setPageRotation(turned)
        canvas.setFillColorRGB(1, 0, 0)
        canvas.rect(0, 0, 2000, 2000, stroke=0, fill=1)
        canvas.showPage()
    canvas.save()
    (user.folder / "red.pdf").write_bytes(out.getvalue())
    code = user.sign("red.pdf", "officer", "a.pdf", "--placement", "none", "--intent", "file")["code"]
    user.antin("print", code, "-o", "p.pdf", "--place", PLACE, **SET)
    content = (user.folder / "p.pdf").read_bytes()
    assert qrs(content) == [f"{SITE}/v/{code}"] * 6
    for number, text in enumerate(pages(content), start=1):
        assert f"Trang {number}/6" in text
    with pypdfium2.PdfDocument(content) as printed, pypdfium2.PdfDocument(out.getvalue()) as before:
        for new, old in zip(printed, before, strict=True):
            assert new.get_size() == pytest.approx(old.get_size(), abs=0.1)
            picture = new.render(scale=1).to_pil().convert("RGB")
            red = [
                (x, y)
                for x in range(0, picture.width, 4)
                for y in range(0, picture.height, 4)
                if picture.getpixel((x, y)) == (255, 0, 0)
            ]
            left, right = min(x for x, _ in red), max(x for x, _ in red)
            top, low = min(y for _, y in red), max(y for _, y in red)
            assert top <= 4, "at the upper edge"
            assert abs(left - (picture.width - right)) <= 9, "in the middle"
            # Its proportions are kept, and a strip of 30 mm or more is below.
            assert (right - left) / (low - top) == pytest.approx(picture.width / picture.height, rel=0.05)
            assert picture.height - low >= 30 / 25.4 * 72


def test_over_http_a_kiosk_prints_and_does_nothing_else(user: User, issued: str) -> None:
    with running(user, **SET) as service:
        kiosk = service.issue_token("--scope", "print", "--name", "kiosk-03")
        path = f"/api/v1/documents/{issued}/print"
        answer = service.send("POST", path, token=kiosk, json={"place": PLACE})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf"), answer.text
        assert "no-store" in answer.headers["cache-control"]
        (text,) = pages(answer.content)
        assert "Bên in: kiosk-03" in text
        assert qrs(answer.content) == [f"{SITE}/v/{issued}"]
        paper = (user.folder / "paper.pdf").read_bytes()
        denied = service.send(
            "POST", "/api/v1/documents", token=kiosk, files={"file": ("a.pdf", paper)}, data={"credential": "seal"}
        )
        assert denied.status_code == 403
        assert (
            service.send("POST", f"/api/v1/documents/{issued}/recall", token=kiosk, json={"reason": "x"}).status_code
            == 403
        )
        assert service.send("POST", path, token=None, json={"place": PLACE}).status_code == 401
        assert service.send("POST", path, token=kiosk, json={"place": ""}).json()["code"] == "PRINT_WORD_MISSING"
        assert service.send("POST", path, token=kiosk, json={"where": PLACE}).status_code == 400
        reader = service.issue_token("--scope", "verify")
        assert service.send("POST", path, token=reader, json={"place": PLACE}).status_code == 403
        service.send("POST", f"/api/v1/documents/{issued}/recall", json={"reason": "sai số liệu"})
        gone = service.send("POST", path, token=kiosk, json={"place": PLACE})
        assert (gone.status_code, gone.json()["code"]) == (409, "DOCUMENT_NOT_IN_FORCE")


def test_a_print_out_of_a_home_for_training_is_one_too(pupil: User) -> None:  # noqa: F811
    pupil.sign("paper.pdf", "officer", "b.thuc-hanh.pdf")
    code = pupil.sign("b.thuc-hanh.pdf", "seal", "a.thuc-hanh.pdf")["code"]
    pupil.refused(2, "print", code, "-o", "p.pdf", "--place", PLACE, **SET)
    pupil.antin("print", code, "-o", "p.thuc-hanh.pdf", "--place", PLACE, **SET)
    (text,) = pages((pupil.folder / "p.thuc-hanh.pdf").read_bytes())
    assert "KHÔNG CÓ GIÁ TRỊ PHÁP LÝ" in text
