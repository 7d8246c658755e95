"""Makes a token in SoftHSM. It loads the module: a program calls `ensure_token` of softhsm.py, which runs this in a process of its own.

It leaves the environment to the caller: `SOFTHSM2_CONF` is set before the module is loaded, and a relative token folder
counts from the folder the process works in.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pkcs11

from hsm.errors import HSMError, TokenExists
from hsm.module import load_module
from hsm.pin import read_pin
from hsm.rv import Scene, translated
from hsm.wire import done, failed


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
    scene = Scene(str(module_path), label, "C_InitPIN", pin_file=str(so_pin_file))
    with translated(scene), token.open(rw=True, so_pin=so_pin) as session:
        session.init_pin(pin)


def has_token(module_path: Path, label: str) -> bool:
    """Whether a token of this label is there, ready for use."""
    module = load_module(module_path)
    return module.has_token(label) and bool(module.find_token(label).flags & pkcs11.TokenFlag.USER_PIN_INITIALIZED)


def main(module: str, label: str, pin_file: str, so_pin_file: str) -> int:
    """Make the token unless it is there, and tell on standard output how that went, as an answer of the key process would."""
    try:
        if not has_token(Path(module), label):
            create_token(Path(module), label, Path(pin_file), Path(so_pin_file))
    except HSMError as error:
        answer = failed(error)
    else:
        answer = done()
    sys.stdout.buffer.write(b"".join(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
