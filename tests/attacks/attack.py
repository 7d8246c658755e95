"""A hostile file with its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """A hostile file, named by its defect: the family first."""

    name: str
    pdf: bytes

    @property
    def family(self) -> str:
        return self.name.split("_", 1)[0]
