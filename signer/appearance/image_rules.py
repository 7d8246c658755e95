"""What the law asks of the picture of a seal or a signature: values, which stand in the office's policy (office_policy.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Purpose = Literal["seal", "signature"]

_STEPS = 256
"""Hues are counted in Pillow's steps round the circle."""


@dataclass(frozen=True)
class ImageRule:
    """Of one purpose: hues from `first_hue` to `last_hue` degrees round the colour circle, the least share of the ink that has such a
    hue, how large it may be on paper, and how fine it must be there.
    """

    first_hue: int
    last_hue: int
    share: float
    least_mm: float
    most_mm: float
    least_dpi: float

    @cached_property
    def hues(self) -> frozenset[int]:
        """The steps that count as the colour."""
        degrees = {step: step * 360 / _STEPS for step in range(_STEPS)}
        if self.first_hue <= self.last_hue:
            return frozenset(step for step, each in degrees.items() if self.first_hue <= each <= self.last_hue)
        return frozenset(step for step, each in degrees.items() if each >= self.first_hue or each <= self.last_hue)
