"""SoftHSM: where its module lies on a machine, what its settings say, and that a home has a token in it.

It never loads the module: that is done in processes of their own, by token_making.py once and by the key process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hsm.errors import KeyProcessFailed, MessageRefused
from hsm.wire import parse_answer

DEFAULT_PREFIXES = (Path("/usr"), Path("/usr/local"), Path("/opt/softhsm"), Path("/opt/homebrew"))
_FILE = "libsofthsm2.so"
# Making a token is some files written and synced.
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class NewToken:
    """A token that should be there: in which module, under which label, with PINs from which files."""

    module_path: Path
    label: str
    pin_file: Path
    so_pin_file: Path


def find_module(prefixes: Iterable[Path] = DEFAULT_PREFIXES) -> Path | None:
    """SoftHSM's PKCS#11 module below the first prefix that has one, or None when it is not installed."""
    for prefix in prefixes:
        for folder in ("lib", "lib64"):
            # Debian links its multiarch folder (lib/x86_64-linux-gnu/softhsm) from lib/softhsm; others have one of them.
            fixed = prefix / folder / "softhsm" / _FILE
            for path in (fixed, *sorted((prefix / folder).glob(f"*/softhsm/{_FILE}"))):
                if path.is_file():
                    return path
    return None


def configuration(token_folder: str) -> str:
    """The text of a softhsm2.conf. A relative folder keeps the home movable."""
    return (
        f"directories.tokendir = {token_folder}\n"
        "objectstore.backend = file\n"
        "log.level = ERROR\n"
        "slots.removable = false\n"
        # A forked child is refused, as real modules refuse it, instead of sharing the parent's state.
        "library.reset_on_fork = true\n"
    )


def ensure_token(token: NewToken, environment: Mapping[str, str], folder: Path) -> None:
    """Make the token unless it is there. `environment` names its settings; a relative token folder counts from `folder`.

    A short process does it, so that this one never holds the module that belongs to the key process.
    """
    words = (str(token.module_path), token.label, str(token.pin_file), str(token.so_pin_file))
    try:
        made = subprocess.run(
            [sys.executable, "-P", "-m", "hsm.token_making", *words],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=True,
        )
        parse_answer(made.stdout)
    except (OSError, subprocess.SubprocessError, MessageRefused) as error:
        raise KeyProcessFailed("the process that makes a token failed", reason=type(error).__name__) from error
