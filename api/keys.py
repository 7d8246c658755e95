"""The key process of a home: how it is started, and the key store that talks to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from api.errors import ComponentError
from api.home import Home
from api.settings import Settings
from hsm.client import ClientStore
from hsm.keyd.places import run_folder
from hsm.keyd.process import KeydSettings, KeyProcess
from hsm.pin import PinDescriptor, PinSource
from hsm.softhsm import find_module


def module_path(settings: Settings) -> Path:
    """The PKCS#11 module of the setting, or Debian's SoftHSM."""
    if settings.hsm.module:
        return Path(settings.hsm.module)
    found = find_module()
    if found is None:
        raise ComponentError("SOFTHSM_MISSING")
    return found


def token_surroundings(home: Home, settings: Settings) -> dict[str, str]:
    """What a process that loads the module finds in its environment.

    SoftHSM's configuration names the home's tokens relative to the home, so that no absolute path is stored in it and a
    home can be moved; it counts from the folder the process works in.
    """
    return {} if settings.hsm.module else {"SOFTHSM2_CONF": str(home.softhsm_conf)}


def key_process(home: Home, settings: Settings) -> KeyProcess:
    """The key process of a home, ready to be started. Reads nothing."""
    hsm = settings.hsm
    return KeyProcess(
        KeydSettings(
            module=home.root / module_path(settings),
            token_label=hsm.token_label,
            pin=pin_source(home, settings),
            run_folder=run_folder(home.root),
            max_sessions=hsm.max_sessions,
            wait_seconds=hsm.wait_seconds,
            hang_seconds=hsm.hang_seconds,
            keep_alive_seconds=hsm.keep_alive_seconds,
            max_connections=hsm.max_connections,
            processes=hsm.token_processes,
            environment=token_surroundings(home, settings),
            cwd=home.root,
        )
    )


def open_key_store(home: Home, settings: Settings, *, starts: bool) -> ClientStore:
    """The store that asks the key process. Nothing is started and nothing connected before the first key is asked for.

    `starts`: where nobody runs a key process it starts one for itself, as commands do; web processes leave that to
    their supervisor.
    """
    starter: Callable[[], None] | None = None
    if starts:

        def starter() -> None:
            key_process(home, settings).start(ephemeral=True)

    return ClientStore(run_folder(home.root), wait_seconds=settings.hsm.wait_seconds, starter=starter)


def pin_source(home: Home, settings: Settings) -> PinSource:
    """Where the PIN of the token is read from: what the setting names, or the file that `init` made."""
    descriptor = settings.hsm.pin_descriptor()
    if descriptor is not None:
        return PinDescriptor(descriptor)
    return home.root / settings.hsm.pin_file if settings.hsm.pin_file else home.pin_file
