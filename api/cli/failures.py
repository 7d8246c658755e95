"""Failures as people meet them on the command line: which exit code, which sentence, which facts."""

from __future__ import annotations

import errno
from pathlib import Path

from api.errors import ActorRefused, ComponentError, UsageError
from certs.errors import (
    CertsError,
    DatabaseUnavailable,
    KeyCompromised,
    KeyInUse,
    LintUnavailable,
    RegistrationIncomplete,
)
from hsm.errors import HSMError, ModuleMissing, PinMissing, TokenAmbiguous, TokenAway, TokenMissing
from pki.errors import (
    ApprovalHashTooShort,
    ApprovalNeeded,
    ApprovalReasonRefused,
    ApprovalUnknown,
    AuditExportUnreadable,
    AuditUnavailable,
    AuthorityExists,
    AuthorityNameRefused,
    AuthorityUnknown,
    EvidenceMissing,
    HistoryTimeRefused,
    PersonRefused,
    PkiError,
    RegistrationTextRefused,
    RegistrationUnknown,
    RevocationRefused,
    ServiceNameRefused,
    ServiceNotReady,
    SignedOtherBytes,
    TokenWrong,
)
from signer.appearance.errors import AppearanceError, FontMissing, ImageUnreadable, PlacementMalformed
from signer.errors import InputUnreadable, OwnOutputBroken, Refused, SignerError, Unavailable, UsageWrong
from signer.validation.errors import InputsUnreadable, ValidationError

# The first row that fits decides (interface.md: 1 the answer is no, 2 usage or unreadable input, 5 a component is away,
# 6 others have to approve).
_EXITS: tuple[tuple[type[Exception], int], ...] = (
    (UsageError, 2),
    (ActorRefused, 1),
    (ComponentError, 5),
    (HSMError, 5),
    (DatabaseUnavailable, 5),
    (SignedOtherBytes, 5),
    (AuditExportUnreadable, 2),
    (AuthorityUnknown, 2),
    (AuthorityExists, 2),
    (AuthorityNameRefused, 2),
    (ServiceNameRefused, 2),
    (ServiceNotReady, 5),
    (TokenWrong, 5),
    (RevocationRefused, 1),
    (ApprovalNeeded, 6),
    (ApprovalUnknown, 2),
    (ApprovalHashTooShort, 2),
    (ApprovalReasonRefused, 2),
    (PersonRefused, 2),
    (RegistrationUnknown, 2),
    (RegistrationTextRefused, 2),
    (EvidenceMissing, 2),
    (HistoryTimeRefused, 2),
    (PkiError, 1),
    (LintUnavailable, 5),
    (KeyInUse, 1),
    (KeyCompromised, 1),
    (RegistrationIncomplete, 1),
    (CertsError, 2),
    (Refused, 1),
    (InputUnreadable, 2),
    (UsageWrong, 2),
    (Unavailable, 5),
    (OwnOutputBroken, 5),
    (PlacementMalformed, 2),
    (FontMissing, 5),
    (ImageUnreadable, 2),
    (AppearanceError, 1),
    (InputsUnreadable, 2),
    (ValidationError, 5),
)
_AWAY = 5
# Why a token is away, where the sentence of the cause says what to do about it.
_CAUSES = {kind.code for kind in (ModuleMissing, TokenMissing, TokenAmbiguous, PinMissing)}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def describe(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Exit code, code of the sentence, facts. What nobody foresaw is INTERNAL_ERROR, with its kind and place but no message."""
    if isinstance(error, TokenAway) and error.facts.get("reason") in _CAUSES:
        # A person can do something about these: say what, instead of that it is away.
        return _AWAY, error.facts["reason"], dict(error.facts)
    for kind, exit_code in _EXITS:
        if isinstance(error, kind):
            return exit_code, error_code(error), dict(getattr(error, "facts", {}))
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return 2, "PATH_TOO_LONG", {"path": str(error.filename or "")[:80]}
    if isinstance(error, OSError):
        code = "DISK_FULL" if error.errno in _FULL else "WRITE_FAILED"
        return 5, code, {"path": str(error.filename or ""), "reason": error.strerror or type(error).__name__}
    return 5, "INTERNAL_ERROR", {"kind": type(error).__name__, "place": _place(error)}


def error_code(error: Exception) -> str:
    """The stable reason code; a database says by its reason what is the matter."""
    if isinstance(error, DatabaseUnavailable) and not isinstance(error, AuditUnavailable):
        return f"DATABASE_{error.facts.get('reason', 'away').upper().replace('-', '_')}"
    code: str = error.code if isinstance(error, SignerError) else getattr(error, "code", type(error).__name__)
    return code


def _place(error: Exception) -> str:
    trace = error.__traceback__
    place = ""
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
