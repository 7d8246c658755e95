"""Debian's Chromium driven by Playwright: how it is started, and a window that remembers what its pages asked for and complained of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
DESK, TELEPHONE = 1280, 360
# Of the network there is this machine's loopback and nothing else, whatever a page or the browser itself may want.
_FLAGS = [
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-dev-shm-usage", "--force-color-profile=srgb",
]  # fmt: skip


@dataclass
class Window:
    """One window with a fresh profile. `page` is Playwright's; `requested` and `complaints` are of every page so far, `answers` of this one."""

    page: Page
    requested: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._note_request)
        self.page.on("response", self._note_answer)
        self.page.on("console", self._note_complaint)

    def resize(self, width: int) -> None:
        self.page.set_viewport_size({"width": width, "height": 900})

    def press(self, *keys: str) -> None:
        """Keys to whatever has the focus."""
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, selector: str) -> str:
        """What a reader sees in the first such element."""
        return self.page.locator(selector).first.inner_text()

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()

    def focused(self) -> dict[str, str]:
        """Tag, id and text of the element that has the focus."""
        found: dict[str, str] = self.evaluate(
            "(e => ({tag: e.localName, id: e.id, text: e.innerText}))(document.activeElement)"
        )
        return found

    def evaluate(self, expression: str) -> Any:
        """A value of the page, asked for by the debugger: works where the page itself may run nothing."""
        return self.page.evaluate(expression)

    def weight(self) -> int:
        """Octets of the page and of all that belongs to it, unpacked."""
        return sum(len(answer.body()) for answer in self.answers if not 300 <= answer.status < 400)

    def _note_request(self, request: Request) -> None:
        if request.is_navigation_request() and request.redirected_from is None:
            self.answers.clear()
        if not request.url.startswith("data:"):
            self.requested.append(request.url)

    def _note_answer(self, answer: Response) -> None:
        self.answers.append(answer)

    def _note_complaint(self, message: ConsoleMessage) -> None:
        """Blocked styles, missing files: whatever the browser's console holds against a page."""
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextmanager
def launched() -> Iterator[Browser]:
    """A Chromium without a window, ended with its driver at the end.

    While one is open, this thread counts as inside an event loop: `asyncio.run` is refused, and so is a second one.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, *, scripts: bool) -> Iterator[Window]:
    """A window of desk width; without `scripts` it is that of a reader who has switched JavaScript off."""
    context = browser.new_context(
        java_script_enabled=scripts, locale="vi-VN", color_scheme="light", viewport={"width": DESK, "height": 900}
    )
    try:
        yield Window(context.new_page())
    finally:
        context.close()
