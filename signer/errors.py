"""The errors of the signer: one tree by kind of failure, each error with a stable reason code and its facts.

The kind decides what happens next (an exit code, an HTTP status: api decides which); the code decides the sentence.
"""

from __future__ import annotations


class SignerError(Exception):
    """Something about signing or storing a document failed. Never raised itself."""

    def __init__(self, code: str, /, **facts: str) -> None:
        super().__init__(code + "".join(f" {name}={value}" for name, value in facts.items()))
        self.code = code
        self.facts = facts


class Refused(SignerError):
    """A rule says no; the key was not used. The same request will be refused again until something else changes."""


class InputUnreadable(SignerError):
    """What was given is not something that can be signed: not a PDF, empty, damaged, too large."""


class UsageWrong(SignerError):
    """The request names something that does not exist or cannot be meant: a credential, an intent, a metadata key."""


class Unavailable(SignerError):
    """A part that is needed is away or full: disk, blob store, preparing process."""


class OwnOutputBroken(SignerError):
    """The check of our own output failed: an alarm, never an answer."""
