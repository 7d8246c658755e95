"""What a file says it conforms to: PDF/A (its part) and PDF/UA, by its XMP metadata, and whether RGB is defined in it.

Only a claim, which nobody checks here. Whoever appends keeps to the rules of what is claimed, so that it stays as true as it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.writer import BasePdfFileWriter

_MOST_OCTETS = 1024 * 1024
_ARCHIVE = re.compile(rb"pdfaid:part(?:\s*=\s*[\"']|\s*>)\s*([1-4])")
_ACCESSIBLE = re.compile(rb"pdfuaid:part(?:\s*=\s*[\"']|\s*>)\s*[12]")
_RGB_COMPONENTS = 3


@dataclass(frozen=True)
class Conformance:
    """`archive_part`: of ISO 19005, None for no PDF/A. `tagged`: there is a structure that a new field belongs into.

    `accessible`: PDF/UA. `has_rgb`: an output intent says what DeviceRGB means.
    """

    archive_part: int | None = None
    accessible: bool = False
    tagged: bool = False
    has_rgb: bool = False


NO_CLAIM = Conformance()


def conformance_of(writer: BasePdfFileWriter) -> Conformance:
    """The claims of the file that is being extended. What cannot be read claims nothing."""
    root = writer.root
    octets = _metadata(root)
    archive = _ARCHIVE.search(octets)
    marks = _entry(root, "/MarkInfo")
    tagged = (
        isinstance(marks, generic.DictionaryObject) and bool(_entry(marks, "/Marked")) and "/StructTreeRoot" in root
    )
    return Conformance(
        archive_part=int(archive[1]) if archive else None,
        accessible=_ACCESSIBLE.search(octets) is not None,
        tagged=tagged,
        has_rgb=archive is not None and _has_rgb(root),
    )


def _metadata(root: generic.DictionaryObject) -> bytes:
    stream = _entry(root, "/Metadata")
    if not isinstance(stream, generic.StreamObject):
        return b""
    try:
        data = bytes(stream.data)
    except Exception:  # noqa: BLE001  damaged streams raise many kinds, and then nothing is claimed
        return b""
    return data[:_MOST_OCTETS]


def _has_rgb(root: generic.DictionaryObject) -> bool:
    intents = _entry(root, "/OutputIntents")
    for intent in intents if isinstance(intents, generic.ArrayObject) else ():
        profile = _entry(intent.get_object(), "/DestOutputProfile")
        if isinstance(profile, generic.DictionaryObject) and _entry(profile, "/N") == _RGB_COMPONENTS:
            return True
    return False


def _entry(dictionary: Any, key: str) -> Any:
    try:
        return dictionary[key]
    except (KeyError, TypeError):
        return None
