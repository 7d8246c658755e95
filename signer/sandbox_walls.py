"""What stands around a judge process, as the process itself found it after it was built; read by its parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Walls:
    """`landlock` is the version of the kernel's rules that hold, 0 for none; of the others, what is not known to stand does not."""

    memory_bytes: int = -1
    open_files: int = -1
    file_bytes: int = -1
    core_bytes: int = -1
    no_new_privileges: bool = False
    own_network: bool = False
    own_user: bool = False
    landlock: int = 0

    @classmethod
    def read(cls, header: dict[str, Any]) -> Self:
        """From the first frame of a process."""
        given = header.get("walls")
        if not isinstance(given, dict):
            return cls()
        numbers = ("memory_bytes", "open_files", "file_bytes", "core_bytes", "landlock")
        return cls(
            **{name: given[name] for name in numbers if type(given.get(name)) is int},
            **{name: given.get(name) is True for name in ("no_new_privileges", "own_network", "own_user")},
        )

    @property
    def is_limited(self) -> bool:
        """Whether memory, files and what dies are bounded by the system."""
        return self.memory_bytes > 0 and self.open_files > 0 and self.file_bytes == 0 and self.core_bytes == 0

    def to_log(self) -> dict[str, Any]:
        """The fields of a record (api/logs.py)."""
        return {
            "memory_mb": self.memory_bytes // _MEGABYTE if self.memory_bytes > 0 else None,
            "rlimits": self.is_limited,
            "own_network": self.own_network,
            "own_user": self.own_user,
            "no_new_privileges": self.no_new_privileges,
            "landlock": self.landlock,
        }
