"""signer/image_registry.py: one person adds a picture, another approves it, and only what is in force is signed with."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from pki.appointment import add_person
from pki.audit import Actor
from pki.errors import ApprovalNeeded, ApprovalOwn, RoleMissing
from pki.persons import get_person
from pki.roles import Role
from pki.voting import approve
from signer.appearance.png import read_png
from signer.errors import InputUnreadable, Refused, SignerError, UsageWrong
from signer.given import Given
from signer.handing_over import HandoverDeps, finish_document, prepare_document
from signer.image_registry import Image, NewImage, add_image, end_image, list_images, owner_of
from signer.signing import SignRequest
from tests.signing_world import CLERK, SigningWorld, plain_paper
from tests.world import ADMIN

PAPER = plain_paper("x")


def refusal(call: Callable[[], object]) -> SignerError:
    with pytest.raises((Refused, UsageWrong, InputUnreadable)) as caught:
        call()
    assert isinstance(caught.value, SignerError)
    return caught.value


@pytest.fixture
def an(signing: SigningWorld) -> Actor:
    return person(signing, "an")


@pytest.fixture
def binh(signing: SigningWorld) -> Actor:
    return person(signing, "binh")


def person(signing: SigningWorld, name: str) -> Actor:
    add_person(name, name.title(), [Role.ADMIN], ADMIN, signing.world.person_deps)
    with signing.world.database.read() as session:
        return get_person(session, name).actor


def recoloured(png: bytes, turn: int) -> bytes:
    """The same picture in another shade: another picture for the registry."""
    picture = Pillow.open(io.BytesIO(png)).convert("RGBA")
    red, green, blue, alpha = picture.split()
    out = io.BytesIO()
    Pillow.merge("RGBA", (red, green.point(lambda value: min(255, value + turn)), blue, alpha)).save(out, "PNG")
    return out.getvalue()


def signature(signing: SigningWorld, **told: object) -> NewImage:
    png = recoloured(signing.pictures.signature, 9)
    return replace(NewImage(png, "new.png", "signature", "officer", 45.0), **told)  # type: ignore[arg-type]


def agreed(signing: SigningWorld, new: NewImage, asker: Actor, voter: Actor) -> Image:
    with pytest.raises(ApprovalNeeded) as caught:
        add_image(new, asker, signing.registry)
    (row,) = signing.rows("SELECT sha256 FROM approvals WHERE id = :id", id=int(caught.value.facts["id"]))
    approve(int(caught.value.facts["id"]), row[0], voter, signing.world.person_deps)
    return add_image(new, asker, signing.registry)


def test_nobody_gives_himself_a_picture_and_the_trail_names_both(signing: SigningWorld, an: Actor, binh: Actor) -> None:
    new = signature(signing)
    with pytest.raises(ApprovalNeeded) as caught:
        add_image(new, an, signing.registry)
    number = int(caught.value.facts["id"])
    ((sha256,),) = signing.rows("SELECT sha256 FROM approvals WHERE id = :id", id=number)
    with pytest.raises(ApprovalOwn):
        approve(number, sha256, an, signing.world.person_deps)
    with signing.world.database.read() as session:
        waiting = list_images(session)[0]
    # Whoever is to agree can look at it.
    assert read_png(signing.images.png(waiting.sha256))[:2] == (waiting.width_px, waiting.height_px)
    approve(number, sha256, binh, signing.world.person_deps)
    image = add_image(new, an, signing.registry)
    assert (image.id, image.state, image.added_by, image.approved_by) == (waiting.id, "active", "an", "binh")
    assert image.starts == signing.world.clock.now().date().isoformat()
    assert add_image(new, an, signing.registry) == image
    trail = [each for each in signing.actions() if each.startswith(("image.", "approval."))]
    assert trail[-5:] == ["image.add", "approval.request", "approval.approve", "approval.use", "image.approve"]


def test_a_new_picture_takes_the_place_of_the_one_before(signing: SigningWorld, an: Actor, binh: Actor) -> None:
    image = agreed(signing, signature(signing, width_mm=40.0), an, binh)
    document = signing.sign(PAPER)
    ((details,),) = signing.rows("SELECT details FROM audit WHERE action = 'document.sign' ORDER BY seq DESC LIMIT 1")
    assert (details if isinstance(details, dict) else json.loads(details))["image"] == str(image.id)
    assert b"/SMask" in document.content


def test_what_waits_has_ended_or_is_for_other_days_signs_nothing_and_uses_no_key(
    signing: SigningWorld, an: Actor, binh: Actor
) -> None:
    with signing.world.database.read() as session:
        first = next(each for each in list_images(session, "officer"))
    database, clock = signing.world.database, signing.world.clock
    end_image(first.id, "người ký đổi chữ ký", CLERK, database, clock)
    before = signing.rows("SELECT count(*) FROM signing_acts")
    error = refusal(lambda: signing.sign(PAPER))
    assert (error.code, error.facts["reason"]) == ("IMAGE_ENDED", "người ký đổi chữ ký")
    assert refusal(lambda: end_image(first.id, "x", CLERK, database, clock)).code == "IMAGE_ENDED_BEFORE"
    with pytest.raises(ApprovalNeeded):
        add_image(signature(signing), an, signing.registry)
    assert refusal(lambda: signing.sign(PAPER)).code == "IMAGE_NOT_APPROVED"
    assert signing.rows("SELECT count(*) FROM signing_acts") == before
    assert signing.sign(PAPER, placement="none").placed is None
    today = clock.now().date()
    tomorrow = (today + timedelta(days=1)).isoformat()
    agreed(signing, signature(signing, starts=tomorrow, ends=tomorrow), an, binh)
    error = refusal(lambda: signing.sign(PAPER))
    assert (error.code, error.facts["day"]) == ("IMAGE_NOT_BEGUN", tomorrow)
    clock.advance(seconds=86_400)
    assert signing.sign(PAPER).placed == "margin"
    clock.advance(seconds=86_400)
    error = refusal(lambda: signing.sign(PAPER))
    assert (error.code, error.facts["day"]) == ("IMAGE_OVER", tomorrow)


def test_the_agencys_seal_is_as_large_as_it_is_registered(signing: SigningWorld, an: Actor, binh: Actor) -> None:
    with signing.world.database.read() as session:
        purpose, agency = owner_of(session, "seal")
    agreed(signing, NewImage(recoloured(signing.pictures.seal, 9), "s.png", purpose, agency, 38.0), an, binh)
    approved = signing.sign(PAPER)
    issued = signing.sign(approved.content, "seal")
    assert issued.placed == "reserved", "the officer's signature left room for the seal as it is registered"
    assert signing.verdict(issued.content).conclusion == "valid"


def test_a_prepared_document_is_not_finished_with_a_picture_that_has_ended(signing: SigningWorld) -> None:
    from_now = HandoverDeps(signing.deps, lambda *_: pytest.fail("no proofs are wanted"), timedelta(days=3), "pss")
    one = prepare_document(SignRequest(PAPER, "paper.pdf", "officer"), CLERK, from_now)
    with signing.world.database.read() as session:
        image = list_images(session, "officer")[0]
    end_image(image.id, "lộ mẫu chữ ký", CLERK, signing.world.database, signing.world.clock)
    error = refusal(lambda: finish_document(one.id, Given(signature=b"x"), CLERK, from_now))
    assert error.code == "IMAGE_ENDED"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"png": b"%PDF-"}, "IMAGE_UNREADABLE"),
        ({"purpose": "seal", "owner": "Sở", "width_mm": 36.0}, "IMAGE_COLOUR_WRONG"),
        ({"width_mm": 200.0}, "IMAGE_SIZE_WRONG"),
        ({"width_mm": 90.0}, "IMAGE_TOO_COARSE"),
        ({"starts": "2031-02-01", "ends": "2031-01-31"}, "IMAGE_ENDS_BEFORE"),
        ({"ends": "1999-01-01"}, "IMAGE_ENDS_BEFORE"),
        ({"starts": "31 January"}, "DAY_MALFORMED"),
        ({"owner": "x" * 65}, "CREDENTIAL_TEXT_WRONG"),
    ],
)
def test_what_cannot_be_registered_leaves_nothing(signing: SigningWorld, an: Actor, told: dict, code: str) -> None:
    before = signing.rows("SELECT count(*) FROM images")
    assert refusal(lambda: add_image(signature(signing, **told), an, signing.registry)).code == code
    assert signing.rows("SELECT count(*) FROM images") == before


def test_only_who_manages_credentials_adds_and_ends(signing: SigningWorld) -> None:
    with pytest.raises(RoleMissing):
        add_image(signature(signing), Actor("nobody"), signing.registry)
    with pytest.raises(RoleMissing):
        end_image(1, "x", Actor("nobody"), signing.world.database, signing.world.clock)
    assert (
        refusal(lambda: end_image(99, "x", CLERK, signing.world.database, signing.world.clock)).code == "IMAGE_UNKNOWN"
    )


def test_what_came_is_told_from_what_is_kept(signing: SigningWorld) -> None:
    """Text, time and whatever else a scanner writes into a file is not kept."""
    out = io.BytesIO()
    picture = Pillow.open(io.BytesIO(signing.pictures.signature)).convert("RGBA")
    from_scanner = PngInfo()
    from_scanner.add_text("Author", "Nguyễn Văn A", zip=True)
    picture.save(out, "PNG", pnginfo=from_scanner, dpi=(360, 360))
    with pytest.raises(ApprovalNeeded):
        add_image(signature(signing, png=out.getvalue(), width_mm=44.0), person(signing, "cuc"), signing.registry)
    with signing.world.database.read() as session:
        image = list_images(session)[0]
    assert image.source_sha256 == hashlib.sha256(out.getvalue()).hexdigest() != image.sha256
    kept = signing.images.png(image.sha256)
    assert [kept[37:41], kept[-8:-4]] == [b"IDAT", b"IEND"]
    assert b"Author" not in kept
