"""The metadata of a document (ND30 Appendix VI) for people: a label and a value each, in the order of the appendix."""

from __future__ import annotations

from typing import Any

from api.words import Words
from signer.metadata import LENGTHS


def metadata_rows(details: dict[str, Any], words: Words) -> list[tuple[str, str]]:
    """What is known; of several recipients each has a row of its own."""
    rows = []
    for name in LENGTHS:
        group, _, inner = name.partition(".")
        value = details.get(group)
        for each in value if isinstance(value, list) else [value]:
            text = each.get(inner) if isinstance(each, dict) else each
            if text:
                rows.append((words.say(f"METADATUM_{name.replace('.', '_')}"), str(text)))
    return rows
