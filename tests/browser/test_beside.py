"""A signature in a file of its own, and a certificate, at the page: with two inputs, with and without scripts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from api.words import LANGUAGES, Words
from tests.attacks.cms_files import TEXT, cms_file
from tests.browser.chromium import TELEPHONE, Window
from tests.browser.site import Site
from tests.software_party import issued_party


@pytest.fixture(scope="module")
def pair(site: Site) -> Site:
    party = issued_party(site.user)
    folder = site.user.folder
    (folder / "letter.txt").write_bytes(TEXT)
    (folder / "letter.p7s").write_bytes(cms_file(party, detached=True, moment=datetime.now(UTC).replace(microsecond=0)))
    site.files |= {
        "letter": folder / "letter.txt",
        "detached": folder / "letter.p7s",
        "certificate": folder / "party.pem",
    }
    return site


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_files_can_be_chosen_without_a_script(window: Window, pair: Site, language: str) -> None:
    words = Words(language)
    window.page.goto(pair.url("/", lang=language))
    window.page.set_input_files("#file", pair.files["detached"])
    window.page.click("#beside summary")
    window.page.set_input_files("#content", pair.files["letter"])
    window.page.click("form[enctype] button[type=submit]")
    assert window.text("#verdict").split("\n")[0] == words.say("CONCLUSION_valid")
    window.resize(TELEPHONE)
    assert window.evaluate("document.documentElement.scrollWidth") <= TELEPHONE


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_signature_alone_is_not_enough_and_the_page_says_what_to_do(
    window: Window, pair: Site, language: str
) -> None:
    words = Words(language)
    window.page.goto(pair.url("/", lang=language))
    window.page.set_input_files("#file", pair.files["detached"])
    window.page.click("form[enctype] button[type=submit]")
    assert window.text("#verdict").split("\n")[0] == words.say("CONCLUSION_indeterminate")
    assert words.say("WEB_NO_CONTENT_NEXT") in window.text("main")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_certificate_is_called_one(window: Window, pair: Site, language: str) -> None:
    words = Words(language)
    window.page.goto(pair.url("/", lang=language))
    window.page.set_input_files("#file", pair.files["certificate"])
    window.page.click("form[enctype] button[type=submit]")
    said = window.text("#verdict")
    assert said.startswith(words.say("HEADLINE_BARE_CERTIFICATE_GOOD"))
    assert words.say("BARE_CERTIFICATE_GOOD") in said
    assert "Máy gửi" in window.text("main")


def test_a_script_opens_the_place_for_the_original(scripted: Window, pair: Site) -> None:
    scripted.page.goto(pair.url("/", lang="vi"))
    assert not scripted.page.is_visible("#content")
    scripted.page.set_input_files("#file", pair.files["good"])
    assert not scripted.page.is_visible("#content")
    scripted.page.set_input_files("#file", pair.files["detached"])
    assert scripted.page.is_visible("#content")
    assert scripted.complaints == []
