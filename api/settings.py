"""The settings of a home: `antin.toml`, then `ANTIN_<SECTION>__<NAME>` from the environment, which wins."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from certs.errors import TableKeyUnknown, TableUnreadable, TableValueWrong
from certs.strict import nearest, parse_text, parse_toml, read_table

PREFIX = "ANTIN_"
# Variables of the same prefix that are not settings: where the home is, the language, and what demo and tests read.
NOT_SETTINGS = {"ANTIN_HOME", "ANTIN_LANG", "ANTIN_DEMO_DOCUMENTS", "ANTIN_TEST_CORPUS"}


@dataclass(frozen=True)
class DatabaseSettings:
    """Where rows live. An empty url is the SQLite file of the home."""

    url: str = ""
    busy_seconds: float = 5.0


@dataclass(frozen=True)
class HsmSettings:
    """The PKCS#11 token. Empty module and pin_file: SoftHSM and the PIN under the home."""

    module: str = ""
    token_label: str = "antin"  # noqa: S105  a name, not a secret
    pin_file: str = ""
    max_sessions: int = 8
    wait_seconds: float = 10.0


@dataclass(frozen=True)
class HttpSettings:
    """What the outside calls us; goes into certificates (AIA, CRL distribution point)."""

    public_url: str = "http://127.0.0.1:8080"

    def __post_init__(self) -> None:
        if not self.public_url.startswith(("http://", "https://")) or self.public_url.endswith("/"):
            raise ValueError("http.public_url should be http://… or https://… without a slash at its end")


@dataclass(frozen=True)
class SignSettings:
    """How documents are signed."""

    level: str = "B-B"
    rsa_padding: str = "pss"
    font: str = "/usr/share/fonts/truetype/croscore/Tinos-Regular.ttf"
    max_bytes: int = 200 * 1024 * 1024
    seal_diameter_mm: float = 36.0

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError("sign.level should be one of " + ", ".join(LEVELS))
        if self.rsa_padding not in ("pss", "pkcs1v15"):
            raise ValueError("sign.rsa_padding should be pss or pkcs1v15")
        if not 20 <= self.seal_diameter_mm <= 60:
            raise ValueError("sign.seal_diameter_mm should lie between 20 and 60")


@dataclass(frozen=True)
class KeySettings:
    """Kinds of the keys that `init` and `cert issue` make."""

    root: str = "p-384"
    issuing: str = "p-256"
    credential: str = "p-256"


@dataclass(frozen=True)
class ValidationSettings:
    """How files are judged. `fetch` would allow CRL and OCSP from the network."""

    fetch: bool = False
    memory_mb: int = 1536
    seconds: float = 30.0
    max_bytes: int = 200 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.fetch:
            raise ValueError("validation.fetch = true is not offered by this version; leave it false")


LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. A section is a table of `antin.toml`."""

    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    hsm: HsmSettings = field(default_factory=HsmSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    keys: KeySettings = field(default_factory=KeySettings)
    sign: SignSettings = field(default_factory=SignSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)


def _sections() -> dict[str, type]:
    hints = typing.get_type_hints(Settings)
    return {each.name: hints[each.name] for each in dataclasses.fields(Settings)}


def _valid_variables() -> dict[str, tuple[str, str, object]]:
    """Every environment name that is a setting, to its section, key and type."""
    names = {}
    for section, cls in _sections().items():
        for name, hint in typing.get_type_hints(cls).items():
            names[f"{PREFIX}{section.upper()}__{name.upper()}"] = (section, name, hint)
    return names


def load_settings(file: Path, environment: Mapping[str, str]) -> Settings:
    """Read the settings; raise a TableError that names the offending key, and the nearest valid one."""
    try:
        text = file.read_text("utf-8") if file.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise TableUnreadable(f"{file}: {error}", where=file.name, problem=str(error)) from error
    table = parse_toml(text, file.name)
    valid = _valid_variables()
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        if variable not in valid:
            raise TableKeyUnknown(
                f"unknown setting {variable}", where="the environment", key=variable,
                nearest=nearest(variable, [*valid, *NOT_SETTINGS]), valid=", ".join(valid),
            )  # fmt: skip
        section, name, hint = valid[variable]
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise TableValueWrong(
                f"{section} should be a table", where=file.name, key=section, expected="a table", found="a value"
            )
        inner[name] = parse_text(hint, value, "the environment", variable)
    return read_table(Settings, table, file.name)
