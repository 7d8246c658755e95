"""`antin print`: a document of the register for paper."""

from __future__ import annotations

import argparse
from pathlib import Path

from api.cli.call import Call
from api.cli.context import acting, print_json, refuse_existing, take_input
from api.cli.outputs import refuse_unmarked
from api.cli.parser import typed_path
from api.wiring import Installation, open_installation
from signer.codes import grouped
from signer.printing import PrintWish, code_of_file, print_document
from signer.storage import OutputFile

_GROWTH = 1024 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Write the rendition; nothing where it may not be printed."""
    target = options.output
    with open_installation(call.environment, judge=call.judge) as installation:
        actor = acting(call, installation)
        if installation.training:
            refuse_unmarked(target)
        refuse_existing(target.path, target.typed, force=options.force)
        wish = PrintWish(_code(options.document, installation), options.place, options.printer)
        with OutputFile(target.path, expected_size=_GROWTH, replace=options.force) as file:
            printed = print_document(wish, installation.judging, actor, installation.printing)
            file.publish(printed.content)
    facts = {"code": printed.code, "output": target.typed, "sha256": printed.sha256}
    if options.json:
        print_json(call.out, facts)
    else:
        call.out.write(call.words.say("PRINTED", {"code": grouped(printed.code), "output": target.typed}) + "\n")
    return 0


def _code(typed: str, installation: Installation) -> str:
    """What was typed where it is no file's name."""
    if not Path(typed).is_file():
        return typed
    pdf = take_input(typed_path(typed), installation.settings.sign.max_bytes, installation.blobs, 0)
    return code_of_file(pdf, installation.judging, installation.database)
