"""What the signatures of a document were for, by what the register keeps of them."""

from __future__ import annotations

from signer.documents import Document
from signer.office_policy import APPROVE, ISSUE


def purposes_of(document: Document) -> dict[str, str]:
    """The intent of each signature, by the field it stands in: of one file no two stand in the same."""
    return {act.field: act.intent for act in document.acts if act.state == "done"}


def is_sealed_alone(document: Document) -> bool:
    """Whether the agency signed for something that needs no officer: anything but issuing (ND30 Đ.32.2.d)."""
    return all(act.intent not in (APPROVE, ISSUE) for act in document.acts)


def main_documents(document: Document) -> tuple[str, ...]:
    """The codes of the documents that this one is an appendix to."""
    told = [act.particulars.get("main") for act in document.acts if act.state == "done" and act.particulars]
    return tuple(dict.fromkeys(code for code in told if code))
