"""`antin doctor`: what is wrong in this home, and how to mend it; one line a finding."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TextIO

from api.checkup import examine
from api.cli.context import print_json
from api.wiring import open_installation
from api.words import Words, one_line

_MARKS = {"ok": "✓", "note": "•", "wrong": "✗"}


def run(options: argparse.Namespace, environment: Mapping[str, str], words: Words, out: TextIO) -> int:
    """Run the checks; exit 1 when something is wrong."""
    with open_installation(environment) as installation:
        findings = examine(installation)
    if options.json:
        print_json(
            out,
            [
                {"check": each.check, "severity": each.severity, "code": each.code, "facts": each.facts}
                for each in findings
            ],
        )
    else:
        for each in findings:
            out.write(f"{_MARKS[each.severity]} {each.check:<12} {one_line(words.say(each.code, each.facts))}\n")
    return 1 if any(each.severity == "wrong" for each in findings) else 0
