"""The pages over plain HTTP: statuses, headers, escaping, what is told and what is not."""

from __future__ import annotations

import html
import re
import time

import pytest

from api.words import LANGUAGES, Words
from signer.codes import grouped, new_code
from tests.browser.site import HOSTILE, HOSTILE_SUBJECT, Site, serving
from tests.installation import User

PAGES = ("/", "/certificates", "/v/XYZ", "/v/22222222222222222222")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_in_the_language_that_its_link_asks_for(site: Site, path, language):
    answer = site.get(path, {"Accept-Language": "fr"}, lang=language)
    assert f'<html lang="{language}">' in answer.text
    assert answer.headers["content-language"] == language
    assert Words(language).say("WEB_SITE") in answer.text
    # Links carry the language on: nothing is remembered elsewhere.
    assert f"/certificates?lang={language}" in answer.text
    assert "set-cookie" not in answer.headers


def test_vietnamese_comes_first_and_the_browsers_wish_before_it(site: Site):
    assert '<html lang="vi">' in site.get("/").text
    assert '<html lang="vi">' in site.get("/", {"Accept-Language": "fr,de;q=0.5"}).text
    assert '<html lang="ko">' in site.get("/", {"Accept-Language": "ko-KR,ko;q=0.9"}).text


@pytest.mark.parametrize("path", [*PAGES, "/verify", "/static/none.css", "/v?code=1"])
def test_every_answer_carries_the_headers_that_keep_strangers_out(site: Site, path):
    headers = site.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-store"


def test_no_page_holds_a_script_or_a_style_of_its_own(site: Site):
    for path in (*PAGES, f"/v/{site.codes['good']}"):
        text = site.get(path).text
        scripts = re.findall(r"<script[^>]*>[^<]*</script>", text)
        assert len(scripts) == text.count("<script") == (1 if path == "/" else 0)
        assert all(re.fullmatch(r'<script src="/static/hash\.js\?v=\w+" defer></script>', each) for each in scripts)
        assert "<style" not in text
        assert not re.search(r"\s(style|on\w+)=", text)


def test_static_files_may_be_kept_under_their_versioned_address_only(site: Site):
    address = re.search(r'href="(/static/style\.css\?v=\w+)"', site.get("/").text)[1]
    assert "immutable" in site.get(address).headers["cache-control"]
    assert site.get(address).headers["content-type"].startswith("text/css")
    assert site.get("/static/style.css").headers["cache-control"] == "no-cache"
    assert site.get("/static/../pages.py").status == 404
    assert site.get("/static/%2e%2e%2fpages.py").status == 404


@pytest.mark.parametrize(
    ("file", "status", "word"),
    [
        ("good", 200, "CONCLUSION_valid"),
        ("stamped", 200, "CONCLUSION_valid"),
        ("tampered", 200, "CONCLUSION_invalid"),
        ("revoked", 200, "CONCLUSION_indeterminate"),
        ("paper", 200, "CONCLUSION_unsigned"),
        ("recalled", 200, "WEB_WORD_DOC_RECALLED"),
        ("locked", 422, "WEB_ENCRYPTED_TITLE"),
        ("damaged", 422, "WEB_DAMAGED_TITLE"),
        ("picture", 415, "WEB_PHOTO_TITLE"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_upload_is_answered_by_its_word_first(site: Site, file, status, word, language):
    answer = site.upload("/verify", site.files[file].read_bytes(), language=language)
    assert answer.status == status
    heading = _heading(answer.text)
    assert heading.startswith(Words(language).say(word)), heading
    assert "autofocus" in re.search(r"<h1[^>]*>", answer.text)[0]


@pytest.mark.parametrize(
    ("content", "status", "title"),
    [
        (b"", 422, "WEB_EMPTY_TITLE"),
        (b"PK\x03\x04....[Content_Types].xml", 415, "WEB_OFFICE_TITLE"),
        (b"PK\x03\x04....word/document.xml", 415, "WEB_WORD_TITLE"),
        (b"PK\x03\x04....xl/workbook.xml", 415, "WEB_EXCEL_TITLE"),
        (b'<?xml version="1.0"?><a/>', 415, "WEB_XML_TITLE"),
        (b"hello", 415, "WEB_NOT_PDF_TITLE"),
    ],
)
def test_other_kinds_of_files_are_named(site: Site, content, status, title):
    answer = site.upload("/verify", content, language="en")
    assert (answer.status, _heading(answer.text).startswith(Words("en").say(title))) == (status, True)


@pytest.mark.parametrize(
    ("method", "path", "body", "media_type", "status", "title"),
    [
        ("POST", "/verify", b"a=b", "application/x-www-form-urlencoded", 415, "WEB_MEDIA_TITLE"),
        ("POST", "/verify", b"--x\r\nnonsense", "multipart/form-data; boundary=x", 400, "WEB_BROKEN_TITLE"),
        ("POST", "/verify", b"--x--\r\n", "multipart/form-data; boundary=x", 400, "WEB_NO_FILE_TITLE"),
        ("POST", "/certificates", b"{}", "application/json", 415, "WEB_MEDIA_TITLE"),
        ("DELETE", "/verify", None, "", 405, "WEB_METHOD_TITLE"),
        ("POST", "/", b"", "", 405, "WEB_METHOD_TITLE"),
        ("GET", "/certificates/x", None, "", 404, "WEB_NOT_FOUND_TITLE"),
    ],
)
def test_a_request_that_makes_no_sense_gets_a_page_and_its_status(site, method, path, body, media_type, status, title):
    answer = site.ask(method, f"{path}?lang=en", body, {"Content-Type": media_type} if media_type else {})
    assert answer.status == status
    assert answer.headers["content-type"].startswith("text/html")
    assert _heading(answer.text).startswith(Words("en").say(title))


def test_a_file_over_the_limit_is_refused_by_a_page_that_says_the_limit(site: Site):
    answer = site.ask(
        "POST",
        "/verify?lang=en",
        b"",
        {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "900000000"},
    )
    assert answer.status == 413
    assert "up to 50 MB" in answer.text


def test_the_limit_is_said_before_the_upload(site: Site):
    assert Words("vi").say("WEB_FILE_LIMITS", {"limit_mb": "50"}) in site.get("/").text
    assert Words("vi").say("WEB_FILE_PRIVACY") in site.get("/").text


def test_reopening_the_address_of_an_answer_leads_to_the_form(site: Site):
    answer = site.get("/verify", lang="ko")
    assert (answer.status, answer.headers["location"]) == (303, "/?lang=ko")


@pytest.mark.parametrize("typed", ["{}", " {} ", "lower", "grouped"])
def test_a_typed_code_leads_to_the_documents_own_address(site: Site, typed):
    code = site.codes["good"]
    text = {"lower": code.lower(), "grouped": f" {grouped(code).lower()} "}.get(typed, typed.format(code))
    answer = site.get("/v", code=text, lang="en")
    assert (answer.status, answer.headers["location"]) == (303, f"/v/{code}?lang=en")


@pytest.mark.parametrize(
    "path", ["/v?code=ABC", "/v?code=", "/v", "/v/ABC", f"/v/{'2' * 19}3", "/v?code=" + "x" * 5000]
)
def test_what_cannot_be_a_code_is_said_so_with_a_hint_on_typing(site: Site, path):
    answer = site.get(path)
    assert answer.status == 404
    assert _heading(answer.text).startswith(Words("vi").say("WEB_CODE_MALFORMED_TITLE"))
    assert 'name="code"' in answer.text


def test_a_document_shows_its_public_facts_and_no_file_names(site: Site):
    answer = site.get(f"/v/{grouped(site.codes['good'])}")
    text = _plain(answer.text)
    assert answer.status == 200
    assert _heading(answer.text).startswith("CÒN HIỆU LỰC")
    assert grouped(site.codes["good"]) in text
    assert "Trung tâm Phục vụ hành chính công thành phố Hương Giang" in text
    assert "paper.pdf" not in text
    assert f'href="/api/v1/documents/{site.codes["good"]}/file"' in answer.text
    assert site.ask("HEAD", f"/api/v1/documents/{site.codes['good']}/file").status in (200, 405)


def test_a_recalled_document_says_so_first_and_since_when(site: Site):
    answer = site.get(f"/v/{site.codes['recalled']}", lang="en")
    assert answer.status == 200
    assert _heading(answer.text) == "RECALLED The document has been recalled."
    assert "Out of force since" in answer.text
    # Why it was recalled is the agency's own affair.
    assert "sai số liệu" not in answer.text


def test_a_document_that_only_a_person_signed_is_not_called_issued(site: Site):
    assert _heading(site.get(f"/v/{site.codes['officer-only']}", lang="en").text).startswith("NOT YET ISSUED")


def test_a_recall_is_seen_by_the_very_next_request(site: Site):
    user = site.user
    code = user.sign("paper.pdf", "officer", "next.pdf")["code"]
    assert _heading(site.get(f"/v/{code}", lang="en").text).startswith("NOT YET ISSUED")
    user.antin("document", "recall", code, "--reason", "x")
    assert _heading(site.get(f"/v/{code}", lang="en").text).startswith("RECALLED")


def test_an_unknown_code_is_answered_plainly_and_no_sooner_than_a_known_one(site: Site):
    site.get(f"/v/{site.codes['good']}")
    times: dict[str, list[float]] = {"hit": [], "miss": []}
    for _ in range(5):
        for kind, code in (("hit", site.codes["good"]), ("miss", new_code())):
            begun = time.perf_counter()
            answer = site.get(f"/v/{code}", lang="en")
            times[kind].append(time.perf_counter() - begun)
            assert answer.status == (200 if kind == "hit" else 404)
    assert _heading(answer.text) == "NO SUCH DOCUMENT No document has this code."
    # Every answer waits for the end of its step, so the quickest of either kind says nothing about which it was.
    assert min(*times["hit"], *times["miss"]) >= 0.25, times


@pytest.mark.parametrize("form", ["plain", "colons", "upper", "fingerprint"])
def test_a_certificate_is_found_however_its_number_is_pasted(site: Site, form):
    serial = site.serials["officer"]
    sha256 = site.user.json("cert", "show", "officer")["sha256"]
    typed = {
        "plain": serial,
        "colons": ":".join(serial[at : at + 2] for at in range(0, len(serial), 2)),
        "upper": f" {serial.upper()} ",
        "fingerprint": sha256.upper(),
    }[form]
    answer = site.get("/certificates", serial=typed, lang="en")
    assert (answer.status, _heading(answer.text)) == (
        200,
        "IN FORCE This certificate was issued here and is in force.",
    )


def test_a_revoked_certificate_says_when_and_why(site: Site):
    text = _plain(site.get("/certificates", serial=site.serials["revoked"], lang="en").text)
    assert "REVOKED" in text
    assert "the holder's position or agency has changed" in text
    assert re.search(r"Since \d\d/\d\d/\d{4} \d\d:\d\d:\d\d \+07:00", text)


@pytest.mark.parametrize("serial", ["00ff", "not a serial", "'; DROP TABLE certificates; --", "0" * 64])
def test_an_unknown_certificate_is_not_issued_here_and_nothing_worse(site: Site, serial):
    answer = site.get("/certificates", serial=serial, lang="en")
    assert (answer.status, _heading(answer.text).split(" There")[0]) == (404, "NOT ISSUED HERE")


def test_a_certificate_file_is_recognised_and_others_are_not(site: Site):
    pem = site.files["officer"].read_bytes()
    assert site.upload("/certificates", pem, "officer.pem", "en").status == 200
    assert _heading(site.upload("/certificates", b"%PDF-1.7", "a.pem", "en").text).startswith(
        "THIS IS NOT A CERTIFICATE"
    )
    big = site.upload("/certificates", pem + bytes(70_000), "a.pem", "en")
    assert (big.status, _heading(big.text)[:21]) == (413, "THE FILE IS TOO LARGE")


def test_hostile_names_are_shown_as_text_and_numbers_are_masked(site: Site):
    uploaded = site.upload("/verify", site.files["hostile-name"].read_bytes(), f"{HOSTILE}.pdf")
    looked_up = site.get(f"/v/{site.codes['hostile']}")
    certificate = site.get("/certificates", serial=site.serials["hostile"])
    typed = site.get("/v", code='"><script>alert(1)</script>')
    for answer in (uploaded, looked_up, certificate, typed):
        assert "<img src=x" not in answer.text
        assert "<script" not in answer.text
        assert "001099001234" not in answer.text
    assert html.escape(HOSTILE) in uploaded.text
    assert html.escape(HOSTILE) in certificate.text
    assert "CCCD:********1234" in certificate.text
    assert HOSTILE_SUBJECT in _plain(looked_up.text)


def test_a_file_name_cannot_turn_the_verdict_around(site: Site):
    answer = site.upload("/verify", site.files["good"].read_bytes(), "\u202efdp.ấn\u200b\u0007.exe")
    assert not re.search("[\u202e\u200b\u0007]", answer.text)


def test_too_many_checks_get_a_page_that_asks_to_wait(founded, tmp_path):
    """The limit counts strangers, so the server is told that its proxy speaks for one."""
    (tmp_path / "work").mkdir()
    site = Site(User(founded.copy_to(tmp_path / "home"), tmp_path / "work"))
    with serving(site, ANTIN_WEB__ANONYMOUS_PER_SECOND="1", ANTIN_WEB__TRUSTED_PROXIES="127.0.0.1/32"):
        visitor = {"X-Forwarded-For": "203.0.113.7", "Accept-Language": "en"}
        answers = [site.get("/certificates?serial=00", visitor) for _ in range(60)]
        refused = [answer for answer in answers if answer.status == 429]
        assert refused
        assert _heading(refused[0].text).startswith("TOO MANY REQUESTS")
        assert int(refused[0].headers["retry-after"]) > 0


def test_without_its_database_the_site_says_that_it_is_not_the_documents_fault(founded, tmp_path):
    (tmp_path / "work").mkdir()
    site = Site(User(founded.copy_to(tmp_path / "home"), tmp_path / "work"))
    with serving(site):
        assert site.get(f"/v/{new_code()}").status == 404
        database = site.user.home / "antin.db"
        for path in site.user.home.glob("antin.db*"):
            path.unlink()
        database.mkdir()
        answers = [site.get(f"/v/{new_code()}", lang="en") for _ in range(12)]
        away = [answer for answer in answers if answer.status == 503]
        assert all(answer.status in (404, 503) for answer in answers)
        assert site.get("/").status == 200
        for answer in away:
            assert _heading(answer.text).startswith("NOT AVAILABLE JUST NOW")
            assert answer.headers["retry-after"]


def _plain(text: str) -> str:
    """What a reader sees, roughly: no tags, entities resolved, one space between words."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text))).strip()


def _heading(text: str) -> str:
    return _plain(re.search(r"<h1.*?</h1>", text, re.DOTALL)[0])
