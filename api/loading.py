"""Loads a module by its name, for a command or a process of the service: the one import by name of the command line (law 1).

Loading makes some hundred thousand objects that all stay. Looking through them for garbage again and again, and once more at the
end, takes a quarter of the time of a short command; so the collector rests while modules load, and then leaves them alone.
"""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType


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
        if was_enabled:
            gc.enable()


if __name__ == "__main__":
    # python -m api.loading MODULE NUMBER…: how api/serve.py starts web processes and the worker, with inherited descriptors.
    load(sys.argv[1]).main(*map(int, sys.argv[2:]))
