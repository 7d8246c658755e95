"""A user at the command line: a home of his own, a folder to work in, and `antin` as a process; nothing of it is called in process.

A demonstration home is founded once a run and copied for each test: nothing in a home is an absolute path, so a copy is
a home.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, make_url

from api.demo.papers import write_papers
from hsm.softhsm import find_module
from tests import postgres
from tests.command_server import CommandServer

ANTIN = Path(sys.executable).with_name("antin")
FONTS = Path(os.environ.get("ANTIN_TEST_FONTS", "/usr/share/fonts/truetype/croscore"))
OFFICER_NAME = "CN=Trần Thị Thử Nghiệm,T=Phó Giám đốc,O=Sở Thử nghiệm,C=VN"


@dataclass
class _Founded:
    """The database of the founded home, which like the home is only copied. None on SQLite: the rows lie in the home."""

    database: str | None = None


_FOUNDED = _Founded()
_COMMANDS = CommandServer()


@dataclass
class User:
    """One person with one home. Paths he types are relative to `folder`."""

    home: Path
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if postgres.wanted() and "ANTIN_DATABASE__URL" not in self.environment:
            # A home that is there already was copied from the founded one, and works on a copy of its rows.
            template = _FOUNDED.database if (self.home / "antin.toml").exists() else None
            self.environment |= postgres.setting(postgres.cluster().new(template or "template0"))

    def surroundings(self, **more: str) -> dict[str, str]:
        plain = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "ANTIN_HOME": str(self.home)}
        return plain | self.environment | more

    def run(self, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """One command, whatever becomes of it; a traceback is always a defect."""
        done = _COMMANDS.run([str(word) for word in words], self.folder, self.surroundings(**environment), 120.0)
        assert "Traceback" not in done.stdout + done.stderr
        assert "internal error" not in done.stderr, done.stderr
        return done

    def command(self, *words: str | Path) -> list[str]:
        return [str(word) for word in (ANTIN, *words)]

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """A command that runs beside others; whoever starts it waits for it."""
        return subprocess.Popen(
            self.command(*words), cwd=self.folder, env=self.surroundings(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def antin(self, *words: str | Path, **environment: str) -> str:
        """A command that must end with 0; its output."""
        done = self.run(*words, **environment)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def refused(self, code: int, *words: str | Path, **environment: str) -> str:
        """A command that must end with `code` and say why in one line of standard error, and nothing else; that line."""
        done = self.run(*words, **environment)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        assert done.stdout == ""
        assert done.stderr.startswith("antin: ")
        assert done.stderr.endswith("\n")
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    def json(self, *words: str | Path, code: int = 0, **environment: str) -> Any:
        """The JSON that a command prints."""
        done = self.run(*words, "--json", **environment)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def sign(
        self, file: str | Path, credential: str, out: str | Path, *words: str, **environment: str
    ) -> dict[str, Any]:
        answer: dict[str, Any] = self.json("sign", file, "--as", credential, "-o", out, *words, **environment)
        return answer

    def findings(self, **environment: str) -> dict[str, str]:
        """What the doctor finds wrong: code to check."""
        done = self.run("doctor", "--json", **environment)
        found = json.loads(done.stdout)
        assert done.returncode == int(any(each["severity"] == "wrong" for each in found))
        return {each["code"]: each["check"] for each in found if each["severity"] == "wrong"}

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Touch the home's database behind the product's back."""
        if postgres.wanted():
            with psycopg.connect(
                self.database.set(drivername="postgresql").render_as_string(hide_password=False)
            ) as server:
                cursor = server.execute(statement.replace("?", "%s"), values or None)  # type: ignore[arg-type]  # statements of the tests
                return cursor.fetchall() if cursor.description else []
        with sqlite3.connect(self.home / "antin.db") as connection:
            rows = connection.execute(statement, values).fetchall()
        connection.close()
        return rows

    @property
    def database(self) -> URL:
        """Where the rows of the home are, on PostgreSQL."""
        return make_url(self.environment["ANTIN_DATABASE__URL"])

    def files(self) -> set[str]:
        """What stands in the folder, hidden files too."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


def tree(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, but for what SQLite keeps beside its database while it is open."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def signatures_by_pdfsig(file: Path) -> list[str]:
    """What poppler, which knows nothing of us, says about each signature's value."""
    done = subprocess.run(["pdfsig", "-nocert", file], capture_output=True, text=True, check=False)
    prefix = "  - Signature Validation: "
    return [line.removeprefix(prefix) for line in done.stdout.splitlines() if line.startswith(prefix)]


VALID_BY_PDFSIG = "Signature is Valid."


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made once, whichever of the test processes needs it first. Never used itself, only copied.

    On PostgreSQL each test process has a cluster of its own, and so each makes it.
    """
    if postgres.wanted():
        folder = factory.mktemp(name)
        make(folder)
        return folder
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / name).exists():
            begun = base / f"{name}-{uuid.uuid4().hex}"
            begun.mkdir()
            make(begun)
            begun.rename(base / name)
    return base / name


class FoundedHome:
    """A demonstration home as `antin init --demo` leaves it, only to be copied: whoever worked in it would disturb all."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def copy_to(self, home: Path) -> Path:
        """Copy it to the path `home`, which does not exist yet, and return that path."""
        return copy_home(self._home, home)


def copy_home(home: Path, to: Path) -> Path:
    """Copy a home without the sockets of a key process that may still be on its way out after the last command."""
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("*.sock"))
    return to


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> FoundedHome:
    """The home that is founded once for the whole run."""
    if find_module() is None:
        pytest.skip("SoftHSM is not installed (apt-get install softhsm2)")
    if not (FONTS / "Tinos-Regular.ttf").is_file():
        pytest.skip("Tinos is not installed (apt-get install fonts-croscore)")

    def found(folder: Path) -> None:
        user = User(folder / "home", folder)
        user.antin("init", "--demo")
        if postgres.wanted():
            _FOUNDED.database = user.database.database

    return FoundedHome(once(tmp_path_factory, "founded", found) / "home")


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An official letter as an office writes it: anchors, form fields for number and date, no signature."""
    if not (FONTS / "Tinos-Regular.ttf").is_file():
        pytest.skip("Tinos is not installed (apt-get install fonts-croscore)")
    folder = tmp_path_factory.mktemp("papers")
    papers = write_papers(folder, FONTS, tmp_path_factory.mktemp("paper-cache"))
    return next(each.path for each in papers)


@pytest.fixture
def user(founded: FoundedHome, paper: Path, tmp_path: Path) -> User:
    """A user with a fresh demonstration home and `paper.pdf` in his folder."""
    home, folder = founded.copy_to(tmp_path / "home"), tmp_path / "work"
    folder.mkdir()
    shutil.copy(paper, folder / "paper.pdf")
    return User(home, folder)
