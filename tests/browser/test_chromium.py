"""The browser of these tests is shut in: it reaches this machine and nothing else, and runs no script unasked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Error

from tests.browser.chromium import Window

_PAGE = b"""<!doctype html><title>quiet</title><script>document.title = 'loud'</script><p style="color: red">text</p>"""


class _Answer(BaseHTTPRequestHandler):
    """A page of the kind that ours must not be."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", "style-src 'none'")
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_it_finds_nobody_by_name_and_no_other_address(window: Window, port: int):
    """The server listens at 127.0.0.1, which `localhost` would lead to; another address would refuse the connection instead."""
    window.page.goto(f"http://127.0.0.1:{port}/")
    for host in ("localhost", "127.0.0.2"):
        with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
            window.page.goto(f"http://{host}:{port}/")


def test_with_scripts_off_none_runs_and_what_the_policy_blocks_is_heard_of(window: Window, port: int):
    window.page.goto(f"http://127.0.0.1:{port}/")
    assert window.page.title() == "quiet"
    assert [line for line in window.complaints if "Content Security Policy" in line]


def test_a_window_with_scripts_runs_them(scripted: Window, port: int):
    scripted.page.goto(f"http://127.0.0.1:{port}/")
    assert scripted.page.title() == "loud"


def test_one_window_knows_nothing_of_another(chromium: Browser, window: Window, port: int):
    window.page.goto(f"http://127.0.0.1:{port}/")
    window.page.context.add_cookies([{"name": "a", "value": "b", "url": f"http://127.0.0.1:{port}/"}])
    other = chromium.new_context()
    assert other.cookies() == []
    other.close()
