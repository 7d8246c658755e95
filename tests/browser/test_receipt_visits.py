"""A citizen takes the receipt of a verdict home, by the button below it or the link on a document's page, with JavaScript off."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.chromium import Window
from tests.browser.site import Site
from tests.browser.test_visits import visit

pytestmark = pytest.mark.walk


@pytest.mark.parametrize("file", ["good", "tampered", "paper", "revoked"])
def test_the_button_below_a_verdict_gives_its_receipt(window: Window, site: Site, tmp_path: Path, file: str) -> None:
    visit(window, site, f"file:{file}", "vi")
    with window.page.expect_download() as download:
        window.page.click("form.receipt button")
    kept = tmp_path / "receipt.pdf"
    download.value.save_as(kept)
    assert download.value.suggested_filename == "antin-receipt.pdf"
    verdict = site.user.json("verify", kept)
    assert (verdict["conclusion"], verdict["reason"]) == ("valid", "VALID")


def test_the_page_of_a_document_leads_to_its_receipt(window: Window, site: Site) -> None:
    visit(window, site, "code:good", "en")
    with window.page.expect_download() as download:
        window.page.click("a[href*='/receipt']")
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-1.7")
