"""Fresh homes made by the command line, once a run: the default one, and one whose credentials are RSA (so PSS)."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import postgres

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class FreshHome:
    """A home and the command line in it."""

    path: Path
    settings: dict[str, str] = field(default_factory=dict)

    def antin(self, *arguments: str | Path, language: str = "en") -> subprocess.CompletedProcess[str]:
        """Run one command; its exit code is the caller's to judge."""
        environment = {
            **postgres.plain_environment(),
            "ANTIN_HOME": str(self.path),
            "ANTIN_LANG": language,
            **self.settings,
        }
        command = [str(BIN / "antin"), *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    def done(self, *arguments: str | Path) -> str:
        """Run one command that must succeed; what it printed."""
        result = self.antin(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def signed_files(self) -> list[Path]:
        return sorted(path for path in (self.path / "out").glob("*.pdf") if "tampered" not in path.name)

    def contents(self) -> dict[str, str]:
        """SHA-256 of every file, by its path in the home."""
        return {
            str(path.relative_to(self.path)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.path.rglob("*"))
            # SQLite's own working files come and go with each process.
            if path.is_file() and path.suffix not in (".db-wal", ".db-shm")
        }


def _found(path: Path, settings: dict[str, str]) -> FreshHome:
    if postgres.wanted():
        settings = {**settings, **postgres.setting(postgres.cluster().new())}
    home = FreshHome(path, settings)
    home.done("init", "--demo")
    home.done("demo")
    return home


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> FreshHome:
    return _found(tmp_path_factory.mktemp("accept") / "home", {})


@pytest.fixture(scope="session")
def rsa_home(tmp_path_factory: pytest.TempPathFactory) -> FreshHome:
    return _found(tmp_path_factory.mktemp("accept-rsa") / "home", {"ANTIN_KEYS__CREDENTIAL": "rsa-2048"})
