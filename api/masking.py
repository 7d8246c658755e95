"""Masks persons' numbers in names that everybody may see: `CCCD:001099001234` becomes `CCCD:********1234`."""

from __future__ import annotations

import re

# Citizen's card, older identity card, passport (the UID attribute of Vietnamese certificates).
_NUMBER = re.compile(r"\b(CCCD|CMND|HC):(\w+)")
_SHOWN = 4


def mask_subject(subject: str) -> str:
    """The subject with all but the last four characters of each person's number hidden."""
    return _NUMBER.sub(lambda found: f"{found[1]}:{_mask(found[2])}", subject)


def _mask(number: str) -> str:
    hidden = max(0, len(number) - _SHOWN)
    return "*" * hidden + number[hidden:] if hidden else "*" * len(number)
