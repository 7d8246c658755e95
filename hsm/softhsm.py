"""SoftHSM: where its module lies on a machine, what its settings say, and a fresh token in it.

It leaves the environment to the caller: `SOFTHSM2_CONF` is set before the module is loaded, and a relative token folder
counts from the folder the process works in.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pkcs11

from hsm.errors import TokenExists
from hsm.module import load_module
from hsm.rv import Scene, translated
from hsm.sessions import read_pin

DEFAULT_PREFIXES = (Path("/usr"), Path("/usr/local"), Path("/opt/softhsm"), Path("/opt/homebrew"))
_FILE = "libsofthsm2.so"


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


def create_token(module_path: Path, label: str, pin_file: Path, so_pin_file: Path) -> None:
    """Initialise a free slot as a token of this label; TokenExists when there is one that is ready for use.

    Both PINs come from files and go to the token through PKCS#11: on a command line others could read them. A token
    whose making was interrupted before its user PIN was set is finished.
    """
    module = load_module(module_path)
    pin, so_pin = read_pin(pin_file), read_pin(so_pin_file)
    if module.has_token(label):
        token = module.find_token(label)
        if token.flags & pkcs11.TokenFlag.USER_PIN_INITIALIZED:
            raise TokenExists(f"there is a token labelled {label!r}", token=label, module=str(module_path))
    else:
        token = module.init_token(label, so_pin)
    with translated(Scene(str(module_path), label, "C_InitPIN")), token.open(rw=True, so_pin=so_pin) as session:
        session.init_pin(pin)


def has_token(module_path: Path, label: str) -> bool:
    """Whether a token of this label is there, ready for use."""
    module = load_module(module_path)
    return module.has_token(label) and bool(module.find_token(label).flags & pkcs11.TokenFlag.USER_PIN_INITIALIZED)
