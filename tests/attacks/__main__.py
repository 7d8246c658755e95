"""`python -m tests.attacks FILE`: every attack is made anew, everybody is asked, and the table is written into the page."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.attacks.families import all_attacks
from tests.attacks.pki import build_pki
from tests.attacks.scoreboard import rows, with_table, written

if __name__ == "__main__":
    page = Path(sys.argv[1])
    pki = build_pki()
    lines = list(rows(all_attacks(pki), pki))
    page.write_text(with_table(page.read_text(encoding="utf-8"), written(lines)), encoding="utf-8")
