"""Sentences for people, by code, in Vietnamese, English and Korean: the locale catalogues and nothing else."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from types import MappingProxyType

from certs.clock import for_people

# As certs.clock.rfc3339 writes it.
_UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
LANGUAGES = ("vi", "en", "ko")


class Words:
    """The catalogues of one language, one a room. They are read when the first sentence is wanted."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else "en"
        self._sentences: Mapping[str, str] = {}

    def say(self, code: str, facts: Mapping[str, str] | None = None) -> str:
        """The sentence of a code with its facts put in. An unknown code is said as itself; a test keeps that from happening."""
        if not self._sentences:
            self._sentences = read_catalogues(self.language)
        sentence = self._sentences.get(code, code)
        return sentence.format_map(
            _Blank({name: one_line(local_time(value)) for name, value in (facts or {}).items() if value != ""})
        )


@functools.cache
def read_catalogues(language: str) -> Mapping[str, str]:
    """All sentences of a language, by code. Read once: a service says them at every refusal, and reading takes 7 ms."""
    sentences: dict[str, str] = {}
    for entry in files("api").joinpath("locale").iterdir():
        if entry.name.endswith(f".{language}.toml"):
            sentences |= tomllib.loads(entry.read_text("utf-8"))
    return MappingProxyType(sentences)


def local_time(value: str) -> str:
    """A time that an error brings is in UTC, as JSON has it; people read it in Vietnam's zone (law 6). Nothing else is touched."""
    return for_people(datetime.fromisoformat(value)) if _UTC_TIME.fullmatch(str(value)) else value


class _Blank(dict[str, str]):
    """A fact that an error did not bring, or that is empty, shows as a dash, never as a traceback."""

    def __missing__(self, key: str) -> str:
        return "–"


def one_line(text: str) -> str:
    """Text from elsewhere on one line of a terminal: no line breaks, control or bidirectional characters."""
    return "".join(character if character.isprintable() else "?" for character in str(text))
