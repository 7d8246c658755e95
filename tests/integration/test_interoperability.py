"""Every level verifies in other people's programs, as docs/interoperability.md says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.interoperability.table import make_table, table_of, written

PAGE = Path(__file__).parents[2] / "docs" / "interoperability.md"


@pytest.mark.skipif(not shutil.which("mutool"), reason="mutool is not installed (apt-get install mupdf-tools)")
def test_every_level_verifies_in_every_program_as_the_page_says(tmp_path: Path) -> None:
    table = make_table(tmp_path)
    for (level, signers), said in table.items():
        count = 1 if signers == "officer" else 2
        case = (level, signers, said)
        assert said["pdfsig"] == f"{count} × Signature is Valid", case
        assert said["adesverify"] == f"{count} × INTACT TRUSTED", case
        assert said["openssl cms"] == f"{count} × verified", case
        assert said["qpdf --check"] == "no complaint", case
        answers = {
            each.split(" × ")[1] for each in said["mutool sign -v"].replace("valid, more", "valid; more").split(", ")
        }
        assert answers <= {"unchanged", "valid; more behind it"}, case
    assert table_of(PAGE.read_text(encoding="utf-8")) == written(table), "make interoperability writes it anew"
