"""The parser: argparse with one line on wrong usage, and with its own words in the language people chose.

argparse puts its texts together in English. They are recognised here by their form and said anew; one that is not known stays as it is.
"""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Iterable
from typing import Any, NoReturn

from api.words import Words, one_line

# Forms of argparse's texts and of our own types' (parser.py), each with the code of its sentence; its groups are the facts.
_FORMS = tuple(
    (re.compile(form, re.DOTALL), code)
    for form, code in (
        (r"the following arguments are required: (?P<names>.+)", "USAGE_REQUIRED"),
        (r"one of the arguments (?P<names>.+) is required", "USAGE_ONE_REQUIRED"),
        (r"unrecognized arguments: (?P<names>.+)", "USAGE_UNRECOGNIZED"),
        (r"ambiguous option: (?P<option>.+) could match (?P<matches>.+)", "USAGE_AMBIGUOUS"),
        (r"invalid choice: (?P<value>.+) \(choose from (?P<valid>.+)\)", "USAGE_CHOICE"),
        (r"invalid \w+ value: (?P<value>.+)", "USAGE_VALUE"),
        (r"expected one argument", "USAGE_ONE_VALUE"),
        (r"expected at least one argument", "USAGE_VALUES"),
        (r"ignored explicit argument (?P<value>.+)", "USAGE_NO_VALUE"),
        (r"not allowed with argument (?P<other>.+)", "USAGE_NOT_WITH"),
        (r"(?P<value>\S+) is not between (?P<least>\S+) and (?P<most>\S+)", "USAGE_NOT_BETWEEN"),
        (r"(?P<value>.+) is not hexadecimal", "USAGE_NOT_HEXADECIMAL"),
    )
)
_OF_ARGUMENT = re.compile(r"argument (?P<name>[^:]+): (?P<message>.*)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """One line on wrong usage, as every other error has; parsers below it say it in the same language."""

    def __init__(self, *arguments: Any, words: Words | None = None, **more: Any) -> None:
        self.words = words or Words("en")
        raw = more.pop("formatter_class", None) is argparse.RawDescriptionHelpFormatter
        more["formatter_class"] = functools.partial(_RawFormatter if raw else _Formatter, words=self.words)
        super().__init__(*arguments, **more)

    def add_subparsers(self, **more: Any) -> Any:
        """Actions of this command."""
        parsers: Any = functools.partial(type(self), words=self.words)
        return super().add_subparsers(parser_class=parsers, **more)

    def error(self, message: str) -> NoReturn:
        """One line, and exit 2."""
        line = one_line(_said(message, self.words))
        self.exit(2, f"antin: {self.words.say('USAGE_LINE', {'problem': line, 'command': self.prog})}\n")

    def format_help(self) -> str:
        """The help. Its words are looked up when it is asked for: reading them takes longer than most commands need to parse."""
        self._positionals.title = self.words.say("USAGE_POSITIONALS")
        self._optionals.title = self.words.say("USAGE_OPTIONS")
        for action in self._actions:
            if action.dest == "help":
                action.help = self.words.say("USAGE_HELP")
            elif action.dest == "version":
                action.help = self.words.say("USAGE_VERSION")
        return super().format_help()


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str, *, words: Words) -> None:
        super().__init__(prog)
        self._words = words

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        """With nothing before it where argparse asks for that: in the names of commands."""
        if prefix is None:
            prefix = self._words.say("USAGE_PREFIX") + " "
        super().add_usage(usage, actions, groups, prefix)


class _RawFormatter(_Formatter, argparse.RawDescriptionHelpFormatter):
    """For a description that is laid out already."""


def _said(message: str, words: Words) -> str:
    of_argument = _OF_ARGUMENT.fullmatch(message)
    if of_argument is not None:
        facts = {"name": of_argument["name"], "problem": _said(of_argument["message"], words)}
        return words.say("USAGE_ARGUMENT", facts)
    for form, code in _FORMS:
        found = form.fullmatch(message)
        if found is not None:
            return words.say(code, found.groupdict())
    return message
