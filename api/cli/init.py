"""`antin init`: make a home."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TextIO

from api.cli.context import acting
from api.founding import Wish, found
from api.words import Words


def run(options: argparse.Namespace, environment: Mapping[str, str], words: Words, out: TextIO) -> int:
    """Make or finish the home and say where it is."""
    installation, fresh = found(Wish(options.demo, options.agency, options.public_url), environment, acting())
    with installation:
        out.write(words.say("INIT_MADE" if fresh else "INIT_COMPLETE", {"home": str(installation.home.root)}) + "\n")
    return 0
