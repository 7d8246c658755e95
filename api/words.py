"""Sentences for people, by code, in Vietnamese, English and Korean: the locale catalogues and nothing else."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

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
            _Blank({name: one_line(value) for name, value in (facts or {}).items() if value != ""})
        )


@functools.cache
def read_catalogues(language: str) -> Mapping[str, str]:
    """All sentences of a language, by code. Read once: a service says them at every refusal, and reading takes 7 ms."""
    sentences: dict[str, str] = {}
    for entry in files("api").joinpath("locale").iterdir():
        if entry.name.endswith(f".{language}.toml"):
            sentences |= tomllib.loads(entry.read_text("utf-8"))
    return MappingProxyType(sentences)


class _Blank(dict[str, str]):
    """A fact that an error did not bring, or that is empty, shows as a dash, never as a traceback."""

    def __missing__(self, key: str) -> str:
        return "–"


def one_line(text: str) -> str:
    """Text from elsewhere on one line of a terminal: no line breaks, control or bidirectional characters."""
    return "".join(character if character.isprintable() else "?" for character in str(text))
