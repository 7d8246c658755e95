"""A world that signs documents: the fictive infrastructure of tests/world.py with credentials, pictures and a real judge process.

Keys lie in memory and the clock stands still; everything else is the product's own. Import the fixtures by name in a
conftest.py: one judge process and one set of pictures serve all tests of a test process.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import text

from api.demo.pictures import draw_seal, draw_signature
from certs.inventory import CertificateRecord
from certs.names import parse_subject
from hsm.spec import KeySpec
from hsm.store import KeyStore
from pki.approval_rules import ApprovalRules
from pki.audit import Actor
from pki.roles import Role
from signer.appearance.font_shelf import FontShelf
from signer.credentials import CredentialDesk
from signer.documents import Document, document_by_code
from signer.enrolment import EnrolmentDeps, EnrolmentRequest, enrol
from signer.image_registry import ImageDeps, NewImage, found_image
from signer.images import ImageShelf
from signer.judging import JudgeDesk
from signer.sandbox import Judge
from signer.signing import SignedDocument, SigningDeps, SignRequest, sign_document
from signer.storage import BlobStore
from signer.validation.verdict import Verdict
from tests.script_fonts import SCRIPT_FONTS
from tests.world import OFFICER_SUBJECT, SEAL_SUBJECT, World, build_world

CLERK = Actor("records-clerk", frozenset({Role.ADMIN}))
DIAMETER_MM = 36.0
FONTS = Path(os.environ.get("ANTIN_TEST_FONTS", "/usr/share/fonts/truetype/croscore"))


@dataclass(frozen=True)
class Pictures:
    """The pictures of officer and agency, as PNG, and where fonts and what is derived from both lie."""

    signature: bytes
    seal: bytes
    fonts: Path
    cache: Path


@dataclass
class SigningWorld:
    """`world` is the infrastructure, `deps` what the signing cycle works with."""

    world: World
    deps: SigningDeps
    judging: JudgeDesk
    images: ImageShelf
    registry: ImageDeps
    pictures: Pictures
    rsa_padding: str = "pss"

    @property
    def enrolment(self) -> EnrolmentDeps:
        return EnrolmentDeps(self.world.keys, self.world.issuing_deps, self.rsa_padding)

    def enrol(
        self,
        name: str,
        profile: str,
        *,
        subject: str | None = None,
        spec: KeySpec = KeySpec.P_256,
        picture: bool = True,
    ) -> CertificateRecord:
        """A credential of that name with a key of its own."""
        seal = profile == "agency-seal"
        wanted = parse_subject(subject or (SEAL_SUBJECT if seal else OFFICER_SUBJECT))
        request = EnrolmentRequest(
            name=name,
            profile=profile,
            subject=wanted,
            spec=spec,
            image_sha256=self.found_picture(wanted.organization if seal else name, seal=seal) if picture else None,
            diameter_mm=DIAMETER_MM if seal else None,
        )
        return enrol(request, CLERK, self.enrolment)

    def found_picture(self, owner: str, *, seal: bool) -> str:
        """The digest of the owner's picture, registered as a demonstration's are."""
        png, purpose, width = (
            (self.pictures.seal, "seal", DIAMETER_MM) if seal else (self.pictures.signature, "signature", 45.0)
        )
        return found_image(NewImage(png, "picture.png", purpose, owner, width), CLERK, self.registry).sha256

    def sign(self, pdf: bytes, credential: str = "officer", **wishes: Any) -> SignedDocument:
        """One document through the cycle."""
        return sign_document(SignRequest(pdf, "paper.pdf", credential, **wishes), CLERK, self.deps)

    def with_keys(self, keys: KeyStore) -> SigningWorld:
        """The same world whose credentials get their keys from another store."""
        desk = CredentialDesk(self.world.database, keys, self.world.clock)
        return dataclasses.replace(self, deps=dataclasses.replace(self.deps, desk=desk))

    def verdict(self, pdf: bytes) -> Verdict:
        return self.judging.verify(pdf, "paper.pdf")

    def document(self, code: str) -> Document:
        with self.world.database.read() as session:
            return document_by_code(session, code)

    def rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """Rows of the database, by SQL."""
        with self.world.database.read() as session:
            return [tuple(row) for row in session.execute(text(query), values)]

    def actions(self) -> list[str]:
        """What the audit trail says was done, in its order."""
        return [action for (action,) in self.rows("SELECT action FROM audit ORDER BY seq")]


def build_signing_world(
    folder: Path, judge: Judge, pictures: Pictures, *, keys: KeyStore | None = None, apart: bool = False
) -> SigningWorld:
    """Make all of it in a folder, without credentials yet. The caller closes `world`; the judge is his own."""
    world = build_world(folder, keys=keys, apart=apart)
    # Apart from those of documents, which tests count.
    drawn = BlobStore(folder / "pictures")
    images = ImageShelf(drawn, folder / "images", pictures.cache)
    judging = JudgeDesk(judge, world.database, world.clock)
    registry = ImageDeps(world.database, world.clock, ApprovalRules(), drawn, judging.check_picture)
    deps = SigningDeps(
        database=world.database,
        clock=world.clock,
        desk=CredentialDesk(world.database, world.keys, world.clock),
        preparer=judging,
        judge_earlier=judging.earlier_signatures,
        blobs=BlobStore(folder / "blobs"),
        image=images.image,
        font=FontShelf(pictures.fonts, pictures.cache, SCRIPT_FONTS).font,
        seal_diameter_mm=DIAMETER_MM,
        max_bytes=50 * 1024 * 1024,
    )
    return SigningWorld(world, deps, judging, images, registry, pictures)


def plain_paper(*lines: str, pages: int = 1, size: tuple[float, float] = A4) -> bytes:
    """Pages with a few lines at their top and, on A4, room below."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=size, invariant=True)
    for page in range(pages):
        for at, line in enumerate(lines or (f"A paper, page {page + 1}",)):
            canvas.drawString(size[0] * 0.12, size[1] - 80 - 16 * at if size == A4 else size[1] - 12 - 14 * at, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def raw_pdf(objects: dict[int, str], root: int = 1) -> bytes:
    """A PDF of objects as they are written, with a classic cross-reference table; for forms that no writer makes."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = {}
    for number, body in sorted(objects.items()):
        offsets[number] = len(out)
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    start, size = len(out), max(objects) + 1
    out += f"xref\n0 {size}\n0000000000 65535 f \n".encode()
    for number in range(1, size):
        out += (f"{offsets[number]:010d} 00000 n \n" if number in offsets else "0000000000 65535 f \n").encode()
    out += f"trailer\n<< /Size {size} /Root {root} 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    with Judge(preload=("prepare", "gather")) as judge:
        yield judge


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    if not (FONTS / "Tinos-Regular.ttf").is_file():
        pytest.skip("Tinos is not installed (apt-get install fonts-croscore)")
    seal = draw_seal("TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG", FONTS / "Tinos-Bold.ttf", dpi=320)
    return Pictures(draw_signature(dpi=360), seal, FONTS, tmp_path_factory.mktemp("derived"))
