"""api/cli/progress.py: what a terminal shows, and that nothing else shows it."""

from __future__ import annotations

import io

from api.cli.progress import Progress
from api.words import Words


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_can_be_taken_away():
    terminal = Terminal()
    progress = Progress(200, Words("en"), terminal)
    progress.clear()
    assert terminal.getvalue() == ""
    progress.show(100)
    assert "[###############...............] 100/200" in terminal.getvalue()
    shown = terminal.getvalue()
    progress.show(101)
    assert terminal.getvalue() == shown  # not more often than an eye follows
    progress.clear()
    assert terminal.getvalue() == shown + "\r\x1b[K"


def test_a_file_gets_none():
    file = io.StringIO()
    progress = Progress(2, Words("en"), file)
    progress.show(1)
    progress.clear()
    assert file.getvalue() == ""


def test_nothing_done_yet_is_no_division_by_nothing():
    terminal = Terminal()
    Progress(0, Words("vi"), terminal).show(0)
    assert "0/0" in terminal.getvalue()
