"""Problems: every failure as an HTTP answer (RFC 9457). The only place that knows which status an error has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from api.cli.failures import describe
from api.errors import ApiError, ComponentError, RequestError, UsageError
from api.sources import Source
from api.words import Words, one_line
from certs.clock import rfc3339
from certs.errors import (
    CertificateNotFound,
    CertsError,
    DatabaseUnavailable,
    KeyCompromised,
    KeyInUse,
    LintUnavailable,
    RegistrationIncomplete,
)
from hsm.errors import HSMError
from pki.errors import (
    ApprovalError,
    AuditUnavailable,
    AuthorityUnknown,
    CrlNotFound,
    HistoryTimeRefused,
    PkiError,
    ReasonUnknown,
    RegistrationNotOpen,
    RegistrationStale,
    RegistrationTextRefused,
    RevocationRefused,
    SinceBeforeKey,
    SinceRefused,
)
from pki.renewal_errors import RenewalRefused
from signer.appearance.errors import AppearanceError, FontMissing, PlacementMalformed
from signer.errors import InputUnreadable, OwnOutputBroken, Refused, SignerError, Unavailable, UsageWrong
from signer.validation.errors import ValidationError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
_LONGEST_RETRY_SECONDS = 3600

# Codes whose status is not that of their kind, and those that a client meets; /docs lists them from here. 409: order,
# idempotency or state (interface.md).
STATUS_OF_CODE = {
    "ISSUE_WITHOUT_OFFICER": 409, "ALREADY_ISSUED": 409, "ALREADY_SEALED": 409, "NUMBER_TAKEN": 409, "DOCUMENT_NOT_IN_FORCE": 409,
    "IMAGE_NOT_APPROVED": 409, "IMAGE_NOT_BEGUN": 409, "IMAGE_OVER": 409, "IMAGE_ENDED": 409,
    "CREDENTIAL_REVOKED": 409, "CREDENTIAL_SUSPENDED": 409, "CREDENTIAL_NOT_YET_VALID": 409, "CREDENTIAL_EXPIRED": 409,
    "IDEMPOTENCY_KEY_REUSED": 409, "IDEMPOTENCY_IN_PROGRESS": 409, "IDEMPOTENCY_KEY_WRONG": 400,
    "INPUT_EMPTY": 400, "INPUT_TOO_LARGE": 413, "INPUT_NOT_PDF": 415, "INPUT_DAMAGED": 422, "INPUT_NO_PAGES": 422,
    "INPUT_SIGNATURES_UNREADABLE": 422, "INPUT_BEYOND_LIMITS": 422,
    "CODE_MALFORMED": 404, "CODE_MISTYPED": 404, "CODE_NOT_FOUND": 404, "CREDENTIAL_UNKNOWN": 422, "CREDENTIAL_NAME_MALFORMED": 422,
    "TOKEN_MISSING": 401, "TOKEN_SCHEME_WRONG": 401, "TOKEN_WRONG": 401, "TOKEN_REVOKED": 401, "TOKEN_EXPIRED": 401,
    "TOKEN_SCOPE_MISSING": 403, "TOKEN_NEEDS_TLS": 403, "METRICS_PRIVATE": 403,
    "NOT_FOUND": 404, "METHOD_NOT_ALLOWED": 405, "BODY_TOO_SLOW": 408, "BODY_TOO_LARGE": 413, "MEDIA_TYPE_WRONG": 415,
    "TOO_MANY_REQUESTS": 429, "BUSY": 503, "NOT_READY": 503,
    "REQUEST_MALFORMED": 400, "FORM_MALFORMED": 400, "FORM_FIELD_UNKNOWN": 400, "FORM_FIELD_TWICE": 400, "FORM_FIELD_MISSING": 400,
    "FORM_FILE_MISSING": 400, "FORM_FILE_IS_TEXT": 400, "FORM_VALUE_WRONG": 400, "BODY_NOT_JSON": 400, "PLACEMENT_MALFORMED": 400,
    "METADATA_NOT_OBJECT": 400, "METADATA_TYPE": 400, "METADATA_UNKNOWN": 400, "METADATA_MISSPELT": 400, "METADATA_DATE": 400,
    "METADATA_TOO_LONG": 400, "METADATA_CHARACTER": 400, "METADATA_NUMBER": 400,
    "METADATA_COUNT": 400, "METADATA_ORGAN_ID": 400, "METADATA_DUE_BEFORE_ISSUE": 400,
    "SUCCESSOR_SAME": 409, "SUCCESSOR_NOT_IN_FORCE": 409, "SUCCESSOR_NOT_SIGNED": 409, "SUCCESSOR_NOT_ISSUED": 409,
    "SEARCH_NUMBER_WRONG": 400, "SEARCH_DATE_WRONG": 400, "SEARCH_HASH_WRONG": 400, "HASH_MALFORMED": 400, "VERIFY_ONE_OF": 400,
    "SEARCH_STATUS_WRONG": 400,
    "QUERY_NAME_UNKNOWN": 400, "QUERY_NAME_TWICE": 400,
    "SUCCESSOR_CIRCLE": 409, "SUCCESSOR_ALREADY": 409,
    "RECALL_REASON_MISSING": 400, "RECALL_REASON_TOO_LONG": 400, "RECALL_REASON_CHARACTER": 400,
    "INTENT_NOT_ALLOWED": 422, "LEVEL_UNAVAILABLE": 422, "INPUT_SIGNATURE_BROKEN": 422, "WOULD_BREAK_EARLIER": 422,
    "INPUT_PASSWORD_WRONG": 422, "INPUT_ENCRYPTION_UNKNOWN": 422, "INPUT_PERMISSION_SIGN": 422, "INPUT_PERMISSION_FIELD": 422,
    "PASSWORD_MALFORMED": 400, "INPUT_XFA": 422,
    "INPUT_ENCRYPTED": 422, "INPUT_CLOSED": 422, "FIELD_TOO_SMALL": 422, "PLACEMENT_NOWHERE": 422, "CORNER_WITHOUT_ROOM": 422,
    "KEYS_UNAVAILABLE": 503, "REGISTER_UNAVAILABLE": 503, "STORAGE_UNAVAILABLE": 503, "JUDGE_UNAVAILABLE": 503,
    "TIMESTAMP_UNAVAILABLE": 503, "REVOCATION_UNAVAILABLE": 503, "AUDIT_STOPPED": 503, "INTERNAL_PROBLEM": 500,
    "LEVEL_ALREADY_REACHED": 409, "DOCUMENT_CHANGES": 409,
    "TOKEN_PERSON_DISABLED": 403, "ROLE_MISSING": 403, "APPROVAL_WAITING": 409,
    "PREPARED_UNKNOWN": 404, "PREPARED_TAKEN": 409, "PREPARED_FINISHED": 409, "PREPARED_CANCELLED": 409, "PREPARED_EXPIRED": 409,
    "PREPARED_ALTERED": 409, "PREPARED_MISSING": 409, "PREPARED_CERTIFICATE_CHANGED": 409, "PREPARED_KEY_ELSEWHERE": 422,
    "PREPARED_SIGNATURE_WRONG": 422, "PREPARED_SIGNS_ANOTHER": 422, "PREPARED_SIGNED_BY_ANOTHER": 422, "PREPARED_CMS_MALFORMED": 422,
    "PREPARED_CMS_SIGNING_TIME": 422, "PREPARED_CMS_UNBOUND": 422, "PREPARED_CMS_TOO_LARGE": 422, "PREPARED_NOT_SOUND": 422,
    "OUTSIDE_UNREADABLE": 422, "OUTSIDE_IS_AUTHORITY": 422, "OUTSIDE_KEY_USAGE": 422, "OUTSIDE_KEY_REFUSED": 422,
    "OUTSIDE_CHAIN_BROKEN": 422, "CREDENTIAL_OUTSIDE": 409, "CREDENTIAL_ENDED": 409, "CERTIFICATE_ENROLLED": 409, "SEAL_BROKEN": 503,
    "INCOME_OWN_DOCUMENT": 409, "INCOME_TWICE": 409, "APPENDIX_MAIN_NOT_ISSUED": 409, "APPENDIX_OF_ANOTHER_AGENCY": 409,
    "APPENDIX_IS_MAIN": 409, "COPY_FORM_NOT_ALLOWED": 422, "APPENDIX_WITHOUT_MAIN": 400, "COPY_FORM_MISSING": 400,
    "MANDATE_MISSING": 409, "MANDATE_OF_ANOTHER_TITLE": 409, "MANDATE_NOT_BEGUN": 409, "MANDATE_OVER": 409,
    "COPY_OF_SIGNED_FILE": 409, "COMMENT_MISSING": 400,
    "PRINT_WORD_MISSING": 400, "PRINT_WORD_MALFORMED": 400, "PRINT_PAGE_TOO_SMALL": 422, "PRINT_NOT_ISSUED": 409,
    "COMMENT_MALFORMED": 400, "PARTICULAR_NOT_WANTED": 400, "NUMBER_OF_LAST_YEAR": 409,
    "TIME_MALFORMED": 400, "TIME_AHEAD": 400, "POLICY_UNKNOWN": 400, "RECEIPT_LANGUAGE_WRONG": 400, "RECEIPT_TICKET_WRONG": 400,
    "RECEIPT_AWAY": 503, "HISTORY_TIME_REFUSED": 400, "OCSP_ANSWER_NONE": 404, "ALREADY_REVOKED": 409, "ALREADY_SUSPENDED": 409,
    "NOT_SUSPENDED": 409, "ROOT_NOT_REVOCABLE": 409, "CERTIFICATE_ENDED": 409, "REVOCATION_REASON_UNKNOWN": 400,
    "REVOCATION_SINCE_REFUSED": 400, "REVOCATION_SINCE_BEFORE_KEY": 400, "RENEWAL_OF_REVOKED": 409, "RENEWAL_OF_SUSPENDED": 409,
    "RENEWAL_TOO_EARLY": 409, "RENEWAL_TOO_LATE": 409, "ALREADY_RENEWED": 409, "RENEWAL_NOT_BY_HAND": 409, "RENEWAL_KEY_NOT_NEW": 409,
    "BATCH_UNKNOWN": 404, "BATCH_TOO_LONG": 413, "BATCH_TOO_MANY": 429, "BATCH_DOCUMENTS_WRONG": 400,
    "REKEY_MAKES_THE_KEY": 409, "CERTIFICATE_NOT_FOUND": 404,
}  # fmt: skip

# The first row that fits decides.
_BY_KIND: tuple[tuple[type[Exception], int], ...] = (
    (CertificateNotFound, 404),
    (AuthorityUnknown, 404),
    (CrlNotFound, 404),
    (RequestError, 400),
    (ClientDisconnect, 400),
    (UsageError, 400),
    (ComponentError, 503),
    (HSMError, 503),
    (DatabaseUnavailable, 503),
    (ReasonUnknown, 400),
    (SinceRefused, 400),
    (SinceBeforeKey, 400),
    (RevocationRefused, 409),
    (RenewalRefused, 409),
    (HistoryTimeRefused, 400),
    (ApprovalError, 409),
    (RegistrationNotOpen, 409),
    (RegistrationStale, 409),
    (RegistrationTextRefused, 400),
    (PkiError, 422),
    (LintUnavailable, 503),
    (KeyInUse, 409),
    (KeyCompromised, 409),
    (RegistrationIncomplete, 422),
    (CertsError, 400),
    (Refused, 422),
    (InputUnreadable, 422),
    (UsageWrong, 400),
    (Unavailable, 503),
    (OwnOutputBroken, 503),
    (PlacementMalformed, 400),
    (FontMissing, 503),
    (AppearanceError, 422),
    (ValidationError, 503),
    (OSError, 503),
)

_SHOWN_OUTAGES = {
    "BUSY",
    "NOT_READY",
    "JUDGE_UNAVAILABLE",
    "TIMESTAMP_UNAVAILABLE",
    "REVOCATION_UNAVAILABLE",
    "RECEIPT_AWAY",
    "LINT_UNAVAILABLE",
}
# Every family of errors that a route may raise; what belongs to none of them is a defect of ours.
FAMILIES: tuple[type[Exception], ...] = (
    ApiError, SignerError, PkiError, CertsError, HSMError, AppearanceError, ValidationError, OSError, ClientDisconnect,
)  # fmt: skip


def status_of(error: Exception) -> int:
    """The HTTP status of a failure; 500 is a defect of ours."""
    code = str(getattr(error, "code", ""))
    if code in STATUS_OF_CODE:
        return STATUS_OF_CODE[code]
    return next((status for kind, status in _BY_KIND if isinstance(error, kind)), 500)


def describe_problem(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, code and facts as the outside may know them. Outages keep their details for the log."""
    status = status_of(error)
    code, facts = _said(error)
    later = {"retry_after": str(retry_seconds(error))} if status == 503 else {}
    if status < 500 or code in _SHOWN_OUTAGES:
        return status, code, facts | later
    return status, _outage(error, status).code, later


def retry_seconds(error: Exception) -> int:
    """When to come again: as the key process expects to be well, or after a while."""
    told = str(getattr(error, "facts", {}).get("retry_after", ""))
    if not told.isdecimal() and isinstance(error.__cause__, HSMError):
        return retry_seconds(error.__cause__)  # what cannot be done without a key, told by who needed it
    return sensible_seconds(int(told)) if told.isdecimal() else RETRY_SECONDS


def sensible_seconds(told: int) -> int:
    """A number for Retry-After, whatever a part of ours expects."""
    return min(max(told, 1), _LONGEST_RETRY_SECONDS)


def _outage(error: Exception, status: int) -> RequestError:
    """What a stranger learns about a part of ours that is away: which, and not where it is or what it said."""
    if status == 500:
        return RequestError("INTERNAL_PROBLEM")
    if isinstance(error, AuditUnavailable):
        return RequestError("AUDIT_STOPPED")
    if isinstance(error, DatabaseUnavailable):
        return RequestError("REGISTER_UNAVAILABLE")
    if isinstance(error, HSMError | ComponentError):
        return RequestError("KEYS_UNAVAILABLE")
    return RequestError("STORAGE_UNAVAILABLE")


def _routing_failure(error: HTTPException, method: str) -> RequestError:
    """What the framework says by itself, in our words."""
    if error.status_code == 404:
        return RequestError("NOT_FOUND")
    if error.status_code == 405:
        return RequestError("METHOD_NOT_ALLOWED", method=method)
    return RequestError("REQUEST_MALFORMED")


def problem(status: int, code: str, facts: Mapping[str, str] | None = None, **members: Any) -> JSONResponse:
    """A problem document. `detail` is the sentence of the code in English: JSON never changes with the language."""
    headers = {}
    if status == 503 or code == "IDEMPOTENCY_IN_PROGRESS":
        headers["Retry-After"] = (facts or {}).get("retry_after") or str(RETRY_SECONDS)
    if status == 429:
        headers["Retry-After"] = "1"
    if status == 401:
        # RFC 6750 3: no error code when no token was sent.
        headers["WWW-Authenticate"] = 'Bearer realm="antin"' + (
            "" if code == "TOKEN_MISSING" else ', error="invalid_token"'
        )
    if code == "TOKEN_SCOPE_MISSING":
        headers["WWW-Authenticate"] = 'Bearer realm="antin", error="insufficient_scope"'
    if status in (408, 413):
        headers["Connection"] = "close"  # the rest of the body is not wanted
    detail = sentence_of(code, facts or {})
    body = {
        "type": f"urn:antin:problem:{code}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "code": code,
        "detail": detail,
    }
    return JSONResponse(body | members, status, headers, media_type=MEDIA_TYPE)


def sentence_of(code: str, facts: Mapping[str, str]) -> str:
    """The sentence of a code as `detail` has it."""
    return _sentence(Words("en").say(code, facts))


def _sentence(text: str) -> str:
    """The command line goes on after `antin:` in small letters; here the same words stand alone."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


async def answer_failure(request: Request, error: Exception) -> Response:
    """The handler of everything that routes raise. A page answers with a page where the pages have said how."""
    note = request.scope.setdefault("antin.note", {})
    if isinstance(error, HTTPException):
        _, code, facts = describe_problem(_routing_failure(error, request.method))
        status = error.status_code
    else:
        status, code, facts = describe_problem(error)
        note["error"] = _inner_code(error)
    note["code"] = code
    page = getattr(request.app.state, "page_error", None)
    if page is not None and is_page(request.url.path):
        answer: Response = await page(request, status, code, facts)
    elif code == "REGISTER_UNAVAILABLE":
        answer = problem(status, code, facts, sources=[_as_json(request.app.state.services.sources.silent_register())])
    else:
        answer = problem(status, code, facts)
    if isinstance(error, HTTPException) and error.headers:
        answer.headers.update({name: value for name, value in error.headers.items() if name.lower() == "allow"})
    return answer


def _as_json(source: Source) -> dict[str, Any]:
    return {"kind": source.kind, "last_good": None if source.last_good is None else rfc3339(source.last_good)}


def is_page(path: str) -> bool:
    """Whether a path belongs to people: the pages answer their own way there."""
    return path == "/" or path.split("/")[1] in _PAGES


_PAGES = {"v", "verify", "certificates", "desk", "admin", "static"}
_TITLES = {
    400: "Malformed request", 401: "Not authenticated", 403: "Not allowed", 404: "Not found", 405: "Method not allowed",
    408: "Too slow", 409: "Conflict with the present state", 413: "Too large", 415: "Unsupported media type",
    422: "Refused by a rule", 429: "Too many requests", 500: "Internal error", 503: "Not available now",
}  # fmt: skip


def _inner_code(error: Exception) -> str:
    code, facts = _said(error)
    # The kind and the place of a defect are for engineers; facts of other errors may hold names.
    return f"{code} {facts['kind']} {facts['place']}" if code == "INTERNAL_ERROR" else one_line(code)


def _said(error: Exception) -> tuple[str, dict[str, str]]:
    """Code and facts of a failure; what nobody foresaw is INTERNAL_ERROR, with its kind and place."""
    if isinstance(error, ClientDisconnect):
        error = RequestError("BODY_BROKEN_OFF")  # nobody hears it, but the log does
    if isinstance(error, ApiError):
        return error.code, error.facts
    _, code, facts = describe(error)
    return code, facts
