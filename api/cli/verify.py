"""`antin verify`: judge signed files; in words or as the JSON of the interface."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from api.cli.call import Call
from api.cli.context import parse_time, print_json, read_password
from api.cli.parser import TypedPath
from api.cli.trusted import read_trusted
from api.report import describe_verdict
from api.wiring import locate, open_installation
from certs.clock import SystemClock
from signer.judging import stranger_verifier
from signer.validation.facts import ValidationInputs
from signer.validation.reasons import combined_exit_code
from signer.validation.verdict import Verdict
from signer.verification import Verifier, verify_many


def run(options: argparse.Namespace, call: Call) -> int:
    """Judge every file; works without a home too, and then knows only what --trust names."""
    home, settings = locate(call.environment)
    assert call.judge is not None, "started ahead for this command"
    clock = SystemClock()
    at = parse_time(options.at) if options.at else clock.now()
    anchors, crls = read_trusted(options.trust)
    extra = ValidationInputs(at, anchors, (), crls, read_password(options.password_file))
    limit = settings.validation.max_bytes
    if not home.exists():
        return _report(options, _judge(options.files, stranger_verifier(call.judge, extra, clock, limit)), call)
    with open_installation(call.environment, clock, call.judge) as installation:
        verifier = installation.judging.verifier(at, extra, file_limit=limit)
        return _report(options, _judge(options.files, verifier), call)


def _judge(files: Sequence[TypedPath], verifier: Verifier) -> list[Verdict]:
    return list(verify_many([(file.path, file.path.name) for file in files], verifier))


def _report(options: argparse.Namespace, verdicts: list[Verdict], call: Call) -> int:
    if options.json:
        shown = [verdict.to_json() for verdict in verdicts]
        print_json(call.out, shown if len(shown) > 1 else shown[0])
    else:
        for number, verdict in enumerate(verdicts):
            if number:
                call.out.write("\n")
            call.out.write("\n".join(describe_verdict(verdict, call.words)) + "\n")
    return combined_exit_code(verdict.exit_code for verdict in verdicts)
