"""What may be wrong with a file before it is signed: findings as values, and the policy that warns of them or refuses. Quick to import.

They are found in the judge process (inspection.py); here nothing of the file is looked at.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from signer.errors import Refused

# Each is something that lets a file look, or act, other than whoever signs it sees it.
KINDS = (
    "broken-structure", "covered-text", "external-reference", "font-not-embedded", "hidden-layer", "javascript", "launch-action",
    "not-looked-through", "value-differs",
)  # fmt: skip
# And this is no look of the file, but what of our own was left out.
LEFT_OUT = "code-left-out"
WARN, REFUSE, IGNORE = "warn", "refuse", "ignore"
DECISIONS = (WARN, REFUSE, IGNORE)
MOST = 100
_LONGEST = 120


@dataclass(frozen=True)
class SafetyFinding:
    """One thing found; `page` counts from 1, None for the document as a whole. `detail` names it: a font, a field, a layer."""

    kind: str
    page: int | None = None
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "page": self.page, "detail": self.detail}


@dataclass(frozen=True)
class FindingsPolicy:
    """What becomes of a finding: `usual`, unless its kind says otherwise."""

    usual: str = WARN
    kinds: Mapping[str, str] | None = None

    def decide(self, kind: str) -> str:
        # That something of our own is missing is always said, and has been decided by who asked for it.
        return WARN if kind == LEFT_OUT else (self.kinds or {}).get(kind, self.usual)

    @property
    def looks(self) -> bool:
        """Whether a file is looked at at all."""
        return any(self.decide(kind) != IGNORE for kind in KINDS)

    @property
    def refuses(self) -> bool:
        """Whether any finding stops a signature."""
        return any(self.decide(kind) == REFUSE for kind in KINDS)

    def told(self, findings: Sequence[SafetyFinding]) -> tuple[SafetyFinding, ...]:
        """Those that somebody is to hear of."""
        return tuple(each for each in findings if self.decide(each.kind) != IGNORE)

    def refused(self, findings: Sequence[SafetyFinding]) -> tuple[SafetyFinding, ...]:
        """Those that stop a signature."""
        return tuple(each for each in findings if self.decide(each.kind) == REFUSE)


NO_LOOK = FindingsPolicy(IGNORE)


def refuse_findings(findings: Sequence[SafetyFinding], policy: FindingsPolicy) -> None:
    """Refused FINDINGS_REFUSED when the policy says so."""
    refused = policy.refused(findings)
    if refused:
        kinds = ", ".join(dict.fromkeys(each.kind for each in refused))
        raise Refused("FINDINGS_REFUSED", kinds=kinds, count=str(len(refused)))


def read_findings(data: object) -> tuple[SafetyFinding, ...]:
    """Findings from the judge process, which read a stranger's file: only what fits is taken, and texts are made fit to be shown."""
    found = []
    for each in data if isinstance(data, list) else []:
        kind, page, detail = each if isinstance(each, list) and len(each) == 3 else (None, None, None)
        if kind in (*KINDS, LEFT_OUT) and (page is None or type(page) is int):
            found.append(SafetyFinding(str(kind), page, clean(str(detail))))
    return tuple(found[:MOST])


def clean(text: str) -> str:
    """On one line, without control or direction characters, not long."""
    plain = unicodedata.normalize("NFC", text[: 4 * _LONGEST])
    return "".join(letter if letter.isprintable() else "?" for letter in plain)[:_LONGEST]
