"""axe-core over the pages. It is MPL-2.0 and not shipped here: the tests use the copy in the package axe-playwright-python."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from api.words import LANGUAGES
from tests.browser.chromium import Browser
from tests.browser.site import Site
from tests.browser.test_visits import PAGES, _visit

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session")
def axe() -> str:
    found = importlib.util.find_spec("axe_playwright_python")
    folders = list(found.submodule_search_locations or ()) if found else []
    scripts = [Path(folder) / "axe.min.js" for folder in folders]
    script = next((path for path in scripts if path.is_file()), None)
    if script is None:
        pytest.skip("axe-core is not installed (pip install axe-playwright-python)")
    return script.read_text("utf-8")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing(browser: Browser, site: Site, axe: str, page, language):
    browser.allow_scripts()
    _visit(browser, site, page, language)
    browser.evaluate(f"{axe};0")
    for width, scheme in ((360, "light"), (1280, "dark")):
        browser.resize(width)
        browser.prefer(scheme)
        found = browser.evaluate(
            f"axe.run(document, {{runOnly: {TAGS}}}).then(r => [r.passes.length,"
            " r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' | '))])"
        )
        assert found[0] > 10
        assert found[1] == []
