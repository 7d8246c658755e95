"""The table of docs/interoperability.md: every level, by one signer and by two, and what each program says of it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signer.levels import LEVELS
from tests.installation import User
from tests.integration.http_service import running
from tests.interoperability.judges import JUDGES
from tests.signing_world import plain_paper

Table = dict[tuple[str, str], dict[str, str]]
_HEADING = (
    "| level | signed by | "
    + " | ".join(f"`{name}`" for name in JUDGES)
    + " |\n|---|---|"
    + "---|" * len(JUDGES)
    + "\n"
)
_BEGIN, _END = "<!-- table -->\n", "<!-- end of table -->\n"


def make_table(folder: Path) -> Table:
    """Found a house, sign in it at every level, ask everybody while its OCSP responder answers."""
    table: Table = {}
    with _house(folder) as user:
        root = folder / "root.pem"
        root.write_text(user.antin("ca", "show", "root", "--pem"))
        (folder / "paper.pdf").write_bytes(plain_paper("A decision"))
        for level in LEVELS:
            user.antin("sign", "paper.pdf", "--as", "officer", "--level", level, "-o", f"one-{level}.pdf")
            user.antin("sign", f"one-{level}.pdf", "--as", "seal", "--level", level, "-o", f"two-{level}.pdf")
            for signers, name in (("officer", "one"), ("officer and seal", "two")):
                file = folder / f"{name}-{level}.pdf"
                table[level, signers] = {judge: ask(file, root) for judge, ask in JUDGES.items()}
    return table


@contextmanager
def _house(folder: Path) -> Iterator[User]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    # The certificates name this address, and pyHanko asks there whether they are revoked.
    user = User(folder / "home", folder, {"ANTIN_HTTP__PUBLIC_URL": f"http://127.0.0.1:{port}"})
    user.antin("init", "--demo")
    with running(user, "--port", str(port)):
        yield user


def written(table: Table) -> str:
    """The table in Markdown."""
    rows = (
        f"| {level} | {signers} | " + " | ".join(answers.values()) + " |\n"
        for (level, signers), answers in table.items()
    )
    return _HEADING + "".join(rows)


def table_of(page: str) -> str:
    """The table as a page has it."""
    found = re.search(f"{_BEGIN}(.*?){_END}", page, re.DOTALL)
    return found[1] if found else ""


def with_table(page: str, table: str) -> str:
    """The page with another table."""
    return re.sub(f"{_BEGIN}.*?{_END}", lambda _: _BEGIN + table + _END, page, flags=re.DOTALL)
