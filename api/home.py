"""A home: the one folder where an installation's state lives, and the names of what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """Paths of a home, absolute while the process runs and never stored."""

    root: Path

    @property
    def settings_file(self) -> Path:
        return self.root / "antin.toml"

    @property
    def database_file(self) -> Path:
        return self.root / "antin.db"

    @property
    def softhsm_conf(self) -> Path:
        return self.root / "softhsm2.conf"

    @property
    def tokens(self) -> Path:
        return self.root / "tokens"

    @property
    def pin_file(self) -> Path:
        return self.root / "secrets" / "pin"

    @property
    def factor_key(self) -> Path:
        return self.root / "secrets" / "factors"

    @property
    def so_pin_file(self) -> Path:
        return self.root / "secrets" / "so-pin"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def uploads(self) -> Path:
        return self.root / "uploads"

    @property
    def uploads_key(self) -> Path:
        return self.root / "secrets" / "uploads.key"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def passed_shapes(self) -> Path:
        return self.cache / "lint"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def crls(self) -> Path:
        return self.root / "public" / "crl"

    @property
    def ca_certificates(self) -> Path:
        return self.root / "public" / "ca"

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def demo(self) -> Path:
        return self.root / "demo"

    def exists(self) -> bool:
        """Whether `antin init` has been here: the settings file is written last."""
        return self.settings_file.is_file()


def locate_home(environment: Mapping[str, str]) -> Home:
    """`ANTIN_HOME`, or `./var`, made absolute now because the process may change its folder later."""
    return Home(Path(environment.get("ANTIN_HOME") or "var").absolute())
