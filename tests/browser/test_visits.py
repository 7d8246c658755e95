"""Citizens at the pages in a real Chromium, with JavaScript off: by mouse, by keyboard alone, on a telephone and at a desk."""

from __future__ import annotations

import json
import urllib.request
from base64 import b64decode

import pytest

from api.words import LANGUAGES, Words
from signer.codes import grouped
from tests.browser.chromium import ENTER, TAB, Browser
from tests.browser.site import Site

WIDTHS = (360, 1280)
PAGE_WEIGHT = 150_000


def _visit(browser: Browser, site: Site, page: str, language: str) -> None:
    """Come to a page the way a citizen does."""
    kind, _, what = page.partition(":")
    if kind == "file":
        browser.open(site.url("/", lang=language))
        browser.type("#file", str(site.files[what]))
        browser.click("form[enctype] button")
        browser.wait_for("#verdict")
    elif kind == "code":
        browser.open(site.url(f"/v/{site.codes.get(what, what)}", lang=language))
    elif kind == "serial":
        browser.open(site.url("/certificates", lang=language, serial=site.serials.get(what, what)))
    else:
        browser.open(site.url(page, lang=language))


PAGES = [
    "/", "/certificates", "file:good", "file:stamped", "file:tampered", "file:recalled", "file:revoked", "file:officer-only",
    "file:paper", "file:picture", "file:locked", "file:hostile-name", "code:good", "code:recalled", "code:officer-only", "code:hostile",
    "code:22222222222222222222", "code:ABC", "serial:officer", "serial:revoked", "serial:hostile", "serial:00",
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_fits_its_window_and_asks_nobody_else(browser: Browser, site: Site, page, language):
    _visit(browser, site, page, language)
    for width in WIDTHS:
        browser.resize(width)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate("document.documentElement.lang") == language
    asked = browser.requested()
    assert asked
    assert [url for url in asked if not url.startswith(site.url("/"))] == []
    # The console is silent but for the status that some pages have: no style was blocked, nothing was missing.
    assert [line for line in browser.complaints() if "the server responded with a status of 4" not in line] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith(("file", "code", "serial"))])
def test_the_focus_is_on_the_verdict_when_an_answer_opens(browser: Browser, site: Site, page):
    _visit(browser, site, page, "vi")
    focused = browser.focused()
    assert (focused["tag"], focused["id"]) == ("h1", "verdict")
    # The window's title says it too: a reader with many of them open finds the verdict there.
    assert browser.title().split(" · ")[0] == focused["text"].split("\n")[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_genuine_file_and_a_tampered_one(browser: Browser, site: Site, language):
    words = Words(language)
    _visit(browser, site, "file:good", language)
    assert browser.text("#verdict").split("\n")[0] == words.say("CONCLUSION_valid")
    assert browser.texts(".checks strong") == [words.say("WEB_STATE_pass")] * 3
    assert "Nguyễn Thị Minh Hạnh" in browser.texts(".signature h3")[0]
    assert grouped(site.codes["good"]) in browser.text(".note")
    _visit(browser, site, "file:tampered", language)
    assert browser.text("#verdict").split("\n") == [
        words.say("CONCLUSION_invalid"),
        words.say("INVALID_MODIFIED"),
    ]
    assert browser.texts(".checks strong") == [
        words.say("WEB_STATE_fail"),
        words.say("WEB_STATE_unknown"),
        words.say("WEB_STATE_unknown"),
    ]


def test_a_recalled_document_is_out_of_force_before_its_signatures_are_praised(browser: Browser, site: Site):
    _visit(browser, site, "file:recalled", "vi")
    assert browser.text("#verdict").split("\n") == ["ĐÃ BỊ THU HỒI", "Văn bản đã bị thu hồi."]
    assert "HỢP LỆ" in browser.text(".second")
    tops = browser.evaluate(
        "['#verdict', '.second', '.checks', '.signature'].map(s => document.querySelector(s).getBoundingClientRect().top)"
    )
    assert tops == sorted(tops)


def test_a_time_stamp_and_a_signers_own_clock_are_told_apart(browser: Browser, site: Site):
    _visit(browser, site, "file:stamped", "en")
    assert browser.texts(".facts .source")[0] == Words("en").say("WEB_TIME_PROVEN")
    _visit(browser, site, "file:good", "en")
    assert browser.texts(".facts .source")[0] == Words("en").say("WEB_TIME_CLAIMED")


def test_the_missing_seal_is_noted(browser: Browser, site: Site):
    _visit(browser, site, "file:officer-only", "en")
    assert Words("en").say("WEB_MISSING_SEAL") in browser.text(".note.unsure")


def test_the_whole_way_by_keyboard_alone(browser: Browser, site: Site):
    browser.open(site.url("/", lang="vi"))
    browser.press(TAB)
    assert browser.focused()["text"] == Words("vi").say("WEB_SKIP")
    browser.press(ENTER)
    seen = []
    for _ in range(12):
        browser.press(TAB)
        seen.append(browser.focused())
        if seen[-1]["id"] == "code":
            break
    assert [each["id"] for each in seen if each["tag"] == "input"] == ["file", "code"]
    browser.press(*site.codes["good"].lower(), ENTER)
    browser.wait_for("#verdict")
    assert browser.address().startswith(site.url(f"/v/{site.codes['good']}"))
    assert browser.focused()["id"] == "verdict"
    # The next stop after the verdict is the document itself.
    browser.press(TAB)
    assert browser.focused()["text"] == Words("vi").say("WEB_DOCUMENT_DOWNLOAD")


def test_every_stop_of_the_keyboard_is_seen(browser: Browser, site: Site):
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        browser.open(site.url("/", lang="vi"))
        for _ in range(12):
            browser.press(TAB)
            shown = browser.evaluate(
                "(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();"
                " return [e.tagName, s.outlineStyle, parseFloat(s.outlineWidth), r.width, r.height, r.left] })()"
            )
            if shown[0] == "BODY":
                break
            assert shown[1] != "none", shown
            assert shown[2] >= 2, shown
            assert min(shown[3:5]) >= 24, shown  # WCAG 2.2 2.5.8
            assert shown[5] >= 0, shown


def test_another_language_is_one_link_away_and_keeps_the_document(browser: Browser, site: Site):
    _visit(browser, site, "code:recalled", "vi")
    browser.click('.languages a[hreflang="ko"]')
    browser.wait_for('html[lang="ko"] #verdict')
    assert browser.text("#verdict").startswith(Words("ko").say("WEB_WORD_DOC_RECALLED"))


def test_an_answer_says_its_verdict_in_the_other_languages_too(browser: Browser, site: Site):
    _visit(browser, site, "file:tampered", "vi")
    assert [line.split("  ")[0] for line in browser.texts(".others p")] == [
        f"{Words(language).say('CONCLUSION_invalid')} {Words(language).say('INVALID_MODIFIED')}"
        for language in ("en", "ko")
    ]


def test_the_report_in_the_page_is_the_verdict_of_the_api(browser: Browser, site: Site):
    _visit(browser, site, "file:good", "vi")
    link = browser.attribute("a[download]", "href")
    assert link is not None
    found = json.loads(b64decode(link.partition(",")[2]))
    printed = site.user.json("verify", "good.pdf")
    assert {**found, "checked_at": ""} == {**printed, "checked_at": ""}


def test_adobes_unknown_is_explained_with_the_fingerprint_of_our_root(browser: Browser, site: Site):
    _visit(browser, site, "file:good", "en")
    root = next(each for each in site.user.json("cert", "list") if each["profile"] == "root")
    assert root["sha256"] in browser.text(".aside").replace(" ", "").replace("\n", "")


@pytest.mark.parametrize("page", ["/", "file:good", "code:good", "serial:officer"])
def test_a_page_with_all_that_belongs_to_it_is_light(browser: Browser, site: Site, page):
    _visit(browser, site, page, "vi")
    weight = len(browser.source().encode())
    for address in set(browser.requested()):
        if "/static/" in address:
            with urllib.request.urlopen(address) as answer:
                weight += len(answer.read())
    assert weight < PAGE_WEIGHT


# Text of less than 24 px (18.7 bold) against what is painted behind it: WCAG 2.2 1.4.3 asks for 4.5.
_CONTRASTS = """
(() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => { const f = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b) };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c } return [255, 255, 255] };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    found.push([(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.className + ': ' + e.textContent.slice(0, 40)]);
  }
  return found;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["/", "file:good", "file:tampered", "file:revoked", "code:recalled", "serial:revoked"])
def test_every_text_stands_out_from_what_is_behind_it(browser: Browser, site: Site, page, scheme):
    browser.prefer(scheme)
    _visit(browser, site, page, "vi")
    measured = browser.evaluate(_CONTRASTS)
    assert len(measured) > 15
    assert [each for each in measured if each[0] < 4.5] == []


@pytest.mark.parametrize("page", ["file:good", "file:tampered", "file:revoked", "file:paper"])
def test_tones_differ_in_shape_and_word_and_not_in_colour_alone(browser: Browser, site: Site, page):
    _visit(browser, site, page, "vi")
    shape = browser.evaluate(
        "document.querySelector('.verdict svg .fill').outerHTML.split(' ')[0] + document.querySelector('.verdict svg .line').getAttribute('d')"
    )
    others = browser.evaluate("[...document.querySelectorAll('.checks .pass svg .fill')].length")
    expected = {"file:good": "<circle", "file:tampered": "<path", "file:revoked": "<path", "file:paper": "<rect"}
    assert shape.startswith(expected[page])
    assert others == {"file:good": 3, "file:tampered": 0, "file:revoked": 2, "file:paper": 0}[page]
