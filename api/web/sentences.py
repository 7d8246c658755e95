"""A sentence that a page will say: its code in the locale catalogues and the facts that go into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from api.words import LANGUAGES, Words


@dataclass(frozen=True)
class Sentence:
    """Views hold these and no words; templates say them."""

    code: str
    facts: Mapping[str, str] = field(default_factory=dict)


Speech = Callable[..., str]


class Voices:
    """The three languages, read once."""

    def __init__(self) -> None:
        self._words = {language: Words(language) for language in LANGUAGES}

    def of(self, language: str) -> Speech:
        """What templates call: `say('CODE', name='…')` or `say(sentence)`."""
        words = self._words[language]

        def speak(what: str | Sentence, **facts: str) -> str:
            if isinstance(what, Sentence):
                return words.say(what.code, what.facts)
            return words.say(what, facts)

        return speak
