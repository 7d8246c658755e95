"""docs/api.md, run as it stands: each block marked `run` goes through a shell, in order, against a real service."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.installation import ANTIN
from tests.integration.http_service import Service

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BLOCKS = re.findall(r"<!-- run -->\n```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def said(service: Service, paper: Path) -> list[str]:
    """What each block prints. One shell runs them all, as a reader's would."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed (apt-get install curl)")
    folder = service.user.folder
    shutil.copy(paper, folder / "letter.pdf")
    mark = "---- next block ----"
    script = f'\necho "{mark}"\n'.join(BLOCKS).replace("http://127.0.0.1:8080", service.url)
    surroundings = service.user.surroundings()
    surroundings["PATH"] = f"{ANTIN.parent}:{surroundings['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # `openssl ocsp` says "Response verify OK" on standard error.
    (folder / "errors").write_text(done.stderr)
    return done.stdout.split(mark)


def objects(text: str) -> list[dict]:
    """The JSON objects of a block, one after the other."""
    found, decoder, at = [], json.JSONDecoder(), text.find("{")
    while at >= 0:
        value, end = decoder.raw_decode(text, at)
        found.append(value)
        at = text.find("{", end)
    return found


def test_the_examples_do_what_the_page_says(said: list[str], service: Service) -> None:
    (
        ready, token, signed, fetched, sealed, looked, printed, many, verified, known, receipt, recalled, waited, published, stamped, issued,
        lived, refused,
    ) = said  # fmt: skip
    assert objects(ready)[0]["status"] == "ready"
    assert token.strip() == ""
    (document,) = objects(signed)
    assert (document["status"], document["level"]) == ("in-force", "B-T")
    assert objects(fetched)[0]["notation"] == "TTPVHCC-VP"
    assert (document["issued"], document["number"]) == (False, None)
    assert objects(sealed)[0]["code"] == document["code"]
    assert objects(sealed)[0]["issued"] is True
    assert "antin-placed: anchor" in looked.lower()
    assert (service.user.folder / "page.png").read_bytes().startswith(b"\x89PNG")
    assert f"{document['code']}-print.pdf" in printed
    assert (service.user.folder / "print.pdf").read_bytes().startswith(b"%PDF")
    (batch,) = objects(many)
    assert [each["state"] for each in batch["documents"]] == ["done", "failed"]
    assert [each["reference"] for each in batch["documents"]] == ["case-17", "case-18"]
    (verdict,) = objects(verified)
    assert (verdict["conclusion"], len(verdict["signatures"])) == ("valid", 2)
    by_hash, by_code = objects(known)
    assert (by_hash["sha256"], by_hash["conclusion"]) == (verdict["sha256"], "valid")
    assert by_code["document"]["code"] == document["code"]
    assert receipt.strip() == "", "it is a file"
    status, after = objects(recalled)
    assert (status["status"], after["conclusion"], after["reason"]) == ("recalled", "valid", "DOC_RECALLED")
    prepared, finished = objects(waited)
    assert (prepared["state"], finished["code"]) == ("waiting", prepared["code"])
    assert "nextUpdate" in published
    assert "officer.pem: good" in published
    assert "Response verify OK" in (service.user.folder / "errors").read_text()
    assert "Verification: OK" in stamped + (service.user.folder / "errors").read_text()
    assert (objects(issued)[-1]["state"], objects(issued)[-1]["registration"]) == ("active", 1)
    assert [each["state"] for each in objects(lived)] == ["suspended", "active", "suspended", "active", "revoked"]
    assert objects(refused)[0]["code"] == "TOKEN_MISSING"


def test_the_page_names_every_setting_of_the_service() -> None:
    settings = Path(__file__).parents[2].joinpath("api/settings.py").read_text("utf-8")
    fields = re.findall(r"^    (\w+): ", settings.split("class WebSettings:")[1].split("\n@dataclass")[0], re.MULTILINE)
    assert fields
    assert [name for name in fields if f"`{name.upper()}`" not in PAGE.read_text("utf-8")] == []
