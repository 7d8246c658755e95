"""A clerk with the README alone: the seal refused, officer and seal, recall, and what a citizen's page says; with certificates of this home and of a state's look-alike."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.browser.chromium import Window
from tests.browser.site import Site, serving
from tests.installation import VALID_BY_PDFSIG, FoundedHome, User, signatures_by_pdfsig
from tests.official import look_alike

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
OFFICER, AGENCY = "Nguyễn Thị Minh Hạnh", "Trung tâm Phục vụ hành chính công thành phố Hương Giang"
STATE = "chữ ký số chuyên dùng công vụ"
_KINDS = {
    "CN": NameOID.COMMON_NAME, "T": NameOID.TITLE, "UID": NameOID.USER_ID, "O": NameOID.ORGANIZATION_NAME, "C": NameOID.COUNTRY_NAME,
}  # fmt: skip


class Clerk:
    """Types what the page says, and nothing else."""

    def __init__(self, user: User) -> None:
        self.user = user

    def types(self, line: str, code: int = 0, **blanks: str) -> str:
        """A line of the README, with what stands in capitals or three dots filled in; what was answered."""
        assert f"antin {line}" in README, line
        words = line.replace("--reason …", "--reason REASON").split()
        done = self.user.run(*(blanks.get(word, word) for word in words))
        assert done.returncode == code, (line, done.stdout, done.stderr)
        return done.stdout + done.stderr


@pytest.fixture
def clerk(founded: FoundedHome, paper: Path, tmp_path: Path) -> Clerk:
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copy(paper, folder / "letter.pdf")
    return Clerk(User(founded.copy_to(tmp_path / "home"), folder))


def certified_by_the_state(user: User, generation: int) -> None:
    """The way of docs/official-certificates.md for both keys: believed, asked, issued, taken in, lists brought."""
    state = look_alike("government", generation, datetime.now(UTC).replace(microsecond=0))
    folder = user.folder
    (folder / "state-root.pem").write_bytes(state.root.public_bytes(Encoding.PEM))
    (folder / "state-ca.pem").write_bytes(state.chain)
    user.antin(
        "trust", "add", "state-root.pem", "--tree", "government", "--fingerprint", state.fingerprint.hex(":").upper()
    )
    names = {
        "officer": _name(("CN", OFFICER), ("T", "Giám đốc"), ("UID", "CCCD:001200000017"), ("O", AGENCY), ("C", "VN")),
        "seal": _name(("CN", AGENCY), ("UID", "MST:0400000000-001"), ("O", AGENCY), ("C", "VN")),
    }
    for serial, (credential, name) in enumerate(names.items(), 4711):
        user.antin("cert", "csr", credential, "-o", f"{credential}.csr")
        request = x509.load_pem_x509_csr((folder / f"{credential}.csr").read_bytes())
        issued = state.certify(request.public_bytes(Encoding.DER), subject=name, serial=serial)
        (folder / f"{credential}.pem").write_bytes(issued.public_bytes(Encoding.PEM))
        said = user.antin("cert", "import", f"{credential}.pem", "--chain", "state-ca.pem", ANTIN_LANG="vi")
        assert STATE in said
    for at, crl in enumerate(state.lists()):
        (folder / f"{at}.crl").write_bytes(crl)
        user.antin("trust", "crl", f"{at}.crl")


def _name(*parts: tuple[str, str]) -> x509.Name:
    with warnings.catch_warnings():
        # The library counts octets where X.520 counts characters.
        warnings.simplefilter("ignore", UserWarning)
        return x509.Name([x509.NameAttribute(_KINDS[kind], value, _validate=False) for kind, value in parts])


def own(user: User) -> None:
    """The demonstration's own certificates."""


def generation_1(user: User) -> None:
    certified_by_the_state(user, 1)


def generation_2(user: User) -> None:
    certified_by_the_state(user, 2)


@pytest.mark.parametrize(
    ("certified", "tree"),
    [
        (own, "internal"),
        pytest.param(generation_1, "government", marks=pytest.mark.walk),
        (generation_2, "government"),
    ],
)
def test_refused_then_both_then_recalled_and_the_citizen_sees_it(
    clerk: Clerk, window: Window, certified: Callable[[User], None], tree: str
) -> None:
    user = clerk.user
    certified(user)
    # The seal first: refused, with what is to be done, and nothing is left behind.
    before = user.files()
    said = user.refused(1, "sign", "letter.pdf", "--as", "seal", "-o", "letter-2.pdf")
    assert "officer" in said
    assert user.files() == before
    assert user.json("document", "list") in ([], {"documents": []})
    clerk.types("sign letter.pdf --as officer -o letter-1.pdf")
    clerk.types("sign letter-1.pdf --as seal -o letter-2.pdf")
    assert "VALID" in clerk.types("verify letter-2.pdf")
    verdict = user.json("verify", "letter-2.pdf")
    assert (verdict["conclusion"], [each["trust"] for each in verdict["signatures"]]) == ("valid", [tree, tree])
    assert verdict["document"]["status"] == "in-force"
    code = verdict["document"]["code"]
    with serving(Site(user)) as site:
        window.page.goto(site.url(f"/v/{code}", lang="vi"))
        assert "ĐÃ BỊ THU HỒI" not in window.text("main")
        _names_the_tree(window, tree)
        clerk.types("document recall CODE --reason …", CODE=code, REASON="Sai thẩm quyền")
        # By the code on the paper, and by the file.
        window.page.goto(site.url(f"/v/{code}", lang="vi"))
        assert window.text("#verdict").startswith("ĐÃ BỊ THU HỒI")
        _keep(window, user, f"code-{tree}")
        window.page.goto(site.url("/", lang="vi"))
        window.page.set_input_files("#file", user.folder / "letter-2.pdf")
        window.page.click("form[enctype] button")
        window.page.wait_for_selector("#verdict")
        assert window.text("#verdict").split("\n") == ["ĐÃ BỊ THU HỒI", "Văn bản đã bị thu hồi."]
        _names_the_tree(window, tree)
        sources = window.text(".sources")
        assert (f"CRL của tổ chức đã cấp chứng thư {AGENCY}: lập lúc" in sources) is (tree == "government")
        _keep(window, user, f"file-{tree}")
    assert "RECALLED" in clerk.types("verify letter-2.pdf", code=1)
    assert signatures_by_pdfsig(user.folder / "letter-2.pdf") == [VALID_BY_PDFSIG] * 2
    user.refused(1, "sign", "letter-2.pdf", "--as", "officer", "-o", "letter-3.pdf")


def _names_the_tree(window: Window, tree: str) -> None:
    assert len(re.findall(STATE, window.text("main"))) >= (2 if tree == "government" else 0)
    assert tree == "government" or STATE not in window.text("main")


def _keep(window: Window, user: User, name: str) -> None:
    window.page.screenshot(path=user.folder / f"{name}.png", full_page=True)
