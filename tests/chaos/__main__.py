"""`python -m tests.chaos FILE`: every row and the soak, and the table of what came of them. Exit 1 when a promise is broken."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.promises import check_promises
from tests.chaos.report import introduction, section, soak
from tests.chaos.row import Outcome, Row, run_row
from tests.chaos.rows import SECTIONS, run_soak
from tests.chaos.stage import new_stage

_SIGNATURES = 100_000


def main(words: list[str]) -> int:
    """Run and write; the file is written also when a promise was broken, because it says which."""
    file = Path(words[0]).absolute()
    broken: list[str] = []
    text = ""
    with tempfile.TemporaryDirectory(prefix="antin-chaos-") as folder, new_stage(Path(folder)) as stage:
        key = stage.new_key()
        begun = time.monotonic()
        before = {process.pid for process in stage.state().processes}
        stage.kill_token_processes()
        stage.wait_until(lambda state: state.breaker == "closed" and not before & {p.pid for p in state.processes})
        text += introduction(time.monotonic() - begun, 8)
        for title, rows in SECTIONS.items():
            outcomes: list[tuple[Row, Outcome]] = []
            for row in rows:
                outcomes.append((row, run_row(row, stage, key)))
                broken += _broken(row, outcomes[-1][1])
            text += section(title, outcomes)
        last = run_soak(stage, key, _SIGNATURES)
        text += soak(last)
        if last.wrong or last.doubled or last.to_well is None:
            broken.append("random faults")
    if broken:
        text += "\n## Promises that this run broke\n" + "".join(f"- {line}\n" for line in broken)
    file.write_text(text, encoding="utf-8")
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


def _broken(row: Row, outcome: Outcome) -> list[str]:
    try:
        check_promises(row, outcome)
    except AssertionError as error:
        print("x", end="", flush=True)
        return [f"{row.name}: {str(error).splitlines()[0] if str(error) else 'a promise of its own'}"]
    print(".", end="", flush=True)
    return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
