"""The door of the command line: parse, load the one module that is needed, turn failures into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TextIO

from api.cli.parser import build_parser
from api.words import Words, one_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (interface: 0 done, 1 no, 2 usage, 3 indeterminate, 4 unsigned, 5 unavailable)."""
    # A reader that goes away (| head) ends us quietly, as it ends every other tool.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    return run(sys.argv[1:] if arguments is None else arguments, os.environ, sys.stdout, sys.stderr)


def run(arguments: Sequence[str], environment: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """`main` with its surroundings given."""
    options = build_parser().parse_args(arguments)
    words = Words(environment.get("ANTIN_LANG", "en"))
    try:
        command = _module(options.command)
        code: int = command.run(options, environment, words, out)
    except KeyboardInterrupt:
        err.write("\n")
        return 130
    except Exception as error:  # noqa: BLE001  the last door: whatever happened becomes one line, never a traceback
        return _say_failure(error, words, err)
    return code


def _module(command: str) -> ModuleType:
    """The one import by name (law 1): FastAPI, SQLAlchemy and pyHanko together take longer to load than `--help` may."""
    return importlib.import_module(f"api.cli.{command}")


def _say_failure(error: Exception, words: Words, err: TextIO) -> int:
    exit_code, code, facts = _module("failures").describe(error)
    err.write(f"antin: {one_line(words.say(code, facts))}\n")
    return int(exit_code)
