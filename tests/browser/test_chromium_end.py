"""A closed browser is gone with its driver and its event loop. A module of its own: a thread drives one browser at a time."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from tests.browser.chromium import CHROMIUM, launched
from tests.integration.http_service import command_of, descendants, is_alive


def test_a_closed_browser_leaves_no_process_behind():
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    before = descendants(os.getpid())
    with launched() as browser:
        browser.new_page().goto("about:blank")
        begun = descendants(os.getpid()) - before
        assert any(b"chromium" in command_of(each) for each in begun)
        assert any(b"playwright" in command_of(each) for each in begun)
    patience = time.monotonic() + 10
    while any(is_alive(each) for each in begun) and time.monotonic() < patience:
        time.sleep(0.05)
    assert [command_of(each) for each in begun if is_alive(each)] == []
    # Other modules run in the same process, and may want a loop of their own.
    asyncio.run(asyncio.sleep(0))
