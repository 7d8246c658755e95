"""`antin init`: make a home."""

from __future__ import annotations

import argparse

from api.cli.call import Call
from api.cli.context import owner_acting
from api.founding import Wish, found


def run(options: argparse.Namespace, call: Call) -> int:
    """Make or finish the home and say where it is."""
    installation, fresh = found(
        Wish(options.demo, options.agency, options.public_url, options.training), call.environment, owner_acting()
    )
    with installation:
        call.out.write(
            call.words.say("INIT_MADE" if fresh else "INIT_COMPLETE", {"home": str(installation.home.root)}) + "\n"
        )
        if installation.training:
            call.out.write(call.words.say("TRAINING_HOME") + "\n")
    return 0
