"""`antin check`: look files through before they are signed; in words or as JSON. Signs nothing and needs no home."""

from __future__ import annotations

import argparse
from typing import Any

from api.cli.call import Call
from api.cli.context import print_json, read_input, read_password
from api.cli.failures import describe
from api.cli.parser import TypedPath
from api.cli.sign_report import describe_finding
from api.errors import UsageError
from api.wiring import locate
from api.words import one_line
from signer.errors import SignerError
from signer.findings import FindingsPolicy, SafetyFinding
from signer.judging import inspect_file
from signer.password import Password
from signer.validation.reasons import combined_exit_code


def run(options: argparse.Namespace, call: Call) -> int:
    """Look through every file: 0 when nothing would stop a signature, 1 when the policy refuses something, 2 for what is unreadable."""
    _home, settings = locate(call.environment)
    policy, password = settings.sign.findings_policy(), read_password(options.password_file)
    codes, shown = [], []
    for file in options.files:
        code, facts = _check(file, settings.sign.max_bytes, password, policy, options, call)
        codes.append(code)
        shown.append(facts)
    if options.json:
        print_json(call.out, shown if len(shown) > 1 else shown[0])
    return combined_exit_code(codes)


def _check(
    file: TypedPath, limit: int, password: Password, policy: FindingsPolicy, options: argparse.Namespace, call: Call
) -> tuple[int, dict[str, Any]]:
    assert call.judge is not None, "started ahead for this command"
    try:
        found = inspect_file(call.judge, read_input(file, limit), password)
    except (SignerError, UsageError) as error:
        exit_code, code, facts = describe(error)
        if not options.json:
            call.err.write(one_line(f"{file.typed}: {call.words.say(code, facts)}") + "\n")
        return exit_code, {"file": file.typed, "error": code, "findings": []}
    refused = policy.refused(found)
    if not options.json:
        _say(file, found, policy, call)
    return int(bool(refused)), {
        "file": file.typed,
        "error": None,
        "findings": [each.to_json() | {"decision": policy.decide(each.kind)} for each in found],
    }


def _say(file: TypedPath, found: tuple[SafetyFinding, ...], policy: FindingsPolicy, call: Call) -> None:
    words, out = call.words, call.out
    refused = policy.refused(found)
    code = "CHECK_REFUSED" if refused else "CHECK_WARNED"
    out.write(one_line(words.say(code if found else "CHECK_CLEAR", {"file": file.typed})) + "\n")
    for each in found:
        out.write(one_line(f"  {'✗' if each in refused else '!'} {describe_finding(each, words)}") + "\n")
