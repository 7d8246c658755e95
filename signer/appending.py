"""The judge process's task `extend`: appends a revision of validation data and a hole for a document time-stamp to a stranger's PDF.

What was there stays octet for octet: the answer is only the tail. Plain files are written without the library.
"""

from __future__ import annotations

import contextlib
from typing import Any

from signer.errors import InputUnreadable, SignerError
from signer.extension import Appended, ExtensionPlan
from signer.library_extension import extend_by_library
from signer.octets import Octets
from signer.plain_extension import extend_plain
from signer.plain_pdf import NotPlain
from signer.plan import Message


def extend_task(header: dict[str, Any], blobs: list[Any]) -> Message:
    """Blob 0 is the file, the rest the plan's. A refusal is an answer, not a failure."""
    try:
        appended = append(blobs[0], ExtensionPlan.from_message(header, blobs[1:]))
    except SignerError as error:
        return {"error": type(error).__name__, "code": error.code, "facts": error.facts}, []
    return appended.to_message()


def append(pdf: Octets, plan: ExtensionPlan) -> Appended:
    """Append the revision; Refused or InputUnreadable when it cannot be."""
    with contextlib.suppress(NotPlain):
        return extend_plain(pdf, plan)
    try:
        return extend_by_library(pdf, plan, strict=True)
    except (SignerError, MemoryError):
        raise
    except Exception:  # noqa: BLE001, S110  strict first; some honest files only pass leniently
        pass
    try:
        return extend_by_library(pdf, plan, strict=False)
    except (SignerError, MemoryError):
        raise
    except Exception as error:
        # Broken files make the library fail with AssertionError, KeyError, TypeError and a dozen others.
        raise InputUnreadable("INPUT_DAMAGED", kind=type(error).__name__) from error
