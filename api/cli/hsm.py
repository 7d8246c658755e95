"""`antin hsm`: how the token is doing."""

from __future__ import annotations

import argparse

from api.cli.call import Call
from api.cli.context import print_json, print_table
from api.wiring import open_installation


def run(options: argparse.Namespace, call: Call) -> int:
    """Show the token; exit 5 when it is away."""
    with open_installation(call.environment) as installation:
        status = installation.keys.status()
    if options.json:
        sessions = {"open": status.sessions_open, "limit": status.session_limit}
        print_json(
            call.out,
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
        heading = [call.words.say(f"COLUMN_{name}") for name in ("TOKEN", "STATE", "SESSIONS", "MODULE", "DETAIL")]
        sessions_text = f"{status.sessions_open}/{status.session_limit or '∞'}"
        print_table(call.out, [heading, [status.token, status.state, sessions_text, status.module, status.detail]])
    return 0 if status.state == "ok" else 5
