"""`antin hsm`: how the token is doing."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TextIO

from api.cli.context import print_json, print_table
from api.wiring import open_installation
from api.words import Words


def run(options: argparse.Namespace, environment: Mapping[str, str], words: Words, out: TextIO) -> int:
    """Show the token; exit 5 when it is away."""
    with open_installation(environment) as installation:
        status = installation.keys.status()
    if options.json:
        sessions = {"open": status.sessions_open, "limit": status.session_limit}
        print_json(
            out,
            [
                {
                    "module": status.module,
                    "token": status.token,
                    "state": status.state,
                    "sessions": sessions,
                    "pid": status.pid,
                    "detail": status.detail,
                }
            ],
        )
    else:
        heading = [words.say(f"COLUMN_{name}") for name in ("TOKEN", "STATE", "SESSIONS", "MODULE", "DETAIL")]
        sessions_text = f"{status.sessions_open}/{status.session_limit or '∞'}"
        print_table(out, [heading, [status.token, status.state, sessions_text, status.module, status.detail]])
    return 0 if status.state == "ok" else 5
