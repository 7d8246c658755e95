"""SoftHSM for tests: one token folder a test process, in which each test may have tokens of its own.

SoftHSM reads SOFTHSM2_CONF once, when the module is initialised, and a process initialises it once. So the first use
of this file in a process settles the folder; call `softhsm_home()` before anything else in the process loads SoftHSM.
Import the fixtures by name in a conftest.py: `from tests.softhsm import softhsm_module, softhsm_token  # noqa: F401`.
"""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from hsm.pkcs11_store import Pkcs11Store
from hsm.softhsm import configuration, find_module
from hsm.token_making import create_token


@dataclass(frozen=True)
class SoftHSMToken:
    module_path: Path
    label: str
    pin_file: Path

    def store(self, **settings: float) -> Pkcs11Store:
        return Pkcs11Store(self.module_path, self.label, self.pin_file, **settings)  # type: ignore[arg-type]  # by name


@functools.cache
def softhsm_home() -> Path:
    """The folder with softhsm2.conf and the tokens of this process; SOFTHSM2_CONF points there from now on."""
    home = Path(tempfile.mkdtemp(prefix="antin-softhsm-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    (home / "tokens").mkdir()
    (home / "softhsm2.conf").write_text(configuration(str(home / "tokens")))
    os.environ["SOFTHSM2_CONF"] = str(home / "softhsm2.conf")
    return home


def new_token(label: str | None = None) -> SoftHSMToken:
    """A fresh token with random PINs; skips the test when SoftHSM is not installed."""
    module_path = find_module()
    if module_path is None:
        pytest.skip("SoftHSM is not installed (apt-get install softhsm2)")
    home = softhsm_home()
    label = label or f"test-{secrets.token_hex(6)}"
    pin_file, so_pin_file = home / f"{label}.pin", home / f"{label}.so-pin"
    pin_file.write_text(secrets.token_hex(8) + "\n")
    so_pin_file.write_text(secrets.token_hex(8) + "\n")
    create_token(module_path, label, pin_file, so_pin_file)
    return SoftHSMToken(module_path, label, pin_file)


@pytest.fixture(scope="session")
def softhsm_module() -> Path:
    """The module's path, with SOFTHSM2_CONF set."""
    module_path = find_module()
    if module_path is None:
        pytest.skip("SoftHSM is not installed (apt-get install softhsm2)")
    softhsm_home()
    return module_path


@pytest.fixture(scope="session")
def shared_softhsm_token() -> SoftHSMToken:
    """One token for all tests of a process that mind no other keys."""
    return new_token()


@pytest.fixture
def softhsm_token() -> SoftHSMToken:
    """A token for one test."""
    return new_token()
