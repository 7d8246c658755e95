"""What a check rests on, as a citizen sees it: named with its last good time, also when the register dies or a list was not renewed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from api.words import Words, read_catalogues
from tests.browser.chromium import DESK, TELEPHONE, Window
from tests.browser.site import Site, serving
from tests.browser.test_accessibility import BY_LANGUAGE, RULES
from tests.browser.test_visits import visit
from tests.installation import User
from tests.postgres import Cluster, cluster, setting

TIME = r"(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d \+07:00)"


@dataclass
class Fragile:
    """A site whose register is on a server that may be taken away."""

    site: Site
    server: Cluster

    def rewind_crl(self, authority: str) -> None:
        """As if nobody had renewed an authority's list for a month."""
        with self.server.connect(str(self.site.user.database.database)) as connection:
            connection.execute(
                "UPDATE crls SET this_update = this_update - interval '30 days',"
                " next_update = next_update - interval '30 days' WHERE authority = %s",
                (authority,),
            )

    def renew_crls(self) -> None:
        self.site.user.antin("ca", "publish")


@pytest.fixture(scope="module")
def fragile(paper: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fragile]:
    server = cluster()
    folder = tmp_path_factory.mktemp("fragile")
    user = User(folder / "home", folder, setting(server.new()))
    user.antin("init", "--demo")
    shutil.copy(paper, folder / "paper.pdf")
    site = Site(user)
    user.sign("paper.pdf", "officer", "step.pdf")
    site.codes["good"] = user.sign("step.pdf", "seal", "good.pdf")["code"]
    site.files["good"] = folder / "good.pdf"
    with serving(site):
        yield Fragile(site, server)


@pytest.mark.parametrize("page", ["file:good", "code:good"])
@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_the_report_names_the_register_and_each_list_with_its_time(fragile: Fragile, window: Window, page, language):
    visit(window, fragile.site, page, language)
    lines = window.texts(".sources li")
    patterns = [_said(language, "WEB_SOURCE_register_good"), *[_said(language, "WEB_SOURCE_crl_good")] * 2]
    assert len(lines) == 3
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)
    assert window.texts(".note.unsure") == []


@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_a_silent_register_is_named_with_its_last_good_time(fragile: Fragile, scripted: Window, language):
    words = Words(language)
    visit(scripted, fragile.site, "file:good", language)
    line = scripted.texts(".sources li")[0]
    read = re.fullmatch(_said(language, "WEB_SOURCE_register_good"), line)
    assert read
    fragile.server.stop()
    try:
        for page in ("file:good", "code:good", "serial:00ff"):
            visit(scripted, fragile.site, page, language)
            assert scripted.text("#verdict").split("\n")[0] == words.say("WEB_UNAVAILABLE_TITLE")
            note = scripted.text(".note.unsure")
            told = re.search(_said(language, "WEB_SOURCE_register_down"), note)
            assert told, note
            # What was read last may be a little later than the page: the service also looks by itself.
            assert _sortable(told[1]) >= _sortable(read[1])
            for width in (TELEPHONE, DESK):
                scripted.resize(width)
                assert scripted.evaluate("document.documentElement.scrollWidth") <= width
            assert Axe().run(scripted.page, options=RULES).response["violations"] == []
    finally:
        fragile.server.start()
    visit(scripted, fragile.site, "file:good", language)
    assert scripted.text("#verdict").split("\n")[0] == words.say("CONCLUSION_valid")


@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_a_list_that_nobody_renewed_is_named_and_takes_nothing_from_the_verdict(
    fragile: Fragile, scripted: Window, language
):
    visit(scripted, fragile.site, "file:good", language)
    issued = re.search(_said(language, "WEB_SOURCE_crl_good"), scripted.texts(".sources li")[2])
    assert issued
    fragile.rewind_crl("issuing")
    try:
        for page in ("file:good", "code:good"):
            visit(scripted, fragile.site, page, language)
            note = scripted.text(".note.unsure")
            told = re.search(_said(language, "WEB_SOURCE_crl_down"), note)
            assert told, note
            assert note.count("+07:00") == 2
            assert _sortable(max(told.groups(), key=_sortable)) < _sortable(issued[1])
            assert "verdict good" in (scripted.page.get_attribute(".verdict", "class") or "")
            assert Axe().run(scripted.page, options=RULES).response["violations"] == []
    finally:
        fragile.renew_crls()
    visit(scripted, fragile.site, "file:good", language)
    assert scripted.texts(".note.unsure") == []


def _said(language: str, code: str) -> str:
    """The sentence as a pattern: times in groups, any authority's name."""
    sentence = re.escape(read_catalogues(language)[code])
    return sentence.replace(r"\{time\}", TIME).replace(r"\{due\}", TIME).replace(r"\{owner\}", ".+")


def _sortable(told: str) -> str:
    return f"{told[6:10]}{told[3:5]}{told[:2]}{told[10:]}"
