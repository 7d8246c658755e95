"""`antin upgrade`: raise a signed file, ours or not, to a higher level."""

from __future__ import annotations

import argparse

from api.cli.call import Call
from api.cli.context import acting, print_json, read_input, read_password, refuse_existing
from api.cli.trusted import read_trusted
from api.errors import UsageError
from api.wiring import open_installation
from signer.storage import OutputFile
from signer.upgrading import upgrade
from signer.validation.facts import ValidationInputs

# Two time-stamps and a store; lists that were given come on top.
_GROWTH = 256 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Write the raised file; nothing where it cannot be raised."""
    with open_installation(call.environment, judge=call.judge) as installation:
        actor = acting(call, installation)
        anchors, crls = read_trusted(options.trust)
        password = read_password(options.password_file)
        extra = ValidationInputs(installation.clock.now(), anchors, (), crls, password)
        deps = installation.upgrading(extra)
        pdf = read_input(options.file, installation.settings.sign.max_bytes)
        if options.output.path.exists() and options.output.path.samefile(options.file.path):
            raise UsageError("OUTPUT_IS_INPUT", path=options.output.typed)
        refuse_existing(options.output.path, options.output.typed, force=options.force)
        size = len(pdf) + _GROWTH + sum(map(len, crls))
        with OutputFile(options.output.path, expected_size=size, replace=options.force) as file:
            raised = upgrade(pdf, options.level, actor, deps)
            file.publish(raised.content)
    facts = {"file": options.file.typed, "output": options.output.typed, "level": raised.level, "before": raised.before}
    if options.json:
        print_json(call.out, facts | {"sha256": raised.sha256})
    else:
        call.out.write(call.words.say("UPGRADED", facts) + "\n")
    return 0
