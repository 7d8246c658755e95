"""Faults: the script that the fault-injecting module follows, and the counts it keeps, both shared with running processes.

It leaves what a rule means to faulty.c, where the words stand explained.
"""

from __future__ import annotations

import re
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.build import SOURCE

# The module looks at its script at most this often; a little more, and every process has seen a new one.
_SEEN_SECONDS = 0.005
_READY = 0x46415531
# CK_FUNCTION_LIST in its order, as faulty.c lists it; there is one list only.
_NAMES = (*re.findall(r"F\((C_\w+), \d\)", SOURCE.read_text("utf-8")), "C_Sign.length")


@dataclass(frozen=True)
class Counts:
    """How often each function was called and failed on purpose, over all processes, since the counts were begun."""

    calls: dict[str, int]
    faults: dict[str, int]
    signatures: int
    wrong_pins: int

    def since(self, earlier: Counts) -> Counts:
        """What happened after `earlier`."""
        return Counts(
            {name: count - earlier.calls[name] for name, count in self.calls.items()},
            {name: count - earlier.faults[name] for name, count in self.faults.items()},
            self.signatures - earlier.signatures,
            self.wrong_pins - earlier.wrong_pins,
        )


class Faults:
    """A script and its counts in a folder."""

    def __init__(self, folder: Path) -> None:
        self._script = folder / "faults.txt"
        self._counts = folder / "faults.counts"
        self._always: tuple[str, ...] = ()

    def environment(self, module: Path) -> dict[str, str]:
        """What a process needs in its environment so that the faulty module passes calls on to `module`."""
        return {
            "FAULTY_PKCS11_MODULE": str(module),
            "FAULTY_PKCS11_SCRIPT": str(self._script),
            "FAULTY_PKCS11_COUNTS": str(self._counts),
        }

    def keep(self, *rules: str) -> None:
        """Rules that stand below all that are set from now on, and are not cleared."""
        self._always = rules
        self.clear()

    def set(self, *rules: str) -> None:
        """Put these rules in place of all others. From the return on every process follows them."""
        new = self._script.with_suffix(".new")
        new.write_text("".join(f"{rule}\n" for rule in (*rules, *self._always)), "utf-8")
        new.replace(self._script)  # another inode, so that no process takes it for the old one
        time.sleep(_SEEN_SECONDS)

    def clear(self) -> None:
        """No faults from now on. A call that hangs goes on hanging."""
        self.set()

    def counts(self) -> Counts:
        """The counts now; all zero before the first process has loaded the module."""
        layout = struct.Struct(f"={1 + 2 * len(_NAMES) + 2}Q")
        data = self._counts.read_bytes() if self._counts.exists() else b""
        ready, *numbers = layout.unpack_from(data) if len(data) >= layout.size else (0,) * (3 + 2 * len(_NAMES))
        if ready != _READY:
            numbers = [0] * len(numbers)
        calls, faults = numbers[: len(_NAMES)], numbers[len(_NAMES) : -2]
        return Counts(
            dict(zip(_NAMES, calls, strict=True)), dict(zip(_NAMES, faults, strict=True)), numbers[-2], numbers[-1]
        )
