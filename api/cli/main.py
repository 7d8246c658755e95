"""The door of the command line: parse, load the one module that is needed, turn failures into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from api.cli.call import ActorWish, Call
from api.cli.parser import build_parser, typed_path
from api.loading import load
from api.words import Words, one_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (interface: 0 done, 1 no, 2 usage, 3 indeterminate, 4 unsigned, 5 away, 6 waits)."""
    try:
        code = run(sys.argv[1:] if arguments is None else arguments, os.environ, sys.stdout, sys.stderr)
        sys.stdout.flush()
    except BrokenPipeError:
        # A reader that goes away (| head) ends us quietly. Not by SIGPIPE: a judge process that dies while a file is
        # written to it would end us too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # what a shell shows for a tool that SIGPIPE has ended
    return code


def run(arguments: Sequence[str], environment: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """`main` with its surroundings given."""
    words = Words(environment.get("ANTIN_LANG", "en"))
    options = build_parser(words).parse_args(arguments)
    judge = None
    try:
        judge = load("api.ahead").start_judge(options.command, environment)
        command = load(f"api.cli.{options.command}")
        code: int = command.run(options, Call(environment, words, out, err, judge, _actor(options, environment)))
    except KeyboardInterrupt:
        err.write("\n")
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  the last door: whatever happened becomes one line, never a traceback
        return _say_failure(error, words, err)
    finally:
        if judge is not None:
            judge.close()
    return code


def _actor(options: argparse.Namespace, environment: Mapping[str, str]) -> ActorWish:
    """What `--actor` and `--actor-token-file` say; the file's name may also come from the environment."""
    file = getattr(options, "actor_token_file", None)
    named = environment.get("ANTIN_ACTOR_TOKEN_FILE", "")
    return ActorWish(getattr(options, "actor", None), file or (typed_path(named) if named else None))


def _say_failure(error: Exception, words: Words, err: TextIO) -> int:
    exit_code, code, facts = load("api.cli.failures").describe(error)
    err.write(f"antin: {one_line(words.say(code, facts))}\n")
    return int(exit_code)
