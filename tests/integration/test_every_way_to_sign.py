"""Officer, then seal: wherever they stand, whatever fields the paper has, at every level both signatures are valid for us, pyHanko and pdfsig."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfdoc import PDFString
from reportlab.pdfbase.ttfonts import TTFont

from api.wiring import Installation, open_installation
from certs.inventory import get_certificate
from certs.serial import serial_hex
from pki.authorities import get_authority
from pki.crl_archive import crl_octets, find_latest
from pki.roles import owner
from signer.levels import LEVELS
from signer.signing import SignedDocument, SignRequest, sign_document
from tests.drafts import Draft
from tests.installation import FONTS, FoundedHome, User
from tests.interoperability.judges import pdfsig

_ACTOR = owner("clerk")
PLACES = ("anchor", "field", "margin", "point", "invisible")
FORMS = ("no fields", "signature fields", "text fields", "both")
OFFICER = {"anchor": "anchor:GIÁM ĐỐC", "field": "auto", "margin": "margin", "point": "1,60,330", "invisible": "none"}
SEAL = {"anchor": "anchor:Nơi nhận:", "field": "auto", "margin": "margin", "point": "1,230,330", "invisible": "none"}


@dataclass(frozen=True)
class Way:
    """How a document is signed: where and at which level by each of the two, on a paper with which fields."""

    officer: str
    seal: str
    form: str
    officer_level: str
    seal_level: str

    def __str__(self) -> str:
        return f"{self.officer} {self.officer_level}, {self.seal} {self.seal_level}, {self.form}".replace(" ", "-")


ALL = [Way(*each) for each in itertools.product(PLACES, PLACES, FORMS, LEVELS, LEVELS)]


def pairwise(ways: list[Way]) -> list[Way]:
    """So few of them that any two things which can meet do meet in one."""

    def pairs(way: Way) -> set[tuple[tuple[int, str], ...]]:
        words = (way.officer, way.seal, way.form, way.officer_level, way.seal_level)
        return set(itertools.combinations(enumerate(words), 2))

    left, chosen = set().union(*map(pairs, ways)), []
    while left:
        chosen.append(max(ways, key=lambda way: len(pairs(way) & left)))
        left -= pairs(chosen[-1])
    return chosen


class House:
    """A home with its token, and what a stranger needs to judge what it signs: its root, its list and its answers."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.papers = {form: paper(form) for form in FORMS}
        with installation.database.read() as session:
            ders = [
                get_certificate(session, get_authority(session, name).serial or "").der or b""
                for name in ("root", "issuing")
            ]
            newest = find_latest(session, "root")
            assert newest is not None
            self._list = asn1_crl.CertificateList.load(b"".join(crl_octets(session, newest)))
        self._root, self._issuing = (asn1_x509.Certificate.load(der) for der in ders)
        serials = [installation.desk.usable(name).serial for name in ("officer", "seal")]
        serials.append(serial_hex(installation.tsa.service().certificate.serial_number))
        self._answers = [self._answer(serial) for serial in serials]

    def _answer(self, serial: str) -> asn1_ocsp.OCSPResponse:
        answer = self.installation.ocsp.about("issuing", serial)
        assert answer is not None
        return asn1_ocsp.OCSPResponse.load(answer.der)

    def signed(self, way: Way) -> bytes:
        officer = self._sign(self.papers[way.form], "officer", way.officer, OFFICER[way.officer], way.officer_level)
        return self._sign(officer, "seal", way.seal, SEAL[way.seal], way.seal_level)

    def _sign(self, pdf: bytes, who: str, place: str, placement: str, level: str) -> bytes:
        field = ("NguoiKy" if who == "officer" else "ConDau") if place == "field" else None
        request = SignRequest(pdf, "paper.pdf", who, level=level, placement=placement, field=field)
        done = sign_document(request, _ACTOR, self.installation.signing)
        assert (done.level, done.pending) == (level, None)
        assert (done.placed is None) is (place == "invisible"), done.placed
        assert field is None or done.field == field
        self._values(done)
        return done.content

    @staticmethod
    def _values(done: SignedDocument) -> None:
        """The seal fills what the officer's signature left open."""
        fields = {name for name in ("SoVanBan", "NgayBanHanh") if f"({name})".encode() in done.content}
        assert set(done.filled) == (fields if done.intent == "issue" else set())

    def by_pyhanko(self, pdf: bytes) -> list[tuple[bool, str]]:
        """Its word on each signature: everything of it holds, and what it says of what came after."""
        said = []
        for signature in PdfFileReader(io.BytesIO(pdf)).embedded_regular_signatures:
            context = ValidationContext(
                trust_roots=[self._root], other_certs=[self._issuing], crls=[self._list], ocsps=self._answers,
                allow_fetching=False, revocation_mode="hard-fail",
            )  # fmt: skip
            status = validate_pdf_signature(signature, context, ts_validation_context=context)
            said.append((status.bottom_line, status.summary()))
        return said

    def check(self, way: Way, folder: Path) -> None:
        """Three who judge, and the two signatures are valid to each."""
        pdf = self.signed(way)
        verdict = self.installation.judging.verify(pdf, "paper.pdf")
        said = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
        assert [each.conclusion for each in said] == ["valid", "valid"], (way, [each.reason for each in said])
        assert [each.facts.level for each in said][1] == f"PAdES-{way.seal_level}", way
        assert (verdict.judged.conclusion, verdict.reason) in {("valid", "VALID"), ("valid", "VALID_EXTENDED")}, way
        theirs = self.by_pyhanko(pdf)
        assert [holds for holds, _ in theirs] == [True, True], (way, theirs)
        file = folder / "signed.pdf"
        file.write_bytes(pdf)
        poppler = pdfsig(file, folder)
        assert poppler == "2 × Signature is Valid", (way, poppler)


def paper(form: str) -> bytes:
    """A letter with a signer's block, recipients and much room, and empty fields or none."""
    pdfmetrics.registerFont(TTFont("Tinos-Test", FONTS / "Tinos-Regular.ttf"))
    draft = Draft().write("Số:            /TB-VP", 85, 790).write("Về việc thử nghiệm mọi cách ký", 85, 760)
    draft.signer(y=680, room=140).recipients(y=680)
    if form in {"signature fields", "both"}:
        draft.field("NguoiKy", (330, 60, 470, 120)).field("ConDau", (90, 40, 195, 145))
    if form in {"text fields", "both"}:
        more = {"DA": PDFString("/Helv 12 Tf 0 g")}
        draft.field("SoVanBan", (108, 786, 150, 804), "Tx", **more)
        draft.field("NgayBanHanh", (330, 786, 480, 804), "Tx", **more)
    return draft.done()


@pytest.fixture(scope="module")
def house(founded: FoundedHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("ways")
    user = User(founded.copy_to(folder / "home"), folder)
    with open_installation(user.surroundings()) as installation:
        yield House(installation)


@pytest.mark.parametrize("way", pairwise(ALL), ids=str)
def test_any_two_ways_that_can_meet(house: House, way: Way, tmp_path: Path) -> None:
    house.check(way, tmp_path)


@pytest.mark.walk
@pytest.mark.parametrize(("officer", "seal"), list(itertools.product(PLACES, PLACES)))
def test_every_way(house: House, officer: str, seal: str, tmp_path: Path) -> None:
    for way in ALL:
        if (way.officer, way.seal) == (officer, seal):
            house.check(way, tmp_path)
