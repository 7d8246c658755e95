"""`python -m tests.interoperability FILE`: asks everybody anew and writes the table into the page."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.interoperability.table import make_table, with_table, written

if __name__ == "__main__":
    page = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory(prefix="antin-interoperability-") as folder:
        text = written(make_table(Path(folder)))
    page.write_text(with_table(page.read_text(encoding="utf-8"), text), encoding="utf-8")
