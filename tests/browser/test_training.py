"""The pages of a site for training: nobody takes what they say for earnest, at the first look."""

from __future__ import annotations

from tests.browser.chromium import TELEPHONE, Window
from tests.browser.site import Site, serving
from tests.installation import User
from tests.practice import pupil, trained  # noqa: F401  fixtures by name

NOTE = "VĂN BẢN THỰC HÀNH – KHÔNG CÓ GIÁ TRỊ PHÁP LÝ"


def test_every_page_begins_with_it_and_the_verdict_says_it_first(pupil: User, window: Window) -> None:  # noqa: F811
    code = pupil.sign("paper.pdf", "officer", "a.thuc-hanh.pdf")["code"]
    with serving(Site(pupil)) as site:
        for path in ("/", "/certificates", f"/v/{code}", "/v/ABCD"):
            window.page.goto(site.url(path, lang="vi"))
            assert window.text(".practice").startswith(NOTE)
            assert window.page.locator(".practice").bounding_box()["y"] < 250  # type: ignore[index]
        window.page.goto(site.url("/", lang="vi"))
        window.page.set_input_files("input[type=file]", pupil.folder / "a.thuc-hanh.pdf")
        window.page.locator("form[enctype] button").first.click()
        assert "VĂN BẢN THỰC HÀNH – KHÔNG CÓ GIÁ TRỊ PHÁP LÝ" in window.text("h1")
        window.resize(TELEPHONE)
        assert window.evaluate("document.documentElement.scrollWidth") <= TELEPHONE
        window.page.screenshot(path=str(pupil.folder / "page.png"), full_page=True)


def test_a_site_in_earnest_says_it_of_a_file_from_elsewhere(site: Site, pupil: User, window: Window) -> None:  # noqa: F811
    pupil.sign("paper.pdf", "officer", "a.thuc-hanh.pdf")
    window.page.goto(site.url("/", lang="en"))
    assert window.page.locator(".practice").count() == 0
    window.page.set_input_files("input[type=file]", pupil.folder / "a.thuc-hanh.pdf")
    window.page.locator("form[enctype] button").first.click()
    assert "TRAINING DOCUMENT" in window.text("h1")
