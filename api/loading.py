"""Loads a module by its name, for a command or a process of the service: the one import by name of the command line (law 1).

Loading makes some hundred thousand objects that all stay. Looking through them for garbage again and again, and once more at the
end, takes a quarter of the time of a short command; so the collector rests while modules load, and then leaves them alone. What comes
later it looks at less often than it would by itself: that takes a twentieth of the time of an issuance.
"""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType

# A request, or a certificate, makes some thousand objects, nearly all of which go away by themselves.
_GARBAGE_THRESHOLD = 20_000


def spare_what_is_there() -> None:
    """Let the collector leave alone all that is there by now, which stays, and look seldom for what came later."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 20)


def load(name: str) -> ModuleType:
    """The module of that name. What it brings is never looked at by the garbage collector."""
    if name in sys.modules:
        return sys.modules[name]
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.set_threshold(_GARBAGE_THRESHOLD, 20, 20)
        if was_enabled:
            gc.enable()


if __name__ == "__main__":
    # python -m api.loading MODULE NUMBER…: how api/serve.py starts web processes and the worker, with inherited descriptors.
    load(sys.argv[1]).main(*map(int, sys.argv[2:]))
