"""Why an authority that exists elsewhere was not taken in."""

from __future__ import annotations

from pki.errors import PkiError


class AuthorityImportRefused(PkiError):
    """An authority from elsewhere cannot be one of this home. Never raised itself."""

    code = "AUTHORITY_IMPORT_REFUSED"


class ImportKeyMissing(AuthorityImportRefused):
    """The token has no key for this certificate under the CKA_ID that follows from it. Facts: subject, key_id."""

    code = "IMPORT_KEY_MISSING"


class ImportKeyInUse(AuthorityImportRefused):
    """The key is used for something else here. Facts: subject, used_by."""

    code = "IMPORT_KEY_IN_USE"


class ImportNotAuthority(AuthorityImportRefused):
    """The certificate is for no authority that signs certificates and lists. Facts: subject."""

    code = "IMPORT_NOT_AUTHORITY"


class ImportNotInForce(AuthorityImportRefused):
    """It has ended, or has not begun. Facts: subject, not_before, not_after."""

    code = "IMPORT_NOT_IN_FORCE"


class ImportParentUnknown(AuthorityImportRefused):
    """It is neither its own issuer nor that of an authority here. Facts: subject."""

    code = "IMPORT_PARENT_UNKNOWN"


class ImportTraining(AuthorityImportRefused):
    """It only serves to practise, and this home does not. Facts: subject."""

    code = "IMPORT_TRAINING"


class ImportNotTraining(AuthorityImportRefused):
    """It serves in earnest, and this home only to practise. Facts: subject."""

    code = "IMPORT_NOT_TRAINING"


class ImportListWrong(AuthorityImportRefused):
    """The revocation list is not this authority's newest complete one. Facts: subject."""

    code = "IMPORT_LIST_WRONG"


class ImportSerialTaken(AuthorityImportRefused):
    """A certificate of this serial is in the inventory already. Facts: serial."""

    code = "IMPORT_SERIAL_TAKEN"
