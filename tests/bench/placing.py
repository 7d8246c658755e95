"""Where a stamp may stand: looked for on the ten pages of a letter, found again on the same paper; a signature and a seal that are seen."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from api.wiring import Installation, open_installation
from signer.appearance.geometry import Place, mm_to_pt, parse_placement
from signer.appearance.pages import Wanted
from signer.octets import whole
from signer.pades import accept_prepared, sign_prepared
from signer.placing import PlaceShelf
from signer.plain_base import read_plain
from signer.plain_paper import paper_digest
from signer.plan import Plan
from signer.preparing import prepare
from tests.bench.measure import Row, faster, interleaved

_FONTS = Path(os.environ.get("ANTIN_TEST_FONTS", "/usr/share/fonts/truetype/croscore"))
_FIRST_SECONDS, _AGAIN_SECONDS, _SEEN_SECONDS = 0.150, 0.001, 0.001
_PAGES, _LINES = 10, 38
_SENTENCE = "Trung tâm Phục vụ hành chính công thành phố trân trọng thông báo để các cơ quan biết và thực hiện."
_SIGNER = "Nguyễn Thị Minh Hạnh"


def letter(pages: int = _PAGES) -> bytes:
    """Full pages of Vietnamese text; recipients and the signer's block on the last one."""
    pdfmetrics.registerFont(TTFont("Tinos-Bench", _FONTS / "Tinos-Regular.ttf"))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    for number in range(pages):
        canvas.setFont("Tinos-Bench", 13)
        for line in range(_LINES if number + 1 < pages else _LINES // 2):
            canvas.drawString(mm_to_pt(30), 780 - line * 19, f"{number + 1}.{line + 1}. {_SENTENCE}"[:92])
        if number + 1 == pages:
            for at, text in enumerate(("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH")):
                canvas.drawCentredString(430, 330 - 16 * at, text)
            canvas.drawCentredString(430, 190, _SIGNER)
            canvas.setFont("Tinos-Bench", 11)
            for at, text in enumerate(("Nơi nhận:", "- Như trên;", "- Lưu: VT.")):
                canvas.drawString(mm_to_pt(30), 330 - 14 * at, text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def run(home: Path) -> list[Row]:
    """Search and reuse in this process, as a judge process does both; then a whole pair of signatures with the demo's own."""
    pdf = letter()
    rows = [row for placement in ("auto", "anchor:KT. CHỦ TỊCH") for row in _found(pdf, placement, 15)]
    with open_installation({**os.environ, "ANTIN_HOME": str(home)}) as installation:
        return [*rows, _pair(letter(1), installation, 60)]


def _found(pdf: bytes, placement: str, rounds: int) -> list[Row]:
    """Everything is done in both: the file is read and its paper known by its digest."""
    wanted = Wanted(mm_to_pt(45), mm_to_pt(18), seal_mm=36.0, signer=_SIGNER)
    kept = PlaceShelf()

    def find(shelf: PlaceShelf) -> Place:
        paper = paper_digest(pdf, read_plain(pdf))
        assert paper is not None
        place = shelf.finder(pdf, paper)(wanted, parse_placement(placement))
        assert place is not None
        assert (place.page_index, place.how) == (_PAGES - 1, "anchor")
        return place

    first, again = interleaved([lambda: find(PlaceShelf()), lambda: find(kept)], rounds)
    return [
        faster(f"{placement}, {_PAGES} pages, first time, of 150 ms", first, _FIRST_SECONDS, rounds, 1.0),
        faster(f"{placement}, the same paper again, of 1 ms", again, _AGAIN_SECONDS, rounds, 1.0),
    ]


def _pair(pdf: bytes, installation: Installation, rounds: int) -> Row:
    """What being seen adds to an officer's signature with the seal's after it, bytes to bytes, together."""
    officer, seal, deps = installation.desk.usable("officer"), installation.desk.usable("seal"), installation.signing
    assert officer.image_sha256 is not None
    assert seal.image_sha256 is not None
    pictures = {
        "signature": deps.image(officer.image_sha256, "signature", 45.0),
        "seal": deps.image(seal.image_sha256, "seal", seal.diameter_mm or 0.0),
    }
    places = PlaceShelf()

    def signed(placement: str) -> bytes:
        content = pdf
        for kind, credential, diameter, room in (
            ("signature", officer, None, seal.diameter_mm), ("seal", seal, seal.diameter_mm, None),
        ):  # fmt: skip
            plan = Plan(
                kind, datetime.now(UTC), credential.template.reserved_octets(), placement,  # type: ignore[arg-type]
                signer=_SIGNER, image=pictures[kind], diameter_mm=diameter, ready_seal_mm=room,
            )  # fmt: skip
            prepared = prepare(content, plan, places)
            assert (prepared.placed is None) is (placement == "none")
            accepted = accept_prepared(content, prepared.tail, prepared.hole, prepared.field)
            content = whole(sign_prepared(accepted, credential.template, credential.key()))
        return content

    seen, unseen = interleaved([lambda: signed("required"), lambda: signed("none")], rounds)
    added = max(seen - unseen, 1e-6)
    return faster("visible signature and seal, place known: added, of 1 ms", added, _SEEN_SECONDS, rounds, 1.0)
