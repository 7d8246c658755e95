"""From nothing to a stamped, signed, verified document: what must be true of the demo's home."""

from __future__ import annotations

import json
import subprocess
import unicodedata
from pathlib import Path

import pytest
from PIL import Image
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.form import value_of
from tests.acceptance.conftest import BIN, FreshHome

SEAL_MM = 36.0
_DPI = 200


def _run(*command: str | Path) -> str:
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def _rendered(pdf: Path, page: int, folder: Path) -> Image.Image:
    target = folder / f"{pdf.parent.name}-{pdf.stem}-{page}"
    _run("pdftoppm", "-singlefile", "-f", str(page), "-r", str(_DPI), "-png", pdf, target)
    return Image.open(target.with_suffix(".png")).convert("RGB")


def _boxes(pdf: Path) -> tuple[int, dict[str, tuple[float, ...]]]:
    """Page number of the signatures, and the boxes of the signed fields."""
    with pdf.open("rb") as stream:
        reader = PdfFileReader(stream)
        fields = {each.field_name: each.sig_field for each in reader.embedded_signatures}
        boxes = {name: tuple(float(x) for x in field["/Rect"]) for name, field in fields.items()}
        for number, page in enumerate(reader.root["/Pages"]["/Kids"], start=1):
            annotations = value_of(page.get_object(), "/Annots", ())
            if {str(annotation.get_object().get("/T")) for annotation in annotations} & set(boxes):
                return number, boxes
    raise AssertionError("the signatures stand on no page")


def test_a_second_run_changes_nothing(home: FreshHome) -> None:
    before = home.contents()
    home.done("init", "--demo")
    home.done("demo")
    assert home.contents() == before


def test_the_demo_makes_three_documents_and_a_tampered_copy_that_is_caught(home: FreshHome) -> None:
    assert [path.name for path in home.signed_files()] == ["cong-van.pdf", "giay-chung-nhan.pdf", "quyet-dinh.pdf"]
    verdicts = json.loads(home.done("verify", "--json", *home.signed_files()))
    assert [verdict["conclusion"] for verdict in verdicts] == ["valid"] * 3
    assert {signature["trust"] for verdict in verdicts for signature in verdict["signatures"]} == {"internal"}
    tampered = home.antin("verify", "--json", *(home.path / "out").glob("*tampered*"))
    assert tampered.returncode == 1
    assert json.loads(tampered.stdout)["reason"] == "INVALID_MODIFIED"


@pytest.mark.parametrize("kind", ["home", "rsa_home"])
def test_pdfsig_finds_every_signature_valid(kind: str, request: pytest.FixtureRequest) -> None:
    home: FreshHome = request.getfixturevalue(kind)
    for path in home.signed_files():
        report = _run("pdfsig", path)
        assert report.count("Signature Validation: Signature is Valid.") == 2, report
        assert report.count("Signature Validation:") == 2


def test_rsa_credentials_sign_with_pss(rsa_home: FreshHome) -> None:
    verdict = json.loads(rsa_home.done("verify", "--json", rsa_home.signed_files()[0]))
    assert {signature["signature_algorithm"] for signature in verdict["signatures"]} == {"rsassa-pss"}


@pytest.mark.parametrize("kind", ["home", "rsa_home"])
def test_pyhankos_own_command_accepts_the_files_with_the_root_given(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    home: FreshHome = request.getfixturevalue(kind)
    root = tmp_path / "root.pem"
    root.write_text(home.done("ca", "show", "root", "--pem"))
    for path in home.signed_files():
        report = _run(BIN / "pyhanko", "sign", "validate", "--trust", root, "--no-revocation-check", path)
        assert report.count("INTACT:TRUSTED") == 2, report


def test_openssl_accepts_the_certificates_with_the_published_crls(home: FreshHome, tmp_path: Path) -> None:
    pem = {}
    for name in ("root", "issuing"):
        pem[name] = tmp_path / f"{name}.pem"
        pem[name].write_text(home.done("ca", "show", name, "--pem"))
        _run(
            "openssl",
            "crl",
            "-inform",
            "DER",
            "-in",
            home.path / "public/crl" / f"{name}.crl",
            "-out",
            tmp_path / f"{name}.crl.pem",
        )
    crls = tmp_path / "crls.pem"
    crls.write_text("".join((tmp_path / f"{name}.crl.pem").read_text() for name in pem))
    for credential in ("officer", "seal"):
        leaf = tmp_path / f"{credential}.pem"
        leaf.write_text(home.done("cert", "show", credential, "--pem"))
        told = _run(
            "openssl", "verify", "-x509_strict", "-crl_check_all", "-CAfile", pem["root"], "-untrusted", pem["issuing"],
            "-CRLfile", crls, leaf,
        )  # fmt: skip
        assert told.strip().endswith("OK")


def test_the_seal_is_round_red_and_real_size_over_the_left_third_of_the_signature(
    home: FreshHome, tmp_path: Path
) -> None:
    for path in home.signed_files():
        page, boxes = _boxes(path)
        x0, y0, x1, y1 = next(box for name, box in boxes.items() if not name.startswith("Seal"))
        _, bottom, right, top = next(box for name, box in boxes.items() if name.startswith("Seal"))
        assert 0.28 <= (right - x0) / (x1 - x0) <= 0.38
        assert abs((bottom + top) / 2 - (y0 + y1) / 2) < 0.5
        red = _rendered(path, page, tmp_path).convert("HSV").point(lambda value: value)
        hue, saturation, value = red.split()
        ink = [
            (at % red.width, at // red.width)
            for at, (h, s, v) in enumerate(
                zip(hue.get_flattened_data(), saturation.get_flattened_data(), value.get_flattened_data(), strict=True)
            )
            if s > 150 and v > 120 and (h < 12 or h > 243)
        ]
        width = max(x for x, _ in ink) - min(x for x, _ in ink) + 1
        height = max(y for _, y in ink) - min(y for _, y in ink) + 1
        assert abs(width / _DPI * 25.4 - SEAL_MM) < 0.5, path
        assert abs(height / _DPI * 25.4 - SEAL_MM) < 0.5, path


def test_no_letter_of_the_page_is_covered(home: FreshHome, tmp_path: Path) -> None:
    """Whatever is black on the officer's paper is as dark on the sealed one."""
    for path in home.signed_files():
        page, _ = _boxes(path)
        before = _rendered(home.path / "demo/sources" / path.name, page, tmp_path).convert("L")
        after = _rendered(path, page, tmp_path).convert("L")
        covered = [
            at
            for at, (old, new) in enumerate(zip(before.get_flattened_data(), after.get_flattened_data(), strict=True))
            if old < 60 and new > old + 40
        ]
        assert not covered, f"{path}: {len(covered)} pixels"


def test_every_vietnamese_letter_is_drawn_and_found_again(home: FreshHome) -> None:
    marks = "ăâêôơưđ" + "".join(unicodedata.normalize("NFC", base + mark) for base in "aăâeêioôơuưy" for mark in "̣̀́̃̉")
    letters = set(marks) | set(marks.upper())
    text = "".join(unicodedata.normalize("NFC", _run("pdftotext", path, "-")) for path in home.signed_files())
    assert not {letter for letter in letters if letter.islower()} - set(text)
    assert "ngày" in text
    assert "\ufffd" not in text


def test_number_and_date_stand_in_the_fields_that_were_left_open(home: FreshHome) -> None:
    numbers = sorted(each["number"] for each in json.loads(home.done("document", "list", "--json")))
    assert numbers == [1, 2, 3]
    for path in home.signed_files():
        number = next(
            each["number"] for each in json.loads(home.done("document", "list", "--json")) if each["name"] == path.name
        )
        assert f"{number:02d}" in _run("pdftotext", "-layout", path, "-")


def test_the_doctor_finds_nothing_wrong(home: FreshHome) -> None:
    findings = json.loads(home.done("doctor", "--json"))
    assert {finding["check"] for finding in findings} >= {"home", "database", "keys", "crl", "register", "judge"}
    assert not [finding for finding in findings if finding["severity"] == "wrong"]
