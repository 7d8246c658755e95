"""Citizens at the pages in a real Chromium, with JavaScript off: by mouse, by keyboard alone, on a telephone and at a desk."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Error, FileChooser

from api.words import LANGUAGES, Words
from signer.codes import grouped
from tests.browser.chromium import DESK, TELEPHONE, Window
from tests.browser.site import Site

pytestmark = pytest.mark.walk

PAGE_WEIGHT = 150_000


def visit(window: Window, site: Site, page: str, language: str) -> None:
    """Come to a page the way a citizen does."""
    kind, _, what = page.partition(":")
    if kind == "file":
        window.page.goto(site.url("/", lang=language))
        window.page.set_input_files("#file", site.files[what])
        window.page.click("form[enctype] button")
        window.page.wait_for_selector("#verdict")
    elif kind == "code":
        window.page.goto(site.url(f"/v/{site.codes.get(what, what)}", lang=language))
    elif kind == "past":
        # What Vietnam's clocks show now: a page of the past has the most to say of a time after everything.
        at = datetime.now(UTC) + timedelta(hours=7)
        query = {"serial": site.serials.get(what, what), "at": at.strftime("%Y-%m-%dT%H:%M:%S")}
        window.page.goto(site.url("/certificates", lang=language, **query))
    elif kind == "serial":
        window.page.goto(site.url("/certificates", lang=language, serial=site.serials.get(what, what)))
    else:
        window.page.goto(site.url(page, lang=language))


PAGES = [
    "/", "/certificates", "file:good", "file:stamped", "file:tampered", "file:recalled", "file:revoked", "file:officer-only",
    "file:paper", "file:picture", "file:locked", "file:hostile-name", "code:good", "code:recalled", "code:officer-only", "code:hostile",
    "code:22222222222222222222", "code:ABC", "serial:officer", "serial:revoked", "serial:hostile", "serial:00",
    "past:officer", "past:revoked",
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_fits_its_window_and_asks_nobody_else(window: Window, site: Site, page, language):
    visit(window, site, page, language)
    for width in (TELEPHONE, DESK):
        window.resize(width)
        assert window.evaluate("document.documentElement.scrollWidth") <= width
        assert window.evaluate("document.documentElement.lang") == language
    assert window.requested
    assert [url for url in window.requested if not url.startswith(site.url("/"))] == []
    # The console is silent but for the status that some pages have: no style was blocked, nothing was missing.
    assert [line for line in window.complaints if "the server responded with a status of 4" not in line] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith(("file", "code", "serial", "past"))])
def test_the_focus_is_on_the_verdict_when_an_answer_opens(window: Window, site: Site, page):
    visit(window, site, page, "vi")
    focused = window.focused()
    assert (focused["tag"], focused["id"]) == ("h1", "verdict")
    # The window's title says it too: a reader with many of them open finds the verdict there.
    assert window.page.title().split(" · ")[0] == focused["text"].split("\n")[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_genuine_file_and_a_tampered_one(window: Window, site: Site, language):
    words = Words(language)
    visit(window, site, "file:good", language)
    assert window.text("#verdict").split("\n")[0] == words.say("CONCLUSION_valid")
    assert window.texts(".checks strong") == [words.say("WEB_STATE_pass")] * 3
    assert "Nguyễn Thị Minh Hạnh" in window.texts(".signature h3")[0]
    assert grouped(site.codes["good"]) in window.text(".note")
    visit(window, site, "file:tampered", language)
    assert window.text("#verdict").split("\n") == [
        words.say("CONCLUSION_invalid"),
        words.say("INVALID_MODIFIED"),
    ]
    assert window.texts(".checks strong") == [
        words.say("WEB_STATE_fail"),
        words.say("WEB_STATE_unknown"),
        words.say("WEB_STATE_unknown"),
    ]


def test_a_recalled_document_is_out_of_force_before_its_signatures_are_praised(window: Window, site: Site):
    visit(window, site, "file:recalled", "vi")
    assert window.text("#verdict").split("\n") == ["ĐÃ BỊ THU HỒI", "Văn bản đã bị thu hồi."]
    assert "HỢP LỆ" in window.text(".second")
    tops = window.evaluate(
        "['#verdict', '.second', '.checks', '.signature'].map(s => document.querySelector(s).getBoundingClientRect().top)"
    )
    assert tops == sorted(tops)


def test_a_time_stamp_and_a_signers_own_clock_are_told_apart(window: Window, site: Site):
    visit(window, site, "file:stamped", "en")
    assert window.texts(".facts .source")[0] == Words("en").say("WEB_TIME_PROVEN")
    visit(window, site, "file:good", "en")
    assert window.texts(".facts .source")[0] == Words("en").say("WEB_TIME_CLAIMED")


def test_the_missing_seal_is_noted(window: Window, site: Site):
    visit(window, site, "file:officer-only", "en")
    assert Words("en").say("WEB_MISSING_SEAL") in window.text(".note.unsure")


def test_the_whole_way_by_keyboard_alone(window: Window, site: Site):
    window.page.goto(site.url("/", lang="vi"))
    window.press("Tab")
    assert window.focused()["text"] == Words("vi").say("WEB_SKIP")
    window.press("Enter")
    seen = []
    for _ in range(12):
        window.press("Tab")
        seen.append(window.focused())
        if seen[-1]["id"] == "code":
            break
    assert [each["id"] for each in seen if each["tag"] == "input"] == ["file", "code"]
    window.press(*site.codes["good"].lower(), "Enter")
    window.page.wait_for_selector("#verdict")
    assert window.page.url.startswith(site.url(f"/v/{site.codes['good']}"))
    assert window.focused()["id"] == "verdict"
    # The next stop after the verdict is the document itself.
    window.press("Tab")
    assert window.focused()["text"] == Words("vi").say("WEB_DOCUMENT_DOWNLOAD")


def _open_chooser(window: Window) -> FileChooser:
    """Press Enter on a file field. On a busy machine Chromium now and then takes the key before it listens for the dialogue."""
    for _ in range(3):
        try:
            with window.page.expect_file_chooser(timeout=5_000) as chosen:
                window.press("Enter")
        except Error:
            continue
        return chosen.value
    raise AssertionError("Enter opens no file dialogue")


def test_a_file_is_chosen_and_sent_by_keyboard_alone(window: Window, site: Site):
    window.page.goto(site.url("/", lang="ko"))
    _tab_to(window, "file")
    _open_chooser(window).set_files(site.files["tampered"])
    assert window.focused()["id"] == "file"
    # Between them lies what only few need: a second file.
    for word in ("WEB_CONTENT_FILE", "WEB_FILE_BUTTON"):
        window.press("Tab")
        assert window.focused()["text"] == Words("ko").say(word)
    window.press("Enter")
    window.page.wait_for_selector("#verdict")
    assert window.text("#verdict").startswith(Words("ko").say("CONCLUSION_invalid"))
    assert window.focused()["id"] == "verdict"


def test_a_certificate_is_found_by_keyboard_alone(window: Window, site: Site):
    window.page.goto(site.url("/certificates", lang="en"))
    _tab_to(window, "serial")
    window.page.keyboard.type(site.serials["revoked"].upper())
    window.press("Enter")
    window.page.wait_for_selector("#verdict")
    assert window.text("#verdict").startswith(Words("en").say("WEB_CERTIFICATE_WORD_revoked"))
    assert window.focused()["id"] == "verdict"


def _tab_to(window: Window, wanted: str) -> None:
    for _ in range(15):
        window.press("Tab")
        if window.focused()["id"] == wanted:
            return
    raise AssertionError(f"the keyboard does not come to {wanted}")


def test_every_stop_of_the_keyboard_is_seen(window: Window, site: Site):
    for scheme in ("light", "dark"):
        window.page.emulate_media(color_scheme=scheme)
        window.page.goto(site.url("/", lang="vi"))
        for _ in range(12):
            window.press("Tab")
            shown = window.evaluate(
                "(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();"
                " return [e.tagName, s.outlineStyle, parseFloat(s.outlineWidth), r.width, r.height, r.left] })()"
            )
            if shown[0] == "BODY":
                break
            assert shown[1] != "none", shown
            assert shown[2] >= 2, shown
            assert min(shown[3:5]) >= 24, shown  # WCAG 2.2 2.5.8
            assert shown[5] >= 0, shown


def test_another_language_is_one_link_away_and_keeps_the_document(window: Window, site: Site):
    visit(window, site, "code:recalled", "vi")
    window.page.click('.languages a[hreflang="ko"]')
    window.page.wait_for_selector('html[lang="ko"] #verdict')
    assert window.text("#verdict").startswith(Words("ko").say("WEB_WORD_DOC_RECALLED"))


def test_an_answer_says_its_verdict_in_the_other_languages_too(window: Window, site: Site):
    visit(window, site, "file:tampered", "vi")
    assert [line.split("  ")[0] for line in window.texts(".others p")] == [
        f"{Words(language).say('CONCLUSION_invalid')} {Words(language).say('INVALID_MODIFIED')}"
        for language in ("en", "ko")
    ]


def test_the_report_in_the_page_is_the_verdict_of_the_api(window: Window, site: Site):
    visit(window, site, "file:good", "vi")
    link = window.page.get_attribute("a[download]", "href")
    assert link is not None
    found = json.loads(b64decode(link.partition(",")[2]))
    printed = site.user.json("verify", "good.pdf")
    assert {**found, "checked_at": ""} == {**printed, "checked_at": ""}


def test_adobes_unknown_is_explained_with_the_fingerprint_of_our_root(window: Window, site: Site):
    visit(window, site, "file:good", "en")
    root = next(each for each in site.user.json("cert", "list") if each["profile"] == "root")
    assert root["sha256"] in window.text(".aside").replace(" ", "").replace("\n", "")


@pytest.mark.parametrize("page", ["/", "file:good", "code:good", "serial:officer"])
def test_a_page_with_all_that_belongs_to_it_is_light(window: Window, site: Site, page):
    visit(window, site, page, "vi")
    assert len([answer for answer in window.answers if "/static/" in answer.url]) >= 2
    assert window.weight() < PAGE_WEIGHT


@pytest.mark.parametrize(("name", "word"), [("good", "HỢP LỆ"), ("tampered", "Sổ đăng ký này không có tệp đó")])
def test_a_file_is_checked_without_being_sent(scripted: Window, site: Site, name, word):
    visit(scripted, site, "/", "vi")
    scripted.page.set_input_files("input[type=file]", site.files[name])
    scripted.page.click("#hash-way button")
    scripted.page.wait_for_url("**/verify**")
    assert scripted.text("h1").startswith(word)
    content = site.files[name].read_bytes()
    assert scripted.page.url.endswith(f"&sha256={hashlib.sha256(content).hexdigest()}")
    assert {each.request.method for each in scripted.answers} == {"GET"}


def test_who_has_no_script_is_not_offered_what_only_a_script_can_do(window: Window, site: Site):
    visit(window, site, "/", "vi")
    assert not window.page.is_visible("#hash-way")


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
def test_every_text_stands_out_from_what_is_behind_it(window: Window, site: Site, page, scheme):
    window.page.emulate_media(color_scheme=scheme)
    visit(window, site, page, "vi")
    measured = window.evaluate(_CONTRASTS)
    assert len(measured) > 15
    assert [each for each in measured if each[0] < 4.5] == []


@pytest.mark.parametrize("page", ["file:good", "file:tampered", "file:revoked", "file:paper"])
def test_tones_differ_in_shape_and_word_and_not_in_colour_alone(window: Window, site: Site, page):
    visit(window, site, page, "vi")
    shape = window.evaluate(
        "document.querySelector('.verdict svg .fill').outerHTML.split(' ')[0] + document.querySelector('.verdict svg .line').getAttribute('d')"
    )
    others = window.evaluate("[...document.querySelectorAll('.checks .pass svg .fill')].length")
    expected = {"file:good": "<circle", "file:tampered": "<path", "file:revoked": "<path", "file:paper": "<rect"}
    assert shape.startswith(expected[page])
    assert others == {"file:good": 3, "file:tampered": 0, "file:revoked": 2, "file:paper": 0}[page]
