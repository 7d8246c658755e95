"""Journey: names that are not written in Latin letters, from the certificate to the page, the receipt and the print."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.installation import User
from tests.integration import test_receipts

# Khmer and Thai join signs to clusters, Arabic runs from right to left and joins letters, Chinese and Korean have fonts of their own.
NAMES = ["សុខ វិបុល", "สมชาย ใจดี", "محمد عبد الله", "王小明", "김민준"]
AGENCY = "Trung tâm Phục vụ hành chính công"
# What a reader puts round words that run from right to left.
_TURNS = str.maketrans("", "", "\u202a\u202b\u202c\u2066\u2067\u2068\u2069\u200e\u200f")


def text_of(pdf: Path) -> str:
    """What a reader copies out of it, its marks of direction left out."""
    return test_receipts.text_of(pdf).translate(_TURNS)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_another_script_is_read_wherever_it_stands(user: User, name: str) -> None:
    subject = f"CN={name},O={AGENCY},C=VN"
    user.antin("cert", "issue", "--profile", "officer", "--credential", "guest", "--subject", subject, "-o", "g.pem")
    user.sign("paper.pdf", "guest", "a.pdf")
    code = user.sign("a.pdf", "seal", "b.pdf")["code"]
    assert name in text_of(user.folder / "a.pdf")
    verdict = user.json("verify", "b.pdf", "--receipt", "r.pdf")
    assert (verdict["conclusion"], verdict["signatures"][0]["signer"]["common_name"]) == ("valid", name)
    assert name in text_of(user.folder / "r.pdf")
    user.antin("print", code, "-o", "p.pdf", "--place", name, "--printer", f"Kiosk {name}")
    printed = text_of(user.folder / "p.pdf")
    assert f"In tại: {name}" in printed
    assert f"Kiosk {name}" in printed
    for file in ("a.pdf", "b.pdf", "r.pdf", "p.pdf"):
        fonts = subprocess.run(["pdffonts", user.folder / file], capture_output=True, text=True, check=True).stdout
        ours = [line.split()[-5:-2] for line in fonts.splitlines()[2:] if "+" in line.split()[0]]
        assert ours
        assert all(each == ["yes", "yes", "yes"] for each in ours), "embedded, cut, with Unicode"
    assert user.json("document", "show", code)["code"] == code
