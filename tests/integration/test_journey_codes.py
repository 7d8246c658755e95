"""Journey: documents that bear their code and its QR, signed alone, in a row, over HTTP and by a key elsewhere."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
import zxingcpp

from tests.installation import User
from tests.integration.http_service import running
from tests.integration.test_http_batches import ended, hand_in

SITE = "https://kiemtra.huonggiang.example"
DRAWN = {"ANTIN_SIGN__CODE": "required", "ANTIN_HTTP__PUBLIC_URL": SITE}


def qr_of(file: bytes) -> str:
    with pypdfium2.PdfDocument(file) as document:
        (found,) = zxingcpp.read_barcodes(document[0].render(scale=300 / 72).to_pil())
        return str(found.text)


def test_alone_and_in_a_row_each_bears_its_own(user: User) -> None:
    paper = (user.folder / "paper.pdf").read_bytes()
    user.sign("paper.pdf", "officer", "a.pdf", **DRAWN)
    issued = user.sign("a.pdf", "seal", "b.pdf", **DRAWN)
    assert qr_of((user.folder / "b.pdf").read_bytes()) == f"{SITE}/v/{issued['code']}"
    assert user.json("verify", "b.pdf")["reason"] == "VALID_EXTENDED"
    (user.folder / "many").mkdir()
    for number in range(3):
        (user.folder / "many" / f"{number}.pdf").write_bytes(paper)
    signed = user.json("sign", "many", "--as", "officer", "-o", "out", **DRAWN)
    codes = {Path(each["output"]).name: each["code"] for each in signed}
    assert len(set(codes.values())) == 3
    for name, code in codes.items():
        assert qr_of((user.folder / "out" / name).read_bytes()) == f"{SITE}/v/{code}"


def test_a_prepared_one_keeps_the_code_that_is_drawn_on_it(user: User) -> None:
    prepared = user.json("prepare", "paper.pdf", "--as", "officer", "-o", "octets", **DRAWN)
    done = user.json("finish", prepared["id"], "-o", "c.pdf", **DRAWN)
    assert qr_of((user.folder / "c.pdf").read_bytes()) == f"{SITE}/v/{done['code']}"


def test_over_http_alone_and_in_a_batch(user: User) -> None:
    paper = (user.folder / "paper.pdf").read_bytes()
    with running(user, **DRAWN) as service:
        answer = service.sign(paper).json()
        file = service.send("GET", answer["links"]["file"], token=None).content
        assert qr_of(file) == f"{SITE}/v/{answer['code']}"
        batch = ended(service, hand_in(service, paper, paper).json()["links"]["self"])
        for each in batch["documents"]:
            file = service.send("GET", f"/api/v1/documents/{each['document']['code']}/file", token=None).content
            assert qr_of(file) == f"{SITE}/v/{each['document']['code']}"
