"""Journey: an office changes its seal and engages a signer; two people agree to each picture, and a clerk looks before anything is signed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from api.auth.tokens import SCOPES, issue_token
from api.demo.pictures import draw_seal, draw_signature
from api.wiring import open_installation
from pki.appointment import add_person
from pki.roles import Role, owner
from tests.installation import User
from tests.signing_world import FONTS

_FOUNDER = owner("founder")
_SUBJECT = "CN=Trần Văn Mới,T=Phó Giám đốc,O=Sở Thử nghiệm,C=VN"


@pytest.fixture
def office(user: User) -> User:
    """Bình is an admin beside who owns the home."""
    with open_installation(user.surroundings()) as home:
        add_person("binh", "Bình", [Role.ADMIN], _FOUNDER, home.persons)
        token, _ = issue_token(home.persons, _FOUNDER, scopes=SCOPES, name="of-binh", person="binh")
    (user.folder / "binh").write_text(token + "\n")
    (user.folder / "seal.png").write_bytes(draw_seal("SỞ THỬ NGHIỆM", FONTS / "Tinos-Bold.ttf", diameter_mm=40))
    (user.folder / "signature.png").write_bytes(draw_signature(dpi=400))
    return user


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"])


def agreed(user: User, *words: str) -> None:
    """The command waits, Bình looks and agrees, and the command is carried out."""
    said = user.refused(6, *words)
    number = said.split()[4]
    shown = user.json("approvals", "show", number)
    picture = str(shown["content"]["rests_on"]["image"])
    user.antin("image", "show", picture, "-o", "seen.png", "--force")
    assert opened(user.folder / "seen.png").mode == "RGBA"
    who = ("--actor", "binh", "--actor-token-file", "binh")
    user.antin("approvals", "approve", number, "--sha256", str(shown["sha256"])[:12], *who)
    user.antin(*words)


def test_a_new_seal_is_agreed_to_by_two_looked_at_and_used(office: User) -> None:
    agreed(office, "image", "add", "seal", "seal.png", "--mm", "40")
    first = office.json("image", "list", "--as", "seal")
    assert [(each["mm"], each["state"], each["approved_by"]) for each in first] == [
        (40.0, "in force", "binh"), (36.0, "in force", None),
    ]  # fmt: skip
    office.antin("image", "end", str(first[1]["id"]), "--reason", "con dấu cũ đã nộp lại")
    office.refused(1, "image", "end", str(first[1]["id"]), "--reason", "lần nữa")
    office.antin("sign", "paper.pdf", "--as", "officer", "-o", "approved.pdf")
    registered = office.json("document", "list")
    shown = office.json("preview", "approved.pdf", "--as", "seal", "-o", "look.png")
    assert (shown["placed"], shown["page"], shown["number"]) == ("reserved", 1, 1)
    assert office.json("document", "list") == registered
    assert opened(office.folder / "look.png").mode == "RGB"
    office.refused(2, "preview", "approved.pdf", "--as", "seal", "-o", "look.png")
    office.antin("sign", "approved.pdf", "--as", "seal", "-o", "issued.pdf")
    assert office.json("verify", "issued.pdf")["conclusion"] == "valid"
    office.antin("image", "end", str(first[0]["id"]), "--reason", "con dấu bị mất")
    office.antin("sign", "paper.pdf", "--as", "officer", "-o", "next.pdf")
    said = office.refused(1, "sign", "next.pdf", "--as", "seal", "-o", "never.pdf", ANTIN_LANG="vi")
    assert "con dấu bị mất" in said
    assert not (office.folder / "never.pdf").exists()


def test_a_signer_is_engaged_when_somebody_else_has_agreed_to_his_picture(office: User) -> None:
    words = ("cert", "issue", "--profile", "officer", "--subject", _SUBJECT, "--credential", "pho-giam-doc")
    agreed(office, *words, "--image", "signature.png", "-o", "pho.pem", "--force")
    (image,) = office.json("image", "list", "--as", "pho-giam-doc")
    assert (image["owner"], image["purpose"], image["approved_by"]) == ("pho-giam-doc", "signature", "binh")
    office.antin("sign", "paper.pdf", "--as", "pho-giam-doc", "-o", "a.pdf")
    assert b"/SMask" in (office.folder / "a.pdf").read_bytes()


def test_several_are_looked_at_and_one_that_is_refused_stops_none(office: User) -> None:
    (office.folder / "b.pdf").write_bytes((office.folder / "paper.pdf").read_bytes())
    (office.folder / "c.pdf").write_bytes(b"no PDF")
    done = office.run("preview", "paper.pdf", "b.pdf", "c.pdf", "--as", "officer", "-o", "looks")
    assert done.returncode == 2
    assert sorted(each.name for each in (office.folder / "looks").iterdir()) == ["b.png", "paper.png"]
    assert done.stderr.startswith("c.pdf: ")
    assert office.json("document", "list") == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (2, ("image", "add", "nobody", "seal.png")),
        (2, ("image", "add", "seal", "paper.pdf")),
        (2, ("image", "add", "seal", "missing.png")),
        (1, ("image", "add", "officer", "seal.png")),
        (1, ("image", "add", "seal", "white.png")),
        (1, ("image", "add", "seal", "seal.png", "--mm", "80")),
        (2, ("image", "add", "seal", "seal.png", "--from", "31/12/2026", "--to", "01/01/2026")),
        (2, ("image", "show", "99")),
        (2, ("preview", "paper.pdf", "--as", "officer", "--placement", "somewhere")),
        (1, ("preview", "paper.pdf", "--as", "officer", "--placement", "anchor:XYZ-123")),
        (1, ("preview", "paper.pdf", "--as", "seal")),
    ],
)
def test_what_cannot_be_says_why_in_one_line(office: User, code: int, words: tuple[str, ...]) -> None:
    seal = opened(office.folder / "seal.png").convert("RGBA")
    out = io.BytesIO()
    Image.alpha_composite(Image.new("RGBA", seal.size, "white"), seal).save(out, "PNG")
    Path(office.folder / "white.png").write_bytes(out.getvalue())
    office.refused(code, *words)
    assert len(office.json("image", "list")) == 2


def test_the_doctor_names_a_picture_that_was_altered_and_one_that_is_gone(user: User) -> None:
    seal, signature = user.json("image", "list", "--as", "seal")[0], user.json("image", "list", "--as", "officer")[0]
    kept = {each["sha256"]: next(user.home.rglob(f"*{each['sha256'][4:]}*")) for each in (seal, signature)}
    kept[seal["sha256"]].chmod(0o600)
    kept[seal["sha256"]].write_bytes(b"another")
    kept[signature["sha256"]].unlink()
    done = user.run("doctor", ANTIN_SIGN__FONT_FOLDERS='["/nowhere"]')
    assert done.returncode == 1
    assert f"picture {seal['id']} of" in done.stdout
    assert f"({signature['sha256']}) is missing" in done.stdout
    assert "apt-get install fonts-noto-core" in done.stdout
