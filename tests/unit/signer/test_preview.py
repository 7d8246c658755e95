"""signer/preview.py: what is shown is what the signature then looks like; nothing is used, numbered or stored for it."""

from __future__ import annotations

import io
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageChops

from hsm.memory_store import MemoryStore
from pki.audit import Actor
from pki.errors import RoleMissing
from signer.consent import ConsentDeps, enrol_factor
from signer.errors import Refused
from signer.factor_seal import FactorSeal
from signer.image_registry import end_image, list_images
from signer.metadata import parse_metadata
from signer.preview import Preview, PreviewWish, preview_document
from signer.signing import SignRequest
from tests.signing_world import CLERK, SigningWorld, plain_paper
from tests.world import ADMIN

PAPER = plain_paper("Một văn bản", pages=3)


class NoKeys(MemoryStore):
    """A token with which nothing can be signed."""

    def __init__(self) -> None:
        """Without keys, and so without the warning about them."""

    def get(self, public_key_der: bytes):  # type: ignore[no-untyped-def]
        raise AssertionError(f"a key was asked for: {public_key_der[:4]!r}")


def look(signing: SigningWorld, pdf: bytes, credential: str = "officer", page: int = 0, **wishes: object) -> Preview:
    request = SignRequest(pdf, "paper.pdf", credential, **wishes)  # type: ignore[arg-type]
    keyless = signing.with_keys(NoKeys())
    return preview_document(request, PreviewWish(page, 110), CLERK, keyless.deps, signing.judging)


def drawn(pdf: bytes, index: int) -> Image.Image:
    document = pypdfium2.PdfDocument(pdf)
    document.init_forms()
    picture = document[index].render(scale=110 / 72, draw_annots=True, rev_byteorder=True).to_pil().convert("RGB")
    document.close()
    return picture


def picture_of(preview: Preview) -> Image.Image:
    return Image.open(io.BytesIO(preview.png)).convert("RGB")


def colours(picture: Image.Image) -> set[str]:
    """Which strong colours are on a page of black text."""
    hue, saturation, _ = picture.convert("HSV").split()
    counts = hue.histogram(mask=saturation.point([0] * 128 + [255] * 128))
    found = {"red": sum(counts[:19]) + sum(counts[239:]), "blue": sum(counts[139:193])}
    assert sum(counts) - sum(found.values()) < 200, "but for the edges of red over blue there is no other colour"
    return {name for name, count in found.items() if count > 200}


def test_the_page_is_the_one_that_will_be_signed_pixel_for_pixel(signing: SigningWorld) -> None:
    shown = look(signing, PAPER)
    assert (shown.page, shown.pages, shown.placed, shown.number) == (3, 3, "margin", None)
    approved = signing.sign(PAPER).content
    assert ImageChops.difference(picture_of(shown), drawn(approved, 2)).getbbox() is None
    sealed = look(signing, approved, "seal")
    assert (sealed.page, sealed.placed, sealed.number) == (3, "reserved", 1)
    issued = signing.sign(approved, "seal")
    assert issued.number == 1, "looking took no number"
    assert ImageChops.difference(picture_of(sealed), drawn(issued.content, 2)).getbbox() is None
    assert colours(picture_of(shown)) == {"blue"}
    assert colours(picture_of(sealed)) == {"blue", "red"}


def test_nothing_is_stored_or_said_in_the_trail(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER).content
    tables = ("audit", "documents", "signing_acts", "numbers", "prepared_documents")
    counts = {name: signing.rows(f"SELECT count(*) FROM {name}") for name in tables}
    look(signing, approved, "seal")
    assert {name: signing.rows(f"SELECT count(*) FROM {name}") for name in tables} == counts


def test_another_page_can_be_looked_at_and_none_that_is_not_there(signing: SigningWorld) -> None:
    assert look(signing, PAPER, page=1).page == 1
    assert look(signing, PAPER, page=-2).page == 2
    with pytest.raises(Refused, match="PLACEMENT_OFF_PAGE"):
        look(signing, PAPER, page=9)
    unseen = look(signing, PAPER, placement="none")
    assert (unseen.page, unseen.placed) == (1, None)


def test_it_is_refused_with_the_reason_with_which_the_signature_would_be(signing: SigningWorld) -> None:
    with pytest.raises(Refused, match="ISSUE_WITHOUT_OFFICER"):
        look(signing, PAPER, "seal")
    with pytest.raises(Refused, match="ANCHOR_MISSING"):
        look(signing, PAPER, placement="anchor:GIÁM ĐỐC")
    approved = signing.sign(PAPER, metadata=parse_metadata({"CodeNumber": "7"})).content
    assert look(signing, approved, "seal").number == 7
    other = signing.sign(plain_paper("Văn bản khác"), metadata=parse_metadata({"CodeNumber": "7"})).content
    signing.sign(other, "seal")
    with pytest.raises(Refused, match="NUMBER_TAKEN"):
        look(signing, approved, "seal")
    with signing.world.database.read() as session:
        image = list_images(session, "officer")[0]
    end_image(image.id, "x", CLERK, signing.world.database, signing.world.clock)
    with pytest.raises(Refused, match="IMAGE_ENDED"):
        look(signing, PAPER)
    with pytest.raises(RoleMissing):
        preview_document(
            SignRequest(PAPER, "x", "officer"), PreviewWish(), Actor("nobody"), signing.deps, signing.judging
        )


def test_who_has_still_to_consent_looks_before_he_does(signing: SigningWorld, tmp_path: Path) -> None:
    consent = ConsentDeps(signing.world.database, signing.world.clock, FactorSeal(tmp_path / "factors"))
    enrol_factor("officer", ADMIN, consent)
    with pytest.raises(Refused):
        signing.sign(PAPER)
    assert look(signing, PAPER).placed == "margin"
