"""The language of a page: the link's parameter, then what the browser asks for, then Vietnamese. No cookie is set."""

from __future__ import annotations

from api.words import LANGUAGES

DEFAULT = "vi"
# What each language calls itself; a name that its reader can find is never translated (WCAG 2.2 3.1.2).
NAMES = {"vi": "Tiếng Việt", "en": "English", "ko": "한국어"}
_LONGEST_HEADER = 400


def choose_language(asked: str | None, accepted: str | None) -> str:
    """`asked` is the value of `?lang=`, `accepted` the header Accept-Language (RFC 9110 12.5.4)."""
    if asked in LANGUAGES:
        return asked
    best, best_weight = DEFAULT, 0.0
    for choice in (accepted or "")[:_LONGEST_HEADER].split(","):
        tag, _, parameter = choice.strip().partition(";")
        language = tag.strip().split("-")[0].lower()
        weight = _weight(parameter)
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0  # false for "not a number" too
