"""The words that a document of the register is found by: folded, so that they are found with Vietnamese marks or without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from certs.inventory import fold


def search_words(agency: str, name: str, details: dict[str, Any]) -> dict[str, str]:
    """The columns that hold them: the file's name and all that the metadata says; the agency by its own name and OrganName."""
    return {
        "search_text": fold(" ".join((name, *_texts(details)))),
        "agency_text": fold(f"{agency} {details.get('OrganName', '')}"),
    }


def _texts(value: object) -> Iterator[str]:
    """Every text of the metadata; groups and lists have more inside."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    else:
        yield str(value)
