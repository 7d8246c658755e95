"""Journey: documents are signed by officers and sealed by the agency, one by one, in a folder, by two processes at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.installation import ANTIN, OFFICER_NAME, VALID_BY_PDFSIG, User, signatures_by_pdfsig


def test_officer_then_seal_gives_a_numbered_document_that_strangers_software_accepts(user: User) -> None:
    original = (user.folder / "paper.pdf").read_bytes()
    approved = user.sign("paper.pdf", "officer", "approved.pdf")
    assert (approved["intent"], approved["number"], approved["placed"]) == ("approve", None, "anchor")
    issued = user.sign("approved.pdf", "seal", "issued.pdf")
    assert (issued["intent"], issued["number"], issued["placed"]) == ("issue", 1, "reserved")
    assert issued["code"] == approved["code"]
    # Nothing before is touched: each file begins with the one before.
    first, second = (user.folder / "approved.pdf").read_bytes(), (user.folder / "issued.pdf").read_bytes()
    assert first.startswith(original)
    assert second.startswith(first)
    assert (user.folder / "paper.pdf").read_bytes() == original
    assert signatures_by_pdfsig(user.folder / "issued.pdf") == [VALID_BY_PDFSIG] * 2
    verdict = user.json("verify", "issued.pdf")
    assert (verdict["conclusion"], verdict["reason"]) == ("valid", "VALID_EXTENDED")
    assert verdict["document"] == {"code": issued["code"], "status": "in-force"}
    assert [each["conclusion"] for each in verdict["signatures"]] == ["valid", "valid"]
    document = user.json("document", "show", issued["code"])
    assert (document["number"], document["sha256"]) == (1, issued["sha256"])
    assert [(each["credential"], each["state"]) for each in document["signatures"]] == [
        ("officer", "done"),
        ("seal", "done"),
    ]
    assert user.files() == {"paper.pdf", "approved.pdf", "issued.pdf"}


def test_pyhankos_own_command_line_accepts_the_file(user: User) -> None:
    user.sign("paper.pdf", "officer", "a.pdf")
    user.sign("a.pdf", "seal", "b.pdf")
    (user.folder / "root.pem").write_text(user.antin("ca", "show", "root", "--pem"))
    done = subprocess.run(
        [ANTIN.with_name("pyhanko"), "sign", "validate", "--trust", "root.pem", "--no-revocation-check", "b.pdf"],
        cwd=user.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("INTACT:TRUSTED") == 2


def test_the_seal_is_refused_where_no_officer_has_signed_and_no_number_is_lost(user: User) -> None:
    user.refused(1, "sign", "paper.pdf", "--as", "seal", "-o", "out.pdf")
    user.refused(1, "sign", "paper.pdf", "--as", "seal", "--intent", "approve", "-o", "out.pdf")
    assert user.files() == {"paper.pdf"}
    user.sign("paper.pdf", "officer", "a.pdf")
    assert user.sign("a.pdf", "seal", "b.pdf")["number"] == 1
    user.refused(1, "sign", "b.pdf", "--as", "seal", "-o", "c.pdf")


def test_default_output_stands_beside_the_input(user: User) -> None:
    (user.folder / "in").mkdir()
    shutil.copy(user.folder / "paper.pdf", user.folder / "in" / "Tờ trình.pdf")
    answer = user.json("sign", "in/Tờ trình.pdf", "--as", "officer")
    assert answer["output"] == "in/Tờ trình-signed.pdf"
    assert user.files() == {"paper.pdf", "in", "in/Tờ trình.pdf", "in/Tờ trình-signed.pdf"}


def test_an_existing_output_is_never_replaced_without_force(user: User) -> None:
    (user.folder / "out.pdf").write_text("mine")
    user.refused(2, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf")
    assert (user.folder / "out.pdf").read_text() == "mine"
    assert user.json("document", "list") == []
    user.antin("sign", "paper.pdf", "--as", "officer", "-o", "out.pdf", "--force")
    assert signatures_by_pdfsig(user.folder / "out.pdf") == [VALID_BY_PDFSIG]


def test_no_input_is_ever_the_output_even_with_force(user: User) -> None:
    shutil.copy(user.folder / "paper.pdf", user.folder / "paper-signed.pdf")
    (user.folder / "link.pdf").symlink_to("paper.pdf")
    before = (user.folder / "paper.pdf").read_bytes()
    for words in (
        ("paper.pdf", "-o", "paper.pdf"),
        ("paper.pdf", "-o", "link.pdf"),
        ("paper.pdf", "paper-signed.pdf"),  # the default output of the first is the second
        ("paper.pdf", "paper-signed.pdf", "-o", "."),
    ):
        user.refused(2, "sign", *words, "--as", "officer", "--force")
    assert (user.folder / "paper.pdf").read_bytes() == (user.folder / "paper-signed.pdf").read_bytes() == before


def test_one_refused_file_of_several_does_not_stop_the_others(user: User) -> None:
    for name in ("b.pdf", "c.pdf"):
        shutil.copy(user.folder / "paper.pdf", user.folder / name)
    (user.folder / "bad.pdf").write_text("no PDF at all")
    done = user.run("sign", "paper.pdf", "bad.pdf", "b.pdf", "c.pdf", "--as", "officer", "-o", "out")
    assert done.returncode == 2
    assert [line.split(" ")[0] for line in done.stdout.splitlines()] == ["paper.pdf", "b.pdf", "c.pdf"]
    assert done.stderr.splitlines()[0].startswith("antin: bad.pdf: ")
    assert {path.name for path in (user.folder / "out").iterdir()} == {"paper.pdf", "b.pdf", "c.pdf"}
    results = user.json("sign", "bad.pdf", "b.pdf", "--as", "officer", "-o", "out2", code=2)
    assert [(each["file"], each.get("error")) for each in results] == [("bad.pdf", "INPUT_NOT_PDF"), ("b.pdf", None)]


def test_inputs_that_would_meet_in_one_output_are_refused_before_anything_is_signed(user: User) -> None:
    (user.folder / "sub").mkdir()
    shutil.copy(user.folder / "paper.pdf", user.folder / "sub" / "paper.pdf")
    user.refused(2, "sign", "paper.pdf", "sub/paper.pdf", "--as", "officer", "-o", "out")
    user.refused(2, "sign", "paper.pdf", "sub/../paper.pdf", "--as", "officer")
    (user.folder / "file").write_text("")
    user.refused(2, "sign", "paper.pdf", "sub/paper.pdf", "--as", "officer", "-o", "file")
    assert user.json("document", "list") == []


@pytest.mark.parametrize(
    ("placement", "placed"), [("none", None), ("required", "anchor"), ("1,60,60", "given"), ("auto", "anchor")]
)
def test_the_stamp_goes_where_it_is_asked_to(user: User, placement: str, placed: str | None) -> None:
    assert user.sign("paper.pdf", "officer", "out.pdf", "--placement", placement)["placed"] == placed
    assert user.json("verify", "out.pdf")["conclusion"] == "valid"


def test_a_place_given_for_the_seal_is_obeyed_though_another_is_reserved(user: User) -> None:
    user.sign("paper.pdf", "officer", "a.pdf")
    sealed = user.sign("a.pdf", "seal", "b.pdf", "--placement", "1,40,30")
    assert sealed["placed"] == "given"
    assert user.json("verify", "b.pdf")["conclusion"] == "valid"


@pytest.mark.parametrize("placement", ["", "1,nan,10", "0,10,10"])
def test_a_placement_that_cannot_be_meant_is_wrong_usage(user: User, placement: str) -> None:
    user.refused(2, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf", f"--placement={placement}")


@pytest.mark.parametrize("placement", ["7,50,50", "1,-40,10"])
def test_a_place_off_the_page_is_refused(user: User, placement: str) -> None:
    user.refused(1, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf", f"--placement={placement}")
    assert user.files() == {"paper.pdf"}


def test_metadata_go_into_the_register_and_a_wanted_number_into_the_document(user: User) -> None:
    about = {"Subject": "Về việc thử nghiệm", "CodeNotation": "STN-VP", "To": [{"OrganName": "Sở Nội vụ"}]}
    (user.folder / "m.json").write_text("\ufeff" + json.dumps(about))
    user.sign("paper.pdf", "officer", "a.pdf", "--metadata", "m.json")
    (user.folder / "n.json").write_text('{"CodeNumber": "7"}')
    issued = user.sign("a.pdf", "seal", "b.pdf", "--metadata", "n.json")
    assert issued["number"] == 7
    document = user.json("document", "show", issued["code"])
    assert document["subject"] == about["Subject"]
    assert document["metadata"] == about | {"CodeNumber": "7"}
    # The same number twice is refused, and the next counts on from the highest.
    user.sign("paper.pdf", "officer", "c.pdf")
    user.refused(1, "sign", "c.pdf", "--as", "seal", "-o", "d.pdf", "--metadata", "n.json")
    assert user.sign("c.pdf", "seal", "d.pdf")["number"] == 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "padding", "algorithm"),
    [
        ("rsa-2048", "pss", "rsassa_pss"),
        ("rsa-3072", "pss", "rsassa_pss"),
        ("rsa-2048", "pkcs1v15", "rsa"),
        ("p-384", "pss", "ecdsa"),
    ],
)
def test_every_kind_of_key_signs_what_pdfsig_calls_valid(user: User, spec: str, padding: str, algorithm: str) -> None:
    user.environment |= {"ANTIN_KEYS__CREDENTIAL": spec, "ANTIN_SIGN__RSA_PADDING": padding}
    user.antin(
        "cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME, "--credential", "deputy", "-o", "c.pem"
    )
    user.sign("paper.pdf", "deputy", "out.pdf")
    assert signatures_by_pdfsig(user.folder / "out.pdf") == [VALID_BY_PDFSIG]
    verdict = user.json("verify", "out.pdf")
    assert verdict["conclusion"] == "valid"
    assert algorithm in verdict["signatures"][0]["signature_algorithm"].lower().replace("-", "_")


def test_two_officers_and_the_seal_stand_in_one_file_and_all_are_valid(user: User) -> None:
    user.antin(
        "cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME, "--credential", "deputy", "-o", "c.pem"
    )
    first = user.sign("paper.pdf", "officer", "a.pdf")
    second = user.sign("a.pdf", "deputy", "b.pdf")
    sealed = user.sign("b.pdf", "seal", "c.pdf")
    assert len({each["field"] for each in (first, second, sealed)}) == 3
    assert len({each["code"] for each in (first, second, sealed)}) == 1
    verdict = user.json("verify", "c.pdf")
    assert [each["conclusion"] for each in verdict["signatures"]] == ["valid"] * 3
    assert signatures_by_pdfsig(user.folder / "c.pdf") == [VALID_BY_PDFSIG] * 3


def test_an_officer_who_signs_after_the_seal_leaves_all_earlier_signatures_valid(user: User) -> None:
    user.sign("paper.pdf", "officer", "a.pdf")
    user.sign("a.pdf", "seal", "b.pdf")
    user.sign("b.pdf", "officer", "c.pdf")
    verdict = user.json("verify", "c.pdf")
    assert [each["conclusion"] for each in verdict["signatures"]] == ["valid"] * 3


def test_a_file_whose_earlier_signature_is_broken_gets_no_other(user: User) -> None:
    user.sign("paper.pdf", "officer", "a.pdf")
    content = (user.folder / "a.pdf").read_bytes()
    at = content.index(b"/Title")
    (user.folder / "b.pdf").write_bytes(content[: at + 9] + b"X" + content[at + 10 :])
    assert user.json("verify", "b.pdf", code=1)["signatures"][0]["integrity"] == "broken"
    user.refused(1, "sign", "b.pdf", "--as", "seal", "-o", "c.pdf")
    user.refused(1, "sign", "b.pdf", "--as", "officer", "-o", "c.pdf")
    assert user.files() == {"paper.pdf", "a.pdf", "b.pdf"}


def test_long_vietnamese_file_names_are_no_obstacle(user: User) -> None:
    name = "Quyết định về việc phê duyệt đề án thử nghiệm hệ thống chữ ký số của các cơ quan nhà nước " + "ề" * 30
    source = user.folder / f"{name}.pdf"
    shutil.copy(user.folder / "paper.pdf", source)
    assert len(source.name.encode()) > 200
    user.antin("sign", source.name, "--as", "officer", "-o", "out.pdf")
    user.antin("sign", "paper.pdf", "--as", "officer", "-o", f"{name[:-1]}ể.pdf")


@pytest.mark.slow
def test_a_killed_signer_leaves_a_whole_output_or_none(user: User) -> None:
    """Killed at many moments, before, within and after the use of the key: nothing is ever half there."""
    content = (user.folder / "paper.pdf").read_bytes()
    bulk = b"%" + b"x" * 20_000_000 + b"\nstartxref"  # a comment behind the cross-reference table moves no offset
    (user.folder / "paper.pdf").write_bytes(content.replace(b"startxref", bulk))
    started = time.monotonic()
    user.antin("sign", "paper.pdf", "--as", "officer", "-o", "whole.pdf")
    whole = time.monotonic() - started
    size = (user.folder / "whole.pdf").stat().st_size
    (user.folder / "whole.pdf").unlink()
    for share in (0.5, 0.65, 0.75, 0.85, 0.95):
        process = subprocess.Popen(
            [ANTIN, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf", "--force"],
            cwd=user.folder, env=user.surroundings(), stdout=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(whole * share)
        process.kill()
        process.wait()
        assert user.files() <= {"paper.pdf", "out.pdf"}
        if (user.folder / "out.pdf").exists():
            assert (user.folder / "out.pdf").stat().st_size == size
    user.antin("sign", "paper.pdf", "--as", "officer", "-o", "out.pdf", "--force")
    assert user.findings() == {}  # acts that were begun a moment ago are no finding yet


@pytest.mark.slow
def test_two_processes_that_sign_at_once_share_the_numbers_without_doubles_or_lock_errors(user: User) -> None:
    names = [f"{at:02d}.pdf" for at in range(20)]
    for name in names:
        shutil.copy(user.folder / "paper.pdf", user.folder / name)
    user.antin("sign", *names, "--as", "officer", "-o", "approved")
    processes = []
    for half in (0, 1):
        words = ["sign", *(f"approved/{name}" for name in names[half::2]), "--as", "seal", "-o", f"out{half}", "--json"]
        processes.append(
            subprocess.Popen(
                [ANTIN, *words], cwd=user.folder, env=user.surroundings(), stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    numbers = sorted(each["number"] for output, _ in outputs for each in json.loads(output))
    assert numbers == list(range(1, 21))
    assert len({each["code"] for output, _ in outputs for each in json.loads(output)}) == 20
    assert user.findings() == {}


def test_files_of_a_demo_are_valid_flat_and_stay_as_they_are_on_a_second_run(user: User) -> None:
    (user.folder / "own").mkdir()
    shutil.copy(user.folder / "paper.pdf", user.folder / "own" / "ours.pdf")
    (user.folder / "own" / "broken.pdf").write_text("no PDF")
    user.antin("demo", ANTIN_DEMO_DOCUMENTS="own")
    before = {path.name: path.read_bytes() for path in (user.home / "out").iterdir()}
    assert set(before) == {
        "cong-van.pdf", "quyet-dinh.pdf", "giay-chung-nhan.pdf", "own-ours.pdf", "cong-van-tampered.pdf",
    }  # fmt: skip
    for name in before:
        expected = [] if "tampered" in name else [VALID_BY_PDFSIG] * 2
        assert "tampered" in name or signatures_by_pdfsig(user.home / "out" / name) == expected
    verdict = user.json("verify", user.home / "out" / "cong-van-tampered.pdf", code=1)
    assert verdict["conclusion"] == "invalid"
    assert verdict["reason"] == "INVALID_MODIFIED"
    user.antin("demo", ANTIN_DEMO_DOCUMENTS="own")
    assert {path.name: path.read_bytes() for path in (user.home / "out").iterdir()} == before


def test_a_home_for_real_use_runs_no_demo(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    user = User(tmp_path / "home", tmp_path / "work")
    user.antin("init", "--agency", "Sở Thử nghiệm")
    user.refused(2, "demo")
    user.refused(2, "init", "--demo")


def test_the_demo_takes_a_lost_file_from_the_register_instead_of_issuing_it_twice(user: User) -> None:
    user.antin("demo")
    file = user.home / "out" / "cong-van.pdf"
    content, register = file.read_bytes(), user.json("document", "list")
    file.unlink()
    user.antin("demo")
    assert file.read_bytes() == content
    assert user.json("document", "list") == register


def test_an_encrypted_file_is_signed_and_verified_with_the_password_of_a_file(user: User) -> None:
    subprocess.run(
        ["qpdf", "--encrypt", "mở", "chủ", "256", "--modify=none", "--", "paper.pdf", "locked.pdf"],
        cwd=user.folder, check=True,
    )  # fmt: skip
    for name, text in (("user.txt", "mở\n"), ("owner.txt", "chủ\n"), ("wrong.txt", "khác"), ("bad.txt", "")):
        (user.folder / name).write_text(text, encoding="utf-8")
    sign = ("sign", "locked.pdf", "--as", "officer", "-o", "signed.pdf")
    user.refused(1, *sign)
    user.refused(1, *sign, "--password-file", "wrong.txt")
    user.refused(1, *sign, "--password-file", "user.txt")  # the author lets the user change nothing
    user.refused(2, *sign, "--password-file", "bad.txt")
    user.refused(2, *sign, "--password-file", "missing.txt")
    assert user.sign("locked.pdf", "officer", "signed.pdf", "--password-file", "owner.txt")["placed"] == "anchor"
    for password in ("user.txt", "owner.txt"):
        assert user.json("verify", "signed.pdf", "--password-file", password)["conclusion"] == "valid"
    assert (
        user.json("verify", "signed.pdf", "--password-file", "wrong.txt", code=2)["reason"]
        == "UNREADABLE_PASSWORD_WRONG"
    )
    user.antin("upgrade", "signed.pdf", "--level", "B-LTA", "-o", "archive.pdf", "--password-file", "owner.txt")
    assert user.json("verify", "archive.pdf", "--password-file", "user.txt")["signatures"][0]["level"] == "PAdES-B-LTA"
