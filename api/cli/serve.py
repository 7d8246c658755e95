"""`antin serve`: the HTTP service of this home, until it is told to stop."""

from __future__ import annotations

import argparse

from api.cli.call import Call
from api.errors import UsageError
from api.serve import serve
from api.wiring import locate


def run(options: argparse.Namespace, call: Call) -> int:
    """Serve; returns when SIGTERM or Ctrl-C has ended every process."""
    home, settings = locate(call.environment)
    if not home.exists():
        raise UsageError("HOME_MISSING", home=str(home.root))

    def announce(url: str) -> None:
        call.out.write(call.words.say("SERVING", {"url": url}) + "\n")
        call.out.flush()

    workers = options.workers or settings.web.workers
    serve(call.environment, home, (options.host, options.port), workers, announce)
    return 0
