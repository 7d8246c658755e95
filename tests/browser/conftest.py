"""Fixtures: one site for all tests of the pages, a browser for each module, a window for each test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import CHROMIUM, Window, launched, opened
from tests.browser.site import Site, furnish, has_tools, serving
from tests.installation import FoundedHome, User, copy_home, founded, once, paper  # noqa: F401  fixtures by name


@pytest.fixture(scope="session")
def site(founded: FoundedHome, paper: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:  # noqa: F811
    if not has_tools():
        pytest.skip("qpdf is not installed (apt-get install qpdf)")

    def furnished(folder: Path) -> None:
        founded.copy_to(folder / "home")
        (folder / "work").mkdir()
        shutil.copy(paper, folder / "work" / "paper.pdf")
        site = furnish(User(folder / "home", folder / "work"))
        (folder / "site.json").write_text(json.dumps([site.user.environment, site.codes, site.serials]), "utf-8")

    model = once(tmp_path_factory, "site", furnished)
    base = tmp_path_factory.mktemp("site-of-mine") / "copy"
    copy_home(model, base)
    environment, codes, serials = json.loads((model / "site.json").read_text("utf-8"))
    files = {path.stem: path for path in (base / "work").iterdir()}
    with serving(
        Site(User(base / "home", base / "work", environment), files=files, codes=codes, serials=serials)
    ) as site:
        yield site


# Not for the whole session: what other modules of the same process do with event loops must go on working.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with launched() as browser:
        yield browser


@pytest.fixture
def window(chromium: Browser) -> Iterator[Window]:
    """A window in which no page may run a script."""
    with opened(chromium, scripts=False) as window:
        yield window


@pytest.fixture
def scripted(chromium: Browser) -> Iterator[Window]:
    """A window in which scripts run: for tools that are put into a page, ours has none."""
    with opened(chromium, scripts=True) as window:
        yield window
