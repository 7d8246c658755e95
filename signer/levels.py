"""The baseline levels of PAdES and their order (ETSI EN 319 142-1 6.1); what makes a level is extending.py's."""

from __future__ import annotations

B_B, B_T, B_LT, B_LTA = "B-B", "B-T", "B-LT", "B-LTA"
LEVELS = (B_B, B_T, B_LT, B_LTA)


def reaches(level: str, wanted: str) -> bool:
    """Whether a level is the wanted one or above it."""
    return LEVELS.index(level) >= LEVELS.index(wanted)
