"""`make bench`: prints the table of ratios and writes bench.json. Exit 1 when a goal is missed."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import tests.bench.library_alone  # noqa: F401  before all that would put our readers into the library
from tests.bench import (
    commands,
    crls,
    hostile,
    http,
    issuance,
    keys,
    large,
    placing,
    register,
    search,
    signing,
    validation,
)  # fmt: skip
from tests.bench.measure import Row


def main() -> int:
    """Run everything in a throw-away home."""
    full = "--full" in sys.argv[1:]
    results = Path("bench.json").absolute()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="antin-bench-") as folder:
        home = Path(folder) / "home"
        rows += commands.run(home, Path.cwd())
        rows += http.run(home, full=full)
        rows += signing.run(home, full=full)
        rows += placing.run(home)
        rows += validation.run(full=full)
        rows += hostile.run(full=full)
        rows += keys.run(full=full)
        rows += crls.run(full=full)
        rows += issuance.run()
        if full:
            rows += large.run(home)
            rows += search.run()
            rows += register.run()
        os.chdir("/")  # the token's folder goes away with the temporary one
    print(f"{'benchmark':<52}{'ours':>11}{'peer':>11}  {'ratio':>8}  {'goal':>6}")
    missed = False
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:g} ×"
        short = row.goal is not None and row.ratio < row.goal
        missed = missed or short
        print(
            f"{row.name:<52}{row.ours:>8.2f} {row.unit:<3}{row.peer:>7.2f} {row.unit:<3} {row.ratio:>7.2f} ×  {goal:>6}{'  MISSED' if short else ''}"
        )
    results.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n", encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
