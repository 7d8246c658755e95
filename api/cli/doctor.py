"""`antin doctor`: what is wrong in this home, and how to mend it; one line a finding."""

from __future__ import annotations

import argparse

from api.checkup import examine
from api.cli.call import Call
from api.cli.context import acting, print_json
from api.mending import mend
from api.wiring import open_installation
from api.words import one_line

_MARKS = {"ok": "✓", "note": "•", "wrong": "✗"}


def run(options: argparse.Namespace, call: Call) -> int:
    """Mend if asked, run the checks; exit 1 when something is wrong."""
    with open_installation(call.environment) as installation:
        if options.mend:
            for kind, name in mend(installation, acting(call, installation)):
                call.err.write(call.words.say(f"MENDED_{kind.upper()}", {"name": name}) + "\n")
        findings = examine(installation)
    if options.json:
        print_json(
            call.out,
            [
                {"check": each.check, "severity": each.severity, "code": each.code, "facts": each.facts}
                for each in findings
            ],
        )
    else:
        for each in findings:
            call.out.write(
                f"{_MARKS[each.severity]} {each.check:<12} {one_line(call.words.say(each.code, each.facts))}\n"
            )
    return 1 if any(each.severity == "wrong" for each in findings) else 0
