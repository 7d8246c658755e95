"""Fixtures: one site for all tests of the pages, and a browser window for each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Browser, driver_path, open_browser, running_driver
from tests.browser.site import Site, furnish, has_tools, serving
from tests.installation import User, founded, paper  # noqa: F401  fixtures by name


@pytest.fixture(scope="session")
def site(founded: Path, paper: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:  # noqa: F811
    if not has_tools():
        pytest.skip("qpdf is not installed (apt-get install qpdf)")
    base = tmp_path_factory.mktemp("site")
    shutil.copytree(founded, base / "home")
    (base / "work").mkdir()
    shutil.copy(paper, base / "work" / "paper.pdf")
    with serving(furnish(User(base / "home", base / "work"))) as served:
        yield served


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if driver_path() is None:
        pytest.skip("Chromium is not installed (apt-get install chromium chromium-driver)")
    with running_driver(tmp_path_factory.mktemp("driver") / "driver.log") as port:
        yield port


@pytest.fixture(scope="session")
def window(driver: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = open_browser(driver, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(window: Browser) -> Browser:
    """A window of desk width in which no page may run a script."""
    window.devtools("Network.enable")
    window.devtools("Network.setCacheDisabled", cacheDisabled=True)
    window.open("about:blank")
    window.refuse_scripts()
    window.resize(1280)
    window.prefer("light")
    window.requested()
    window.complaints()
    return window
