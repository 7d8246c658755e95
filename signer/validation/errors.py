"""The errors of validation and of the judge process: one tree, each with a stable reason code and its facts."""

from __future__ import annotations

from collections.abc import Mapping


class ValidationError(Exception):
    """Judging could not go on. `code` is stable; the message is for engineers and quotes nothing out of a document."""

    code = "VALIDATION_ERROR"

    def __init__(self, message: str, **facts: str) -> None:
        super().__init__(message)
        self.facts: dict[str, str] = facts


class InputsUnreadable(ValidationError):
    """An anchor, certificate or revocation list given to lean on is not one. The caller's fault, not the file's. Facts: kind."""

    code = "VALIDATION_INPUTS_UNREADABLE"


class SandboxFailure(ValidationError):
    """The judge process gave no answer that can be used."""

    code = "SANDBOX_FAILURE"


class SandboxTimeout(SandboxFailure):
    """The task ran longer than it may. Facts: limit (wall or cpu), seconds."""

    code = "SANDBOX_TIMEOUT"


class SandboxMemory(SandboxFailure):
    """The task wanted more memory than it may have. Facts: megabytes."""

    code = "SANDBOX_MEMORY"


class SandboxCrashed(SandboxFailure):
    """The judge process died, could not be started or broke the protocol. Facts: reason."""

    code = "SANDBOX_CRASHED"


class SandboxTooLarge(SandboxFailure):
    """A message would pass the size that either side accepts. Facts: bytes, limit."""

    code = "SANDBOX_TOO_LARGE"


class SandboxTaskFailed(SandboxFailure):
    """The task raised. `error_code` and `error_facts` are those of the error it raised ("" and {} where it had none).

    Facts: kind, the name of the exception's class. Its text stays in the child: it may quote a stranger's file.
    """

    code = "SANDBOX_TASK_FAILED"

    def __init__(
        self, message: str, *, kind: str, error_code: str = "", error_facts: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, kind=kind)
        self.kind = kind
        self.error_code = error_code
        self.error_facts = dict(error_facts or {})


class FactsUnreadable(SandboxFailure):
    """What the judge process answered is not a set of facts; it may have been taken over by the file."""

    code = "SANDBOX_FACTS_UNREADABLE"
