"""`python -m hsm.keyd`: takes the lock of the run folder and keeps the key process until told to end."""

from __future__ import annotations

import json
import os
import sys
import time

from hsm.errors import HSMError, MessageRefused
from hsm.keyd.arguments import Arguments, parse_arguments
from hsm.keyd.asking import ask_to_step_aside
from hsm.keyd.journal import Journal
from hsm.keyd.keeper import Keeper
from hsm.keyd.places import LOCK, prepare_run_folder, try_lock

# As long as another keeper may take to finish what is being signed, and to go.
_LOCK_SECONDS = 6.0
_POLL_SECONDS = 0.02
EXIT_NOT_STARTED = 5


def main(words: list[str]) -> int:
    """Keep a key process; the exit code is 0 when it was told to end."""
    arguments = parse_arguments(words)
    try:
        prepare_run_folder(arguments.run_folder)
        lock = _take_lock(arguments)
        if lock is None:
            _say(arguments, listens=arguments.ephemeral, reason="another")
            return 0 if arguments.ephemeral else EXIT_NOT_STARTED
        keeper = Keeper(
            arguments, lock, Journal(counts={"keeper.died": arguments.after_deaths} if arguments.after_deaths else {})
        )
    except (HSMError, OSError) as error:
        reason = str(error.facts.get("reason", error.code)) if isinstance(error, HSMError) else type(error).__name__
        _say(arguments, listens=False, reason=reason)
        return EXIT_NOT_STARTED
    _say(arguments, listens=True)
    return keeper.run()


def _take_lock(arguments: Arguments) -> int | None:
    """The lock; None when another keeper has it and stays. Nobody opens a token without it."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        lock = try_lock(arguments.run_folder / LOCK)
        if lock is not None:
            return lock
        try:
            another_is_ephemeral = ask_to_step_aside(arguments.run_folder, asked=not arguments.ephemeral)
        except (OSError, MessageRefused):
            another_is_ephemeral = None  # on its way out, or not listening yet
        if another_is_ephemeral is not None and (arguments.ephemeral or not another_is_ephemeral):
            return None
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_SECONDS)


def _say(arguments: Arguments, *, listens: bool, reason: str = "") -> None:
    if arguments.ready < 0:
        if not listens:
            print(f"keyd: not started: {reason}", file=sys.stderr)
        return
    with os.fdopen(arguments.ready, "wb") as channel:
        channel.write(json.dumps({"listens": listens, "reason": reason}).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
