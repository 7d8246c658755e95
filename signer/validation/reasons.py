"""The closed table of reasons: what each means as a conclusion, as a sub-indication of EN 319 102-1, and as an exit code.

The sentences in three languages stand in the locale catalogues under the same codes; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

# Over several files the first of these that occurs is the answer of the whole command.
_EXIT_ORDER: Final = (5, 2, 1, 3, 4, 0)


@dataclass(frozen=True)
class Reason:
    """One row. `sub_indications` lists all that may go with the reason, the usual one first; None means none.

    `conclusion` is None for reasons that leave the conclusion as it was (a document's status) or are no verdict on a file.
    """

    code: str
    conclusion: str | None
    sub_indications: tuple[str | None, ...]
    exit_code: int


def _rows(conclusion: str | None, exit_code: int, rows: dict[str, tuple[str | None, ...]]) -> dict[str, Reason]:
    return {code: Reason(code, conclusion, subs, exit_code) for code, subs in rows.items()}


REASONS: Final[dict[str, Reason]] = {
    **_rows("valid", 0, {"VALID": (None,), "VALID_LATER_EXPIRED": (None,), "VALID_EXTENDED": (None,)}),
    # What is no signed document, and good as what it is (bare.py).
    **_rows("valid", 0, {"BARE_CERTIFICATE_GOOD": (None,), "BARE_TIMESTAMP_GOOD": (None,)}),
    # EN 319 102-1 table 5: TOTAL-FAILED
    **_rows(
        "invalid",
        1,
        {
            "INVALID_MODIFIED": ("HASH_FAILURE", "FORMAT_FAILURE"),
            "INVALID_CRYPTO": ("SIG_CRYPTO_FAILURE",),
            "INVALID_FORMAT": ("FORMAT_FAILURE",),
            "INVALID_REVOKED": ("REVOKED",),
            "INVALID_EXPIRED": ("EXPIRED",),
            "INVALID_NOT_YET_VALID": ("NOT_YET_VALID",),
            "BARE_CERTIFICATE_REVOKED": ("REVOKED",),
            "BARE_CERTIFICATE_EXPIRED": ("EXPIRED",),
            "BARE_CERTIFICATE_NOT_YET_VALID": ("NOT_YET_VALID",),
        },
    ),
    # EN 319 102-1 table 6: INDETERMINATE
    **_rows(
        "indeterminate",
        3,
        {
            "UNKNOWN_REVOKED_NO_TIME": ("REVOKED_NO_POE", "REVOKED_CA_NO_POE"),
            "UNKNOWN_EXPIRED_NO_TIME": ("OUT_OF_BOUNDS_NO_POE",),
            "UNKNOWN_SUSPENDED": ("TRY_LATER",),
            "UNKNOWN_ISSUER": ("NO_CERTIFICATE_CHAIN_FOUND",),
            "UNKNOWN_CHAIN": ("CHAIN_CONSTRAINTS_FAILURE",),
            "UNKNOWN_KEY_USAGE": ("CHAIN_CONSTRAINTS_FAILURE",),
            "UNKNOWN_SIGNER": ("NO_SIGNING_CERTIFICATE_FOUND",),
            "UNKNOWN_REVOCATION": ("TRY_LATER",),
            "UNKNOWN_TIME": ("NO_POE",),
            "UNKNOWN_CLAIMED_TIME": ("SIG_CONSTRAINTS_FAILURE",),
            "UNKNOWN_ALGORITHM": ("CRYPTO_CONSTRAINTS_FAILURE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"),
            "UNKNOWN_CHANGES": ("GENERIC",),
            # All is as it should be, but the chain only serves to practise: for nobody is it valid.
            "TRAINING": ("CHAIN_CONSTRAINTS_FAILURE", "NO_CERTIFICATE_CHAIN_FOUND"),
            "UNKNOWN_NO_CONTENT": ("SIGNED_DATA_NOT_FOUND",),
            "BARE_CERTIFICATE_SUSPENDED": ("TRY_LATER",),
        },
    ),
    **_rows("unsigned", 4, {"NOT_SIGNED": (None,), "BARE_CERTIFICATES": (None,)}),
    **_rows(
        "unreadable",
        2,
        {
            "UNREADABLE_MISSING": (None,),
            "UNREADABLE_NO_ACCESS": (None,),
            "UNREADABLE_NOT_FILE": (None,),
            "UNREADABLE_EMPTY": (None,),
            "UNREADABLE_NOT_PDF": (None,),
            "UNREADABLE_PHOTO": (None,),
            "UNREADABLE_WORD": (None,),
            "UNREADABLE_EXCEL": (None,),
            "UNREADABLE_OFFICE": (None,),
            "UNREADABLE_XML": (None,),
            "UNREADABLE_EDXML": (None,),
            "UNREADABLE_XADES": (None,),
            "UNREADABLE_ZIP": (None,),
            "UNREADABLE_ASIC": (None,),
            "UNREADABLE_EMAIL": (None,),
            "UNREADABLE_CMS_ENCRYPTED": (None,),
            "UNREADABLE_CMS_OTHER": (None,),
            "UNREADABLE_CRL": (None,),
            "UNREADABLE_REQUEST": (None,),
            "UNREADABLE_PRIVATE_KEY": (None,),
            "UNREADABLE_STAMP_REFUSED": (None,),
            "UNREADABLE_TWO_FILES": (None,),
            "UNREADABLE_CONTENT": (None,),
            "UNREADABLE_DAMAGED": (None,),
            # Signing refuses an encrypted file by rule (exit 1); judging cannot even begin, so it is unreadable input.
            "UNREADABLE_ENCRYPTED": (None,),
            "UNREADABLE_PASSWORD_WRONG": (None,),
            "UNREADABLE_TOO_LARGE": (None,),
            "UNREADABLE_LIMIT": (None,),
        },
    ),
    **_rows("unreadable", 5, {"JUDGE_UNAVAILABLE": (None,)}),
    # Asked by its hash alone: no document of the register, which is no word on the file.
    **_rows(None, 3, {"HASH_NOT_FOUND": (None,)}),
    **_rows(None, 1, {"DOC_RECALLED": (None,), "DOC_REPLACED": (None,), "CODE_NOT_FOUND": (None,)}),
    **_rows(None, 0, {"DOC_CORRECTED": (None,)}),
}

# Files of kinds in which no signature is looked for.
OTHER_KINDS: Final = frozenset(
    {
        "UNREADABLE_NOT_PDF", "UNREADABLE_PHOTO", "UNREADABLE_WORD", "UNREADABLE_EXCEL", "UNREADABLE_OFFICE", "UNREADABLE_XML",
        "UNREADABLE_EDXML", "UNREADABLE_XADES", "UNREADABLE_ZIP", "UNREADABLE_ASIC", "UNREADABLE_EMAIL", "UNREADABLE_CMS_ENCRYPTED",
        "UNREADABLE_CMS_OTHER", "UNREADABLE_CRL", "UNREADABLE_REQUEST", "UNREADABLE_PRIVATE_KEY", "UNREADABLE_STAMP_REFUSED",
    }
)  # fmt: skip

INDICATIONS: Final = {"valid": "TOTAL-PASSED", "invalid": "TOTAL-FAILED", "indeterminate": "INDETERMINATE"}


def combined_exit_code(codes: Iterable[int]) -> int:
    """The exit code of a command that judged several files."""
    found = set(codes)
    return next((code for code in _EXIT_ORDER if code in found), 0)
