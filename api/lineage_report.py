"""The lineage of a document for programs and people: what became of it, what it took the place of, which one holds now."""

from __future__ import annotations

from typing import Any

from api.words import Words
from certs.clock import for_people, rfc3339
from signer.codes import grouped
from signer.lineage import Lineage


def describe_lineage(lineage: Lineage) -> dict[str, Any]:
    """As JSON, for command line and HTTP alike. `by` is null in a recall."""
    return {
        "changes": [
            {"status": each.status, "reason": each.reason, "changed_at": rfc3339(each.changed_at), "by": each.by}
            for each in lineage.changes
        ],
        "replaces": list(lineage.replaces),
        "corrects": list(lineage.corrects),
        "holds_now": lineage.holds_now,
    }


def lineage_lines(lineage: Lineage, code: str, words: Words) -> list[str]:
    """As sentences: each change, each document before it, and at the end which one holds if it is another."""
    lines = []
    for change in lineage.changes:
        facts = {
            "status": words.say(f"STATUS_{change.status}"), "when": for_people(change.changed_at), "actor": change.actor,
            "reason": change.reason, "by": grouped(change.by) if change.by else "",
        }  # fmt: skip
        lines.append(words.say("CHANGE_LINE_BY" if change.by else "CHANGE_LINE", facts))
    lines += [words.say("REPLACES_LINE", {"code": grouped(each)}) for each in lineage.replaces]
    lines += [words.say("CORRECTS_LINE", {"code": grouped(each)}) for each in lineage.corrects]
    if lineage.holds_now is None:
        lines.append(words.say("HOLDS_NOW_NONE"))
    elif lineage.holds_now != code:
        lines.append(words.say("HOLDS_NOW_LINE", {"code": grouped(lineage.holds_now)}))
    return lines
