"""The errors of the outer room: a home that is not there, arguments that do not fit together."""

from __future__ import annotations


class ApiError(Exception):
    """A command cannot begin. `code` is stable; `facts` fill the sentence."""

    def __init__(self, code: str, /, **facts: str) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


class UsageError(ApiError):
    """The words of the command do not fit together or name nothing."""


class ComponentError(ApiError):
    """Something the command needs is not there."""


class ActorRefused(ApiError):
    """Whoever is named as the actor of a command did not prove to be it, or may not act."""


class RequestError(ApiError):
    """An HTTP request cannot be answered as it was asked; api/problems.py decides the status."""
