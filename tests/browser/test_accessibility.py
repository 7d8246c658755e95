"""axe-core over the pages. It is MPL-2.0 and not shipped here: the tests use the copy in the package axe-playwright-python."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from api.words import LANGUAGES
from tests.browser.chromium import DESK, TELEPHONE, Window
from tests.browser.site import Site
from tests.browser.test_visits import PAGES, visit

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


# The pages are the same in each; the first language is looked at each time.
BY_LANGUAGE = [LANGUAGES[0], *(pytest.param(each, marks=pytest.mark.walk) for each in LANGUAGES[1:])]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_axe_finds_nothing(scripted: Window, site: Site, page, language):
    visit(scripted, site, page, language)
    for width, scheme in ((TELEPHONE, "light"), (DESK, "dark")):
        scripted.resize(width)
        scripted.page.emulate_media(color_scheme=scheme)
        found = Axe().run(scripted.page, options=RULES).response
        assert len(found["passes"]) > 10
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
