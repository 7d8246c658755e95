"""What offices hand in that cannot be: each is refused in one line that says what to do, in the clerk's language, and leaves nothing behind."""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pypdfium2.raw as pdfium
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from PIL import Image, ImageDraw
from pypdfium2 import PdfDocument
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from api.words import read_catalogues
from certs.clock import VIETNAM
from tests.drafts import Draft
from tests.installation import FONTS, FoundedHome, User
from tests.integration.http_service import running
from tests.official import look_alike

_RED = (208, 16, 32, 255)
_LONG = ("Phó Trưởng phòng phụ trách quản lý đô thị và xây dựng nông thôn mới và cải cách thủ tục hành chính " * 3)[
    :200
]


def ring(background: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Image.Image:
    picture = Image.new("RGBA", (600, 600), background)
    ImageDraw.Draw(picture).ellipse((5, 5, 594, 594), outline=_RED, width=30)
    return picture


def saved(picture: Image.Image, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, form)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(kind: bytes, body: bytes) -> bytes:
    png = saved(ring())
    return png[:33] + chunk(kind, body) + png[33:]


def raw_png(side: int, depth: int, data: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


PICTURES = {
    "bomb": (raw_png(60_000, 8, bytes(1000)), 1, "IMAGE_TOO_LARGE"),
    "profile for print": (
        with_chunk(b"iCCP", b"press\0\0" + zlib.compress(bytes(16) + b"CMYK" + bytes(200))), 1, "IMAGE_KIND_UNSUPPORTED",
    ),
    "cmyk jpeg": (saved(ring().convert("CMYK"), "JPEG"), 2, "IMAGE_UNREADABLE"),
    "sixteen bits": (raw_png(600, 16, bytes(600 * (600 * 8 + 1))), 1, "IMAGE_KIND_UNSUPPORTED"),
    "no gamma at all": (with_chunk(b"gAMA", bytes(4)), 1, "IMAGE_KIND_UNSUPPORTED"),
    "white": (saved(ring((255, 255, 255, 255))), 1, "IMAGE_NOT_TRANSPARENT"),
}  # fmt: skip


@pytest.fixture(scope="module")
def office(founded: FoundedHome, paper: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    folder = tmp_path_factory.mktemp("bad-input")
    user = User(founded.copy_to(folder / "home"), folder)
    shutil.copy(paper, folder / "paper.pdf")
    pdfmetrics.registerFont(TTFont("Tinos-Test", FONTS / "Tinos-Regular.ttf"))
    (folder / "two.pdf").write_bytes(Draft().signer(y=700).signer(y=400).done())
    full = Draft()
    for y in range(840, 0, -8):
        full.write("x" * 110, 5, y, 10)
    (folder / "full.pdf").write_bytes(full.done())
    return user


def says(user: User, status: int, code: str, *words: str) -> None:
    """Refused with that code's sentence, in Vietnamese and in English."""
    for language in ("vi", "en"):
        said = user.refused(status, *words, ANTIN_LANG=language)
        # What stands between the facts is the sentence's own.
        parts = re.split(r"\{\w+\}", read_catalogues(language)[code])
        assert all(part in said for part in parts), (code, said)
        assert ";" in said or "antin " in said.removeprefix("antin: "), "it says what to do"


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_that_are_none_of_a_seal(office: User, name: str) -> None:
    png, status, code = PICTURES[name]
    (office.folder / "bad.png").write_bytes(png)
    before = office.json("image", "list")
    says(office, status, code, "image", "add", "seal", "bad.png", "--mm", "36")
    assert office.json("image", "list") == before


def test_another_gamma_is_converted_and_waits_for_the_second_person(office: User) -> None:
    (office.folder / "gamma.png").write_bytes(with_chunk(b"gAMA", struct.pack(">I", 100_000)))
    office.refused(6, "image", "add", "seal", "gamma.png", "--mm", "36")


@pytest.mark.parametrize(
    ("file", "placement", "code"),
    [
        ("two.pdf", "anchor:GIÁM ĐỐC", "ANCHOR_AMBIGUOUS"),
        ("two.pdf", 'anchor:"GIÁM ĐỐC"#3', "ANCHOR_FEWER"),
        ("two.pdf", "anchor:CHỦ TỊCH", "ANCHOR_MISSING"),
        ("full.pdf", "required", "PLACEMENT_NOWHERE"),
        ("full.pdf", "margin:1", "PLACEMENT_WITHOUT_ROOM"),
        ("full.pdf", "1,100,100", "PLACEMENT_COVERS_TEXT"),
    ],
)
def test_places_that_cannot_be_had(office: User, file: str, placement: str, code: str) -> None:
    before = office.json("document", "list"), office.files()
    says(office, 1, code, "sign", file, "--as", "officer", "-o", "out.pdf", "--placement", placement)
    assert (office.json("document", "list"), office.files()) == before
    says(office, 1, code, "preview", file, "--as", "officer", "-o", "out.png", "--placement", placement)


def test_a_page_without_room_is_signed_without_a_stamp_only_where_that_is_left_to_us(office: User) -> None:
    done = office.run("sign", "full.pdf", "--as", "officer", "-o", "bare.pdf")
    assert (done.returncode, done.stderr.count("without a visible stamp")) == (0, 1)
    says(office, 1, "CORNER_WITHOUT_ROOM", "sign", "full.pdf", "--as", "seal", "--intent", "income", "-o", "in.pdf")


def test_a_mandate_that_ended_yesterday_in_vietnam(office: User) -> None:
    today = datetime.now(UTC).astimezone(VIETNAM).date()
    (office.folder / "kt.json").write_text(json.dumps({"SignerInfo": {"Position": "KT. GIÁM ĐỐC"}}))
    grant = ("mandate", "add", "officer", "KT", "--title", "GIÁM ĐỐC", "--given-by", "Giám đốc", "--from")
    wanted = ("sign", "paper.pdf", "--as", "officer", "-o", "kt.pdf", "--metadata", "kt.json")
    says(office, 1, "MANDATE_MISSING", *wanted)
    office.antin(*grant, "2020-01-01", "--to", (today - timedelta(days=1)).isoformat())
    says(office, 1, "MANDATE_OVER", *wanted)
    office.antin(*grant, today.isoformat(), "--to", today.isoformat())
    office.antin(*wanted)


def test_of_two_processes_that_want_one_number_one_has_it(office: User) -> None:
    for name in ("a", "b"):
        office.sign("paper.pdf", "officer", f"{name}.pdf")
    (office.folder / "number.json").write_text(json.dumps({"CodeNumber": "77"}))
    wanted = {
        name: ("sign", f"{name}.pdf", "--as", "seal", "-o", f"{name}-77.pdf", "--metadata", "number.json")
        for name in "ab"
    }
    begun = {name: office.start(*words) for name, words in wanted.items()}
    ended = {name: (process.communicate(), process.returncode) for name, process in begun.items()}
    assert sorted(code for _, code in ended.values()) == [0, 1]
    (loser,) = (name for name, (_, code) in ended.items() if code == 1)
    says(office, 1, "NUMBER_TAKEN", *wanted[loser])
    office.antin(*wanted[loser][:-2])


def test_certificates_for_another_key_over_or_of_nobody(office: User) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    state, stranger = look_alike("government", 2, now), look_alike("public", 0, now)
    folder = office.folder
    for name, certificate in (("root", state.root), ("state", state.issuing), ("stranger", stranger.issuing)):
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    office.antin("trust", "add", "root.pem", "--tree", "government", "--fingerprint", state.fingerprint.hex())
    subject = "CN=Nguyễn Văn An,O=Sở Thử nghiệm,C=VN"
    pem = office.antin("cert", "csr", "an", "--role", "officer", "--subject", subject)
    csr = x509.load_pem_x509_csr(pem.encode()).public_bytes(Encoding.DER)
    elsewhere = ec.generate_private_key(ec.SECP256R1())
    other = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(elsewhere, hashes.SHA256())
    issued = {
        "OFFICIAL_KEY_UNKNOWN": (state.certify(other.public_bytes(Encoding.DER)), "state.pem"),
        "OFFICIAL_EXPIRED": (state.certify(csr, days=1, begin=now - timedelta(days=3)), "state.pem"),
        "OFFICIAL_CHAIN_NOWHERE": (stranger.certify(csr), "stranger.pem"),
    }
    for code, (certificate, chain) in issued.items():
        (folder / "bad.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        says(office, 1, code, "cert", "import", "bad.pem", "--chain", chain)
    assert [each["name"] for each in office.json("credential", "list")] == ["officer", "seal"]


def test_decomposed_names_are_drawn_whole_and_what_is_too_long_says_how_long_it_may_be(office: User) -> None:
    name, title = "Đặng Nguyễn Thị Thuỳ Ưỡn", _LONG[:64].strip()
    subject = unicodedata.normalize("NFD", f"CN={name},T={title},O=Sở Quản lý đô thị,C=VN")
    office.antin("cert", "issue", "--profile", "officer", "--credential", "uon", "--subject", subject)
    office.sign("paper.pdf", "uon", "uon.pdf")
    with PdfDocument(office.folder / "uon.pdf") as document:
        document.init_forms()
        page = document[0]
        # What annotations show becomes text of the page.
        assert pdfium.FPDFPage_Flatten(page.raw, pdfium.FLAT_PRINT) != pdfium.FLATTEN_FAIL
        page.close()
        again = document[0]
        assert name in unicodedata.normalize("NFC", again.get_textpage().get_text_range())
    (office.folder / "long.json").write_text(json.dumps({"Subject": unicodedata.normalize("NFD", _LONG)}))
    office.sign("paper.pdf", "officer", "long.pdf", "--metadata", "long.json")
    (shown,) = office.json("document", "list", "--text", "xay dung nong thon moi")
    assert shown["metadata"]["Subject"] == unicodedata.normalize("NFC", _LONG).strip()
    says(office, 2, "NAME_TOO_LONG", "cert", "issue", "--profile", "officer", "--subject", f"CN=A,T={_LONG},O=B,C=VN")


def test_the_same_sentences_over_http(office: User) -> None:
    pdf = (office.folder / "two.pdf").read_bytes()
    with running(office) as service:
        for placement, code in (("anchor:GIÁM ĐỐC", "ANCHOR_AMBIGUOUS"), ("anchor:CHỦ TỊCH", "ANCHOR_MISSING")):
            answer = service.sign(pdf, placement=placement)
            assert (answer.status_code, answer.json()["code"]) == (422, code)
        answer = service.sign(pdf, placement='anchor:"GIÁM ĐỐC"#2')
        assert answer.status_code == 201, answer.text
